//! What people are told: listed, read, and streamed, for as long as somebody may hear it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ticrypt_api::endpoint::{AUTHORIZATION, BINDING_HEADER};
use ticrypt_api::grant::{GrantCreateRequest, GrantEndReply, GrantLeaveRequest, GrantRevokeRequest, NewGrant};
use ticrypt_api::log::{EntriesReply, EntriesRequest};
use ticrypt_api::node::{CreateRequest, HeadReply, HomeCreateRequest};
use ticrypt_api::notification::{EventData, NotificationListReply, NotificationReadReply, NotificationReadRequest};
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_crypto::statement::Action;
use ticrypt_keyring::SessionKey;
use ticrypt_log::event::audit::AuditEvent;
use ticrypt_policy::user::{Registration, RegistrationFacts, may_register};
use ticrypt_store::user::UserNew;
use ticrypt_store::{Options, Store};
use ticrypt_types::{NodeKind, Operation, Rank, UserId, Verbs};

use crate::people::{change, log_in, register, statement};
use crate::records::{self, Directory, grant, new_directory, new_node, revocation, sealed};
use crate::support::{Events, Person, Server, client_config, config, eventually, random};

/// The stream of a person over a connection of its own.
async fn follow(server: &Server, person: &Person, last: Option<u64>) -> Events {
    person.further(server).await.follow(last).await.unwrap_or_else(|answer| panic!("{:?}", answer.problem()))
}

async fn refused(server: &Server, person: &Person, last: Option<u64>) -> (u16, String) {
    let Err(answer) = person.further(server).await.follow(last).await else { panic!("the stream was opened") };
    (answer.status, answer.problem().code)
}

/// An HTTP/2 connection, which carries several requests at once.
struct Many {
    sender: hyper::client::conn::http2::SendRequest<Full<Bytes>>,
    driver: tokio::task::JoinHandle<Result<(), hyper::Error>>,
    channel: [u8; 32],
}

impl Many {
    async fn open(server: &Server, window: u32) -> Self {
        let mut tls = (*client_config(&server.running.file.tls_pins)).clone();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let stream = tokio::net::TcpStream::connect(server.running.address).await.unwrap();
        let tls = tokio_rustls::TlsConnector::from(Arc::new(tls)).connect("ticrypt".try_into().unwrap(), stream).await.unwrap();
        let channel = tls.get_ref().1.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).unwrap();
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(window);
        let (sender, connection) = builder.handshake(TokioIo::new(tls)).await.unwrap();
        Self { sender, driver: tokio::spawn(connection), channel }
    }

    /// Opens a stream of events.
    async fn get(&mut self, person: &Person) -> hyper::Response<hyper::body::Incoming> {
        let request = hyper::Request::get("https://ticrypt/v1/events")
            .header(AUTHORIZATION, format!("Bearer {}", person.token()))
            .header(BINDING_HEADER, person.binding(self.channel));
        self.sender.send_request(request.body(Full::default()).unwrap()).await.unwrap()
    }
}

async fn list(person: &mut Person, query: &str) -> NotificationListReply {
    let token = person.token();
    let wire = person.wire.as_mut().unwrap();
    wire.token = Some(token);
    let answer = wire.send(Operation::NotificationList, &[], query, vec![]).await;
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{:?}", answer.problem()))
}

fn sequences(reply: &NotificationListReply) -> Vec<u64> {
    reply.notifications.iter().map(|notification| notification.sequence).collect()
}

#[tokio::test]
async fn a_share_is_heard_within_a_second_by_whom_it_is_for() {
    let server = Server::start().await;
    let people = ["root", "ada", "bob", "carol"].map(|name| records::Person::new(server.deployment(), name));
    let [root, ada, bob, carol] = &people;
    let code = server.running.code.as_ref().unwrap().expose().clone();
    register(&mut server.wire().await, root, Some((code, root.sign(&statement(&server, root, root, Action::Bootstrap))))).await;
    let (mut root_wire, _) = log_in(&server, root).await;
    for person in [ada, bob, carol] {
        register(&mut server.wire().await, person, None).await;
        change(&server, &mut root_wire, root, person, Action::Activate).await;
    }
    let (mut ada_wire, _) = log_in(&server, ada).await;
    let mut home = Directory::new(new_node(), None, ada.user);
    let own = grant(ada, ada, home.node, NodeKind::Directory, ada.user, Verbs::ALL);
    let request = HomeCreateRequest { grant: NewGrant { grant: ada.sign(&own), sealed: sealed(Verbs::ALL) }, head: home.advance(ada) };
    let _: HeadReply = ada_wire.ask(Operation::HomeCreate, &[], &request).await.unwrap();
    let (docs, node) = new_directory(ada, &mut home, "docs");
    let request = CreateRequest { directory: home.node, head: home.advance(ada), nodes: vec![node] };
    let _: HeadReply = ada_wire.ask(Operation::NodeCreate, &[], &request).await.unwrap();

    let (mut to_ada, _) = log_in(&server, ada).await;
    let (mut to_bob, _) = log_in(&server, bob).await;
    let (mut to_carol, _) = log_in(&server, carol).await;
    let mut ada_hears = to_ada.follow(None).await.unwrap();
    let mut bob_hears = to_bob.follow(None).await.unwrap();
    let mut carol_hears = to_carol.follow(None).await.unwrap();
    let all = Verbs::ALL;
    let to_bobs = grant(ada, bob, docs.node, NodeKind::Directory, ada.user, all);
    let give = |by: &records::Person, terms: &GrantPayload| GrantCreateRequest {
        grants: vec![NewGrant { grant: by.sign(terms), sealed: sealed(terms.verbs) }],
    };
    let () = ada_wire.ask(Operation::GrantCreate, &[], &give(ada, &to_bobs)).await.unwrap();
    let heard = bob_hears.soon().await;
    let share = |terms: &GrantPayload, user, at_ms| EventData {
        grant: Some(terms.grant),
        node: Some(docs.node),
        group: None,
        team: None,
        project: None,
        requirement: None,
        ends_ms: None,
        user: Some(user),
        at_ms,
    };
    // Activated was the first thing he was told.
    assert_eq!((heard.id, heard.kind.as_str(), heard.data), (2, "share-given", share(&to_bobs, ada.user, heard.data.at_ms)));
    ada_hears.silence().await;

    // Bob shares on, and leaves: what he gave falls with what he had. Ada and Carol are told, he is not.
    let (mut bob_wire, _) = log_in(&server, bob).await;
    let onward = GrantPayload {
        list_commitment: to_bobs.list_commitment,
        tree_commitment: to_bobs.tree_commitment,
        authority: Some(records::hash_of(&to_bobs)),
        ..grant(bob, carol, docs.node, NodeKind::Directory, ada.user, Verbs::VIEW)
    };
    let () = bob_wire.ask(Operation::GrantCreate, &[], &give(bob, &onward)).await.unwrap();
    assert_eq!(carol_hears.soon().await.kind, "share-given");
    let left: GrantEndReply = bob_wire.ask(Operation::GrantLeave, &[&to_bobs.grant.to_string()], &GrantLeaveRequest {}).await.unwrap();
    assert_eq!(left.ended, 2);
    let heard = ada_hears.soon().await;
    assert_eq!((heard.kind.as_str(), heard.data), ("given-share-ended", share(&to_bobs, bob.user, heard.data.at_ms)));
    let heard = carol_hears.soon().await;
    assert_eq!((heard.id, heard.kind.as_str(), heard.data), (3, "share-ended", share(&onward, bob.user, heard.data.at_ms)));
    bob_hears.silence().await;

    // Revoked by its owner.
    let again = grant(ada, carol, home.node, NodeKind::Directory, ada.user, Verbs::VIEW);
    let () = ada_wire
        .ask(
            Operation::GrantCreate,
            &[],
            &give(ada, &GrantPayload { list_commitment: own.list_commitment, tree_commitment: own.tree_commitment, ..again.clone() }),
        )
        .await
        .unwrap();
    let again = GrantPayload { list_commitment: own.list_commitment, tree_commitment: own.tree_commitment, ..again };
    assert_eq!(carol_hears.soon().await.kind, "share-given");
    let revoke = GrantRevokeRequest { revocation: ada.sign(&revocation(ada, &again)) };
    let _: GrantEndReply = ada_wire.ask(Operation::GrantRevoke, &[&again.grant.to_string()], &revoke).await.unwrap();
    assert_eq!(carol_hears.soon().await.kind, "share-ended");
    ada_hears.silence().await;
}

#[tokio::test]
async fn a_stream_resumes_where_it_was_left() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let mut first = follow(&server, &root, None).await;
    let ada = server.pending("ada").await;
    let heard = first.soon().await;
    assert_eq!((heard.id, heard.kind.as_str(), heard.data.user), (1, "registration-waiting", Some(ada.id())));
    drop(first);
    let waiting = [server.pending("bob").await.id(), server.pending("eva").await.id(), server.pending("joe").await.id()];
    // Exactly what was missed, then what comes.
    let mut again = follow(&server, &root, Some(1)).await;
    for (id, user) in (2..).zip(waiting) {
        let heard = again.soon().await;
        assert_eq!((heard.id, heard.data.user), (id, Some(user)));
    }
    let last = server.pending("kim").await.id();
    assert_eq!(again.soon().await.data.user, Some(last));
    again.silence().await;
    // Without a last event: from now on, and it says what now is.
    let mut now = follow(&server, &root, None).await;
    now.silence().await;
    assert_eq!(now.position, Some(5));
    assert_eq!(follow(&server, &root, Some(0)).await.soon().await.id, 1);
    // One that never was.
    assert_eq!(refused(&server, &root, Some(6)).await, (412, "event_unknown".to_owned()));
    assert_eq!(refused(&server, &root, Some(u64::MAX)).await, (400, "invalid".to_owned()));
    assert_eq!(sequences(&list(&mut root, "").await), [5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn a_stream_ends_with_the_right_to_it() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let mut ada = server.member(&mut root, "ada").await;
    // Deactivated.
    let mut hears = follow(&server, &ada, Some(0)).await;
    assert_eq!(hears.soon().await.kind, "account-activated");
    root.state(&ada, Action::Deactivate, "left").await.unwrap();
    hears.ends().await;
    assert_eq!(refused(&server, &ada, None).await, (401, "session_over".to_owned()));
    // Disabled.
    root.state(&ada, Action::Activate, "").await.unwrap();
    ada.login(&server).await;
    let mut hears = follow(&server, &ada, None).await;
    hears.silence().await;
    root.state(&ada, Action::DisableUntil(server.now().plus_millis(60_000)), "").await.unwrap();
    hears.ends().await;
    // Ended from another session; that one goes on, and a gain of rank ends nothing.
    root.state(&ada, Action::DisableUntil(ticrypt_types::Timestamp::ABSENT), "").await.unwrap();
    ada.login(&server).await;
    let ended = ada.login.as_ref().unwrap().id;
    let mut hears = follow(&server, &ada, None).await;
    ada.login(&server).await;
    let mut other = follow(&server, &ada, None).await;
    hears.silence().await;
    let () = ada.ask(Operation::SessionEnd, &[&ended.to_string()], &()).await.unwrap();
    hears.ends().await;
    root.state(&ada, Action::Role(Rank::SubAdmin), "").await.unwrap();
    assert_eq!(other.soon().await.kind, "rank-changed");
    // By idleness: a stream alone does not keep its session.
    server.advance(3_600_000);
    other.ends().await;
}

#[tokio::test]
async fn a_session_has_so_many_streams_and_all_hear() {
    let mut eight = config();
    eight.events.streams_per_session = 8;
    let server = Server::start_with(eight).await;
    let root = server.root().await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(follow(&server, &root, None).await);
    }
    assert_eq!(refused(&server, &root, None).await, (429, "too_many_streams".to_owned()));
    let ada = server.pending("ada").await;
    for stream in &mut streams {
        assert_eq!(stream.soon().await.data.user, Some(ada.id()));
    }
    // A place is free again once one is closed.
    streams.pop();
    let mut opened = None;
    eventually("a place is free", async || {
        opened = root.further(&server).await.follow(None).await.ok();
        opened.is_some()
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_is_cut_and_loses_nothing() {
    let mut impatient = config();
    impatient.server.body_stall_timeout_ms = 300;
    let server = Server::start_with(impatient).await;
    let root = server.root().await;
    // Over HTTP/2 with a window that holds two events, so that nothing in between takes them off the server's hands.
    let mut many = Many::open(&server, 300).await;
    let response = many.get(&root).await;
    assert_eq!(response.status(), 200);

    for n in 0..40 {
        server.pending(&format!("person{n}")).await;
    }
    let cut = tokio::time::timeout(Duration::from_secs(3), &mut many.driver).await;
    assert!(cut.is_ok(), "the connection of a reader that takes nothing is still there");
    let mut slow = Events::new(response.into_body());
    let mut heard = Vec::new();
    while let Some(event) = slow.next().await {
        heard.push(event.id);
    }
    assert!(heard.len() < 20, "it was not slow: {}", heard.len());
    let mut again = follow(&server, &root, slow.position).await;
    while heard.len() < 40 {
        heard.push(again.soon().await.id);
    }
    assert_eq!(heard, (1..=40).collect::<Vec<_>>());
    again.silence().await;
}

/// A login may take over a connection; a stream of the session before does not go on because of that.
#[tokio::test]
async fn a_stream_ends_with_its_session_on_a_connection_of_another() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let mut many = Many::open(&server, 65_535).await;
    let mut hears = Events::new(many.get(&root).await.into_body());
    hears.silence().await;
    let first = root.login.as_ref().unwrap().id;
    let challenge = root.challenge(&mut server.wire().await).await.challenge;
    let key = SessionKey::generate().unwrap();
    root.now = server.now();
    let login = serde_json::to_vec(&root.sign_login(&root.login_record(challenge, &key, many.channel))).unwrap();
    let request = hyper::Request::post("https://ticrypt/v1/sessions").header(CONTENT_TYPE, "application/json");
    let response = many.sender.send_request(request.body(Full::new(login.into())).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let ada = server.pending("ada").await;
    assert_eq!(hears.soon().await.data.user, Some(ada.id()), "its session is not over yet");
    root.login(&server).await;
    let () = root.ask(Operation::SessionEnd, &[&first.to_string()], &()).await.unwrap();
    hears.ends().await;
    assert!(!many.driver.is_finished(), "the connection is the other's");
}

#[tokio::test]
async fn a_heartbeat_finds_what_another_process_wrote() {
    let mut lively = config();
    lively.events.heartbeat_ms = 200;
    let server = Server::start_with(lively).await;
    let root = server.root().await;
    let mut hears = follow(&server, &root, None).await;
    hears.silence().await;
    assert!(hears.raw.contains("\n:\n\n"), "{}", hears.raw);
    let other = Store::connect(&format!("sqlite://{}", server.data().join("db/ticrypt.db").display()), &Options::default()).await.unwrap();
    let user = UserId::from_random(random());
    let facts = RegistrationFacts { user, registration: Registration::Open, name_taken: false };
    let bundle = ticrypt_store::user::Bundle {
        hash: random(),
        user,
        generation: 0,
        bytes: vec![1],
        log_index: 0,
        log_leaf: vec![1],
        created: server.now(),
    };
    let new = UserNew { id: user, name: "elsewhere".parse().unwrap(), created: server.now() };
    other.register(may_register(&facts, server.now()).unwrap(), new, bundle).await.unwrap();
    assert_eq!(hears.soon().await.data.user, Some(user));
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_streams() {
    let server = Server::start().await;
    let root = server.root().await;
    let mut hears = follow(&server, &root, None).await;
    hears.silence().await;
    let began = Instant::now();
    let (stopped, ()) = tokio::join!(server.stop(), hears.ends());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let server = stopped.start(false).await.unwrap();
    let ada = server.pending("ada").await;
    assert_eq!(follow(&server, &root, hears.position).await.soon().await.data.user, Some(ada.id()));
}

#[tokio::test]
async fn notifications_are_listed_in_pages_and_marked_as_read() {
    let server = Server::start().await;
    let mut root = server.root().await;
    assert!(list(&mut root, "").await.notifications.is_empty());
    let mut people = Vec::new();
    for n in 0..5 {
        people.push(server.pending(&format!("person{n}")).await.id());
    }
    let page = list(&mut root, "?limit=2").await;
    assert_eq!((sequences(&page), page.newest, page.read, page.unread), (vec![5, 4], 5, 0, 5));
    assert_eq!((page.notifications[0].kind.as_str(), page.notifications[0].about.user), ("registration-waiting", Some(people[4])));
    let second = list(&mut root, &format!("?limit=2&page={}", page.next.unwrap())).await;
    assert_eq!(sequences(&second), [3, 2]);
    let last = list(&mut root, &format!("?limit=2&page={}", second.next.unwrap())).await;
    assert_eq!((sequences(&last), last.next), (vec![1], None));
    let wire = root.wire.as_mut().unwrap();
    assert_eq!(wire.send(Operation::NotificationList, &[], "?page=AAAA", vec![]).await.status, 400);

    let read = async |root: &mut Person, up_to| {
        let reply: NotificationReadReply = root.ask(Operation::NotificationRead, &[], &NotificationReadRequest { up_to }).await.unwrap();
        (reply.read, reply.unread)
    };
    assert_eq!(read(&mut root, 3).await, (3, 2));
    // Again, and back: nothing changes, and nothing is recorded.
    assert_eq!(read(&mut root, 3).await, (3, 2));
    assert_eq!(read(&mut root, 1).await, (3, 2));
    assert_eq!(read(&mut root, u64::MAX).await, (5, 0));
    assert_eq!(list(&mut root, "").await.unread, 0);
    let entries: EntriesReply = root.ask(Operation::AuditEntries, &[], &EntriesRequest { start: 0, count: 1_000 }).await.unwrap();
    let rows = entries.events.iter().map(|event| AuditEvent::from_leaf(&event.leaf.0).unwrap());
    let rows: Vec<AuditEvent> = rows.filter(|row| row.operation == "notification.read").collect();
    assert_eq!(rows.len(), 4, "two changes, each with two rows");
    // What one was told is one's own.
    let mut ada = server.member(&mut root, "ada").await;
    let own = list(&mut ada, "").await;
    assert_eq!((sequences(&own), own.notifications[0].kind.as_str()), (vec![1], "account-activated"));
}
