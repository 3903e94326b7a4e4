//! Limits on what comes from outside: rates, bodies, versions, connections; and the table of routes.

use hyper::header::RETRY_AFTER;
use ticrypt_api::endpoint::{ENDPOINTS, REQUEST_HEADER, VERSION_HEADER};
use ticrypt_api::user::UserView;
use ticrypt_api::{Codec, Method};
use ticrypt_types::Operation;

use crate::support::{Server, config};

#[tokio::test]
async fn addresses_and_people_have_rates() {
    let mut slow = config();
    slow.limits.address_per_second = 1;
    slow.limits.address_burst = 20;
    slow.limits.person_per_second = 1;
    slow.limits.person_burst = 5;
    let server = Server::start_with(slow).await;
    let mut root = server.root().await;
    let mut refused = None;
    for _ in 0..8 {
        if let Err(problem) = root.ask::<_, UserView>(Operation::UserSelf, &[], &()).await {
            refused = Some(problem);
        }
    }
    let refused = refused.expect("a person has a rate");
    assert_eq!((refused.status, refused.code.as_str()), (429, "too_many_requests"));
    assert!(
        refused.retry_after_ms.is_some_and(|ms| (1..=1_000).contains(&ms)) && refused.reason.contains("try again in 1 s"),
        "{refused:?}"
    );
    // It is that person's, and nobody else's.
    server.pending("ada").await;

    let mut wire = server.wire().await;
    let mut last = None;
    for _ in 0..30 {
        last = Some(wire.send(Operation::DeploymentRead, &[], "", vec![]).await);
    }
    let last = last.unwrap();
    assert_eq!((last.status, last.header(RETRY_AFTER.as_str())), (429, "1"));
    // Time heals.
    server.advance(60_000);
    assert_eq!(wire.send(Operation::DeploymentRead, &[], "", vec![]).await.status, 200);
}

#[tokio::test]
async fn bodies_are_bounded_by_their_coding() {
    let server = Server::start().await;
    let mut root = server.root().await;
    for (operation, bytes) in [
        (Operation::UserRegister, 256 * 1024 + 1),
        (Operation::NodeList, 32 * 1024 * 1024 + 1),
        (Operation::ChunkWrite, 8 * 1024 * 1024 + 65),
    ] {
        let version = ticrypt_types::VersionId::from_random([1; 16]).to_string();
        root.wire = Some(root.further(&server).await);
        let answer = root.wire.as_mut().unwrap().send(operation, &[&version, "0"], "", vec![0; bytes]).await;
        assert_eq!((answer.status, answer.problem().code.as_str()), (413, "body_too_large"), "{operation:?}");
    }
    let mut wire = server.wire().await;
    let wrong = wire.send_raw("POST", "/v1/users", "text/plain", b"{}".to_vec()).await;
    assert_eq!((wrong.status, wrong.problem().code.as_str()), (400, "media_type"));
}

#[tokio::test]
async fn a_version_that_does_not_fit_is_told_which_side_to_update() {
    let server = Server::start().await;
    let mut wire = server.wire().await;
    let fine = wire.send(Operation::DeploymentRead, &[], "", vec![]).await;
    assert_eq!((fine.status, fine.header(VERSION_HEADER)), (200, env!("CARGO_PKG_VERSION")));
    for (version, advice) in [("9.0.0", "server must be updated"), ("0.0.9", "update the client")] {
        wire.version = Some(version.to_owned());
        let problem = wire.send(Operation::DeploymentRead, &[], "", vec![]).await.problem();
        assert_eq!((problem.status, problem.code.as_str()), (400, "version_skew"));
        assert!(problem.reason.contains(advice), "{}", problem.reason);
    }
}

/// Every endpoint of the contract is routed, with its method and no other, and nothing else is.
#[tokio::test]
async fn routes_are_the_contract() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let mut wire = root.further(&server).await;
    let _: UserView = root.ask(Operation::UserSelf, &[], &()).await.unwrap();
    wire.token = Some(root.token());
    for endpoint in ENDPOINTS {
        let parameters = vec!["00000000-0000-4000-8000-000000000001"; endpoint.path.matches('{').count()];
        let path = endpoint.fill(&parameters);
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let here: Vec<_> =
                ENDPOINTS.iter().filter(|e| e.path == endpoint.path).map(|e| format!("{:?}", e.method).to_uppercase()).collect();
            if here.iter().any(|m| m == method)
                && (matches!(endpoint.operation, Operation::SessionLogout | Operation::EventFollow)
                    || method == "DELETE" && endpoint.method != Method::Delete)
            {
                continue; // Would end the session this test runs on, does not end itself, or is another endpoint's turn.
            }
            let media = if endpoint.codec == Codec::Cbor { "application/cbor" } else { "application/json" };
            let answer = wire.send_raw(method, &path, media, Vec::new()).await;
            let code = if answer.status == 200 { String::new() } else { answer.problem().code };
            if here.iter().any(|m| m == method) {
                assert!(code != "no_such_endpoint" && code != "no_such_method", "{method} {path}: {code}");
            } else {
                assert_eq!(code, "no_such_method", "{method} {path}");
            }
            assert_eq!(answer.header(REQUEST_HEADER).len(), 36);
        }
    }
    for path in ["/", "/v1", "/v2/users", "/v1/users/", "/v1/vault/list/x", "/metrics", "/healthz"] {
        let answer = wire.send_raw("GET", path, "application/json", Vec::new()).await;
        assert_eq!((answer.status, answer.problem().code.as_str()), (404, "no_such_endpoint"), "{path}");
    }
}

#[tokio::test]
async fn there_are_no_more_connections_than_configured() {
    let mut few = config();
    few.server.max_connections = 2;
    let server = Server::start_with(few).await;
    let (first, _second) = (server.wire().await, server.wire().await);
    assert!(crate::support::Wire::try_open(server.running.address, &server.running.file.tls_pins).await.is_err());
    drop(first);
    crate::support::eventually("a place is free again", async || {
        crate::support::Wire::try_open(server.running.address, &server.running.file.tls_pins).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn health_is_told_apart_from_the_service() {
    let mut watched = config();
    watched.health.enabled = true;
    watched.health.listen = "127.0.0.1:0".parse().unwrap();
    let server = Server::start_with(watched).await;
    let mut root = server.root().await;
    let _: UserView = root.ask(Operation::UserSelf, &[], &()).await.unwrap();
    let get = async |path: &str| {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(server.running.health_address.unwrap()).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    assert!(get("/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get("/readyz").await.contains("ready"));
    let metrics = get("/metrics").await;
    assert!(metrics.contains("ticrypt_requests_total{operation=\"user.self\",status=\"200\"} 1"), "{metrics}");
    assert!(metrics.contains("ticrypt_log_events_per_sync{log=\"audit\"}"));
    assert!(get("/v1/self").await.starts_with("HTTP/1.1 404"));
}
