//! Profiles over the wire: written, applied one by one and in bulk, and what the log says of it.

use ticrypt_api::bulk::{BulkItem, BulkReadReply, BulkStartRequest, BulkView};
use ticrypt_api::log::{EntriesReply, EntriesRequest};
use ticrypt_api::profile::{ProfileAbout, ProfileApplyRequest, ProfileListReply, ProfileSetRequest, ProfileView};
use ticrypt_api::user::{PermissionsRequest, UserListReply, UserView};
use ticrypt_api::{Blob, Endpoint, Problem, wire};
use ticrypt_crypto::statement::Action;
use ticrypt_log::event::audit::AuditEvent;
use ticrypt_types::bulk::BulkState;
use ticrypt_types::{BulkId, Operation, Permission, Permissions, ProfileId, Rank};

use crate::support::{Person, Server, eventually, random};

fn request(revision: u64, name: &str, permissions: Permissions) -> ProfileSetRequest {
    ProfileSetRequest { revision, about: ProfileAbout { name: name.parse().unwrap(), description: String::new(), permissions } }
}

async fn set(by: &mut Person, profile: ProfileId, request: &ProfileSetRequest) -> Result<(), Problem> {
    by.ask(Operation::ProfileSet, &[&profile.to_string()], request).await
}

async fn list(by: &mut Person) -> Result<Vec<ProfileView>, Problem> {
    let reply: ProfileListReply = by.ask(Operation::ProfileList, &[], &()).await?;
    Ok(reply.profiles)
}

async fn apply(by: &mut Person, to: &Person, profile: ProfileId, revision: u64) -> Result<(), Problem> {
    by.ask(Operation::ProfileApply, &[&to.id().to_string()], &ProfileApplyRequest { profile, revision }).await
}

async fn give(by: &mut Person, to: &Person, permissions: Permissions) -> Result<(), Problem> {
    by.ask(Operation::UserPermissions, &[&to.id().to_string()], &PermissionsRequest { permissions }).await
}

async fn row(by: &mut Person, of: &Person) -> UserView {
    let reply: UserListReply = by.ask(Operation::UserList, &[], &()).await.unwrap();
    reply.users.into_iter().find(|view| view.user == of.id()).unwrap()
}

/// How somebody is called by a profile, and whether they are just like it.
fn label(view: &UserView) -> Option<(&str, bool)> {
    view.profile.as_ref().map(|label| (label.name.as_str(), label.exact))
}

#[tokio::test]
async fn a_profile_is_a_stamp() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let mut ada = server.member(&mut root, "ada").await;
    let researcher = ProfileId::from_random(random());
    let wanted = Permissions::basic().with(Permission::ProjectCreate);
    set(&mut root, researcher, &request(0, "Researcher", wanted)).await.unwrap();
    assert_eq!(set(&mut root, researcher, &request(0, "Again", wanted)).await.unwrap_err().code, "taken");
    assert_eq!(set(&mut root, researcher, &request(7, "Late", wanted)).await.unwrap_err().code, "stale");

    // What they had besides is taken away; to have it already is nothing to do.
    give(&mut root, &ada, Permissions::NONE.with(Permission::TeamCreate)).await.unwrap();
    assert_eq!(apply(&mut root, &ada, researcher, 2).await.unwrap_err().code, "stale", "another revision than was read");
    apply(&mut root, &ada, researcher, 1).await.unwrap();
    assert_eq!(apply(&mut root, &ada, researcher, 1).await.unwrap_err().code, "no_change");
    let view = row(&mut root, &ada).await;
    assert_eq!((view.permissions, label(&view)), (wanted, Some(("Researcher", true))));
    // One sees the name of one's own, and nothing of others'.
    let own: UserView = ada.ask(Operation::UserSelf, &[], &()).await.unwrap();
    assert_eq!(label(&own), Some(("Researcher", true)));
    assert_eq!(label(&row(&mut ada, &root).await), None);
    assert_eq!(list(&mut ada).await.unwrap_err().code, "no_permission");

    // A change of the profile, or of the person, changes nothing of the other, and is told.
    set(&mut root, researcher, &request(1, "Scientist", Permissions::basic())).await.unwrap();
    let view = row(&mut root, &ada).await;
    assert_eq!((view.permissions, label(&view)), (wanted, Some(("Scientist", false))));
    let found = list(&mut root).await.unwrap();
    assert_eq!((found.len(), found[0].people, found[0].revision), (1, 1, 2));
    apply(&mut root, &ada, researcher, 2).await.unwrap();
    give(&mut root, &ada, wanted).await.unwrap();
    assert_eq!(label(&row(&mut root, &ada).await), Some(("Scientist", false)));

    let path = researcher.to_string();
    let () = root.ask(Operation::ProfileDelete, &[&path], &()).await.unwrap();
    let view = row(&mut root, &ada).await;
    assert_eq!((view.permissions, label(&view)), (wanted, None));
    assert_eq!(apply(&mut root, &ada, researcher, 2).await.unwrap_err().status, 404);
    assert_eq!(root.ask::<_, ()>(Operation::ProfileDelete, &[&path], &()).await.unwrap_err().status, 404);

    // The log has what was given and what was taken.
    let entries: EntriesReply = root.ask(Operation::AuditEntries, &[], &EntriesRequest { start: 0, count: 1_000 }).await.unwrap();
    let rows = entries.events.iter().map(|event| AuditEvent::from_leaf(&event.leaf.0).unwrap());
    let first = rows.filter(|row| row.operation == "profile.apply" && row.outcome.is_none()).nth(1).unwrap();
    let told = |name: &str| first.detail.iter().find(|(found, _)| found == name).map(|(_, words)| words.clone());
    assert_eq!(told("taken.0").as_deref(), Some("team.create"));
    assert!(told("given.0").unwrap().contains("vault.create"), "{:?}", first.detail);
}

#[tokio::test]
async fn who_writes_and_applies_profiles_gives_only_what_they_have() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let (mut deputy, ada) = (server.member(&mut root, "deputy").await, server.member(&mut root, "ada").await);
    let more = ProfileId::from_random(random());
    set(&mut root, more, &request(0, "More", Permissions::basic().with(Permission::TeamCreate))).await.unwrap();
    let held = [Permission::ProfileEdit, Permission::UserPermissions, Permission::ProjectCreate];
    let held = held.into_iter().fold(Permissions::basic(), Permissions::with);
    give(&mut root, &deputy, held).await.unwrap();
    assert_eq!(apply(&mut deputy, &ada, more, 1).await.unwrap_err().code, "needs_administrator");
    root.state(&deputy, Action::Role(Rank::Admin), "").await.unwrap();
    assert_eq!(apply(&mut deputy, &ada, more, 1).await.unwrap_err().code, "no_permission");
    let own = ProfileId::from_random(random());
    assert_eq!(set(&mut deputy, own, &request(0, "Own", Permissions::all())).await.unwrap_err().code, "no_permission");
    set(&mut deputy, own, &request(0, "Own", Permissions::basic().with(Permission::ProjectCreate))).await.unwrap();
    apply(&mut deputy, &ada, own, 1).await.unwrap();
    assert_eq!(label(&row(&mut root, &ada).await), Some(("Own", true)));
    // Not even by a profile does one raise oneself.
    let oneself = ProfileApplyRequest { profile: own, revision: 1 };
    let path = deputy.id().to_string();
    let refused = deputy.ask::<_, ()>(Operation::ProfileApply, &[&path], &oneself).await;
    assert_eq!(refused.unwrap_err().code, "oneself");
}

#[tokio::test]
async fn a_profile_for_many() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let (ada, eva) = (server.member(&mut root, "ada").await, server.member(&mut root, "eva").await);
    let profile = ProfileId::from_random(random());
    set(&mut root, profile, &request(0, "Researcher", Permissions::basic().with(Permission::ProjectCreate))).await.unwrap();
    let codec = Endpoint::of(Operation::ProfileApply).unwrap().codec;
    let body = Blob(wire::encode(codec, &ProfileApplyRequest { profile, revision: 1 }).unwrap());
    let item = |person: &Person| BulkItem { parameters: vec![person.id().to_string()], body: body.clone() };
    let bulk = BulkId::from_random(random());
    let items = [&ada, &root, &eva].map(item).into_iter().collect();
    let operation = Operation::ProfileApply.name().to_owned();
    let _: BulkView = root.ask(Operation::BulkStart, &[], &BulkStartRequest { bulk, operation, items }).await.unwrap();
    let path = bulk.to_string();
    eventually("the bulk action is over", async || {
        let read: BulkReadReply = root.ask(Operation::BulkRead, &[&path], &()).await.unwrap();
        read.view.state == BulkState::Done
    })
    .await;
    let read: BulkReadReply = root.ask(Operation::BulkRead, &[&path], &()).await.unwrap();
    assert_eq!((read.view.done, read.view.failed, read.items[1].code.as_deref()), (2, 1, Some("oneself")));
    assert_eq!(list(&mut root).await.unwrap()[0].people, 2);
}
