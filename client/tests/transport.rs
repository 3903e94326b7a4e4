//! The transport against servers that are slow, broken, strange or lying.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use support::{Act, Server, device, file, quick};
use ticrypt_api::node::{HeadReply, RenameRequest, StatReply, StatRequest};
use ticrypt_api::session::ChallengeReply;
use ticrypt_api::user::UserView;
use ticrypt_api::{ApiError, Blob, Codec, ErrorKind, Hash, wire};
use ticrypt_client::keys::Unlocked;
use ticrypt_client::receipts::Receipts;
use ticrypt_client::session::Capability;
use ticrypt_client::{Keys, Kind, Transport, account, clock};
use ticrypt_crypto::Envelope;
use ticrypt_crypto::login::SessionBinding;
use ticrypt_keyring::{Identity, SystemRandom};
use ticrypt_types::{DeploymentId, NodeId, Operation, Secret, SessionId, Timestamp, UserId, VersionId};

async fn to(server: &Server) -> (Transport, support::Device) {
    let device = device(&file(vec![server.url.clone()], vec![server.pin]));
    (Transport::new(&device.deployment, quick()).unwrap(), device)
}

fn stat_reply() -> Vec<u8> {
    wire::encode(Codec::Cbor, &StatReply { nodes: vec![], grants: vec![] }).unwrap()
}

async fn stat(transport: &Transport) -> ticrypt_client::error::Result<StatReply> {
    transport.call(Operation::NodeStat, &[], &(), &StatRequest { nodes: vec![] }).await
}

async fn rename(transport: &Transport) -> ticrypt_client::error::Result<HeadReply> {
    let request = RenameRequest { directory: NodeId::from_random([1; 16]), head: Blob::default(), entry: Blob::default() };
    transport.call(Operation::NodeRename, &[], &(), &request).await
}

fn unlocked() -> Arc<Unlocked> {
    let deployment = DeploymentId::from_random(support::DEPLOYMENT);
    let identity = Identity::generate(&SystemRandom::new(), deployment, UserId::from_random([2; 16]), "ann".parse().unwrap()).unwrap();
    let bundle = identity.bundle(Timestamp::from_millis(1)).unwrap();
    Arc::new(Unlocked::new(identity, bundle).unwrap())
}

#[tokio::test]
async fn only_a_pinned_key_is_spoken_to() {
    let server = Server::start(|_| Act::ok(stat_reply())).await;
    for (pins, good) in [(vec![server.pin], true), (vec![Hash([1; 32]), server.pin], true), (vec![Hash([1; 32]), Hash([2; 32])], false)] {
        let device = device(&file(vec![server.url.clone()], pins));
        let result = stat(&Transport::new(&device.deployment, quick()).unwrap()).await;
        if good {
            result.unwrap();
        } else {
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.code()), (Kind::Untrusted, "tls_pin"));
        }
    }
    // No request reached it on the connection that was refused.
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_pinned_server_that_offers_no_hybrid_key_exchange_is_refused() {
    let classical = CryptoProvider { kx_groups: vec![kx_group::X25519, kx_group::SECP256R1], ..aws_lc_rs::default_provider() };
    let server = Server::start_with(classical, &rustls::version::TLS13, |_| Act::ok(stat_reply())).await;
    let error = stat(&to(&server).await.0).await.unwrap_err();
    assert_eq!(error.code(), "tls", "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_next_address_is_tried_and_nobody_there_is_told() {
    let server = Server::start(|_| Act::ok(stat_reply())).await;
    let dead = "https://127.0.0.1:1".to_owned();
    let both = device(&file(vec![dead.clone(), server.url.clone()], vec![server.pin]));
    stat(&Transport::new(&both.deployment, quick()).unwrap()).await.unwrap();
    let none = device(&file(vec![dead], vec![server.pin]));
    let error = stat(&Transport::new(&none.deployment, quick()).unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn what_is_safe_to_repeat_is_repeated_after_a_lost_connection() {
    let server = Server::start(|seen| if seen.number == 0 { Act::Close } else { Act::ok(stat_reply()) }).await;
    let (transport, _device) = to(&server).await;
    stat(&transport).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn what_may_have_been_done_is_not_repeated() {
    let server = Server::start(|_| Act::Close).await;
    let (transport, _device) = to(&server).await;
    let error = rename(&transport).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(server.requests().len(), 1);
    // And repeating ends.
    assert_eq!(stat(&transport).await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(server.requests().len(), 1 + 3);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let server = Server::start(|_| Act::Hang).await;
    let (transport, _device) = to(&server).await;
    let began = Instant::now();
    let error = rename(&transport).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn replies_that_are_cut_too_long_or_nonsense_are_errors() {
    let server = Server::start(|seen| match seen.target.as_str() {
        target if target.ends_with("/1") => Act::Cut(100, vec![1; 50]),
        target if target.ends_with("/2") => Act::ok(vec![0; 8 * 1024 * 1024 + 65]),
        _ => Act::ok(b"nonsense".to_vec()),
    })
    .await;
    let (transport, _device) = to(&server).await;
    let version = VersionId::from_random([3; 16]);
    assert_eq!(transport.get_chunk(version, 1, b"t").await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(transport.get_chunk(version, 2, b"t").await.unwrap_err().kind(), Kind::Untrusted);
    assert_eq!(stat(&transport).await.unwrap_err().kind(), Kind::Untrusted);
}

#[tokio::test]
async fn problems_keep_their_meaning_and_the_connection() {
    let node = NodeId::from_random([4; 16]);
    let server = Server::start(move |seen| match seen.number {
        0 => Act::error(&ApiError { nodes: vec![node], ..ApiError::new(ErrorKind::Refused, "epoch_closed", "new keys first") }),
        1 => Act::problem(ErrorKind::NotFound, "not_found"),
        2 => Act::problem(ErrorKind::Stale, "stale"),
        3 => Act::problem(ErrorKind::Taken, "name_taken"),
        4 => Act::problem(ErrorKind::Unidentified, "session_over"),
        5 => Act::Reply(502, vec![], b"<html>".to_vec()),
        _ => Act::ok(stat_reply()),
    })
    .await;
    let (transport, _device) = to(&server).await;
    let error = rename(&transport).await.unwrap_err();
    assert!(error.is_epoch_closed());
    assert_eq!(error.nodes(), [node]);
    for kind in [Kind::NotFound, Kind::Stale, Kind::Taken, Kind::LoggedOut, Kind::Unavailable] {
        assert_eq!(rename(&transport).await.unwrap_err().kind(), kind);
    }
    stat(&transport).await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn too_many_requests_are_waited_out() {
    let server = Server::start(|seen| {
        if seen.number == 0 {
            Act::error(&ApiError { retry_after_ms: Some(200), ..ApiError::new(ErrorKind::TooMany, "too_many", "slow down") })
        } else {
            Act::ok(wire::encode(Codec::Cbor, &HeadReply { head_counter: 2 }).unwrap())
        }
    })
    .await;
    let (transport, _device) = to(&server).await;
    let began = Instant::now();
    assert_eq!(rename(&transport).await.unwrap().head_counter, 2);
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn each_connection_is_bound_once_to_the_session_and_receipts_are_kept() {
    let receipt = BASE64URL_NOPAD.encode(b"a receipt");
    let sent = receipt.clone();
    let server = Server::start(move |_| Act::Reply(200, vec![("ticrypt-receipt", sent.clone())], stat_reply())).await;
    let (transport, device) = to(&server).await;
    let keys = unlocked();
    let session_key = keys.new_session_key().await.unwrap();
    let session = SessionId::from_random([5; 16]);
    let capability = Capability::new(session, Secret::new("secret-token".into()), Timestamp::from_millis(u64::MAX), keys);
    let dir = device.home.directory(device.deployment.id(), "receipts").unwrap();
    let transport = transport.with_session(Arc::new(capability), Some(dir.clone())).unwrap();

    // Eight calls at once share four connections.
    let calls = (0..8).map(|_| stat(&transport));
    for result in futures::future::join_all(calls).await {
        result.unwrap();
    }
    assert!(server.connections.load(Ordering::SeqCst) <= 4);
    let mut bound = std::collections::HashMap::<usize, usize>::new();
    for seen in server.requests() {
        assert_eq!(seen.header("authorization"), Some("Bearer secret-token"));
        assert!(seen.header("ticrypt-version").is_some());
        let Some(binding) = seen.header("ticrypt-binding") else { continue };
        let envelope = BASE64URL_NOPAD.decode(binding.as_bytes()).unwrap();
        let binding = Envelope::parse(&envelope).unwrap().verify_as::<SessionBinding>(&session_key).unwrap();
        assert_eq!((binding.session, binding.channel), (session, seen.channel));
        *bound.entry(seen.connection).or_default() += 1;
    }
    assert_eq!(bound.len(), server.connections.load(Ordering::SeqCst));
    assert!(bound.values().all(|count| *count == 1), "{bound:?}");
    assert_eq!(Receipts::open(dir).unwrap().owed().unwrap(), vec![b"a receipt".to_vec(); 8]);
}

#[tokio::test]
async fn what_anyone_may_ask_is_asked_outside_the_session() {
    let server =
        Server::start(|seen| if seen.target.starts_with("/v1/log") { Act::ok(b"checkpoint".to_vec()) } else { Act::ok(stat_reply()) })
            .await;
    let (transport, _device) = to(&server).await;
    let keys = unlocked();
    keys.new_session_key().await.unwrap();
    let capability = Capability::new(SessionId::from_random([5; 16]), Secret::new("token".into()), Timestamp::from_millis(u64::MAX), keys);
    let transport = transport.with_session(Arc::new(capability), None).unwrap();
    transport.get_raw(Operation::LogCheckpoint, &["keys"], &()).await.unwrap();
    stat(&transport).await.unwrap();
    let requests = server.requests();
    assert_eq!((requests[0].header("authorization"), requests[0].header("ticrypt-binding")), (None, None));
    // The server has not looked at a binding yet, so it comes now, on the same connection.
    assert_eq!(requests[0].connection, requests[1].connection);
    assert!(requests[1].header("ticrypt-binding").is_some());
}

#[tokio::test]
async fn chunks_travel_as_they_are() {
    let chunk: Vec<u8> = (0..8 * 1024 * 1024 + 64).map(|i: u32| i.to_le_bytes()[1]).collect();
    let stored = chunk.clone();
    let server =
        Server::start(move |seen| if seen.method == "PUT" { Act::Reply(204, vec![], vec![]) } else { Act::ok(stored.clone()) }).await;
    let device = device(&file(vec![server.url.clone()], vec![server.pin]));
    let patient = ticrypt_client::transport::Options { transfer_timeout: Duration::from_secs(30), ..quick() };
    let transport = Transport::new(&device.deployment, patient).unwrap();
    let version = VersionId::from_random([6; 16]);
    transport.put_chunk(version, 7, b"ticket", Bytes::from(chunk.clone())).await.unwrap();
    assert!(transport.get_chunk(version, 7, b"ticket").await.unwrap() == chunk);
    let put = &server.requests()[0];
    assert_eq!(put.target, format!("/v1/chunks/{version}/7"));
    assert_eq!(put.header("ticrypt-ticket"), Some(BASE64URL_NOPAD.encode(b"ticket").as_str()));
    assert!(put.body == chunk);
}

#[tokio::test]
async fn a_clock_that_is_far_off_is_told_before_anything_is_signed() {
    let server = Server::start(|_| {
        let server_time_ms = Timestamp::from_millis(clock::now().as_millis() - 20 * 60_000);
        Act::json(&ChallengeReply { challenge: Hash([1; 32]), expires_ms: server_time_ms.plus_millis(60_000), server_time_ms })
    })
    .await;
    let (transport, device) = to(&server).await;
    let error = account::login(&device.home, &transport, &device.deployment, unlocked(), "test").await.unwrap_err();
    assert_eq!(error.code(), "clock_skew");
    assert!(error.to_string().contains("20 minutes ahead"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_reply_from_another_version_says_which_side_to_update() {
    for (version, advice) in
        [("9.0.0", "update this program"), ("0.0.1", "the server must be updated"), ("unheard of", "update the older one")]
    {
        let server = Server::start(move |_| Act::Reply(200, vec![("ticrypt-version", version.into())], b"{}".to_vec())).await;
        let (transport, _device) = to(&server).await;
        let error = transport.call::<_, UserView>(Operation::UserSelf, &[], &(), &()).await.unwrap_err().to_string();
        assert!(error.contains(&format!("of version {version}")) && error.contains(advice), "{error}");
    }
}
