//! Levels, requirements and certifications (rules §2).
//!
//! A requirement is the deployment's, and so is a certification for it: whoever certifies for one project certifies for all that ask for the same.
//! That takes a permission of its own, and managing a project that asks for it.

use ticrypt_types::{LevelId, Permission, RequirementId, Timestamp, UserId};

use crate::actor::Actor;
use crate::denial::Denial;
use crate::permit::{
    CertificationExpire, CertificationOn, CertificationSet, LevelDelete, LevelSet, Permit, RequirementDelete, RequirementSet,
};
use crate::scope::Scope;

/// How long a certification for a requirement may last, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifespan {
    /// Whether it must end at all.
    pub must_expire: bool,
    /// Given when no date is.
    pub default_ms: Option<u64>,
    pub maximum_ms: Option<u64>,
}

impl Lifespan {
    /// When a certification given at `now` ends; `wanted` is [`Timestamp::ABSENT`] where nobody named a date.
    pub fn until(&self, wanted: Timestamp, now: Timestamp) -> Result<Timestamp, Denial> {
        let until = match (wanted, self.default_ms) {
            (Timestamp::ABSENT, Some(default)) => now.plus_millis(default),
            (Timestamp::ABSENT, None) if self.must_expire => return Err(Denial::MustExpire),
            (wanted, _) => wanted,
        };
        if until.is_expired(now) {
            return Err(Denial::DateInPast);
        }
        match self.maximum_ms.map(|maximum| now.plus_millis(maximum)) {
            Some(latest) if until == Timestamp::ABSENT || until > latest => Err(Denial::LifespanBeyondMaximum { until: latest }),
            _ => Ok(until),
        }
    }

    /// Whether such a requirement can be: a default within the maximum, and a way to an end where one is asked for.
    pub fn is_sound(&self) -> bool {
        let within = self.default_ms.zip(self.maximum_ms).is_none_or(|(default, maximum)| default <= maximum);
        within && self.default_ms != Some(0) && self.maximum_ms != Some(0)
    }
}

/// What is known of a requirement, for one actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequirementFacts {
    pub requirement: RequirementId,
    /// 0 for one that is to be made.
    pub revision: u64,
    pub lifespan: Lifespan,
    /// The actor manages a project that asks for it, itself or by an ancestor.
    pub manages_asking: bool,
    /// A level asks for it.
    pub in_use: bool,
}

/// What is known of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelFacts {
    pub level: LevelId,
    /// 0 for one that is to be made.
    pub revision: u64,
    /// A project has it.
    pub in_use: bool,
}

/// Somebody to be certified, or who is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HolderFacts {
    pub user: UserId,
    pub is_active: bool,
    pub is_certified: bool,
}

/// Levels and requirements are made by who has the permission for them.
pub fn may_set_requirement(actor: &Actor, facts: &RequirementFacts, now: Timestamp) -> Result<Permit<RequirementSet>, Denial> {
    edits_levels(actor, now)?;
    if !facts.lifespan.is_sound() {
        return Err(Denial::UnsoundLifespan);
    }
    Ok(Permit::new(actor.user, facts.requirement, facts.revision, 0))
}

pub fn may_delete_requirement(actor: &Actor, facts: &RequirementFacts, now: Timestamp) -> Result<Permit<RequirementDelete>, Denial> {
    edits_levels(actor, now)?;
    if facts.in_use {
        return Err(Denial::RequirementInUse);
    }
    Ok(Permit::new(actor.user, facts.requirement, facts.revision, 0))
}

pub fn may_set_level(actor: &Actor, facts: &LevelFacts, now: Timestamp) -> Result<Permit<LevelSet>, Denial> {
    edits_levels(actor, now)?;
    Ok(Permit::new(actor.user, facts.level, facts.revision, 0))
}

pub fn may_delete_level(actor: &Actor, facts: &LevelFacts, now: Timestamp) -> Result<Permit<LevelDelete>, Denial> {
    edits_levels(actor, now)?;
    if facts.in_use {
        return Err(Denial::LevelInUse);
    }
    Ok(Permit::new(actor.user, facts.level, facts.revision, 0))
}

/// Certifies somebody, oneself included, or renews that; comes back with its end.
pub fn may_certify(
    actor: &Actor,
    facts: &RequirementFacts,
    holder: &HolderFacts,
    wanted: Timestamp,
    now: Timestamp,
) -> Result<(Permit<CertificationSet>, Timestamp), Denial> {
    certifies(actor, facts, now)?;
    if !holder.is_active {
        return Err(Denial::MemberInactive);
    }
    let until = facts.lifespan.until(wanted, now)?;
    Ok((Permit::new(actor.user, CertificationOn { requirement: facts.requirement, user: holder.user }, 0, 0), until))
}

/// Ends a certification now.
pub fn may_expire_certification(
    actor: &Actor,
    facts: &RequirementFacts,
    holder: &HolderFacts,
    now: Timestamp,
) -> Result<Permit<CertificationExpire>, Denial> {
    certifies(actor, facts, now)?;
    if !holder.is_certified {
        return Err(Denial::NoLongerCertified);
    }
    Ok(Permit::new(actor.user, CertificationOn { requirement: facts.requirement, user: holder.user }, 0, 0))
}

/// Which certifications a list tells of: one's own, or everybody's if who certifies asks for `all`.
pub fn may_list_certifications(actor: &Actor, all: bool, now: Timestamp) -> Result<Scope, Denial> {
    actor.check(now)?;
    if !all {
        return Ok(Scope::Own(actor.user));
    }
    actor.may(Permission::ProjectCertify).map(|()| Scope::All)
}

fn edits_levels(actor: &Actor, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    actor.may(Permission::LevelEdit)
}

fn certifies(actor: &Actor, facts: &RequirementFacts, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    actor.may(Permission::ProjectCertify)?;
    if facts.manages_asking || actor.may(Permission::ProjectAdministrate).is_ok() { Ok(()) } else { Err(Denial::NotManager) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::actor::tests::{actor, id};
    use ticrypt_types::{Permissions, Rank};

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    #[test]
    fn dates_over_every_kind_of_requirement() {
        let at = Timestamp::from_millis;
        let beyond = Err(Denial::LifespanBeyondMaximum { until: at(1_500) });
        for (must_expire, default_ms, maximum_ms, wanted, expected) in [
            (false, None, None, 0, Ok(at(0))),
            (true, None, None, 0, Err(Denial::MustExpire)),
            (true, None, None, 1_001, Ok(at(1_001))),
            (true, Some(100), None, 0, Ok(at(1_100))),
            (false, Some(100), Some(500), 0, Ok(at(1_100))),
            (false, Some(100), Some(500), 1_500, Ok(at(1_500))),
            (false, None, Some(500), 1_501, beyond),
            (false, None, Some(500), 0, beyond),
            (false, None, None, 1_000, Err(Denial::DateInPast)),
        ] {
            let lifespan = Lifespan { must_expire, default_ms, maximum_ms };
            assert_eq!(lifespan.until(at(wanted), NOW), expected, "{lifespan:?} {wanted}");
        }
        for (default_ms, maximum_ms, sound) in
            [(None, None, true), (Some(5), Some(5), true), (Some(6), Some(5), false), (Some(0), None, false), (None, Some(0), false)]
        {
            assert_eq!(Lifespan { must_expire: true, default_ms, maximum_ms }.is_sound(), sound);
        }
    }

    fn facts(manages_asking: bool, in_use: bool) -> RequirementFacts {
        let lifespan = Lifespan { must_expire: false, default_ms: None, maximum_ms: None };
        RequirementFacts { requirement: RequirementId::from_random([4; 16]), revision: 2, lifespan, manages_asking, in_use }
    }

    #[test]
    fn certifying_takes_the_permission_and_a_project_that_asks_for_it() {
        for (permissions, manages_asking, rank, expected) in [
            (vec![], true, Rank::Admin, Some(Denial::NoPermission { permission: Permission::ProjectCertify })),
            (vec![Permission::ProjectCertify], true, Rank::User, None),
            (vec![Permission::ProjectCertify], false, Rank::User, Some(Denial::NotManager)),
            (vec![Permission::ProjectCertify, Permission::ProjectAdministrate], false, Rank::User, None),
            (vec![], false, Rank::SuperAdmin, None),
        ] {
            let mut me = actor(1, rank);
            me.permissions = permissions.into_iter().collect::<Permissions>();
            let (facts, holder) = (facts(manages_asking, false), HolderFacts { user: id(2), is_active: true, is_certified: true });
            assert_eq!(may_certify(&me, &facts, &holder, Timestamp::ABSENT, NOW).err(), expected);
            assert_eq!(may_expire_certification(&me, &facts, &holder, NOW).err(), expected);
            if expected.is_none() {
                let holder = HolderFacts { is_active: false, is_certified: false, ..holder };
                assert_eq!(may_certify(&me, &facts, &holder, Timestamp::ABSENT, NOW), Err(Denial::MemberInactive));
                assert_eq!(may_expire_certification(&me, &facts, &holder, NOW), Err(Denial::NoLongerCertified));
            }
        }
    }

    #[test]
    fn one_sees_ones_own_certifications_and_who_certifies_sees_all() {
        let mut me = actor(1, Rank::User);
        assert_eq!(may_list_certifications(&me, false, NOW), Ok(Scope::Own(id(1))));
        let denied = Denial::NoPermission { permission: Permission::ProjectCertify };
        assert_eq!(may_list_certifications(&me, true, NOW), Err(denied));
        me.permissions = Permissions::NONE.with(Permission::ProjectCertify);
        assert_eq!(may_list_certifications(&me, true, NOW), Ok(Scope::All));
    }

    #[test]
    fn levels_and_requirements_in_use_stay_and_make_sense() {
        let level = |in_use| LevelFacts { level: LevelId::from_random([5; 16]), revision: 3, in_use };
        let me = actor(1, Rank::SuperAdmin);
        assert_eq!(may_delete_requirement(&me, &facts(true, true), NOW), Err(Denial::RequirementInUse));
        assert_eq!(may_delete_requirement(&me, &facts(true, false), NOW).unwrap().revision(), 2);
        assert_eq!(may_delete_level(&me, &level(true), NOW), Err(Denial::LevelInUse));
        assert_eq!(may_delete_level(&me, &level(false), NOW).unwrap().revision(), 3);
        assert!(may_set_level(&me, &level(true), NOW).is_ok() && may_set_requirement(&me, &facts(true, true), NOW).is_ok());
        let lifespan = Lifespan { must_expire: true, default_ms: Some(6), maximum_ms: Some(5) };
        let unsound = RequirementFacts { lifespan, ..facts(true, false) };
        assert_eq!(may_set_requirement(&me, &unsound, NOW), Err(Denial::UnsoundLifespan));
        let denied = Denial::NoPermission { permission: Permission::LevelEdit };
        assert_eq!(may_set_level(&actor(1, Rank::Admin), &level(false), NOW), Err(denied));
        assert_eq!(may_set_requirement(&actor(1, Rank::Admin), &facts(true, false), NOW), Err(denied));
    }
}
