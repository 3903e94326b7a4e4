//! Teams: who is in them, who sees whom by it, what leaving the last one ends, what their trees hold.

use ticrypt_policy::permit::{TeamAdd, TeamRemove};
use ticrypt_policy::team::{
    TeamFacts, TeamMemberFacts, may_add_team_member, may_assign_sub_admin, may_change_team, may_create_team, may_delete_team,
    may_remove_team_member, may_set_quota, may_set_team_manager, may_unassign_sub_admin,
};
use ticrypt_policy::user::{may_activate, may_deactivate, may_set_permissions, may_set_rank};
use ticrypt_policy::version::may_upload;
use ticrypt_policy::{Actor, PeopleScope, Permit, TeamScope};
use ticrypt_store::team::{Charge, TeamAbout};
use ticrypt_store::version::UploadNew;
use ticrypt_store::{StoreError, Taken};
use ticrypt_types::limits::CHUNK_OVERHEAD_BYTES;
use ticrypt_types::user::InactiveCause;
use ticrypt_types::{NotificationKind as Kind, Permissions, Quotas, Rank, TeamId, Timestamp, UserId, UserState};

use crate::groups::circle;
use crate::lab::{Db, Lab, NOW, actor, at};

const OVERHEAD: u64 = CHUNK_OVERHEAD_BYTES as u64;

fn about(name: &str) -> TeamAbout {
    TeamAbout { name: name.parse().unwrap(), description: "about it".into() }
}

impl Lab {
    /// Somebody who is a super-admin, whoever they are.
    async fn root(&self, user: UserId) -> Actor {
        Actor { rank: Rank::SuperAdmin, ..self.actor(user).await }
    }

    /// A team without members.
    async fn team(&self, root: UserId, name: &str) -> TeamId {
        let team = TeamId::from_random(self.draw());
        let (permit, founder) = may_create_team(&self.root(root).await, team, 1, NOW).unwrap();
        self.store.create_team(permit, founder, about(name), NOW).await.unwrap();
        team
    }

    async fn standing_in(&self, root: UserId, team: TeamId, user: UserId, now: Timestamp) -> (TeamFacts, TeamMemberFacts) {
        let facts = self.store.team_facts(root, team).await.unwrap().unwrap();
        (facts, self.store.team_member_facts(team, user, now).await.unwrap().unwrap())
    }

    async fn adding(&self, root: UserId, team: TeamId, user: UserId) -> Permit<TeamAdd> {
        let (facts, member) = self.standing_in(root, team, user, NOW).await;
        may_add_team_member(&self.root(root).await, &facts, &member, NOW).unwrap()
    }

    async fn enlist(&self, root: UserId, team: TeamId, user: UserId, now: Timestamp) {
        let permit = self.adding(root, team, user).await;
        self.store.add_team_member(permit, now).await.unwrap();
    }

    async fn removing(&self, root: UserId, team: TeamId, user: UserId) -> Permit<TeamRemove> {
        let (facts, member) = self.standing_in(root, team, user, NOW).await;
        may_remove_team_member(&self.root(root).await, &facts, &member, NOW).unwrap()
    }

    async fn manage(&self, root: UserId, team: TeamId, user: UserId, manager: bool) {
        let (facts, member) = self.standing_in(root, team, user, NOW).await;
        let permit = may_set_team_manager(&self.root(root).await, &facts, &member, manager, NOW).unwrap();
        self.store.set_team_manager(permit, manager).await.unwrap();
    }

    async fn rank(&self, root: UserId, user: UserId, rank: Rank) {
        let facts = self.store.user_facts(user, NOW).await.unwrap().unwrap();
        let permit = may_set_rank(&self.root(root).await, &facts, rank, NOW).unwrap();
        self.store.set_rank(permit, rank, self.statement(user, 4)).await.unwrap();
    }

    async fn assign(&self, root: UserId, team: TeamId, user: UserId, until: Timestamp) {
        let (facts, assignee) = self.standing_in(root, team, user, NOW).await;
        let permit = may_assign_sub_admin(&self.root(root).await, &facts, &assignee, until, NOW).unwrap();
        self.store.assign_team(permit, until).await.unwrap();
    }

    /// Names of those in a scope; looking each of them up by themselves says the same.
    async fn seen(&self, scope: PeopleScope) -> Vec<String> {
        let users = self.store.users(scope, None, 100).await.unwrap();
        for user in self.store.users(PeopleScope::All, None, 100).await.unwrap() {
            assert_eq!(self.store.sees(scope, user.id).await.unwrap(), users.contains(&user), "{} by {scope:?}", user.name);
        }
        users.into_iter().map(|user| user.name.to_string()).collect()
    }

    async fn teams_of(&self, scope: TeamScope, reader: UserId) -> Vec<(String, u64, Option<bool>)> {
        let seen = self.store.teams(scope, reader, None, 100).await.unwrap();
        seen.into_iter().map(|seen| (seen.team.about.name.to_string(), seen.members, seen.manages)).collect()
    }
}

pub async fn a_team_from_its_making_to_its_end(db: Db) {
    let lab = db.open().await;
    let (root, ada) = (lab.super_admin("root").await, lab.active("ada").await);
    let (heart, lung) = (lab.team(root, "Heart").await, lab.team(root, "Lung").await);
    let found = lab.store.team(heart).await.unwrap().unwrap();
    assert_eq!((found.about, found.quotas, found.created), (about("Heart"), Quotas::NEW_TEAM, NOW));
    // An id is given once.
    let (permit, founder) = may_create_team(&lab.root(root).await, heart, 1, NOW).unwrap();
    let again = lab.store.create_team(permit, founder, about("Again"), NOW).await.unwrap_err();
    assert!(matches!(again, StoreError::Taken(Taken::TeamId)), "{again:?}");
    // Who is no administrator comes into their own team with it.
    let own = TeamId::from_random(lab.draw());
    let revision = lab.store.user(ada).await.unwrap().unwrap().revision;
    let (permit, founder) = may_create_team(&lab.able(ada).await, own, revision, NOW).unwrap();
    lab.store.create_team(permit, founder, about("Own"), NOW).await.unwrap();
    let of_ada = TeamScope::Of { user: ada, own: true, assigned: None };
    assert_eq!(lab.teams_of(of_ada, ada).await, [("Own".to_owned(), 1, Some(true))]);
    assert_eq!(lab.store.teams(TeamScope::All, root, None, 2).await.unwrap().len(), 2);
    let after = Some(("Heart".parse().unwrap(), heart));
    let rest = lab.store.teams(TeamScope::All, root, after, 9).await.unwrap();
    assert_eq!(rest.iter().map(|seen| (seen.team.id, seen.members)).collect::<Vec<_>>(), [(lung, 0), (own, 1)]);

    // Decided on what it was: the second of two is told.
    let facts = lab.store.team_facts(root, heart).await.unwrap().unwrap();
    let change = async || may_change_team(&lab.root(root).await, &facts, NOW).unwrap();
    lab.store.change_team(change().await, about("Hearts")).await.unwrap();
    assert!(matches!(lab.store.change_team(change().await, about("Spades")).await, Err(StoreError::Stale(_))));
    let facts = lab.store.team_facts(root, heart).await.unwrap().unwrap();
    let quotas = Quotas { cores: None, vault_bytes: Some(1_000), ..Quotas::NEW_TEAM };
    let permit = may_set_quota(&lab.root(root).await, &facts, &quotas, NOW).unwrap();
    lab.store.set_quotas(permit, quotas).await.unwrap();
    let found = lab.store.team(heart).await.unwrap().unwrap();
    assert_eq!((found.about, found.quotas, found.revision), (about("Hearts"), quotas, facts.revision + 1));

    // Somebody comes in after it was found empty: it stays.
    let facts = lab.store.team_facts(root, heart).await.unwrap().unwrap();
    let permit = may_delete_team(&lab.root(root).await, &facts, NOW).unwrap();
    lab.enlist(root, heart, ada, NOW).await;
    assert!(matches!(lab.store.delete_team(permit).await, Err(StoreError::Stale(_))));
    let permit = lab.removing(root, heart, ada).await;
    assert!(!lab.store.remove_team_member(permit, NOW).await.unwrap(), "another team is left");
    let facts = lab.store.team_facts(root, heart).await.unwrap().unwrap();
    lab.store.delete_team(may_delete_team(&lab.root(root).await, &facts, NOW).unwrap()).await.unwrap();
    assert_eq!(lab.store.team(heart).await.unwrap(), None);
}

pub async fn out_of_the_last_team(db: Db) {
    let lab = db.open().await;
    let (root, ada) = (lab.super_admin("root").await, lab.active("ada").await);
    let (heart, lung) = (lab.team(root, "Heart").await, lab.team(root, "Lung").await);
    for team in [heart, lung] {
        lab.enlist(root, team, ada, NOW).await;
    }
    let facts = lab.store.user_facts(ada, NOW).await.unwrap().unwrap();
    let permit = may_set_permissions(&lab.root(root).await, &facts, Permissions::basic(), Permissions::all(), NOW).unwrap();
    lab.store.set_permissions(permit, Permissions::all()).await.unwrap();
    let epoch = lab.store.user(ada).await.unwrap().unwrap().epoch;

    // Two who take the last two away at once both found that one is left; one of them is told to look again.
    let (first, second) = (lab.removing(root, heart, ada).await, lab.removing(root, lung, ada).await);
    assert!(!lab.store.remove_team_member(first, NOW).await.unwrap());
    assert!(matches!(lab.store.remove_team_member(second, NOW).await, Err(StoreError::Stale(_))));
    let now = lab.store.user(ada).await.unwrap().unwrap();
    assert_eq!((now.state, now.epoch, now.permissions), (UserState::Active, epoch, Permissions::all()));

    let permit = lab.removing(root, lung, ada).await;
    assert!(lab.store.remove_team_member(permit, NOW).await.unwrap());
    let ended = lab.store.user(ada).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.cause), (UserState::Inactive, Some(InactiveCause::LeftLastTeam)));
    assert_eq!((ended.epoch, ended.permissions, ended.reason), (epoch + 1, Permissions::basic(), None));
    let told = lab.store.notifications(ada, None, 9).await.unwrap();
    let of_teams = told.iter().filter(|one| one.team.is_some()).map(|one| (one.kind.unwrap(), one.team.unwrap(), one.other.unwrap()));
    let expected =
        [(Kind::TeamLeft, lung, root), (Kind::TeamLeft, heart, root), (Kind::TeamJoined, lung, root), (Kind::TeamJoined, heart, root)];
    assert_eq!(of_teams.collect::<Vec<_>>(), expected);

    // Taken in again they are in a team, and active when somebody activates them.
    lab.enlist(root, heart, ada, NOW).await;
    assert_eq!(lab.store.user(ada).await.unwrap().unwrap().state, UserState::Inactive);
    let facts = lab.store.user_facts(ada, NOW).await.unwrap().unwrap();
    lab.store.activate(may_activate(&lab.root(root).await, &facts, NOW).unwrap(), lab.statement(ada, 1)).await.unwrap();
    let back = lab.store.user(ada).await.unwrap().unwrap();
    assert_eq!((back.state, back.cause), (UserState::Active, None));

    // Who was deactivated keeps that reason: it is not for a sub-admin to adopt them.
    let facts = lab.store.user_facts(ada, NOW).await.unwrap().unwrap();
    let permit = may_deactivate(&lab.root(root).await, &facts, "gone", NOW).unwrap();
    lab.store.deactivate(permit, InactiveCause::Administrator, "gone".into(), lab.statement(ada, 2)).await.unwrap();
    let permit = lab.removing(root, heart, ada).await;
    assert!(!lab.store.remove_team_member(permit, NOW).await.unwrap());
    let now = lab.store.user(ada).await.unwrap().unwrap();
    assert_eq!((now.cause, now.reason.as_deref()), (Some(InactiveCause::Administrator), Some("gone")));
}

pub async fn who_sees_whom_by_teams(db: Db) {
    let lab = db.open().await;
    let root = lab.super_admin("root").await;
    let mut people = Vec::new();
    for name in ["ada", "bob", "eva", "deputy", "new", "left"] {
        people.push(lab.active(name).await);
    }
    let [ada, bob, eva, deputy, new, left] = people[..] else { panic!("six people") };
    let mates = PeopleScope::TeamMates;
    lab.registered("waits").await;
    // Without teams everybody active sees everybody active.
    assert_eq!(lab.seen(mates(ada)).await, ["ada", "bob", "deputy", "eva", "left", "new", "root"]);

    let (heart, lung) = (lab.team(root, "Heart").await, lab.team(root, "Lung").await);
    for (team, user) in [(heart, ada), (heart, bob), (lung, bob), (lung, eva), (lung, left)] {
        lab.enlist(root, team, user, NOW).await;
    }
    let permit = lab.removing(root, lung, left).await;
    assert!(lab.store.remove_team_member(permit, NOW).await.unwrap());
    assert_eq!(lab.seen(mates(ada)).await, ["ada", "bob"]);
    assert_eq!(lab.seen(mates(bob)).await, ["ada", "bob", "eva"]);
    // Who is in none sees those who are in none, themselves in any state.
    assert_eq!(lab.seen(mates(new)).await, ["deputy", "new", "root"]);
    assert_eq!(lab.seen(mates(left)).await, ["deputy", "left", "new", "root"]);
    assert_eq!(lab.seen(PeopleScope::Own(ada)).await, ["ada"]);
    // Who manages a team may take newcomers in.
    lab.manage(root, heart, ada, true).await;
    assert_eq!(lab.seen(mates(ada)).await, ["ada", "bob", "deputy", "new", "root"]);
    lab.manage(root, heart, ada, false).await;
    assert_eq!(lab.seen(mates(ada)).await, ["ada", "bob"]);

    // A sub-admin: teams assigned to them, within their time; newcomers and who left the last team, to take them in; and who is in a project they manage.
    let care = |now| PeopleScope::Care(deputy, now);
    lab.rank(root, deputy, Rank::SubAdmin).await;
    assert_eq!(lab.seen(care(NOW)).await, ["deputy", "new", "root"]);
    lab.enlist(root, heart, deputy, NOW).await;
    assert_eq!(lab.seen(care(NOW)).await, ["ada", "bob", "deputy"]);
    lab.assign(root, lung, deputy, at(1_000_010)).await;
    assert_eq!(lab.seen(care(at(1_000_009))).await, ["ada", "bob", "deputy", "eva", "left", "new", "root"]);
    assert_eq!(lab.seen(care(at(1_000_010))).await, ["ada", "bob", "deputy"]);
    assert!(lab.store.is_in_care(deputy, eva, at(1_000_009)).await.unwrap());
    assert!(!lab.store.is_in_care(deputy, eva, at(1_000_010)).await.unwrap());
    assert!(!lab.store.is_in_care(deputy, ada, NOW).await.unwrap(), "a mate is not in one's care");
    let project = lab.make(deputy, None, "Study", None).await;
    lab.join(deputy, project, eva, Timestamp::ABSENT, NOW).await;
    assert_eq!(lab.seen(care(at(1_000_010))).await, ["ada", "bob", "deputy", "eva"]);
}

pub async fn teams_in_the_care_of_sub_admins(db: Db) {
    let lab = db.open().await;
    let (root, deputy) = (lab.super_admin("root").await, lab.active("deputy").await);
    lab.rank(root, deputy, Rank::SubAdmin).await;
    let (heart, lung) = (lab.team(root, "Heart").await, lab.team(root, "Lung").await);
    let scope = |now| TeamScope::Of { user: deputy, own: true, assigned: Some(now) };
    assert_eq!(lab.teams_of(scope(NOW), deputy).await, []);
    lab.assign(root, heart, deputy, Timestamp::ABSENT).await;
    lab.assign(root, lung, deputy, at(1_000_010)).await;
    assert_eq!(lab.teams_of(scope(at(1_000_009)), deputy).await.len(), 2);
    assert_eq!(lab.teams_of(scope(at(1_000_010)), deputy).await, [("Heart".to_owned(), 0, None)]);
    // Again with another date changes that.
    lab.assign(root, lung, deputy, at(1_000_020)).await;
    let assigned = lab.store.team_assignments(&[heart, lung]).await.unwrap();
    assert_eq!((assigned[&heart][0].until, assigned[&lung][0].until), (Timestamp::ABSENT, at(1_000_020)));
    assert_eq!(assigned[&heart][0].name.as_str(), "deputy");
    assert_eq!(lab.store.team_facts(deputy, lung).await.unwrap().unwrap().assigned, Some(at(1_000_020)));

    let (facts, assignee) = lab.standing_in(root, heart, deputy, NOW).await;
    let permit = may_unassign_sub_admin(&lab.root(root).await, &facts, &assignee, NOW).unwrap();
    lab.store.unassign_team(permit).await.unwrap();
    assert_eq!(lab.teams_of(scope(NOW), deputy).await.len(), 1);
    // What was assigned does not come back with the rank.
    lab.rank(root, deputy, Rank::User).await;
    lab.rank(root, deputy, Rank::SubAdmin).await;
    assert_eq!(lab.teams_of(scope(NOW), deputy).await, []);
}

pub async fn what_a_teams_trees_hold(db: Db) {
    let circle = circle(db).await;
    let (lab, owner, ada) = (&circle.lab, circle.owner, circle.ada);
    let (heart, lung) = (lab.team(owner, "Heart").await, lab.team(owner, "Lung").await);
    assert_eq!(lab.store.charged(ada).await.unwrap(), None);
    lab.enlist(owner, lung, ada, at(1_000_001)).await;
    lab.enlist(owner, heart, ada, at(1_000_002)).await;
    lab.enlist(owner, heart, owner, at(1_000_003)).await;
    let charge = |team| Some(Charge { team, vault_bytes: Quotas::NEW_TEAM.vault_bytes });
    // The first one was added to; a group's tree is its owner's.
    assert_eq!(lab.store.charged(ada).await.unwrap(), charge(lung));
    assert_eq!(lab.store.charged(owner).await.unwrap(), charge(heart));
    assert_eq!(lab.store.charged(lab.facts(owner, circle.root).await.owner).await.unwrap(), charge(heart));

    let home = lab.home(ada).await;
    let file = lab.file(ada, home, "small").await;
    let small = "content".len() as u64 + OVERHEAD;
    assert_eq!(lab.store.vault_bytes(lung).await.unwrap(), small);
    lab.trash(ada, file).await;
    assert_eq!(lab.store.vault_bytes(lung).await.unwrap(), small, "the trash counts");
    // What is on its way counts, for a new file and for a new version of one.
    let other = lab.file(ada, home, "other").await;
    for (place, directory) in [(home, Some(home)), (other, None)] {
        let (version, new) = (lab.version_id(), lab.node_id());
        let content_wrap = b"wrap".to_vec();
        let file = if directory.is_some() { new } else { other };
        let upload = UploadNew { version, file, directory, content_wrap, size: 20_000_000, chunk_count: 3, session_epoch: 1 };
        let permit = may_upload(&actor(ada), &lab.facts(ada, place).await, NOW).unwrap();
        lab.store.begin_uploads(vec![permit], vec![upload], NOW).await.unwrap();
    }
    let held = 2 * small + 2 * (20_000_000 + 3 * OVERHEAD);
    assert_eq!(lab.store.vault_bytes(lung).await.unwrap(), held);
    lab.store.abandon_stale(at(1_000_001), NOW).await.unwrap();
    assert_eq!(lab.store.vault_bytes(lung).await.unwrap(), 2 * small, "what was given up does not");
    assert_eq!(lab.store.vault_bytes(heart).await.unwrap(), 0);
    lab.file(owner, circle.root, "of the group").await;
    assert_eq!(lab.store.vault_bytes(heart).await.unwrap(), small);

    // Who leaves takes the charge along.
    let permit = lab.removing(owner, lung, ada).await;
    lab.store.remove_team_member(permit, NOW).await.unwrap();
    assert_eq!(lab.store.charged(ada).await.unwrap(), charge(heart));
    assert_eq!((lab.store.vault_bytes(lung).await.unwrap(), lab.store.vault_bytes(heart).await.unwrap()), (0, 3 * small));
}
