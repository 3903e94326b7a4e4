//! Shares: giving, ending, leaving, seeing who has one.
//!
//! A share is never freer than the one it is given under, in verbs or in time (rules §3). The seal itself is the client's; what
//! is decided here is whether the server takes the record.

use ticrypt_types::{GrantId, Permission, Timestamp, UserId, Verbs};

use crate::access::Need;
use crate::actor::Actor;
use crate::denial::Denial;
use crate::node::NodeFacts;
use crate::permit::{GrantCreate, GrantLeave, GrantList, GrantOn, GrantRevoke, Permit};

/// The terms of a grant somebody wants to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantTerms {
    pub recipient: UserId,
    /// The recipient's account is active.
    pub recipient_active: bool,
    pub verbs: Verbs,
    pub expires: Timestamp,
    /// Record hash of the grant it is given under; absent when the owner gives it.
    pub authority: Option<[u8; 32]>,
}

/// What is known of a grant that is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantFacts {
    pub grant: GrantId,
    pub sealer: UserId,
    pub recipient: UserId,
    /// Ended by somebody, or by its time. What died with its recipient's lost identity can still be put away.
    pub ended: bool,
}

/// Needs *share*, within one's own verbs and time.
pub fn may_create_grant(actor: &Actor, facts: &NodeFacts, terms: &GrantTerms, now: Timestamp) -> Result<Permit<GrantCreate>, Denial> {
    actor.check(now)?;
    facts.unlocked(actor, now)?;
    in_no_group(facts)?;
    facts.reach(actor, Need::SHARE, now)?;
    actor.may(Permission::VaultShare)?;
    facts.out_of_trash()?;
    if terms.recipient == actor.user || terms.recipient == facts.owner {
        return Err(Denial::RecipientHasAll);
    }
    if !terms.recipient_active {
        return Err(Denial::RecipientInactive);
    }
    if terms.expires.is_expired(now) {
        return Err(Denial::DateInPast);
    }
    if facts.owner != actor.user {
        let own = terms.authority.and_then(|hash| facts.grants.iter().find(|grant| grant.hash == hash && grant.is_living(now)));
        let own = own.filter(|grant| grant.verbs.contains(Verbs::SHARE)).ok_or(Denial::NoAuthority)?;
        if !own.verbs.contains(terms.verbs) {
            return Err(Denial::BeyondOwn);
        }
        let outlives = terms.expires == Timestamp::ABSENT || terms.expires > own.expires;
        if own.expires != Timestamp::ABSENT && outlives {
            return Err(Denial::ExpiryBeyondOwn);
        }
    } else if terms.authority.is_some() {
        return Err(Denial::NoAuthority);
    }
    Ok(facts.permit(actor))
}

/// The owner ends any share of the tree, a sealer those they gave.
pub fn may_revoke(actor: &Actor, facts: &NodeFacts, grant: &GrantFacts, now: Timestamp) -> Result<Permit<GrantRevoke>, Denial> {
    actor.check(now)?;
    // Taking away is never locked, nor held up by the trash.
    facts.known(actor, now)?;
    in_no_group(facts)?;
    if facts.owner != actor.user && grant.sealer != actor.user {
        return Err(Denial::NotYours);
    }
    // The owner's own grant of the root is the tree's anchor.
    if grant.recipient == facts.owner {
        return Err(Denial::RecipientHasAll);
    }
    ending(actor, facts, grant)
}

/// One leaves what was shared with oneself, even when it has expired or lies in the trash.
pub fn may_leave(actor: &Actor, facts: &NodeFacts, grant: &GrantFacts, now: Timestamp) -> Result<Permit<GrantLeave>, Denial> {
    actor.check(now)?;
    if grant.recipient != actor.user {
        return Err(Denial::NotFound);
    }
    if facts.owner == actor.user {
        return Err(Denial::RecipientHasAll);
    }
    ending(actor, facts, grant)
}

/// Whoever has access sees who else has: readers check writers against it (docs/formats.md §6).
pub fn may_list_grants(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<GrantList>, Denial> {
    actor.check(now)?;
    facts.sight(actor, now)?;
    Ok(facts.permit(actor))
}

/// A group shares with its members and nobody else (features H8), by its key; that is no share which somebody gives or ends.
fn in_no_group(facts: &NodeFacts) -> Result<(), Denial> {
    if facts.group.is_some() { Err(Denial::InGroup) } else { Ok(()) }
}

fn ending<V: crate::permit::Verb<On = GrantOn>>(actor: &Actor, facts: &NodeFacts, grant: &GrantFacts) -> Result<Permit<V>, Denial> {
    if grant.ended {
        return Err(Denial::AlreadyEnded);
    }
    Ok(Permit::new(actor.user, GrantOn { grant: grant.grant, node: facts.node }, facts.revision, facts.rights))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::actor::tests::{actor, id};
    use crate::node::tests::{NOW, all_verbs, facts, grant};
    use crate::node::{GrantFact, Trashed};
    use ticrypt_types::Rank;

    fn terms(verbs: Verbs) -> GrantTerms {
        GrantTerms { recipient: id(2), recipient_active: true, verbs, expires: Timestamp::ABSENT, authority: Some([1; 32]) }
    }

    #[test]
    fn a_share_is_within_ones_own_verbs_for_all_pairs() {
        let me = actor(1, Rank::User);
        for own in all_verbs() {
            for given in all_verbs() {
                let facts = NodeFacts { grants: vec![grant(1, own)], ..facts(9) };
                let expected = if !own.contains(Verbs::SHARE) {
                    Some(Denial::NoShare)
                } else if own.contains(given) {
                    None
                } else {
                    Some(Denial::BeyondOwn)
                };
                assert_eq!(may_create_grant(&me, &facts, &terms(given), NOW).err(), expected, "{own:?} {given:?}");
            }
        }
    }

    #[test]
    fn sharing_takes_the_permission_and_the_key_comes_first() {
        let free = GrantTerms { authority: None, ..terms(Verbs::VIEW) };
        let without = |n| Actor { permissions: ticrypt_types::Permissions::NONE, ..actor(n, Rank::User) };
        let denied = Err(Denial::NoPermission { permission: Permission::VaultShare });
        assert_eq!(may_create_grant(&without(9), &facts(9), &free, NOW), denied);
        assert_eq!(may_create_grant(&without(1), &facts(9), &free, NOW), Err(Denial::NotFound));
    }

    #[test]
    fn verbs_of_two_grants_do_not_add_up_to_an_authority() {
        let view_share = Verbs::VIEW.and(Verbs::SHARE);
        let me = actor(1, Rank::User);
        let facts = NodeFacts { grants: vec![grant(1, view_share), grant(2, Verbs::VIEW.and(Verbs::EDIT))], ..facts(9) };
        assert_eq!(may_create_grant(&me, &facts, &terms(Verbs::VIEW.and(Verbs::EDIT)), NOW), Err(Denial::BeyondOwn));
        let under_second = GrantTerms { authority: Some([2; 32]), ..terms(Verbs::VIEW) };
        assert_eq!(may_create_grant(&me, &facts, &under_second, NOW), Err(Denial::NoAuthority));
        let under_none = GrantTerms { authority: None, ..terms(Verbs::VIEW) };
        assert_eq!(may_create_grant(&me, &facts, &under_none, NOW), Err(Denial::NoAuthority));
    }

    #[test]
    fn a_share_does_not_outlive_ones_own() {
        let me = actor(1, Rank::User);
        let at = Timestamp::from_millis;
        for (own, given, expected) in [
            (0, 0, None),
            (0, 5_000, None),
            (5_000, 5_000, None),
            (5_000, 4_999, None),
            (5_000, 5_001, Some(Denial::ExpiryBeyondOwn)),
            (5_000, 0, Some(Denial::ExpiryBeyondOwn)),
            (5_000, 1_000, Some(Denial::DateInPast)),
        ] {
            let held = GrantFact { expires: at(own), ..grant(1, Verbs::ALL) };
            let facts = NodeFacts { grants: vec![held], ..facts(9) };
            let terms = GrantTerms { expires: at(given), ..terms(Verbs::VIEW) };
            assert_eq!(may_create_grant(&me, &facts, &terms, NOW).err(), expected, "{own} {given}");
        }
    }

    #[test]
    fn the_owner_shares_without_authority_and_not_to_themselves() {
        let owner = actor(9, Rank::User);
        let free = GrantTerms { authority: None, ..terms(Verbs::ALL) };
        assert!(may_create_grant(&owner, &facts(9), &free, NOW).is_ok());
        for (terms, expected) in [
            (terms(Verbs::ALL), Denial::NoAuthority),
            (GrantTerms { recipient: id(9), ..free }, Denial::RecipientHasAll),
            (GrantTerms { recipient_active: false, ..free }, Denial::RecipientInactive),
        ] {
            assert_eq!(may_create_grant(&owner, &facts(9), &terms, NOW), Err(expected));
        }
        let trashed = NodeFacts { trashed: Trashed::Above, ..facts(9) };
        assert_eq!(may_create_grant(&owner, &trashed, &free, NOW), Err(Denial::AboveInTrash));
        let holder = NodeFacts { grants: vec![grant(1, Verbs::ALL)], ..facts(9) };
        let to_owner = GrantTerms { recipient: id(9), ..terms(Verbs::ALL) };
        assert_eq!(may_create_grant(&actor(1, Rank::User), &holder, &to_owner, NOW), Err(Denial::RecipientHasAll));
    }

    #[test]
    fn who_ends_what() {
        let given = GrantFacts { grant: grant(7, Verbs::VIEW).grant, sealer: id(1), recipient: id(2), ended: false };
        let shared = NodeFacts { grants: vec![grant(1, Verbs::ALL)], ..facts(9) };
        for rank in Rank::ALL {
            let by = |n| may_revoke(&actor(n, *rank), &shared, &given, NOW).err();
            assert_eq!((by(9), by(1)), (None, None), "owner and sealer");
            assert_eq!(by(2), Some(Denial::NotYours), "another holder");
            let leave = |n| may_leave(&actor(n, *rank), &facts(9), &given, NOW).err();
            assert_eq!((leave(2), leave(1)), (None, Some(Denial::NotFound)));
        }
        assert_eq!(may_revoke(&actor(3, Rank::SuperAdmin), &facts(9), &given, NOW), Err(Denial::NotFound));
        let ended = GrantFacts { ended: true, ..given };
        assert_eq!(may_revoke(&actor(9, Rank::User), &shared, &ended, NOW), Err(Denial::AlreadyEnded));
        assert_eq!(may_leave(&actor(2, Rank::User), &shared, &ended, NOW), Err(Denial::AlreadyEnded));
        let anchor = GrantFacts { recipient: id(9), sealer: id(9), ..given };
        assert_eq!(may_revoke(&actor(9, Rank::User), &shared, &anchor, NOW), Err(Denial::RecipientHasAll));
        assert_eq!(may_leave(&actor(9, Rank::User), &shared, &anchor, NOW), Err(Denial::RecipientHasAll));
    }

    #[test]
    fn holders_see_who_else_holds() {
        let names_only = NodeFacts { grants: vec![grant(1, Verbs::NONE)], ..facts(9) };
        assert!(may_list_grants(&actor(1, Rank::User), &names_only, NOW).is_ok());
        assert_eq!(may_list_grants(&actor(1, Rank::User), &facts(9), NOW), Err(Denial::NotFound));
    }
}
