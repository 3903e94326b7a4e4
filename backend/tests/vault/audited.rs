//! No row, no work; and a refusal leaves a row too.

use std::sync::atomic::Ordering;

use ticrypt_api::node::ListRequest;
use ticrypt_api::role::{Outcome, Vault};
use ticrypt_types::Operation;

use crate::audit_rows::Row;
use crate::records::*;
use crate::world::{World, caller, code};

#[tokio::test]
async fn without_an_opening_row_nothing_changes() {
    let world = World::new().await;
    let (ada, mut home) = world.housed("ada").await;
    let before = home.clone();
    world.audit.refuse_open.store(true, Ordering::SeqCst);
    let (_, node) = small_file(&ada, &mut home, "f", 10);
    assert_eq!(code(world.create(&ada, &mut home, vec![node]).await), "audit_unavailable");
    assert_eq!(code(world.list(&ada, home.node).await), "audit_unavailable", "nor is anything handed out");
    world.audit.refuse_open.store(false, Ordering::SeqCst);
    assert_eq!(world.counter(home.node).await, before.counter);
    let mut home = before;
    let (_, node) = small_file(&ada, &mut home, "f", 10);
    world.audit.refuse_close.store(true, Ordering::SeqCst);
    assert_eq!(code(world.create(&ada, &mut home, vec![node]).await), "audit_unavailable", "done, and not claimed");
}

#[tokio::test]
async fn rows_in_their_order_and_refusals_too() {
    let world = World::new().await;
    let (ada, mut home) = world.housed("ada").await;
    world.audit.taken();
    let (file, node) = small_file(&ada, &mut home, "f", 10);
    world.create(&ada, &mut home, vec![node]).await.unwrap();
    let rows = world.audit.taken();
    let [Row::Opened(event), Row::Closed(0, Outcome::Done)] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((event.operation, &event.subjects), (Operation::NodeCreate, &vec![file.to_bytes(), home.node.to_bytes()]));
    // Reading what is not there leaves no row; trying to change it does, hidden or missing alike.
    let eve = world.person("eve").await;
    for node in [home.node, new_node()] {
        let items = vec![ticrypt_api::node::ListItem { directory: node, page: None }];
        let list = ListRequest { items, limit: 1, manifests: false };
        world.vault.list(&caller(&eve), list).await.unwrap_err();
        let request = ticrypt_api::node::DeleteRequest { nodes: vec![node] };
        world.vault.delete(&caller(&eve), request).await.unwrap_err();
        let rows = world.audit.taken();
        let [Row::Fact(event, Outcome::Refused(code))] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((event.operation, code.as_str(), &event.subjects), (Operation::NodeDelete, "not_found", &vec![node.to_bytes()]));
    }
    // What fails in the store after its opening row is closed as failed.
    let (_, node) = small_file(&ada, &mut home, "f", 10);
    world.create(&ada, &mut home, vec![node]).await.unwrap_err();
    assert_eq!(world.audit.outcomes(Operation::NodeCreate), [Outcome::Failed("name_taken".into())]);
}

#[tokio::test]
async fn a_session_from_before_a_loss_does_nothing() {
    let world = World::new().await;
    let (ada, home) = world.housed("ada").await;
    let old = ticrypt_api::role::Caller { epoch: 0, ..caller(&ada) };
    let items = vec![ticrypt_api::node::ListItem { directory: home.node, page: None }];
    let list = ListRequest { items, limit: 1, manifests: false };
    assert_eq!(code(world.vault.list(&old, list).await), "session_over");
    assert_eq!(code(world.vault.roots(&old).await), "session_over");
}
