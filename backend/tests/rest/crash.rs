//! What becomes of work that was interrupted, and of work that cannot be recorded.

use ticrypt_api::role::{Audit, Event, Outcome};
use ticrypt_api::user::{RegisterReply, UserView};
use ticrypt_backend::wiring;
use ticrypt_crypto::statement::Action;
use ticrypt_log::event::audit::{AuditEvent, Phase};
use ticrypt_types::{Operation, RequestId, UserId};

use crate::support::{Person, Server, random};

fn event(operation: Operation, subject: UserId, at: ticrypt_types::Timestamp) -> Event {
    Event {
        operation,
        request: RequestId::from_random(random()),
        actor: None,
        session: None,
        subjects: vec![subject.to_bytes()],
        detail: vec![],
        at,
    }
}

fn rows(server: &Server) -> Vec<AuditEvent> {
    let log = server.running.audit.audit_log();
    log.entries(0..log.durable_size()).unwrap().iter().map(|leaf| AuditEvent::from_leaf(leaf).unwrap()).collect()
}

#[tokio::test]
async fn an_opening_row_without_a_closing_one_is_completed_at_start_up() {
    let server = Server::start().await;
    let root = server.root().await;
    let audit = &server.running.audit;
    let now = server.now();
    // As if the process had died between the rows: of a registration that took effect, of one that did not, and of something else.
    let stranger = UserId::from_random(random());
    let done = audit.open(event(Operation::UserRegister, root.id(), now)).await.unwrap();
    let failed = audit.open(event(Operation::UserRegister, stranger, now)).await.unwrap();
    let unknown = audit.open(event(Operation::NodeCreate, stranger, now)).await.unwrap();
    let closed = audit.open(event(Operation::NodeCreate, stranger, now)).await.unwrap();
    audit.close(closed, event(Operation::NodeCreate, stranger, now), Outcome::Done).await.unwrap();
    drop(root);

    let server = server.restart().await;
    let outcome = |index: u64, rows: &[AuditEvent]| {
        let closing: Vec<_> = rows.iter().filter(|row| row.phase == Phase::Closed && row.opening == Some(index)).collect();
        assert_eq!(closing.len(), 1, "one closing row for {index}");
        closing[0].outcome.clone().unwrap()
    };
    let found = rows(&server);
    assert_eq!(outcome(done.index, &found), "done");
    assert_eq!(outcome(failed.index, &found), "failed:interrupted");
    assert_eq!(outcome(unknown.index, &found), "unknown");
    assert_eq!(outcome(closed.index, &found), "done");
    // Once: the next start finds nothing open.
    let size = found.len();
    let server = server.restart().await;
    assert_eq!(rows(&server).len(), size);
    assert_eq!(server.running.audit.settled_below(), size as u64);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_changes_and_nothing_else() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let ada = server.pending("ada").await;
    let before = server.running.store.user(ada.id()).await.unwrap().unwrap();
    // The log ends as it would on a broken disk: nothing more is taken.
    server.running.audit.audit_log().shutdown().await.unwrap();
    let refused = root.state(&ada, Action::Activate, "").await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (503, "log_unavailable"));
    let user = server.running.store.user(ada.id()).await.unwrap().unwrap();
    assert_eq!(user, before, "no row, no work");
    let eva = Person::new(&server, "eva");
    let refused =
        server.wire().await.ask::<_, RegisterReply>(Operation::UserRegister, &[], &eva.registration(None, None)).await.unwrap_err();
    assert_eq!(refused.code, "log_unavailable");
    assert!(server.running.store.user(eva.id()).await.unwrap().is_none());
    // Reading goes on.
    let _: UserView = root.ask(Operation::UserSelf, &[], &()).await.unwrap();
    assert!(!server.running.audit.is_accepting());
}

#[tokio::test]
async fn a_partial_set_of_roles_is_refused_with_the_reason() {
    let mut config = crate::support::config();
    config.roles.0 = vec![ticrypt_backend::config::Role::Rest];
    let directory = tempfile::tempdir().unwrap();
    let error = wiring::start(config, directory.path()).await.unwrap_err().to_string();
    assert!(error.contains("file, storage, audit"), "{error}");
}

#[tokio::test]
async fn rotating_the_tls_key_keeps_clients_that_pinned_the_next_one() {
    let server = Server::start().await;
    let old_pins = server.running.file.tls_pins.clone();
    let tls = server.data().join("tls");
    ticrypt_backend::tls::Identity::rotate(&tls, None, "ticrypt").unwrap();
    let server = server.restart().await;
    assert_eq!(server.running.file.tls_pins[0], old_pins[1]);
    crate::support::Wire::open(server.running.address, &old_pins).await;
}
