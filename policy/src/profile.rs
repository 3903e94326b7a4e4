//! Profiles: sets of permissions with names. Applied like a stamp (rules §1, M2): whoever gets one has its permissions and no others, until another one is applied; what
//! becomes of the profile afterwards changes nobody. A profile never changes a rank.

use ticrypt_types::{Permission, Permissions, ProfileId, Timestamp};

use crate::actor::Actor;
use crate::denial::Denial;
use crate::permit::{Permit, ProfileApply, ProfileDelete, ProfileSet};
use crate::user::{UserFacts, holds, may_give, permit};

/// What is known of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileFacts {
    pub profile: ProfileId,
    /// 0 for one that is to be made.
    pub revision: u64,
    pub permissions: Permissions,
}

/// What somebody was given so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    pub permissions: Permissions,
    /// The profile that was applied last.
    pub profile: Option<ProfileId>,
}

/// For those who apply profiles or write them; everybody sees the name of their own.
pub fn may_list_profiles(actor: &Actor, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    actor.may(Permission::UserPermissions).or_else(|denial| actor.may(Permission::ProfileEdit).map_err(|_| denial))
}

/// Makes a profile, or changes one. Whoever could write more into it than they have would let others give it.
pub fn may_set_profile(actor: &Actor, facts: &ProfileFacts, wanted: Permissions, now: Timestamp) -> Result<Permit<ProfileSet>, Denial> {
    actor.check(now)?;
    actor.may(Permission::ProfileEdit)?;
    holds(actor, facts.permissions.changed(wanted))?;
    Ok(Permit::new(actor.user, facts.profile, facts.revision, 0))
}

/// Whoever it was applied to keeps what they have.
pub fn may_delete_profile(actor: &Actor, facts: &ProfileFacts, now: Timestamp) -> Result<Permit<ProfileDelete>, Denial> {
    actor.check(now)?;
    actor.may(Permission::ProfileEdit)?;
    Ok(Permit::new(actor.user, facts.profile, facts.revision, 0))
}

/// The same rule as for permissions one by one: what it would give and take, the actor has.
pub fn may_apply_profile(
    actor: &Actor,
    facts: &UserFacts,
    given: Given,
    profile: &ProfileFacts,
    now: Timestamp,
) -> Result<Permit<ProfileApply>, Denial> {
    may_give(actor, facts, given.permissions, profile.permissions, now)?;
    if (given.permissions, given.profile) == (profile.permissions, Some(profile.profile)) {
        return Err(Denial::NoChange);
    }
    Ok(permit(actor, facts))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::actor::tests::{actor, id};
    use ticrypt_types::{Rank, UserState};

    const NOW: Timestamp = Timestamp::from_millis(1_000);
    use Permission::{ProfileEdit, ProjectCertify, ProjectCreate, UserPermissions};

    fn set(permissions: &[Permission]) -> Permissions {
        permissions.iter().copied().collect()
    }

    fn profile(permissions: &[Permission]) -> ProfileFacts {
        ProfileFacts { profile: ProfileId::from_random([8; 16]), revision: 3, permissions: set(permissions) }
    }

    fn with(rank: Rank, permissions: &[Permission]) -> Actor {
        Actor { permissions: set(permissions), ..actor(1, rank) }
    }

    fn missing<T>(permission: Permission) -> Result<T, Denial> {
        Err(Denial::NoPermission { permission })
    }

    #[test]
    fn one_writes_into_a_profile_only_what_one_has() {
        // A rank is of no use without the permission, and none is needed with it.
        for rank in [Rank::User, Rank::SubAdmin, Rank::Admin] {
            let me = with(rank, &[ProfileEdit, ProjectCreate]);
            for (before, wanted, expected) in [
                (&[][..], &[ProjectCreate][..], Ok(3)),
                (&[ProjectCreate], &[], Ok(3)),
                (&[ProjectCertify], &[ProjectCertify, ProjectCreate], Ok(3)),
                (&[], &[ProjectCertify], missing(ProjectCertify)),
                (&[ProjectCertify], &[], missing(ProjectCertify)),
            ] {
                let got = may_set_profile(&me, &profile(before), set(wanted), NOW);
                assert_eq!(got.map(|permit| permit.revision()), expected, "{before:?} {wanted:?}");
            }
            assert_eq!(may_set_profile(&with(rank, &[ProjectCreate]), &profile(&[]), set(&[]), NOW), missing(ProfileEdit));
            assert!(may_delete_profile(&me, &profile(&[ProjectCertify]), NOW).is_ok());
            assert_eq!(may_delete_profile(&with(rank, &[]), &profile(&[]), NOW), missing(ProfileEdit));
        }
        assert!(may_set_profile(&with(Rank::SuperAdmin, &[]), &profile(&[]), Permissions::all(), NOW).is_ok());
    }

    #[test]
    fn whoever_applies_or_writes_them_sees_them() {
        for (held, expected) in [
            (&[][..], missing(UserPermissions)),
            (&[UserPermissions][..], Ok(())),
            (&[ProfileEdit], Ok(())),
            (&[ProjectCreate], missing(UserPermissions)),
        ] {
            assert_eq!(may_list_profiles(&with(Rank::Admin, held), NOW), expected, "{held:?}");
        }
    }

    #[test]
    fn one_is_applied_by_the_rule_for_permissions() {
        let them = UserFacts {
            user: id(2),
            rank: Rank::User,
            state: UserState::Active,
            disabled_until: Timestamp::ABSENT,
            revision: 6,
            active_super_admins: 1,
            in_care: true,
        };
        let me = with(Rank::Admin, &[UserPermissions, ProjectCreate]);
        let stamp = profile(&[ProjectCreate]);
        let other = Some(ProfileId::from_random([9; 16]));
        for (had, label, expected) in [
            (&[][..], None, Ok(6)),
            // It has the permissions already, and gets the label.
            (&[ProjectCreate], None, Ok(6)),
            (&[ProjectCreate], other, Ok(6)),
            (&[], Some(stamp.profile), Ok(6)),
            (&[ProjectCreate], Some(stamp.profile), Err(Denial::NoChange)),
            // Taking away what one has not is as little one's own.
            (&[ProjectCertify], None, missing(ProjectCertify)),
        ] {
            let given = Given { permissions: set(had), profile: label };
            let got = may_apply_profile(&me, &them, given, &stamp, NOW);
            assert_eq!(got.map(|permit| permit.revision()), expected, "{had:?} {label:?}");
        }
        let nothing = Given { permissions: Permissions::NONE, profile: None };
        let apply = |actor: &Actor, facts: &UserFacts| may_apply_profile(actor, facts, nothing, &stamp, NOW).err();
        assert_eq!(apply(&with(Rank::Admin, &[ProjectCreate]), &them), missing::<()>(UserPermissions).err());
        assert_eq!(apply(&with(Rank::User, &[UserPermissions, ProjectCreate]), &them), Some(Denial::NeedsAdministrator));
        assert_eq!(apply(&me, &UserFacts { rank: Rank::SuperAdmin, ..them }), Some(Denial::RankTooHigh));
        assert_eq!(apply(&me, &UserFacts { user: id(1), ..them }), Some(Denial::Oneself));
        assert_eq!(
            apply(&with(Rank::SubAdmin, &[UserPermissions, ProjectCreate]), &UserFacts { in_care: false, ..them }),
            Some(Denial::NotInCare)
        );
    }
}
