//! A world of the model as the policy crate is told of it.

use std::sync::Arc;

use ticrypt_policy::access::GroupFact;
use ticrypt_policy::active::{ActiveSet, Demand, Membership, Standing, StandingLine};
use ticrypt_policy::node::{self, GrantFact, Making, NodeFacts, PathStep, Trashed};
use ticrypt_policy::tag::{Retag, may_retag};
use ticrypt_policy::{Actor, Label, Line, access, audit, grant, version};
use ticrypt_types::{
    GrantId, GroupId, GroupPermissions, MemberRole, NodeId, NodeKind, Permission, Permissions, ProjectId, Rank, RequirementId,
    Restrictions, Span, Timestamp, UserId, UserState, Verbs,
};

use crate::forest::upwards;
use crate::world::{self, GroupPermission, Key, Kind, Project, Requirement, Restriction, Seen, Share, Verb, World};

const LOGIN: Timestamp = Timestamp::from_millis(100);
const BETWEEN: Timestamp = Timestamp::from_millis(150);
pub const NOW: Timestamp = Timestamp::from_millis(200);

const EVER: Span = Span { since: Timestamp::ABSENT, until: Timestamp::ABSENT };
const UNTIL_LATELY: Span = Span { since: Timestamp::ABSENT, until: BETWEEN };
const LATELY: Span = Span { since: BETWEEN, until: Timestamp::ABSENT };

/// The world as facts, made once for all verbs.
pub struct Facts {
    lines: Vec<Line>,
    actor: Actor,
    thing: NodeFacts,
    place: Label,
    grants_reach: Vec<GrantFact>,
}

fn project(at: usize) -> ProjectId {
    ProjectId::from_random([at as u8 + 1; 16])
}

fn place(n: u8) -> NodeId {
    NodeId::from_random([n; 16])
}

fn line(parents: &[Option<usize>], at: usize) -> Line {
    let mut projects: Vec<ProjectId> = upwards(parents, at).map(project).collect();
    projects.reverse();
    Line::new(projects).unwrap()
}

fn label(lines: &[Line], tags: impl IntoIterator<Item = usize>) -> Label {
    Label::of(tags.into_iter().map(|tag| lines[tag].clone())).unwrap()
}

pub fn standing_line(projects: &[Project], parents: &[Option<usize>], at: usize) -> StandingLine {
    let mut steps: Vec<Standing> = upwards(parents, at).map(|at| standing(at, &projects[at])).collect();
    steps.reverse();
    StandingLine::new(steps)
}

pub fn is_held(world: &World, at: usize) -> bool {
    let parents: Vec<_> = world.projects.iter().map(|project| project.parent).collect();
    standing_line(&world.projects, &parents, at).holds(LOGIN, NOW).is_ok()
}

fn standing(at: usize, of: &Project) -> Standing {
    let span = match of.membership {
        world::Membership::Never => None,
        world::Membership::Expired => Some(UNTIL_LATELY),
        world::Membership::SinceLogin => Some(LATELY),
        world::Membership::Before => Some(EVER),
    };
    let role = if of.is_manager { MemberRole::Manager } else { MemberRole::User };
    let restrictions = of.restrictions.iter().fold(Restrictions::NONE, |all, one| {
        all.and(match one {
            Restriction::View => Restrictions::NO_VIEW,
            Restriction::Download => Restrictions::NO_DOWNLOAD,
            Restriction::Edit => Restrictions::NO_EDIT,
        })
    });
    let demand = match of.requirement {
        Requirement::Nothing => None,
        Requirement::Certified => Some((EVER, Some(EVER))),
        Requirement::Uncertified => Some((EVER, None)),
        Requirement::Expired => Some((EVER, Some(UNTIL_LATELY))),
        Requirement::CertifiedSinceLogin => Some((EVER, Some(LATELY))),
        Requirement::NewAndUncertified => Some((LATELY, None)),
        Requirement::DroppedSinceLogin => Some((UNTIL_LATELY, None)),
    };
    let requirement = RequirementId::from_random([at as u8 + 1; 16]);
    Standing {
        project: project(at),
        membership: span.map(|span| Membership { span, role, restrictions }),
        is_pi: of.is_pi,
        demands: demand.into_iter().map(|(in_force, certified)| Demand { requirement, in_force, certified }).collect(),
    }
}

fn verbs(share: Share) -> Verbs {
    let bits = [(share.view, Verbs::VIEW), (share.download, Verbs::DOWNLOAD), (share.edit, Verbs::EDIT), (share.share, Verbs::SHARE)];
    bits.into_iter().filter(|(has, _)| *has).fold(Verbs::NONE, |all, (_, verb)| all.and(verb))
}

fn permissions(held: &[GroupPermission]) -> GroupPermissions {
    held.iter().fold(GroupPermissions::NONE, |all, one| {
        all.and(match one {
            GroupPermission::AddMembers => GroupPermissions::ADD_MEMBERS,
            GroupPermission::RemoveMembers => GroupPermissions::REMOVE_MEMBERS,
            GroupPermission::ChangePermissions => GroupPermissions::CHANGE_PERMISSIONS,
            GroupPermission::AddEntries => GroupPermissions::ADD_ENTRIES,
            GroupPermission::RemoveEntries => GroupPermissions::REMOVE_ENTRIES,
            GroupPermission::CreateDirectories => GroupPermissions::CREATE_DIRECTORIES,
            GroupPermission::ModifyTag => GroupPermissions::MODIFY_TAG,
        })
    })
}

fn given(on: u8, share: Share) -> GrantFact {
    let grant = GrantId::from_random([1; 16]);
    GrantFact { grant, hash: [1; 32], node: place(on), verbs: verbs(share), expires: Timestamp::ABSENT, ended: false }
}

fn step(n: u8, boundary: bool) -> PathStep {
    PathStep { node: place(n), closure_seq: 0, rolled_seq: 0, boundary }
}

impl Facts {
    pub fn of(world: &World, rank: Rank) -> Self {
        let (me, other) = (UserId::from_random([1; 16]), UserId::from_random([9; 16]));
        let parents: Vec<_> = world.projects.iter().map(|project| project.parent).collect();
        let working = world.working.iter().map(|at| standing_line(&world.projects, &parents, *at)).collect();
        let lines: Vec<Line> = (0..parents.len()).map(|at| line(&parents, at)).collect();
        // What everybody is given to begin with is asked beside the rules, by tables.
        let allowed = [
            (true, Permission::VaultCreate),
            (true, Permission::VaultShare),
            (world.may_classify, Permission::ProjectClassify),
            (world.may_declassify, Permission::ProjectDeclassify),
        ];
        let actor = Actor {
            user: me,
            rank,
            state: UserState::Active,
            disabled_until: Timestamp::ABSENT,
            epoch: 1,
            session_epoch: 1,
            permissions: allowed.into_iter().filter(|(has, _)| *has).map(|(_, permission)| permission).collect::<Permissions>(),
            active: Arc::new(ActiveSet::new(LOGIN, working).unwrap()),
        };
        let group = |permissions| Some(GroupFact { group: GroupId::from_random([7; 16]), permissions, head: [8; 32] });
        let (owner, group, grants) = match &world.key {
            Key::None => (other, None, vec![]),
            Key::Owner => (me, None, vec![]),
            Key::Share(share) => (other, None, vec![given(10, *share)]),
            Key::ShareAbove(share) => (other, None, vec![given(11, *share)]),
            Key::OtherGroup => (other, group(None), vec![]),
            Key::Member(held) => (other, group(Some(permissions(held))), vec![]),
            Key::GroupOwner => (other, group(Some(GroupPermissions::ALL)), vec![]),
        };
        let place_label = label(&lines, world.place.iter().copied());
        let thing = NodeFacts {
            node: place(10),
            owner,
            group,
            label: label(&lines, world.place.iter().chain(&world.own).copied()),
            tags: label(&lines, world.own.iter().copied()),
            carried: std::collections::BTreeSet::new(),
            kind: if world.kind == Kind::File { NodeKind::File } else { NodeKind::Directory },
            revision: 1,
            head_counter: 1,
            epoch: 1,
            parent: Some(place(11)),
            trashed: Trashed::No,
            path: vec![step(10, !world.own.is_empty()), step(11, !world.place.is_empty()), step(12, false)],
            grants: grants.clone(),
            rights: 0,
        };
        let elsewhere = grants.into_iter().map(|grant| GrantFact { node: place(20), ..grant }).collect();
        Self { lines, actor, thing, place: place_label, grants_reach: elsewhere }
    }

    pub fn seen(&self) -> Seen {
        match self.thing.sight(&self.actor, NOW) {
            Ok(access::Sight::Name) => Seen::Name,
            Ok(access::Sight::Metadata) => Seen::Metadata,
            Ok(access::Sight::Whole) => Seen::Whole,
            Err(_) => Seen::Nothing,
        }
    }

    pub fn allowed(&self, verb: &Verb) -> bool {
        let (me, thing) = (&self.actor, &self.thing);
        let making = |files| Making { files, directories: !files };
        let is_file = thing.kind == NodeKind::File;
        match verb {
            Verb::List => node::may_list(me, thing, NOW).is_ok(),
            Verb::View => version::may_open(me, thing, NOW).is_ok(),
            Verb::Download => version::may_download(me, thing, NOW).is_ok(),
            Verb::Write => {
                let writes = version::may_publish(me, thing, NOW).is_ok();
                assert!(!is_file || writes == version::may_upload(me, thing, NOW).is_ok());
                writes
            }
            Verb::AddFile => {
                let adds = node::may_create(me, thing, making(true), NOW).is_ok();
                assert!(is_file || adds == version::may_upload(me, thing, NOW).is_ok());
                adds
            }
            Verb::AddDirectory => node::may_create(me, thing, making(false), NOW).is_ok(),
            Verb::Rename => node::may_rename(me, thing, NOW).is_ok(),
            Verb::Trash => node::may_trash(me, thing, NOW).is_ok(),
            Verb::Share => {
                let terms = grant::GrantTerms {
                    recipient: UserId::from_random([5; 16]),
                    recipient_active: true,
                    verbs: Verbs::NONE,
                    expires: Timestamp::ABSENT,
                    authority: (thing.owner != me.user).then_some([1; 32]),
                };
                grant::may_create_grant(me, thing, &terms, NOW).is_ok()
            }
            Verb::History => audit::may_read_history(me, thing, NOW).is_ok(),
            Verb::Retag(tags) => {
                let tags = Label::of(tags.iter().map(|tag| self.lines[*tag].clone()));
                tags.is_ok_and(|tags| may_retag(me, thing, &Retag { place: self.place.clone(), tags, below: vec![] }, NOW).is_ok())
            }
            Verb::Move(target) => {
                let target = NodeFacts {
                    node: place(20),
                    kind: NodeKind::Directory,
                    label: label(&self.lines, target.iter().copied()),
                    path: vec![step(20, !target.is_empty()), step(12, false)],
                    grants: self.grants_reach.clone(),
                    ..thing.clone()
                };
                node::may_move(me, thing, &target, NOW).is_ok()
            }
        }
    }
}
