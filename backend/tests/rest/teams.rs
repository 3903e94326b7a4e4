//! Teams over the wire: who is in one, who sees whom by it, what leaving the last one ends, how much a team's trees hold.

use ticrypt_api::grant::NewGrant;
use ticrypt_api::node::{CreateRequest, DeleteReply, DeleteRequest, HeadReply, HomeCreateRequest, TrashRequest};
use ticrypt_api::team::{
    TeamAbout, TeamAddRequest, TeamAssignRequest, TeamChangeRequest, TeamCreateRequest, TeamListReply, TeamManagerRequest,
    TeamMembersReply, TeamQuotaRequest, TeamRemoveReply, TeamView,
};
use ticrypt_api::upload::{NewUpload, UploadBeginReply, UploadBeginRequest};
use ticrypt_api::user::{PermissionsRequest, UserCard, UserListReply, UserView};
use ticrypt_api::{Blob, Problem};
use ticrypt_crypto::statement::Action;
use ticrypt_types::{NodeKind, Operation, Permission, Permissions, Quotas, Rank, TeamId, Timestamp, UserId, UserState, Verbs};

use crate::people::{change, log_in, register, statement};
use crate::records::{self, Directory, grant, new_node, new_version, random_vec, sealed, small_file};
use crate::support::{Person, Server, Wire, random};

const OVERHEAD: u64 = ticrypt_types::limits::CHUNK_OVERHEAD_BYTES as u64;

fn new_team(team: TeamId, name: &str) -> TeamCreateRequest {
    TeamCreateRequest { team, about: TeamAbout { name: name.parse().unwrap(), description: String::new() } }
}

async fn make(by: &mut Person, name: &str) -> Result<TeamId, Problem> {
    let team = TeamId::from_random(random());
    by.ask::<_, ()>(Operation::TeamCreate, &[], &new_team(team, name)).await.map(|()| team)
}

async fn add(by: &mut Person, team: TeamId, user: UserId) -> Result<(), Problem> {
    by.ask(Operation::TeamAdd, &[&team.to_string()], &TeamAddRequest { user }).await
}

async fn remove(by: &mut Person, team: TeamId, user: UserId) -> Result<bool, Problem> {
    let reply: TeamRemoveReply = by.ask(Operation::TeamRemove, &[&team.to_string(), &user.to_string()], &()).await?;
    Ok(reply.ended)
}

async fn manage(by: &mut Person, team: TeamId, user: UserId, manager: bool) -> Result<(), Problem> {
    by.ask(Operation::TeamManager, &[&team.to_string(), &user.to_string()], &TeamManagerRequest { manager }).await
}

async fn assign(by: &mut Person, team: TeamId, user: UserId, until_ms: Option<Timestamp>) -> Result<(), Problem> {
    by.ask(Operation::TeamAssign, &[&team.to_string()], &TeamAssignRequest { user, until_ms }).await
}

async fn teams(by: &mut Person) -> Vec<TeamView> {
    let list: TeamListReply = by.ask(Operation::TeamList, &[], &()).await.unwrap();
    list.teams
}

async fn members(by: &mut Person, team: TeamId) -> Result<Vec<String>, Problem> {
    let list: TeamMembersReply = by.ask(Operation::TeamMembers, &[&team.to_string()], &()).await?;
    Ok(list.members.into_iter().map(|member| format!("{}{}", member.name, if member.manager { "*" } else { "" })).collect())
}

async fn seen(by: &mut Person) -> Vec<String> {
    let list: UserListReply = by.ask(Operation::UserList, &[], &()).await.unwrap();
    list.users.into_iter().map(|user| user.name.to_string()).collect()
}

/// The status of looking somebody up, perhaps showing a key of somebody's.
async fn look_up(by: &mut Person, name: &str, shown: Option<&Person>) -> u16 {
    let token = by.token();
    let wire = by.wire.as_mut().unwrap();
    wire.token = Some(token);
    let query = shown.map_or_else(String::new, |shown| format!("?bundle={}", shown.bundle.hash()));
    let answer = wire.send(Operation::UserLookup, &[name], &query, vec![]).await;
    if answer.status == 200 {
        let card: UserCard = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(card.name.as_str(), name);
    }
    answer.status
}

#[tokio::test]
async fn mates_see_one_another_and_nobody_else() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let mut ada = server.member(&mut root, "ada").await;
    let (mut bob, mut eva) = (server.member(&mut root, "bob").await, server.member(&mut root, "eva").await);
    let new = server.member(&mut root, "new").await;
    // Nobody is in a team: everybody finds everybody.
    assert_eq!((seen(&mut ada).await.len(), look_up(&mut ada, "eva", None).await), (5, 200));
    assert_eq!(make(&mut ada, "Own").await.unwrap_err().code, "no_permission");

    let (heart, lung) = (make(&mut root, "Heart").await.unwrap(), make(&mut root, "Lung").await.unwrap());
    for (team, user) in [(heart, ada.id()), (heart, bob.id()), (lung, bob.id()), (lung, eva.id())] {
        add(&mut root, team, user).await.unwrap();
    }
    assert_eq!(add(&mut root, heart, ada.id()).await.unwrap_err().code, "already_member");
    assert_eq!(add(&mut root, heart, UserId::from_random(random())).await.unwrap_err().status, 404);
    assert_eq!(seen(&mut ada).await, ["ada", "bob"]);
    assert_eq!(seen(&mut bob).await, ["ada", "bob", "eva"]);
    assert_eq!(seen(&mut root).await.len(), 5);
    for (name, status) in [("bob", 200), ("ada", 200), ("eva", 404), ("new", 404), ("root", 404), ("nobody", 404)] {
        assert_eq!(look_up(&mut ada, name, None).await, status, "{name}");
    }
    // Whoever has seen a key of hers finds her, by her name and no other.
    assert_eq!(look_up(&mut ada, "eva", Some(&eva)).await, 200);
    assert_eq!(look_up(&mut ada, "eva", Some(&bob)).await, 404);
    assert_eq!(look_up(&mut ada, "nobody", Some(&eva)).await, 404);

    // A team tells who is in it to who is in it.
    assert_eq!(members(&mut ada, heart).await.unwrap(), ["ada", "bob"]);
    assert_eq!(members(&mut eva, heart).await.unwrap_err().status, 404);
    let own = teams(&mut ada).await;
    assert_eq!((own.len(), own[0].team, own[0].members, own[0].manages), (1, heart, 2, Some(false)));
    assert_eq!(own[0].quotas, Quotas::NEW_TEAM);
    assert_eq!(teams(&mut root).await.iter().map(|view| view.about.name.as_str()).collect::<Vec<_>>(), ["Heart", "Lung"]);
    let page = root.wire.as_mut().unwrap().send(Operation::TeamList, &[], "?limit=1", vec![]).await;
    let page: TeamListReply = serde_json::from_slice(&page.body).unwrap();
    let rest = root.wire.as_mut().unwrap().send(Operation::TeamList, &[], &format!("?page={}", page.next.unwrap()), vec![]).await;
    let rest: TeamListReply = serde_json::from_slice(&rest.body).unwrap();
    assert_eq!((page.teams[0].team, rest.teams[0].team, rest.next), (heart, lung, None));

    // Its managers run it, and take newcomers in.
    assert_eq!(add(&mut ada, heart, new.id()).await.unwrap_err().code, "not_team_manager");
    manage(&mut root, heart, ada.id(), true).await.unwrap();
    assert_eq!(manage(&mut root, heart, ada.id(), true).await.unwrap_err().code, "same_standing");
    assert_eq!(look_up(&mut ada, "new", None).await, 200);
    add(&mut ada, heart, new.id()).await.unwrap();
    assert_eq!(members(&mut bob, heart).await.unwrap(), ["ada*", "bob", "new"]);
    assert_eq!(add(&mut ada, lung, new.id()).await.unwrap_err().status, 404);
    let change = |revision| TeamChangeRequest { revision, about: new_team(heart, "Hearts").about };
    let path = heart.to_string();
    let () = ada.ask(Operation::TeamChange, &[&path], &change(own[0].revision)).await.unwrap();
    assert_eq!(root.ask::<_, ()>(Operation::TeamChange, &[&path], &change(own[0].revision)).await.unwrap_err().code, "stale");
    let quotas = TeamQuotaRequest { revision: own[0].revision + 1, quotas: Quotas::default() };
    assert_eq!(ada.ask::<_, ()>(Operation::TeamQuota, &[&path], &quotas).await.unwrap_err().code, "no_permission");
    let () = root.ask(Operation::TeamQuota, &[&path], &quotas).await.unwrap();
    assert_eq!(teams(&mut ada).await[0].quotas, Quotas::default());
    assert_eq!(root.ask::<_, ()>(Operation::TeamDelete, &[&path], &()).await.unwrap_err().code, "team_not_empty");
}

#[tokio::test]
async fn out_of_the_last_team_is_out_of_the_deployment() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let (mut ada, eva) = (server.member(&mut root, "ada").await, server.member(&mut root, "eva").await);
    let mut deputy = server.member(&mut root, "deputy").await;
    let (heart, lung) = (make(&mut root, "Heart").await.unwrap(), make(&mut root, "Lung").await.unwrap());
    add(&mut root, heart, ada.id()).await.unwrap();
    add(&mut root, lung, eva.id()).await.unwrap();
    let permissions = PermissionsRequest { permissions: Permissions::basic().with(Permission::ProjectCreate) };
    let () = root.ask(Operation::UserPermissions, &[&ada.id().to_string()], &permissions).await.unwrap();
    manage(&mut root, heart, ada.id(), true).await.unwrap();
    let own = ada.id();
    assert_eq!(remove(&mut ada, heart, own).await.unwrap_err().code, "own_last_team");
    assert_eq!(remove(&mut root, lung, own).await.unwrap_err().code, "no_such_member");

    assert!(remove(&mut root, heart, ada.id()).await.unwrap());
    ada.wire.as_mut().unwrap().closed().await;
    assert_eq!(ada.try_login(&server).await.unwrap_err().code, "account_inactive");
    let list: UserListReply = root.ask(Operation::UserList, &[], &()).await.unwrap();
    let row = list.users.into_iter().find(|user| user.user == ada.id()).unwrap();
    assert_eq!((row.state, row.cause.as_deref(), row.permissions), (UserState::Inactive, Some("left-last-team"), Permissions::basic()));

    // A sub-admin adopts them into a team assigned to them: added, then activated as anybody is.
    assert_eq!(assign(&mut root, heart, deputy.id(), None).await.unwrap_err().code, "not_sub_admin");
    root.state(&deputy, Action::Role(Rank::SubAdmin), "").await.unwrap();
    let account = [Permission::UserActivate, Permission::UserDeactivate].into_iter().fold(Permissions::basic(), Permissions::with);
    let account = PermissionsRequest { permissions: account };
    let () = root.ask(Operation::UserPermissions, &[&deputy.id().to_string()], &account).await.unwrap();
    assert_eq!(look_up(&mut deputy, "ada", None).await, 404);
    assert_eq!(deputy.state(&ada, Action::Activate, "").await.unwrap_err().status, 404, "whom one does not see is not there");
    let end = server.now().plus_millis(60_000);
    assign(&mut root, heart, deputy.id(), Some(end)).await.unwrap();
    assert_eq!(teams(&mut deputy).await.iter().map(|view| view.team).collect::<Vec<_>>(), [heart]);
    assert_eq!(look_up(&mut deputy, "ada", None).await, 200);
    assert_eq!(deputy.state(&ada, Action::Activate, "").await.unwrap_err().code, "not_in_care");
    add(&mut deputy, heart, ada.id()).await.unwrap();
    deputy.state(&ada, Action::Activate, "").await.unwrap();
    ada.login(&server).await;
    // Others are none of their business, and after the time nobody is.
    assert_eq!(deputy.state(&eva, Action::Deactivate, "why not").await.unwrap_err().status, 404);
    assert_eq!(add(&mut deputy, lung, ada.id()).await.unwrap_err().status, 404);
    server.advance(60_000);
    assert_eq!(teams(&mut deputy).await.len(), 0);
    assert_eq!(deputy.state(&ada, Action::Deactivate, "why not").await.unwrap_err().status, 404);
    assert_eq!(seen(&mut deputy).await, ["deputy", "root"]);
}

/// What somebody sends to the vault, with a home of their own.
struct Housed {
    person: records::Person,
    wire: Wire,
    home: Directory,
}

impl Housed {
    async fn file(&mut self, name: &str, size: u64) -> Result<ticrypt_types::NodeId, Problem> {
        let before = self.home.clone();
        let (id, node) = small_file(&self.person, &mut self.home, name, size);
        let request = CreateRequest { directory: self.home.node, head: self.home.advance(&self.person), nodes: vec![node] };
        let made = self.wire.ask::<_, HeadReply>(Operation::NodeCreate, &[], &request).await;
        if made.is_err() {
            self.home = before;
        }
        made.map(|_| id)
    }

    async fn upload(&mut self, size_bytes: u64) -> Result<UploadBeginReply, Problem> {
        let (file, version, directory) = (new_node(), new_version(), Some(self.home.node));
        let uploads = vec![NewUpload { file, directory, version, content_wrap: Blob(random_vec(60)), size_bytes }];
        self.wire.ask(Operation::UploadBegin, &[], &UploadBeginRequest { uploads }).await
    }
}

#[tokio::test]
async fn a_teams_trees_hold_what_it_may_and_no_more() {
    let server = Server::start().await;
    let people = ["root", "ada", "bob"].map(|name| records::Person::new(server.deployment(), name));
    let [root, ada, bob] = people;
    let code = server.running.code.as_ref().unwrap().expose().clone();
    register(&mut server.wire().await, &root, Some((code, root.sign(&statement(&server, &root, &root, Action::Bootstrap))))).await;
    let (mut by_root, _) = log_in(&server, &root).await;
    let team = TeamId::from_random(random());
    let path = team.to_string();
    let () = by_root.ask(Operation::TeamCreate, &[], &new_team(team, "Heart")).await.unwrap();
    let mut housed = Vec::new();
    for person in [ada, bob] {
        register(&mut server.wire().await, &person, None).await;
        change(&server, &mut by_root, &root, &person, Action::Activate).await;
        let () = by_root.ask(Operation::TeamAdd, &[&path], &TeamAddRequest { user: person.user }).await.unwrap();
        let (mut wire, _) = log_in(&server, &person).await;
        let mut home = Directory::new(new_node(), None, person.user);
        let own = grant(&person, &person, home.node, NodeKind::Directory, person.user, Verbs::ALL);
        let grant = NewGrant { grant: person.sign(&own), sealed: sealed(Verbs::ALL) };
        let request = HomeCreateRequest { grant, head: home.advance(&person) };
        let _: HeadReply = wire.ask(Operation::HomeCreate, &[], &request).await.unwrap();
        housed.push(Housed { person, wire, home });
    }
    let quotas = Quotas { vault_bytes: Some(1_000 + 2 * OVERHEAD), ..Quotas::NEW_TEAM };
    let () = by_root.ask(Operation::TeamQuota, &[&path], &TeamQuotaRequest { revision: 1, quotas }).await.unwrap();
    let [ada, bob] = &mut housed[..] else { panic!("two people") };

    // Both fill the same.
    let first = ada.file("first", 400).await.unwrap();
    assert_eq!(bob.file("too large", 601).await.unwrap_err().code, "vault_quota");
    bob.file("fits", 600).await.unwrap();
    let full = ada.file("one more", 1).await.unwrap_err();
    assert_eq!((full.code.as_str(), full.status), ("vault_quota", 403));
    assert_eq!(ada.upload(200_000).await.unwrap_err().code, "vault_quota");
    let list: TeamMembersReply = by_root.ask(Operation::TeamMembers, &[&path], &()).await.unwrap();
    assert_eq!(list.vault_used_bytes, 1_000 + 2 * OVERHEAD);

    // The trash counts; what is deleted for good does not.
    ada.home.entries.remove(&first);
    let request = TrashRequest { directory: ada.home.node, head: ada.home.advance(&ada.person), nodes: vec![first] };
    let _: HeadReply = ada.wire.ask(Operation::NodeTrash, &[], &request).await.unwrap();
    assert_eq!(ada.file("second", 400).await.unwrap_err().code, "vault_quota");
    let _: DeleteReply = ada.wire.ask(Operation::NodeDelete, &[], &DeleteRequest { nodes: vec![first] }).await.unwrap();
    ada.file("second", 400).await.unwrap();

    // A larger quota counts at once; an upload is charged when it begins.
    let quotas = Quotas { vault_bytes: Some(300_000), ..quotas };
    let () = by_root.ask(Operation::TeamQuota, &[&path], &TeamQuotaRequest { revision: 2, quotas }).await.unwrap();
    ada.upload(200_000).await.unwrap();
    assert_eq!(bob.upload(200_000).await.unwrap_err().code, "vault_quota");
    let _: UserView = bob.wire.ask(Operation::UserSelf, &[], &()).await.unwrap();
}
