#![allow(clippy::unwrap_used)]
use super::*;
use crate::actor::tests::{actor, id};
use crate::project::tests::{MANAGER, NOW, USER, facts, with};
use ticrypt_types::Rank;

fn member(n: u8) -> MemberFacts {
    MemberFacts { user: id(n), is_active: true, above: Some(Timestamp::ABSENT), is_listed: false, is_member: false, revision: 0 }
}

fn listed(n: u8) -> MemberFacts {
    MemberFacts { is_listed: true, is_member: true, revision: 4, ..member(n) }
}

const TERMS: MemberTerms =
    MemberTerms { role: MemberRole::User, restrictions: Restrictions::NONE, expires: Timestamp::ABSENT, update: false };
const NOBODY: InvestigatorFacts = InvestigatorFacts { pi: None, is_member: false };

fn me() -> Actor {
    with(&[Permission::ProjectManage])
}

#[test]
fn only_managers_with_the_permission_sign_whatever_else_one_may() {
    let missing = Denial::NoPermission { permission: Permission::ProjectManage };
    let changes = [(member(2), MemberStep::Set(TERMS))];
    for (actor, own, expected) in [
        (me(), MANAGER, None),
        (with(&[]), MANAGER, Some(missing)),
        (me(), USER, Some(Denial::NotManager)),
        (me(), None, Some(Denial::NotFound)),
        // Who administrates projects brings nobody in.
        (with(&[Permission::ProjectAdministrate, Permission::ProjectManage]), None, Some(Denial::NotFound)),
        (with(&[Permission::ProjectAdministrate, Permission::ProjectManage]), USER, Some(Denial::NotManager)),
        (actor(1, Rank::SuperAdmin), None, Some(Denial::NotManager)),
    ] {
        assert_eq!(may_set_members(&actor, &facts(USER, own), &changes, NOBODY, NOW).err(), expected, "{actor:?} {own:?}");
    }
    assert_eq!(may_set_members(&me(), &facts(USER, MANAGER), &changes, NOBODY, NOW).unwrap().revision(), 5);
}

#[test]
fn each_rule_about_who_is_set() {
    let at = Timestamp::from_millis;
    for (member, terms, expected) in [
        (member(2), TERMS, None),
        (MemberFacts { user: id(1), ..member(2) }, TERMS, Some(Denial::Oneself)),
        (MemberFacts { is_active: false, ..member(2) }, TERMS, Some(Denial::MemberInactive)),
        (listed(2), TERMS, Some(Denial::AlreadyMember)),
        (listed(2), MemberTerms { update: true, ..TERMS }, None),
        // Withdrawn, one comes in anew.
        (MemberFacts { is_member: false, ..listed(2) }, TERMS, None),
        (member(2), MemberTerms { expires: at(1_000), ..TERMS }, Some(Denial::DateInPast)),
        (member(2), MemberTerms { expires: at(1_001), ..TERMS }, None),
        (MemberFacts { above: None, ..member(2) }, TERMS, Some(Denial::ParentNotMember)),
        (MemberFacts { above: Some(at(5_000)), ..member(2) }, TERMS, Some(Denial::ParentExpires)),
        (MemberFacts { above: Some(at(5_000)), ..member(2) }, MemberTerms { expires: at(5_001), ..TERMS }, Some(Denial::ParentExpires)),
        (MemberFacts { above: Some(at(5_000)), ..member(2) }, MemberTerms { expires: at(5_000), ..TERMS }, None),
    ] {
        let refused = refused_changes(&me(), &facts(USER, MANAGER), &[(member, MemberStep::Set(terms))], NOW).unwrap();
        assert_eq!(refused, expected.map(|denial| (member.user, denial)).into_iter().collect::<Vec<_>>(), "{member:?} {terms:?}");
    }
}

#[test]
fn everybody_who_is_refused_is_named_and_then_nobody_is_changed() {
    let changes = [
        (member(2), MemberStep::Set(TERMS)),
        (listed(3), MemberStep::Set(TERMS)),
        (listed(4), MemberStep::Remove),
        (member(5), MemberStep::Remove),
    ];
    let refused = refused_changes(&me(), &facts(USER, MANAGER), &changes, NOW).unwrap();
    assert_eq!(refused, [(id(3), Denial::AlreadyMember), (id(5), Denial::NoSuchMember)]);
    assert_eq!(may_set_members(&me(), &facts(USER, MANAGER), &changes, NOBODY, NOW), Err(Denial::AlreadyMember));
}

#[test]
fn the_principal_investigator_is_a_member() {
    let out = [(listed(2), MemberStep::Remove)];
    for (changes, pi, is_member, expected) in [
        (&[][..], Some(id(2)), true, None),
        (&[], Some(id(2)), false, Some(Denial::PiNotMember)),
        (&out, Some(id(2)), false, Some(Denial::IsPi)),
        (&out, None, false, None),
        (&out, Some(id(3)), true, None),
    ] {
        let investigator = InvestigatorFacts { pi, is_member };
        assert_eq!(may_set_members(&me(), &facts(USER, MANAGER), changes, investigator, NOW).err(), expected, "{changes:?} {pi:?}");
    }
}

#[test]
fn whose_entry_signs() {
    let (manager, user, at) = (MemberRole::Manager, MemberRole::User, Timestamp::from_millis);
    for (role, expires, pi, expected) in [
        (manager, Timestamp::ABSENT, None, None),
        (user, Timestamp::ABSENT, None, Some(Denial::NotManager)),
        (user, Timestamp::ABSENT, Some(id(2)), Some(Denial::NotManager)),
        (user, Timestamp::ABSENT, Some(id(1)), None),
        (manager, at(1_001), None, None),
        (manager, NOW, None, Some(Denial::MembershipExpired)),
        (user, NOW, Some(id(1)), Some(Denial::MembershipExpired)),
    ] {
        assert_eq!(may_sign_head(id(1), role, expires, pi, NOW).err(), expected, "{role} {expires:?} {pi:?}");
    }
}

#[test]
fn leaving_and_being_put_out_without_a_head() {
    let administrator = with(&[Permission::ProjectAdministrate]);
    for (actor, own, member, expected) in [
        (with(&[]), USER, listed(1), None),
        (me(), USER, listed(2), Some(Denial::NotManager)),
        (me(), MANAGER, listed(2), Some(Denial::NeedsHead)),
        (administrator.clone(), None, listed(2), None),
        (administrator, None, member(2), Some(Denial::NoSuchMember)),
        (with(&[]), None, listed(2), Some(Denial::NotFound)),
        (with(&[]), USER, MemberFacts { is_member: false, ..listed(1) }, Some(Denial::NoSuchMember)),
    ] {
        assert_eq!(may_withdraw(&actor, &facts(USER, own), &member, NOW).err(), expected, "{actor:?} {own:?} {member:?}");
    }
    assert!(may_withdraw(&me(), &facts(None, USER), &listed(1), NOW).is_ok(), "one leaves even what is suspended");
    let led = |n| ProjectFacts { pi: Some(id(n)), ..facts(USER, MANAGER) };
    assert_eq!(may_withdraw(&me(), &led(1), &listed(1), NOW), Err(Denial::IsPi));
    assert!(may_withdraw(&with(&[Permission::ProjectAdministrate]), &led(2), &listed(2), NOW).is_ok());
}
