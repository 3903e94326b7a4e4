#![allow(clippy::unwrap_used)]
use super::*;
use crate::active::{Membership, Standing};
use crate::actor::tests::{actor, id};
use ticrypt_types::{MemberRole, Permissions, Rank, Restrictions, Span};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_000);
const EVER: Span = Span { since: Timestamp::ABSENT, until: Timestamp::ABSENT };

fn project(n: u8) -> ProjectId {
    ProjectId::from_random([n; 16])
}

pub(crate) fn standing(n: u8, role: Option<MemberRole>) -> Standing {
    let membership = role.map(|role| Membership { span: EVER, role, restrictions: Restrictions::NONE });
    Standing { project: project(n), membership, is_pi: false, demands: vec![] }
}

/// Project 2 below project 1, with the actor's roles in both.
pub(crate) fn facts(above: Option<MemberRole>, own: Option<MemberRole>) -> ProjectFacts {
    ProjectFacts {
        project: project(2),
        revision: 3,
        counter: 5,
        line: StandingLine::new(vec![standing(1, above), standing(2, own)]),
        pi: None,
        in_use: false,
    }
}

pub(crate) fn with(permissions: &[Permission]) -> Actor {
    Actor { permissions: permissions.iter().copied().collect::<Permissions>(), ..actor(1, Rank::User) }
}

pub(crate) const USER: Option<MemberRole> = Some(MemberRole::User);
pub(crate) const MANAGER: Option<MemberRole> = Some(MemberRole::Manager);

#[test]
fn a_project_is_run_by_its_managers_with_the_permission_or_by_administrators_of_projects() {
    let missing = Denial::NoPermission { permission: Permission::ProjectManage };
    let (manage, administrate) = (Permission::ProjectManage, Permission::ProjectAdministrate);
    for (permissions, above, own, expected) in [
        (&[manage][..], USER, MANAGER, None),
        (&[], USER, MANAGER, Some(missing)),
        (&[manage], USER, USER, Some(Denial::NotManager)),
        (&[manage], MANAGER, USER, Some(Denial::NotManager)),
        (&[manage], None, MANAGER, Some(Denial::NotManager)),
        (&[manage], MANAGER, None, Some(Denial::NotFound)),
        (&[administrate], None, None, None),
        (&[Permission::ProjectViewAll], None, None, Some(Denial::NotManager)),
    ] {
        let facts = facts(above, own);
        assert_eq!(may_change_project(&with(permissions), &facts, NOW).err(), expected, "{permissions:?} {above:?} {own:?}");
    }
    assert!(may_change_project(&actor(1, Rank::SuperAdmin), &facts(None, None), NOW).is_ok());
    let used = ProjectFacts { in_use: true, ..facts(USER, MANAGER) };
    assert_eq!(may_delete_project(&with(&[manage]), &used, NOW), Err(Denial::ProjectInUse));
    assert_eq!(may_delete_project(&with(&[manage]), &facts(USER, MANAGER), NOW).unwrap().revision(), 3);
}

#[test]
fn a_child_is_made_by_a_manager_of_its_parent_and_not_too_deep() {
    let child = with(&[Permission::ProjectChild]);
    assert_eq!(may_create_project(&child, project(9), None, NOW), Err(Denial::NoPermission { permission: Permission::ProjectCreate }));
    assert!(may_create_project(&with(&[Permission::ProjectCreate]), project(9), None, NOW).is_ok());
    for (own, expected) in [(MANAGER, None), (USER, Some(Denial::NotManager)), (None, Some(Denial::NotFound))] {
        assert_eq!(may_create_project(&child, project(9), Some(&facts(USER, own)), NOW).err(), expected);
    }
    // Whoever administrates projects would not be a member above.
    assert_eq!(may_create_project(&actor(1, Rank::SuperAdmin), project(9), Some(&facts(None, None)), NOW), Err(Denial::NotManager));
    let steps = (1..=16).map(|n| standing(n, MANAGER)).collect();
    let deep = ProjectFacts { line: StandingLine::new(steps), ..facts(USER, MANAGER) };
    assert_eq!(may_create_project(&child, project(9), Some(&deep), NOW), Err(Denial::ProjectTooDeep));
}

#[test]
fn members_see_themselves_and_managers_see_all() {
    for (permissions, own, sees, lists) in [
        (&[][..], None, Some(Denial::NotFound), Some(Denial::NotFound)),
        (&[], USER, None, Some(Denial::NoPermission { permission: Permission::ProjectMembers })),
        (&[Permission::ProjectMembers], USER, None, None),
        (&[], MANAGER, None, None),
        (&[Permission::ProjectViewAll], None, None, None),
    ] {
        assert_eq!(may_see_project(&with(permissions), &facts(USER, own), NOW).err(), sees);
        assert_eq!(may_list_members(&with(permissions), &facts(USER, own), NOW).err(), lists, "{permissions:?} {own:?}");
        let sight = match lists {
            None => Ok(Scope::All),
            Some(Denial::NotFound) => Err(Denial::NotFound),
            Some(_) => Ok(Scope::Own(id(1))),
        };
        assert_eq!(members_in_sight(&with(permissions), &facts(USER, own), NOW), sight);
        let all = permissions.contains(&Permission::ProjectViewAll);
        let listed = if all { Scope::All } else { Scope::Own(id(1)) };
        assert_eq!(may_list_projects(&with(permissions), NOW), Ok(listed));
    }
}

#[test]
fn a_working_set_is_held_and_of_different_trees() {
    let me = actor(1, Rank::User);
    let line = |steps: &[(u8, Option<MemberRole>)]| StandingLine::new(steps.iter().map(|(n, role)| standing(*n, *role)).collect());
    let set = |lines| may_set_working(&me, lines, 0, NOW, NOW).map(|(_, set)| set.working().lines().len());
    assert_eq!(set(vec![]), Ok(0));
    assert_eq!(set(vec![line(&[(1, USER), (2, USER)]), line(&[(5, USER)])]), Ok(2));
    assert_eq!(set(vec![line(&[(1, USER), (2, USER)]), line(&[(1, USER), (3, USER)])]), Err(Denial::SameTree));
    assert_eq!(set(vec![line(&[(1, None), (2, USER)])]), Err(Denial::NotFound));
    assert_eq!(set(vec![StandingLine::new(vec![])]), Err(Denial::NotFound), "a project that does not exist");
    assert_eq!(set((1..=9).map(|n| line(&[(n, USER)])).collect()), Err(Denial::TooManyProjects));
}
