#![allow(clippy::unwrap_used)]
use ticrypt_types::{MemberRole, Rank, Restrictions, Span};

use super::*;
use crate::active::{Demand, Membership};
use crate::actor::tests::{actor, id};
use crate::label::tests::label;
use crate::node::tests::{facts, grant};

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn project(n: u8) -> ProjectId {
    ProjectId::from_random([n; 16])
}

fn requirement() -> RequirementId {
    RequirementId::from_random([5; 16])
}

/// Project 1 and its child 2; the child asks for something, of which the person has what is given.
fn line(member: bool, certified: bool) -> StandingLine {
    let span = Span { since: Timestamp::ABSENT, until: Timestamp::ABSENT };
    let membership = Some(Membership { span, role: MemberRole::User, restrictions: Restrictions::NONE });
    let demand = Demand { requirement: requirement(), in_force: span, certified: certified.then_some(span) };
    StandingLine::new(vec![
        Standing { project: project(b'1'), membership, is_pi: false, demands: vec![] },
        Standing { project: project(b'2'), membership: membership.filter(|_| member), is_pi: false, demands: vec![demand] },
    ])
}

/// Tagged with project 2 below 1; owned by 9.
fn tagged() -> NodeFacts {
    let mut facts = facts(9);
    facts.label = label(&["12"]);
    facts
}

fn working(n: u8, line: StandingLine) -> Actor {
    Actor { active: Arc::new(ActiveSet::new(NOW, vec![line]).unwrap()), ..actor(n, Rank::User) }
}

#[test]
fn each_step_is_told_whatever_the_others_say() {
    let explained = |actor: &Actor, facts: &NodeFacts, line| explain(actor, facts, &[line], NOW);
    let shared = NodeFacts { grants: vec![grant(1, Verbs::VIEW)], ..tagged() };
    for (name, actor, facts, own, held_by, tag, read_now, read_then) in [
        (
            "no key, and everything else",
            working(1, line(true, true)),
            tagged(),
            line(true, true),
            HeldBy::Nothing,
            None,
            Some(Denial::NotFound),
            Some(Denial::NotFound),
        ),
        (
            "a key, and works elsewhere",
            actor(1, Rank::User),
            shared.clone(),
            line(true, true),
            HeldBy::Share(Verbs::VIEW),
            None,
            Some(Denial::Locked),
            None,
        ),
        (
            "a key, and no member",
            actor(1, Rank::User),
            shared.clone(),
            line(false, true),
            HeldBy::Share(Verbs::VIEW),
            Some(Denial::NotMember),
            Some(Denial::Locked),
            Some(Denial::Locked),
        ),
        (
            "a key, and not certified",
            actor(1, Rank::User),
            shared.clone(),
            line(true, false),
            HeldBy::Share(Verbs::VIEW),
            Some(Denial::Uncertified { requirement: requirement() }),
            Some(Denial::Locked),
            Some(Denial::Locked),
        ),
        ("all of it", working(1, line(true, true)), shared.clone(), line(true, true), HeldBy::Share(Verbs::VIEW), None, None, None),
        ("the owner", working(9, line(true, true)), tagged(), line(true, true), HeldBy::Owner, None, None, None),
    ] {
        let told = explained(&actor, &facts, own);
        assert_eq!((told.held_by, told.tags[0].why_not), (held_by, tag), "{name}");
        let read = told.verdicts.iter().find(|verdict| verdict.asked == Asked::Read).unwrap();
        assert_eq!((read.now, read.then), (read_now, read_then), "{name}");
    }
    let told = explained(&working(1, line(true, true)), &shared, line(true, true));
    assert_eq!((told.denies(Asked::Change), told.denies(Asked::See)), (Some(Denial::NoEdit), None));
}

#[test]
fn a_loss_that_is_supposed_is_the_loss_that_counts() {
    let all = line(true, true);
    assert!(all.holds(NOW, NOW).is_ok());
    for (loss, denied) in [
        (Loss::Membership(project(b'2')), Some(Denial::NotMember)),
        (Loss::Membership(project(b'1')), Some(Denial::NotMember)),
        (Loss::Membership(project(b'7')), None),
        (Loss::Certification(requirement()), Some(Denial::Uncertified { requirement: requirement() })),
        (Loss::Certification(RequirementId::from_random([6; 16])), None),
    ] {
        assert_eq!(without(&all, loss).holds(NOW, NOW).err(), denied, "{loss:?}");
    }
}

#[test]
fn owners_ask_about_others_and_everybody_about_themselves() {
    let shared = NodeFacts { grants: vec![grant(1, Verbs::VIEW)], ..facts(9) };
    for (by, about, group_owner, denied) in
        [(9, 1, None, None), (1, 1, None, None), (1, 9, None, Some(Denial::OwnersExplain)), (2, 2, None, Some(Denial::NotFound))]
    {
        let facts = NodeFacts { grants: if by == 2 { vec![] } else { shared.grants.clone() }, ..shared.clone() };
        assert_eq!(may_explain(&actor(by, Rank::SuperAdmin), &facts, id(about), group_owner, NOW).err(), denied, "{by} about {about}");
    }
}
