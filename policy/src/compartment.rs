//! Compartments of groups (security B4): who holds the key for what carries some tags, and who makes the next one.
//!
//! A holder is a member of the group who may be active in every one of the tags. The server says who may be active; that somebody is a
//! member, the group's heads say, to which each client holds it. Whoever ceases to be either makes the key worthless: the next who writes
//! begins another.

use ticrypt_types::{Compartment, GroupId, GroupPermissions, Timestamp, UserId};

use crate::active::StandingLine;
use crate::actor::Actor;
use crate::denial::Denial;
use crate::group::GroupFacts;
use crate::label::Label;
use crate::permit::{CompartmentRead, CompartmentRenew, CompartmentSeal, Permit, Verb};

/// A member of the group, as they stand towards a compartment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub user: UserId,
    /// Their account is active.
    pub is_active: bool,
    /// To each of the tags.
    pub lines: Vec<StandingLine>,
    /// The newest key is sealed to them.
    pub has_key: bool,
}

impl Holder {
    /// Whether the key is for them now.
    pub fn may_hold(&self, now: Timestamp) -> bool {
        self.is_active && self.lines.iter().all(|line| line.holds(now, now).is_ok())
    }
}

/// What is known of a compartment of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompartmentFacts {
    pub group: GroupFacts,
    pub compartment: Compartment,
    /// What its tags say together.
    pub label: Label,
    /// 0: it has no key yet.
    pub generation: u32,
    /// Somebody who lost access holds the newest key, as was noted when they lost it.
    pub key_lost: bool,
    /// All members of the group.
    pub holders: Vec<Holder>,
}

impl CompartmentFacts {
    /// Whether somebody holds the newest key who is not to: by what was noted, or by a clock that nobody waited for.
    pub fn is_closed(&self, now: Timestamp) -> bool {
        self.key_lost || self.holders.iter().any(|holder| holder.has_key && !holder.may_hold(now))
    }

    /// Those who are to hold the newest key and have no seal of it.
    pub fn waiting(&self, now: Timestamp) -> impl Iterator<Item = UserId> {
        self.holders.iter().filter(move |holder| !holder.has_key && holder.may_hold(now)).map(|holder| holder.user)
    }

    fn reached_by(&self, actor: &Actor, now: Timestamp) -> Result<(), Denial> {
        actor.check(now)?;
        self.group.own(actor)?;
        actor.active.covers(&self.label, now).map(drop)
    }

    fn permit<V: Verb<On = GroupId>>(&self, actor: &Actor) -> Permit<V> {
        Permit::new(actor.user, self.group.group, u64::from(self.generation), 0)
    }

    fn seals_to(&self, members: &[UserId], now: Timestamp) -> Result<(), Denial> {
        let may_hold = |user: &UserId| self.holders.iter().any(|holder| holder.user == *user && holder.may_hold(now));
        if members.iter().all(may_hold) { Ok(()) } else { Err(Denial::NotHolder) }
    }
}

/// Its heads, and the newest key as it is sealed to the actor.
pub fn may_read_compartment(actor: &Actor, facts: &CompartmentFacts, now: Timestamp) -> Result<Permit<CompartmentRead>, Denial> {
    facts.reached_by(actor, now)?;
    Ok(facts.permit(actor))
}

/// The next generation of its key, sealed to `members`: by whoever may change anything in the group, as for the group's own key.
pub fn may_renew_compartment(
    actor: &Actor,
    facts: &CompartmentFacts,
    members: &[UserId],
    now: Timestamp,
) -> Result<Permit<CompartmentRenew>, Denial> {
    facts.reached_by(actor, now)?;
    if facts.group.own(actor)? == GroupPermissions::NONE {
        return Err(Denial::GroupPermission { needs: "add-entries" });
    }
    facts.seals_to(members, now)?;
    Ok(facts.permit(actor))
}

/// The newest key to those who are to hold it and have no seal.
pub fn may_seal_compartment(
    actor: &Actor,
    facts: &CompartmentFacts,
    members: &[UserId],
    now: Timestamp,
) -> Result<Permit<CompartmentSeal>, Denial> {
    facts.reached_by(actor, now)?;
    facts.seals_to(members, now)?;
    Ok(facts.permit(actor))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ticrypt_types::{GroupChange, GroupStep, MemberRole, ProjectId, Rank, Restrictions, Span};

    use super::*;
    use crate::active::{ActiveSet, Membership, Standing};
    use crate::actor::tests::{actor, id};
    use crate::label::Line;
    use crate::roster::Roster;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn project() -> ProjectId {
        ProjectId::from_random([1; 16])
    }

    fn label() -> Label {
        Label::of([Line::new(vec![project()]).unwrap()]).unwrap()
    }

    /// A member of the project until then.
    fn line(until: Timestamp) -> StandingLine {
        let span = Span { since: Timestamp::ABSENT, until };
        let membership = Membership { span, role: MemberRole::User, restrictions: Restrictions::NONE };
        StandingLine::new(vec![Standing { project: project(), membership: Some(membership), is_pi: false, demands: vec![] }])
    }

    fn holder(n: u8, until: Timestamp, has_key: bool) -> Holder {
        Holder { user: id(n), is_active: true, lines: vec![line(until)], has_key }
    }

    /// Owned by 9; 1 may add entries, 2 may nothing.
    fn facts() -> CompartmentFacts {
        let add = |n, permissions| GroupChange { user: id(n), step: GroupStep::Add { bundle: [7; 32], permissions } };
        let members = [add(9, GroupPermissions::ALL), add(1, GroupPermissions::ADD_ENTRIES), add(2, GroupPermissions::NONE)];
        let group = GroupFacts {
            group: GroupId::from_random([3; 16]),
            revision: 1,
            label: Label::UNLOCKED,
            roster: Roster::begin(id(9), &members).unwrap(),
        };
        CompartmentFacts {
            group,
            compartment: Compartment::of([project()]).unwrap(),
            label: label(),
            generation: 4,
            key_lost: false,
            holders: vec![holder(9, Timestamp::ABSENT, true), holder(1, Timestamp::ABSENT, true), holder(2, Timestamp::ABSENT, false)],
        }
    }

    fn working(n: u8) -> Actor {
        Actor { active: ActiveSet::new(Timestamp::ABSENT, vec![line(Timestamp::ABSENT)]).unwrap().into(), ..actor(n, Rank::User) }
    }

    #[test]
    fn it_takes_the_group_then_the_tags_then_a_permission() {
        let facts = facts();
        for (me, reads, renews) in [
            (working(5), Some(Denial::NotFound), Some(Denial::NotFound)),
            (actor(1, Rank::User), Some(Denial::Locked), Some(Denial::Locked)),
            (working(2), None, Some(Denial::GroupPermission { needs: "add-entries" })),
            (working(1), None, None),
        ] {
            assert_eq!(may_read_compartment(&me, &facts, NOW).err(), reads);
            assert_eq!(may_seal_compartment(&me, &facts, &[id(2)], NOW).err(), reads);
            assert_eq!(may_renew_compartment(&me, &facts, &[id(1)], NOW).err(), renews);
        }
        assert_eq!(may_renew_compartment(&working(1), &facts, &[id(1)], NOW).unwrap().revision(), 4);
    }

    #[test]
    fn the_key_goes_to_members_who_may_be_active_and_to_nobody_else() {
        let mut facts = facts();
        let sealed = |facts: &CompartmentFacts, n| may_seal_compartment(&working(1), facts, &[id(n)], NOW).err();
        assert_eq!(sealed(&facts, 2), None);
        assert_eq!(sealed(&facts, 5), Some(Denial::NotHolder));
        let waiting = |facts: &CompartmentFacts| facts.waiting(NOW).collect::<Vec<_>>();
        assert_eq!((waiting(&facts), facts.is_closed(NOW)), (vec![id(2)], false));

        // At the millisecond at which it ends, it has ended.
        for (until, may_hold) in [(Timestamp::from_millis(1_001), true), (NOW, false)] {
            facts.holders[2] = holder(2, until, false);
            assert_eq!((sealed(&facts, 2).is_none(), waiting(&facts).len()), (may_hold, usize::from(may_hold)));
            facts.holders[2].has_key = true;
            assert_eq!(facts.is_closed(NOW), !may_hold);
        }
        facts.holders[2] = Holder { is_active: false, ..holder(2, Timestamp::ABSENT, false) };
        assert_eq!((sealed(&facts, 2), facts.is_closed(NOW)), (Some(Denial::NotHolder), false));
        facts.key_lost = true;
        assert!(facts.is_closed(NOW));
    }
}
