//! Many at once: item by item through the single path, stopped with its session, resumed in another.

use ticrypt_api::bulk::{BulkItem, BulkListReply, BulkReadReply, BulkResumeRequest, BulkStartRequest, BulkView};
use ticrypt_api::user::PermissionsRequest;
use ticrypt_api::{Blob, Endpoint, Problem, wire};
use ticrypt_types::bulk::{BulkItemState, BulkState};
use ticrypt_types::{BulkId, Operation, Permission, Permissions, UserId};

use crate::support::{Person, Server, eventually, random};

/// Permissions for these people.
fn list(bulk: BulkId, people: &[UserId], permissions: Permissions) -> BulkStartRequest {
    let codec = Endpoint::of(Operation::UserPermissions).unwrap().codec;
    let body = Blob(wire::encode(codec, &PermissionsRequest { permissions }).unwrap());
    let item = |user: &UserId| BulkItem { parameters: vec![user.to_string()], body: body.clone() };
    BulkStartRequest { bulk, operation: Operation::UserPermissions.name().to_owned(), items: people.iter().map(item).collect() }
}

fn fresh() -> BulkId {
    BulkId::from_random(random())
}

async fn start(by: &mut Person, request: &BulkStartRequest) -> Result<BulkView, Problem> {
    by.ask(Operation::BulkStart, &[], request).await
}

async fn read(by: &mut Person, bulk: BulkId) -> BulkReadReply {
    by.ask(Operation::BulkRead, &[&bulk.to_string()], &()).await.unwrap()
}

async fn over(by: &mut Person, bulk: BulkId) -> BulkReadReply {
    eventually("the bulk action is over", async || read(by, bulk).await.view.state != BulkState::Running).await;
    read(by, bulk).await
}

#[tokio::test]
async fn each_item_is_what_it_would_be_by_itself() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let (mut ada, eva) = (server.member(&mut root, "ada").await, server.member(&mut root, "eva").await);
    let wanted = Permissions::basic().with(Permission::ProjectCreate);
    let (bulk, nobody) = (fresh(), UserId::from_random(random()));
    let people = [ada.id(), nobody, eva.id(), root.id()];
    let request = list(bulk, &people, wanted);
    let begun = start(&mut root, &request).await.unwrap();
    assert_eq!((begun.items, begun.operation.as_str()), (4, "user.permissions"));
    let done = over(&mut root, bulk).await;
    assert_eq!((done.view.state, done.view.done, done.view.failed), (BulkState::Done, 2, 2));
    let codes: Vec<_> = done.items.iter().map(|item| (item.number, item.state, item.code.as_deref())).collect();
    let (good, bad) = (BulkItemState::Done, BulkItemState::Failed);
    assert_eq!(codes, [(0, good, None), (1, bad, Some("not_found")), (2, good, None), (3, bad, Some("oneself"))]);
    assert_eq!(done.items[2].parameters, [eva.id().to_string()]);

    // What failed is tried again, and says the same; what is done is not.
    let path = bulk.to_string();
    let nothing = root.ask::<_, BulkView>(Operation::BulkResume, &[&path], &BulkResumeRequest::default()).await.unwrap_err();
    assert_eq!(nothing.code, "bulk_over");
    let _: BulkView = root.ask(Operation::BulkResume, &[&path], &BulkResumeRequest { failed: true }).await.unwrap();
    let again = over(&mut root, bulk).await.view;
    assert_eq!((again.state, again.done, again.failed), (BulkState::Done, 2, 2));
    let page = root.wire.as_mut().unwrap().send(Operation::BulkRead, &[&path], "?state=failed&limit=1", vec![]).await;
    let page: BulkReadReply = serde_json::from_slice(&page.body).unwrap();
    assert_eq!((page.items.len(), page.items[0].number, page.next), (1, 1, Some(2)));

    // To others there is no such thing; and the operations of the list are refused to who may not.
    assert_eq!(ada.ask::<_, BulkReadReply>(Operation::BulkRead, &[&path], &()).await.unwrap_err().status, 404);
    let mine: BulkListReply = ada.ask(Operation::BulkList, &[], &()).await.unwrap();
    assert!(mine.bulks.is_empty());
    let by_ada = fresh();
    start(&mut ada, &list(by_ada, &[eva.id(), root.id()], wanted)).await.unwrap();
    let refused = over(&mut ada, by_ada).await;
    assert!(refused.items.iter().all(|item| item.code.as_deref() == Some("needs_administrator")), "{refused:?}");
    let mine: BulkListReply = root.ask(Operation::BulkList, &[], &()).await.unwrap();
    assert_eq!(mine.bulks.iter().map(|view| view.bulk).collect::<Vec<_>>(), [bulk]);
}

#[tokio::test]
async fn lists_that_are_none() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let ada = server.member(&mut root, "ada").await;
    let sound = list(fresh(), &[ada.id()], Permissions::basic());
    let one = sound.items[0].clone();
    let named = |operation: &str| BulkStartRequest { operation: operation.to_owned(), ..sound.clone() };
    let with = |items: Vec<BulkItem>| BulkStartRequest { items, ..sound.clone() };
    for (request, code) in [
        (named("no.such"), "invalid"),
        (named("content.open"), "invalid"),
        (named("bulk.list"), "invalid"),
        (BulkStartRequest { items: vec![BulkItem { parameters: vec![], body: Blob(vec![]) }], ..named("session.list") }, "not_in_bulk"),
        (with(vec![]), "invalid"),
        (with(vec![BulkItem { parameters: vec![], ..one.clone() }]), "invalid"),
        (with(vec![BulkItem { parameters: vec!["a/b".to_owned()], ..one.clone() }]), "invalid"),
        (with(vec![BulkItem { body: Blob(vec![0; 64 * 1024 + 1]), ..one.clone() }]), "invalid"),
    ] {
        assert_eq!(start(&mut root, &request).await.unwrap_err().code, code, "{}", request.operation);
    }
    start(&mut root, &sound).await.unwrap();
    assert_eq!(start(&mut root, &sound).await.unwrap_err().code, "taken");
    let broken = with(vec![BulkItem { body: Blob(b"{".to_vec()), ..one }]);
    let broken = BulkStartRequest { bulk: fresh(), ..broken };
    start(&mut root, &broken).await.unwrap();
    assert_eq!(over(&mut root, broken.bulk).await.items[0].code.as_deref(), Some("invalid"));
}

#[tokio::test]
async fn it_stops_with_its_session_and_goes_on_in_another() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let ada = server.member(&mut root, "ada").await;
    let bulk = fresh();
    // Long enough to be still under way when the session ends: the same person over and over, of whom all but the first change nothing.
    let people = vec![ada.id(); 5_000];
    start(&mut root, &list(bulk, &people, Permissions::basic().with(Permission::ProjectCreate))).await.unwrap();
    let () = root.ask(Operation::SessionLogout, &[], &()).await.unwrap();
    root.login(&server).await;
    let stopped = over(&mut root, bulk).await.view;
    assert_eq!(stopped.state, BulkState::Stopped);
    let decided = stopped.done + stopped.failed;
    assert!(decided < stopped.items, "{stopped:?}");
    let path = bulk.to_string();
    let _: BulkView = root.ask(Operation::BulkResume, &[&path], &BulkResumeRequest::default()).await.unwrap();
    let twice = root.ask::<_, BulkView>(Operation::BulkResume, &[&path], &BulkResumeRequest::default()).await.unwrap_err();
    assert_eq!(twice.code, "bulk_running");
    let halted: BulkView = root.ask(Operation::BulkStop, &[&path], &()).await.unwrap();
    assert_eq!(halted.state, BulkState::Stopped);
    assert_eq!(root.ask::<_, BulkView>(Operation::BulkStop, &[&path], &()).await.unwrap_err().code, "bulk_not_running");
    // A server that ended in the middle: stopped at the next start, and resumed to the end.
    let _: BulkView = root.ask(Operation::BulkResume, &[&path], &BulkResumeRequest::default()).await.unwrap();
    let server = server.restart().await;
    root.login(&server).await;
    let stopped = read(&mut root, bulk).await.view;
    assert_eq!(stopped.state, BulkState::Stopped, "{stopped:?}");
    let _: BulkView = root.ask(Operation::BulkResume, &[&path], &BulkResumeRequest::default()).await.unwrap();
    let done = over(&mut root, bulk).await.view;
    assert_eq!((done.state, done.done + done.failed, done.done >= 1), (BulkState::Done, 5_000, true));
}
