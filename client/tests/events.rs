//! Following what one is told: across a restart of the real server, and from servers that break off, fall silent or lie.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "vault_system/people.rs"]
#[allow(dead_code, reason = "shared by several test programs")]
mod people;
mod support;

use std::time::Duration;

use futures::StreamExt;
use people::People;
use support::{Act, Seen, Server, device, file, quick};
use ticrypt_api::ErrorKind;
use ticrypt_api::sse::{Block, LINE_MAX_BYTES};
use ticrypt_backend::config::{Config, RegistrationMode};
use ticrypt_backend::wiring;
use ticrypt_client::events::{self, Follow, Notification};
use ticrypt_client::users::StateChange;
use ticrypt_client::{ClientError, Kind, Transport};
use ticrypt_crypto::Digest;
use ticrypt_crypto::bundle::Fingerprint;
use ticrypt_crypto::statement::Action;
use ticrypt_types::NotificationKind;

async fn soon(follow: &mut Follow) -> Result<Notification, ClientError> {
    tokio::time::timeout(Duration::from_secs(10), follow.next()).await.expect("nothing came")
}

#[tokio::test(flavor = "multi_thread")]
async fn following_goes_on_across_a_restart_and_ends_with_the_session() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.health.enabled = false;
    config.registration.mode = RegistrationMode::Open;
    config.log.checkpoint_interval_ms = 50;
    let running = wiring::start(config.clone(), directory.path()).await.unwrap();
    config.server.listen = running.address;
    let code = running.code.as_ref().unwrap().expose().clone();
    let mut people = People::new(serde_json::to_vec(&running.file).unwrap(), code);
    let ann = people.enrol("ann").await;
    let admin = people.admin();
    let page = events::list(&admin.transport, 10, None).await.unwrap();
    assert_eq!((page.newest, page.unread, page.notifications[0].kind), (1, 1, NotificationKind::RegistrationWaiting));
    assert_eq!(page.notifications[0].user, Some(ann.session.user()));

    let mut following = events::follow(&admin.transport, Some(page.newest));
    let bob = people.enrol("bob").await;
    let heard = soon(&mut following).await.unwrap();
    assert_eq!((heard.sequence, heard.kind, heard.user), (2, NotificationKind::RegistrationWaiting, Some(bob.session.user())));
    // What comes while nobody asks waits; what comes while nobody is connected is fetched.
    let eva = people.enrol("eva").await;
    running.stop().await.unwrap();
    let running = wiring::start(config, directory.path()).await.unwrap();
    let joe = people.enrol("joe").await;
    for (sequence, person) in [(3, &eva), (4, &joe)] {
        let heard = soon(&mut following).await.unwrap();
        assert_eq!((heard.sequence, heard.user), (sequence, Some(person.session.user())));
    }
    assert_eq!(following.position(), Some(4));
    assert_eq!(events::mark_read(&admin.transport, 3).await.unwrap(), 1);
    let first = events::list(&admin.transport, 3, None).await.unwrap();
    assert_eq!((first.read, first.unread, first.notifications.len()), (3, 1, 3));
    assert_eq!(events::list(&admin.transport, 3, first.next).await.unwrap().notifications[0].sequence, 1);

    // From now on, and to the end: joe's session ends with his rights.
    let mut of_joe = events::follow(&joe.session.transport, None).into_stream();
    let waiting = tokio::spawn(async move {
        let end = of_joe.next().await.unwrap();
        (end, of_joe.next().await)
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let view = admin.users.find(&"joe".parse().unwrap()).await.unwrap();
    let compared = Fingerprint(Digest::new(view.fingerprint.0));
    let change = StateChange { view, action: Action::Deactivate, reason: "left".to_owned(), new_bundle: None };
    admin.users.change_state(&*admin.keys, change, Some(compared)).await.unwrap();
    let (end, after) = tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("joe still follows").unwrap();
    assert_eq!(end.unwrap_err().kind(), Kind::LoggedOut);
    assert!(after.is_none());
    drop(following);
    running.stop().await.unwrap();
}

fn event(id: u64, kind: &str) -> String {
    Block { id: Some(id), event: Some(kind.to_owned()), data: Some("{\"at_ms\":7}".to_owned()) }.write()
}

async fn following(handler: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> (Server, Follow, support::Device) {
    let server = Server::start(handler).await;
    let device = device(&file(vec![server.url.clone()], vec![server.pin]));
    let follow = events::follow(&Transport::new(&device.deployment, quick()).unwrap(), None);
    (server, follow, device)
}

#[tokio::test]
async fn what_breaks_off_falls_silent_or_is_busy_is_taken_up_where_it_was() {
    let (server, mut follow, _device) = following(|seen| match seen.number {
        // Where it stands, without an event.
        0 => Act::ok(Block::position(4).write()),
        1 => Act::Close,
        // In the middle of an event.
        2 => Act::ok([event(5, "share-given"), "id: 6\nevent: sha".to_owned()].concat()),
        3 => Act::problem(ErrorKind::Unavailable, "store_unavailable"),
        4 => Act::problem(ErrorKind::TooMany, "too_many_streams"),
        5 => Act::Hang,
        // A kind of a later day, and then nothing at all.
        6 => Act::Silent([Block::position(5).write(), event(6, "tea-is-ready"), event(7, "share-ended")].concat().into_bytes()),
        7 => Act::Silent([event(8, "rank-changed"), event(11, "rank-changed")].concat().into_bytes()),
        _ => Act::problem(ErrorKind::Stale, "event_unknown"),
    })
    .await;
    let mut heard = Vec::new();
    for _ in 0..4 {
        let notification = soon(&mut follow).await.unwrap();
        heard.push((notification.sequence, notification.kind.word()));
    }
    assert_eq!(heard, [(5, "share-given"), (7, "share-ended"), (8, "rank-changed"), (11, "rank-changed")]);
    let end = soon(&mut follow).await.unwrap_err();
    assert_eq!((end.kind(), end.code()), (Kind::Stale, "event_unknown"));
    let asked: Vec<_> = server.requests().iter().map(|seen| seen.header("last-event-id").map(str::to_owned)).collect();
    let after = |id: &str| Some(id.to_owned());
    assert_eq!(
        asked,
        [None, after("4"), after("4"), after("5"), after("5"), after("5"), after("5"), after("7"), after("11")],
        "each time after the last one"
    );
}

#[tokio::test]
async fn lies_are_the_end() {
    let long = format!("data: {}", "x".repeat(LINE_MAX_BYTES));
    let lies = [
        [event(3, "share-given"), event(3, "share-given")].concat(),
        [event(3, "share-given"), event(2, "share-given")].concat(),
        [Block::position(3).write(), event(3, "share-given")].concat(),
        [event(3, "share-given"), Block::position(2).write()].concat(),
        "event: share-given\ndata: {\"at_ms\":7}\n\n".to_owned(),
        "id: 1\nevent: share-given\ndata: nonsense\n\n".to_owned(),
        "id: one\n\n".to_owned(),
        long,
    ];
    for lie in lies {
        let told = lie.clone();
        let (server, mut follow, _device) = following(move |_| Act::Silent(told.clone().into_bytes())).await;
        let end = soon(&mut follow).await;
        assert_eq!(end.unwrap_err().kind(), Kind::Untrusted, "{lie}");
        assert_eq!(server.requests().len(), 1, "{lie}");
    }
}

#[tokio::test]
async fn a_session_that_is_over_is_not_asked_for_twice() {
    let (server, mut follow, _device) = following(|_| Act::problem(ErrorKind::Unidentified, "session_over")).await;
    assert_eq!(soon(&mut follow).await.unwrap_err().kind(), Kind::LoggedOut);
    assert_eq!(server.requests().len(), 1);
}
