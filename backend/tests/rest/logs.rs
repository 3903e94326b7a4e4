//! The logs as outsiders and administrators see them.

use data_encoding::BASE64URL_NOPAD;
use ticrypt_api::Hash;
use ticrypt_api::endpoint::RECEIPT_HEADER;
use ticrypt_api::log::{EntriesReply, EntriesRequest};
use ticrypt_api::user::PinReportRequest;
use ticrypt_crypto::statement::Action;
use ticrypt_log::event::audit::{AuditEvent, Phase};
use ticrypt_log::{Options, SignedCheckpoint, VerifierKey, verify_receipt};
use ticrypt_types::{Operation, Rank};

use crate::support::{Server, eventually};

#[tokio::test]
async fn a_change_has_two_rows_and_its_answer_a_receipt() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let ada = server.pending("ada").await;
    let key = VerifierKey::parse(&server.running.file.audit_log_key).unwrap();

    let report = PinReportRequest { user: ada.id(), pinned: Hash([1; 32]), shown: Hash([2; 32]) };
    let wire = root.wire.as_mut().unwrap();
    wire.token = Some(root.login.as_ref().unwrap().token.clone());
    let answer = wire.send(Operation::PinReport, &[], "", serde_json::to_vec(&report).unwrap()).await;
    assert_eq!(answer.status, 200);
    let receipt = BASE64URL_NOPAD.decode(answer.header(RECEIPT_HEADER).as_bytes()).unwrap();
    let receipt = verify_receipt(&receipt, key.name(), &key).unwrap();
    assert_eq!(receipt.leaf_hash(), server.running.audit.audit_log().leaf(receipt.index()).unwrap());

    root.state(&ada, Action::Activate, "").await.unwrap();
    let request = EntriesRequest { start: 0, count: 1_000 };
    let entries: EntriesReply = root.ask(Operation::AuditEntries, &[], &request).await.unwrap();
    let rows: Vec<AuditEvent> = entries.events.iter().map(|event| AuditEvent::from_leaf(&event.leaf.0).unwrap()).collect();
    let opened = rows.iter().position(|row| row.operation == "user.state" && row.phase == Phase::Opened).unwrap();
    let closed = rows.iter().find(|row| row.opening == Some(opened as u64)).unwrap();
    assert_eq!(closed.outcome.as_deref(), Some("done"));
    assert_eq!(rows[opened].subjects[0][..], ada.id().to_bytes());
    let pin = rows.iter().find(|row| row.operation == "pin.report").unwrap();
    assert_eq!(pin.actor.unwrap()[..], root.id().to_bytes());
    // Reading the log is recorded too.
    assert!(rows.iter().any(|row| row.operation == "audit.entries"));
    let leaves: EntriesReply = root.ask(Operation::KeyLeaves, &[], &request).await.unwrap();
    assert_eq!(leaves.events.len(), 4, "two bundles, a bootstrap, an activation");
}

#[tokio::test]
async fn a_refusal_is_recorded_and_entries_are_for_administrators() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let mut ada = server.member(&mut root, "ada").await;
    let eva = server.pending("eva").await;
    ada.state(&eva, Action::Activate, "").await.unwrap_err();
    let request = EntriesRequest { start: 0, count: 1_000 };
    for operation in [Operation::AuditEntries, Operation::KeyLeaves] {
        let refused = ada.ask::<_, EntriesReply>(operation, &[], &request).await.unwrap_err();
        assert_eq!(refused.code, "needs_administrator");
    }
    root.state(&ada, Action::Role(Rank::Admin), "").await.unwrap();
    let entries: EntriesReply = ada.ask(Operation::AuditEntries, &[], &request).await.unwrap();
    let refused = entries.events.iter().map(|event| AuditEvent::from_leaf(&event.leaf.0).unwrap());
    let refused: Vec<_> = refused.filter(|row| row.outcome.as_deref() == Some("refused:needs_administrator")).collect();
    assert_eq!(refused.iter().map(|row| row.operation.as_str()).collect::<Vec<_>>(), ["user.state", "audit.entries", "key.leaves"]);
}

#[tokio::test]
async fn checkpoints_and_hash_tiles_are_public_and_bodies_are_not() {
    let server = Server::start().await;
    let _root = server.root().await;
    let mut wire = server.wire().await;
    for (log, key) in [("audit", &server.running.file.audit_log_key), ("keys", &server.running.file.key_log_key)] {
        let key = VerifierKey::parse(key).unwrap();
        let mut size = 0;
        eventually("a checkpoint covers the rows", async || {
            let answer = wire.send(Operation::LogCheckpoint, &[log], "", vec![]).await;
            let (checkpoint, _) = SignedCheckpoint::open(&answer.body, key.name(), &key, &[], 0).unwrap();
            size = checkpoint.checkpoint().size;
            size >= 2
        })
        .await;
        let tile = wire.send(Operation::LogTile, &[log], &format!("?path=tile/0/000.p/{size}"), vec![]).await;
        assert_eq!((tile.status, tile.body.len() as u64), (200, size * 32));
        let bundle = wire.send(Operation::LogTile, &[log], &format!("?path=tile/entries/000.p/{size}"), vec![]).await;
        assert_eq!(bundle.status, 404);
        let nonsense = wire.send(Operation::LogTile, &[log], "?path=../../etc/passwd", vec![]).await;
        assert_eq!(nonsense.status, 400);
    }
    assert_eq!(wire.send(Operation::LogCheckpoint, &["nonsense"], "", vec![]).await.status, 404);
}

/// A witness in this process countersigns, and what is served then carries its signature.
#[tokio::test]
async fn checkpoints_are_countersigned_by_a_witness() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let random = aws_lc_rs::rand::SystemRandom::new();
    let witness = ticrypt_log::NoteSigner::generate("witness.example", ticrypt_log::SignatureType::CosignatureV1, &random).unwrap();
    let key = witness.verifier().clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let body = loop {
                let mut part = [0; 4096];
                let n = stream.read(&mut part).await.unwrap();
                request.extend_from_slice(&part[..n]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length =
                    head.to_lowercase().split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse::<usize>().unwrap();
                if body.len() >= length {
                    break body.to_owned();
                }
            };
            let asked = ticrypt_log::witness::parse_witness_request(body.as_bytes()).unwrap();
            let line = witness.sign(asked.checkpoint.note().text(), 1_800_000_000).unwrap().to_string();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{line}", line.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let mut config = crate::support::config();
    config.log.witnesses = vec![ticrypt_backend::config::Witness { url: format!("http://{address}/w"), key: key.to_string() }];
    config.log.quorum = 1;
    config.log.witness_interval_ms = 50;
    let server = Server::start_with(config).await;
    let _root = server.root().await;
    let log = VerifierKey::parse(&server.running.file.audit_log_key).unwrap();
    let mut wire = server.wire().await;
    eventually("a countersigned checkpoint is served", async || {
        let answer = wire.send(Operation::LogCheckpoint, &["audit"], "", vec![]).await;
        SignedCheckpoint::open(&answer.body, log.name(), &log, std::slice::from_ref(&key), 1)
            .is_ok_and(|(signed, _)| signed.checkpoint().size > 0)
    })
    .await;
    let options = Options { witnesses: vec![key], quorum: 1, ..Options::default() };
    assert_eq!(ticrypt_backend::wiring::log_options(&server.config).quorum, options.quorum);
}

#[tokio::test]
async fn events_go_to_a_file_for_the_siem() {
    let mut config = crate::support::config();
    config.log.events_file = Some("events.jsonl".into());
    let server = Server::start_with(config).await;
    let root = server.root().await;
    let path = server.data().join("events.jsonl");
    eventually("the login is in the file", async || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        lines.iter().any(|line| line["operation"] == "session.login" && line["outcome"] == "done" && line["actor"].is_string())
    })
    .await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&root.token()));
}
