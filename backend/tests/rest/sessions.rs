//! Logging in, binding connections, ending sessions, and how fast a loss is felt.

use std::time::{Duration, Instant};

use ticrypt_api::session::{LoginReply, SessionListReply};
use ticrypt_api::user::UserView;
use ticrypt_api::{Endpoint, Hash};
use ticrypt_crypto::login::LoginPayload;
use ticrypt_crypto::statement::Action;
use ticrypt_keyring::SessionKey;
use ticrypt_types::{Operation, Timestamp, VersionId};

use crate::support::{Person, Server, eventually, random};

#[tokio::test]
async fn a_challenge_is_good_once_here_and_now() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let mut wire = server.wire().await;
    root.now = server.now();

    // Replayed, on the same connection.
    let challenge = root.challenge(&mut wire).await.challenge;
    let key = SessionKey::generate().unwrap();
    let login = root.sign_login(&root.login_record(challenge, &key, wire.channel));
    let _: LoginReply = wire.ask(Operation::SessionLogin, &[], &login).await.unwrap();
    let replayed = wire.ask::<_, LoginReply>(Operation::SessionLogin, &[], &login).await.unwrap_err();
    assert_eq!((replayed.status, replayed.code.as_str()), (401, "challenge_unknown"));

    // Too late.
    let challenge = root.challenge(&mut wire).await.challenge;
    server.advance(60_001);
    root.now = server.now();
    let login = root.sign_login(&root.login_record(challenge, &key, wire.channel));
    assert_eq!(wire.ask::<_, LoginReply>(Operation::SessionLogin, &[], &login).await.unwrap_err().code, "challenge_unknown");

    // Altered: each lie has its own answer, once the key is proven.
    let mut ada = Person::new(&server, "ada");
    ada.now = server.now();
    for (code, alter) in [
        ("wrong_channel", &(|r: &mut LoginPayload| r.channel = [7; 32]) as &dyn Fn(&mut LoginPayload)),
        ("bundle_outdated", &|r: &mut LoginPayload| r.bundle = ticrypt_crypto::Digest::ZERO),
        ("clock_off", &|r: &mut LoginPayload| r.at = Timestamp::from_millis(r.at.as_millis() + 10 * 60_000)),
        ("wrong_deployment", &|r: &mut LoginPayload| r.deployment = ticrypt_types::DeploymentId::from_random([9; 16])),
        ("challenge_unknown", &|r: &mut LoginPayload| r.challenge = [1; 32]),
    ] {
        let refused = root.try_login_with(&server, &mut wire, alter).await.unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (401, code));
    }
    // A login relayed to another connection: what was signed names the first one's channel.
    let mut other = server.wire().await;
    let stolen = other.channel;
    let refused = root.try_login_with(&server, &mut wire, |record| record.channel = stolen).await.unwrap_err();
    assert_eq!(refused.code, "wrong_channel");
    assert_eq!(other.ask::<_, UserView>(Operation::UserSelf, &[], &()).await.unwrap_err().code, "not_logged_in");
}

#[tokio::test]
async fn wrong_keys_wait_longer_and_longer_and_unknown_names_answer_alike() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let ada = server.member(&mut root, "ada").await;
    let mut wire = server.wire().await;
    // Somebody else's key under ada's name, and a name nobody has.
    for (name, id) in [("ada", ada.id()), ("nobody", ticrypt_types::UserId::from_random(random()))] {
        let mut liar = Person::with_id(&server, name, id);
        for _ in 0..3 {
            assert_eq!(liar.try_login_with(&server, &mut wire, |_| ()).await.unwrap_err().code, "login_failed");
        }
        let wait = liar.try_login_with(&server, &mut wire, |_| ()).await.unwrap_err();
        assert_eq!((wait.status, wait.code.as_str()), (429, "too_many_failures"));
        assert!(wait.retry_after_ms.is_some_and(|ms| ms <= 1_000), "{wait:?}");
    }
    // The real one waits a second, no more, and is let in.
    let mut ada = ada;
    assert_eq!(ada.try_login(&server).await.unwrap_err().code, "too_many_failures");
    server.advance(1_001);
    ada.login(&server).await;
}

#[tokio::test]
async fn a_token_is_worth_nothing_on_a_connection_that_is_not_bound() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let ada = server.member(&mut root, "ada").await;

    let mut wire = server.wire().await;
    let code = async |wire: &mut crate::support::Wire| wire.ask::<_, UserView>(Operation::UserSelf, &[], &()).await.map_err(|p| p.code);
    assert_eq!(code(&mut wire).await.unwrap_err(), "not_logged_in");
    wire.token = Some(root.token());
    assert_eq!(code(&mut wire).await.unwrap_err(), "not_bound");
    // The binding of another connection, of another session, of another deployment.
    wire.binding = Some(root.binding([7; 32]));
    assert_eq!(code(&mut wire).await.unwrap_err(), "not_bound");
    wire.binding = Some(ada.binding(wire.channel));
    assert_eq!(code(&mut wire).await.unwrap_err(), "not_bound");
    wire.binding = Some(root.binding(wire.channel));
    code(&mut wire).await.unwrap();
    // Once is enough, and once is all: the connection stays with its session.
    wire.binding = None;
    code(&mut wire).await.unwrap();
    wire.token = Some(ada.token());
    wire.binding = Some(ada.binding(wire.channel));
    assert_eq!(code(&mut wire).await.unwrap_err(), "not_bound");
    wire.token = Some("AAAA".to_owned());
    assert_eq!(code(&mut wire).await.unwrap_err(), "session_over");
}

#[tokio::test]
async fn sessions_are_listed_ended_and_outlive_a_restart() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let first = root.login.take().unwrap();
    root.login(&server).await;
    let list: SessionListReply = root.ask(Operation::SessionList, &[], &()).await.unwrap();
    assert_eq!(list.sessions.len(), 2);
    assert_eq!(list.sessions.iter().filter(|session| session.current).count(), 1);
    assert!(list.sessions.iter().all(|session| session.client == "a test"));

    let () = root.ask(Operation::SessionEnd, &[&first.id.to_string()], &()).await.unwrap();
    let unknown = root.ask::<_, ()>(Operation::SessionEnd, &[&ticrypt_types::SessionId::from_random(random()).to_string()], &()).await;
    assert_eq!(unknown.unwrap_err().status, 404);
    let list: SessionListReply = root.ask(Operation::SessionList, &[], &()).await.unwrap();
    assert_eq!(list.sessions.len(), 1);
    // Somebody else's session is not there.
    let mut ada = server.member(&mut root, "ada").await;
    let id = root.login.as_ref().unwrap().id.to_string();
    assert_eq!(ada.ask::<_, ()>(Operation::SessionEnd, &[&id], &()).await.unwrap_err().status, 404);

    root.wire = None;
    ada.wire = None;
    let server = server.restart().await;
    root.wire = Some(root.further(&server).await);
    let _: UserView = root.ask(Operation::UserSelf, &[], &()).await.unwrap();
    let () = root.ask(Operation::SessionLogout, &[], &()).await.unwrap();
    root.wire = Some(root.further(&server).await);
    assert_eq!(root.ask::<_, UserView>(Operation::UserSelf, &[], &()).await.unwrap_err().code, "session_over");
}

#[tokio::test]
async fn a_session_ends_by_idleness_and_by_age() {
    let server = Server::start().await;
    let mut root = server.root().await;
    server.advance(59 * 60_000);
    let _: UserView = root.ask(Operation::UserSelf, &[], &()).await.unwrap();
    server.advance(61 * 60_000);
    let mut wire = root.further(&server).await;
    assert_eq!(wire.ask::<_, UserView>(Operation::UserSelf, &[], &()).await.unwrap_err().code, "session_over");

    root.login(&server).await;
    for _ in 0..13 {
        server.advance(58 * 60_000);
        root.wire = Some(root.further(&server).await);
        if root.ask::<_, UserView>(Operation::UserSelf, &[], &()).await.is_err() {
            return;
        }
    }
    panic!("a session in use must end after twelve hours");
}

/// A transfer that runs while its owner is deactivated is cut within one second.
#[tokio::test]
async fn a_running_transfer_is_cut_with_its_owners_rights() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = Server::start().await;
    let mut root = server.root().await;
    let ada = server.member(&mut root, "ada").await;

    // An upload that has begun and goes on slowly.
    let stream = tokio::net::TcpStream::connect(server.running.address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(crate::support::client_config(&server.running.file.tls_pins));
    let mut tls = connector.connect("ticrypt".try_into().unwrap(), stream).await.unwrap();
    let channel = tls.get_ref().1.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).unwrap();
    let path = Endpoint::of(Operation::ChunkWrite).unwrap().fill(&[&VersionId::from_random(random()).to_string(), "0"]);
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {}\r\nticrypt-binding: {}\r\ncontent-type: application/octet-stream\r\ncontent-length: 8000000\r\n\r\n",
        ada.token(),
        ada.binding(channel)
    );
    tls.write_all(head.as_bytes()).await.unwrap();
    tls.write_all(&[0; 10_000]).await.unwrap();
    tls.flush().await.unwrap();
    eventually("the upload is bound", async || server.running.presence.by_id(ada.login.as_ref().unwrap().id).is_some()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;

    root.state(&ada, Action::Deactivate, "lost a device").await.unwrap();
    let lost = Instant::now();
    let mut rest = Vec::new();
    // The end of the connection, whatever comes before it.
    let ended = tokio::time::timeout(Duration::from_secs(5), tls.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the transfer still runs");
    assert!(lost.elapsed() < Duration::from_secs(1), "cut after {:?}", lost.elapsed());
}

#[tokio::test]
async fn connections_are_hybrid_and_pinned() {
    let server = Server::start().await;
    assert_eq!(server.wire().await.group, Some(rustls::NamedGroup::X25519MLKEM768));
    assert!(crate::support::Wire::try_open(server.running.address, &[Hash([7; 32])]).await.is_err());
}
