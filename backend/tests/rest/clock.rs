//! What the server does when the machine's clock is set: nothing goes back, nothing stops, and nonsense is not believed.

use ticrypt_api::session::LoginReply;
use ticrypt_api::user::UserView;
use ticrypt_backend::wiring::StartError;
use ticrypt_types::{Operation, Timestamp};

use crate::support::{Person, Server};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// On a connection of its own: what ends with a session is cut.
async fn whoami(server: &Server, person: &Person) -> Result<UserView, String> {
    let mut wire = person.further(server).await;
    wire.ask::<_, UserView>(Operation::UserSelf, &[], &()).await.map_err(|problem| problem.code)
}

/// A login signed at a time of the client's own.
async fn login_at(server: &Server, person: &mut Person, at: Timestamp) -> Result<LoginReply, ticrypt_api::Problem> {
    let mut wire = server.wire().await;
    person.try_login_with(server, &mut wire, |record| record.at = at).await
}

#[tokio::test]
async fn set_back_by_a_day_nothing_goes_back_and_everything_still_ends() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let before = server.now();
    server.machine.set_off(-DAY);
    assert!(server.now() >= before);
    whoami(&server, &root).await.unwrap();

    // Half as fast, a challenge of a minute ends after two.
    let mut wire = server.wire().await;
    root.now = server.now();
    let challenge = root.challenge(&mut wire).await;
    assert_eq!(challenge.expires_ms.millis_since(challenge.server_time_ms), 60_000);
    server.advance(121_000);
    let key = ticrypt_keyring::SessionKey::generate().unwrap();
    let late = root.sign_login(&root.login_record(challenge.challenge, &key, wire.channel));
    assert_eq!(wire.ask::<_, LoginReply>(Operation::SessionLogin, &[], &late).await.unwrap_err().code, "challenge_unknown");

    // Whoever has the right time of day hears by how much the two differ.
    let client = Timestamp::from_millis(server.now().as_millis() - DAY as u64);
    let refused = login_at(&server, &mut root, client).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (401, "clock_off"));
    assert!(refused.reason.contains("86400 seconds"), "{}", refused.reason);

    // An idle session ends, and a restart changes nothing: the mark lies in the machine's future.
    server.advance(2 * HOUR as u64 + 60_000);
    assert_eq!(whoami(&server, &root).await.unwrap_err(), "session_over");
    let before = server.now();
    root.wire = None;
    drop(wire);
    let server = server.restart().await;
    assert!(server.now().as_millis() + 1 >= before.as_millis(), "{} after {before}", server.now());
    root.login(&server).await;

    // The machine catches up, and is followed again.
    server.advance(2 * DAY as u64);
    let behind = server.now();
    server.machine.set_off(-HOUR);
    server.advance(1_000);
    let now = server.now();
    assert!(now >= behind && now.as_millis().abs_diff(ticrypt_backend::clock::Machine::wall(&*server.machine).as_millis()) < 1_000);
}

#[tokio::test]
async fn a_year_ahead_and_back_ends_nothing() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let before = server.now();
    server.machine.set_off(365 * DAY);
    assert!(server.now().millis_since(before) < 60_000, "{} after {before}", server.now());
    whoami(&server, &root).await.unwrap();
    // Time goes on all the same: challenges end, sessions do.
    let mut wire = server.wire().await;
    root.now = server.now();
    let challenge = root.challenge(&mut wire).await;
    server.advance(60_001);
    let key = ticrypt_keyring::SessionKey::generate().unwrap();
    let late = root.sign_login(&root.login_record(challenge.challenge, &key, wire.channel));
    assert_eq!(wire.ask::<_, LoginReply>(Operation::SessionLogin, &[], &late).await.unwrap_err().code, "challenge_unknown");
    whoami(&server, &root).await.unwrap();

    // Nor is it kept.
    root.wire = None;
    drop(wire);
    let stopped = server.stop().await;
    let (stopped, refused) = stopped.start(false).await.err().expect("a year at once");
    assert!(matches!(refused, StartError::Clock(_)) && refused.to_string().contains("--accept-clock"), "{refused}");
    stopped.machine.set_off(0);
    let server = stopped.start(false).await.unwrap();
    assert!(server.now().millis_since(before) < 10 * 60_000);
    whoami(&server, &root).await.unwrap();
}

#[tokio::test]
async fn a_jump_the_operator_accepts_is_for_good() {
    let server = Server::start().await;
    let mut root = server.root().await;
    root.wire = None;
    let before = server.now();
    let stopped = server.stop().await;
    stopped.machine.set_off(30 * DAY);
    let server = stopped.start(true).await.unwrap();
    assert!(server.now().millis_since(before) >= 30 * DAY as u64);
    assert_eq!(whoami(&server, &root).await.unwrap_err(), "session_over");
    root.login(&server).await;
    root.wire = None;
    // It was wrong: set right, the server waits for the machine rather than going back, also after another start.
    let accepted = server.now();
    let stopped = server.stop().await;
    stopped.machine.set_off(0);
    let server = stopped.start(false).await.unwrap();
    assert!(server.now().as_millis() + 1 >= accepted.as_millis());
    let refused = login_at(&server, &mut root, before).await.unwrap_err();
    assert_eq!(refused.code, "clock_off");
    root.login(&server).await;
}

#[tokio::test]
async fn a_jump_within_the_bound_ends_what_it_passes() {
    let server = Server::start().await;
    let mut root = server.root().await;
    server.machine.set_off(2 * HOUR);
    assert_eq!(whoami(&server, &root).await.unwrap_err(), "session_over");
    root.login(&server).await;
    server.machine.set_off(0);
    whoami(&server, &root).await.unwrap();
}
