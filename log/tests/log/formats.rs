use proptest::prelude::*;
use ticrypt_log::checkpoint::CheckpointError;
use ticrypt_log::event::EventError;
use ticrypt_log::event::audit::{AuditEvent, MAX_SUBJECTS, Phase};
use ticrypt_log::event::keys::{KeyEvent, KeyEventKind, MAX_BODY_BYTES};
use ticrypt_log::note::{MAX_SIGNATURES, Note, NoteError, SignatureLine};
use ticrypt_log::receipt::verify_receipt;
use ticrypt_log::tile::{TileLevel, TilePath, decode_entries, decode_hashes, encode_hashes, partial_tiles, push_entry, tile_at};
use ticrypt_log::witness::{WitnessAnswer, parse_witness_answer, parse_witness_request, witness_request};
use ticrypt_log::{Checkpoint, Hash, NoteSigner, SignedCheckpoint, VerifierKey, leaf_hash};

use super::support::{ORIGIN, log_signer, witness_signer};

/// The published example of the note format's first implementation (golang.org/x/mod/sumdb/note).
const NEUMANN_VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NEUMANN_SIGNER: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const NEUMANN_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

/// The example checkpoint of C2SP tlog-cosignature.
const BEHIND_THE_SOFA: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
    \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
    \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

#[test]
fn the_published_note_verifies_and_is_made_the_same() {
    let key = VerifierKey::parse(NEUMANN_VERIFIER).unwrap();
    assert_eq!(key.to_string(), NEUMANN_VERIFIER);
    let note = Note::parse(NEUMANN_NOTE.as_bytes()).unwrap();
    assert_eq!(note.verify(std::slice::from_ref(&key)).unwrap().len(), 1);
    let signer = NoteSigner::parse(NEUMANN_SIGNER).unwrap();
    assert_eq!(signer.secret_text().expose(), NEUMANN_SIGNER);
    assert_eq!(signer.verifier(), &key);
    assert_eq!(signer.sign_note(note.text().to_owned()).unwrap().to_string(), NEUMANN_NOTE);
    assert!(!format!("{signer:?}").contains("AYEK"));
}

#[test]
fn the_published_checkpoint_parses() {
    let signed = SignedCheckpoint::parse(BEHIND_THE_SOFA.as_bytes()).unwrap();
    assert_eq!(signed.checkpoint().size, 20_852_163);
    assert_eq!(signed.to_bytes(), BEHIND_THE_SOFA.as_bytes());
    // key id (4), timestamp (8), signature (64): the time is the one the standard prints.
    let cosignature = &signed.note().signatures()[1];
    assert_eq!(cosignature.signature()[..8], 1_679_315_147_u64.to_be_bytes());
    let request = "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\n".to_owned() + BEHIND_THE_SOFA;
    let parsed = parse_witness_request(request.as_bytes()).unwrap();
    assert_eq!((parsed.old_size, parsed.proof.len()), (20_852_014, 1));
    assert_eq!(witness_request(parsed.old_size, &parsed.proof, &parsed.checkpoint), request.as_bytes());
}

#[test]
fn broken_notes_are_refused() {
    let sign = |text: &str| log_signer().sign_note(text.to_owned()).unwrap().to_string();
    let good = sign("text\n");
    let line = good.split_once("\n\n").unwrap().1;
    assert!(Note::parse(good.as_bytes()).is_ok());
    for bad in [
        String::new(),
        "text\n".into(),
        format!("text\n{line}"),
        format!("text\n\n{}", line.trim_end()),
        format!("text\n\n{line}\n"),
        format!("te\txt\n\n{line}"),
        format!("text\r\n\n{line}"),
        format!("text\n\n{}", line.replace("\u{2014} ", "- ")),
        format!("text\n\n{}", line.replace("log.example", "log+example")),
        format!("text\n\n{}", line.replace('=', "")),
        format!("text\n\n{}", line.replace("audit ", "audit  ")),
        "text\n\n\u{2014} name AAAAAA==\n".into(),
        "text\n\n\u{2014}  AAAAAAAA\n".into(),
    ] {
        assert!(Note::parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
    assert_eq!(Note::parse(b"te\xFFxt\n\n"), Err(NoteError::Malformed));
    assert_eq!(Note::parse(&vec![b'a'; 200_000]), Err(NoteError::TooLarge));
    let many = (0..=MAX_SIGNATURES).map(|number| format!("\u{2014} n{number} AAAAAAAA\n")).collect::<String>();
    assert_eq!(Note::parse(format!("text\n\n{many}").as_bytes()), Err(NoteError::TooManySignatures));
}

#[test]
fn unknown_signatures_are_ignored_and_wrong_ones_are_not() {
    let (log, witness) = (log_signer(), witness_signer("w.example", 9));
    let mut note = log.sign_note("text\n".into()).unwrap();
    let keys = [log.verifier().clone(), witness.verifier().clone()];
    note.add(SignatureLine::parse("\u{2014} stranger.example AAAAAAAA").unwrap()).unwrap();
    assert_eq!(note.verify(&keys).unwrap().len(), 1);
    assert_eq!(note.verify(&keys[1..]), Err(NoteError::NoKnownSignature));
    note.add(witness.sign("text\n", 1234).unwrap()).unwrap();
    let verified = note.verify(&keys).unwrap();
    assert_eq!(verified[1].time_s, Some(1234));
    note.add(witness.sign("other\n", 1234).unwrap()).unwrap();
    assert_eq!(note.verify(&keys), Err(NoteError::BadSignature("w.example".into())));
}

#[test]
fn one_witness_signing_twice_is_one_witness() {
    let witness = witness_signer("w.example", 9);
    let keys = [witness.verifier().clone()];
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size: 1, root: leaf_hash(b"a") };
    let mut text = checkpoint.sign(&log_signer()).unwrap().note().to_string();
    let body = text.split_once("\n\n").unwrap().0.to_owned() + "\n";
    for time_s in [1, 2] {
        text += &witness.sign(&body, time_s).unwrap().to_string();
    }
    let key = log_signer().verifier().clone();
    assert_eq!(SignedCheckpoint::open(text.as_bytes(), ORIGIN, &key, &keys, 1).unwrap().1, 1);
    let two = SignedCheckpoint::open(text.as_bytes(), ORIGIN, &key, &keys, 2);
    assert_eq!(two, Err(CheckpointError::Quorum { found: 1, wanted: 2 }));
}

#[test]
fn broken_checkpoints_and_keys_are_refused() {
    let root = leaf_hash(b"a");
    for text in [
        format!("\n1\n{root}\n"),
        format!("o\n01\n{root}\n"),
        format!("o\n+1\n{root}\n"),
        format!("o\n-1\n{root}\n"),
        format!("o\n18446744073709551616\n{root}\n"),
        format!("o\n1\n{root}"),
        format!("o\n1\n{root}\n\nx\n"),
        format!("o\n1\n{}\n", &root.to_string()[..43]),
        "o\n1\nAAAA\n".into(),
        "o\n1\n".into(),
    ] {
        assert_eq!(Checkpoint::parse_text(&text), Err(CheckpointError::Malformed), "{text:?}");
    }
    assert!(Checkpoint::parse_text(&format!("o\n1\n{root}\nextension\n")).is_ok());
    let good = log_signer().verifier().to_string();
    for position in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        let changed = VerifierKey::parse(std::str::from_utf8(&bytes).unwrap());
        assert!(changed.is_err(), "{position}");
    }
}

#[test]
fn receipts_name_their_log_and_are_no_checkpoints() {
    let signer = log_signer();
    let key = signer.verifier();
    let leaf = leaf_hash(b"a");
    let note = signer.sign_note(format!("ticrypt-receipt/v1\n{ORIGIN}\n41\n{leaf}\n")).unwrap().to_string();
    let receipt = verify_receipt(note.as_bytes(), ORIGIN, key).unwrap();
    assert_eq!((receipt.index(), receipt.leaf_hash()), (41, leaf));
    assert!(verify_receipt(note.as_bytes(), "other.example", key).is_err());
    assert!(SignedCheckpoint::parse(note.as_bytes()).is_err());
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size: 41, root: leaf }.sign(&signer).unwrap();
    assert!(verify_receipt(&checkpoint.to_bytes(), ORIGIN, key).is_err());
    for position in 0..note.len() {
        let mut bytes = note.clone().into_bytes();
        bytes[position] ^= 1;
        assert!(verify_receipt(&bytes, ORIGIN, key).is_err(), "{position}");
    }
}

#[test]
fn tile_paths_are_those_of_the_standard() {
    let path = |level, index, width| TilePath::new(level, index, width).unwrap().to_string();
    assert_eq!(path(TileLevel::Hashes(0), 1_234_067, 256), "tile/0/x001/x234/067");
    assert_eq!(path(TileLevel::Hashes(3), 0, 17), "tile/3/000.p/17");
    assert_eq!(path(TileLevel::Entries, 1000, 255), "tile/entries/x001/000.p/255");
    // The standard's example: a tree of 70 000.
    let partial: Vec<String> = partial_tiles(70_000).iter().map(ToString::to_string).collect();
    assert_eq!(partial, ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1", "tile/entries/273.p/112"]);
    let partial: Vec<String> = partial_tiles(256).iter().map(ToString::to_string).collect();
    assert_eq!(partial, ["tile/1/000.p/1"]);
    assert!(tile_at(TileLevel::Hashes(0), 1, 256).is_none());
    for bad in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/1",
        "tile/0/0001",
        "tile/00/001",
        "tile/64/001",
        "tile/-1/001",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/0/001.p/",
        "tile/0/001/",
        "/tile/0/001",
        "tile/0/../001",
        "tile/0/+01",
        "tile/data/001",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/001.p/1/2",
    ] {
        assert!(TilePath::parse(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn tile_paths_come_back(level in 0_u8..64, index in 0..=u64::MAX >> 8, width in 1_u16..=256, entries: bool) {
        let level = if entries { TileLevel::Entries } else { TileLevel::Hashes(level) };
        let path = TilePath::new(level, index, width).unwrap();
        prop_assert_eq!(TilePath::parse(&path.to_string()).unwrap(), path);
    }

    #[test]
    fn bundles_come_back(entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 1..256)) {
        let mut bundle = Vec::new();
        entries.iter().for_each(|entry| push_entry(&mut bundle, entry).unwrap());
        let path = TilePath::new(TileLevel::Entries, 0, entries.len() as u16).unwrap();
        prop_assert_eq!(decode_entries(path, &bundle).unwrap(), entries.iter().map(Vec::as_slice).collect::<Vec<_>>());
        prop_assert!(decode_entries(path, &bundle[..bundle.len() - 1]).is_err());
        bundle.push(0);
        prop_assert!(decode_entries(path, &bundle).is_err());
    }

    #[test]
    fn foreign_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400), text in "\\PC*") {
        let path = TilePath::new(TileLevel::Hashes(0), 0, 256).unwrap();
        prop_assert!(decode_hashes(path, &bytes).is_err());
        let _ = decode_entries(TilePath::new(TileLevel::Entries, 0, 3).unwrap(), &bytes);
        for bytes in [&bytes[..], text.as_bytes()] {
            prop_assert!(SignedCheckpoint::parse(bytes).is_err());
            prop_assert!(parse_witness_request(bytes).is_err());
            prop_assert!(AuditEvent::from_leaf(bytes).is_err());
            let _ = parse_witness_answer(200, None, bytes);
            let _ = Note::parse(bytes);
        }
        let _ = (VerifierKey::parse(&text), TilePath::parse(&text), SignatureLine::parse(&text));
    }
}

#[test]
fn entries_have_a_longest_length() {
    let mut bundle = Vec::new();
    push_entry(&mut bundle, &vec![1; 65_535]).unwrap();
    assert!(push_entry(&mut bundle, &vec![1; 65_536]).is_err());
    let hashes = [leaf_hash(b"a"), leaf_hash(b"b")];
    let path = TilePath::new(TileLevel::Hashes(0), 0, 2).unwrap();
    assert_eq!(decode_hashes(path, &encode_hashes(&hashes)).unwrap(), hashes);
}

#[test]
fn witness_answers_are_read() {
    let line = "\u{2014} w.example AAAAAAAA\n";
    let WitnessAnswer::Cosigned(lines) = parse_witness_answer(200, None, line.as_bytes()).unwrap() else {
        panic!("not read as a cosignature")
    };
    assert_eq!(lines[0].to_string(), line);
    assert!(parse_witness_answer(200, None, b"").is_err());
    let size = parse_witness_answer(409, Some("text/x.tlog.size"), b"42\n").unwrap();
    assert_eq!(size, WitnessAnswer::KnownSize(42));
    assert!(parse_witness_answer(409, Some("text/x.tlog.size"), b"042\n").is_err());
    assert_eq!(parse_witness_answer(409, None, b"no").unwrap(), WitnessAnswer::Refused { status: 409 });
    assert_eq!(parse_witness_answer(403, None, b"").unwrap(), WitnessAnswer::Refused { status: 403 });
}

fn audit_event() -> AuditEvent {
    AuditEvent {
        version: 1,
        salt: [1; 16].into(),
        time_ms: 1_700_000_000_000,
        phase: Phase::Closed,
        operation: "NodeCreate".into(),
        request: [2; 16].into(),
        actor: Some([3; 16].into()),
        session: None,
        subjects: vec![[4; 16].into(), [5; 16].into()],
        opening: Some(41),
        outcome: Some("refused:not_owner".into()),
        detail: vec![("size_bytes".into(), "17".into())],
    }
}

#[test]
fn audit_leaves_have_one_spelling() {
    let event = audit_event();
    let leaf = event.to_leaf().unwrap();
    assert_eq!(AuditEvent::from_leaf(&leaf).unwrap(), event);
    assert_eq!(leaf[0], 0x8C, "an array of twelve, always");
    let fact = AuditEvent { phase: Phase::Fact, actor: None, opening: None, outcome: None, detail: vec![], ..event };
    let leaf = fact.to_leaf().unwrap();
    assert_eq!(leaf[0], 0x8C);
    assert_eq!(AuditEvent::from_leaf(&leaf).unwrap(), fact);
    // The version as a two-byte integer; an array of indefinite length; bytes behind the end.
    let long = [&[0x8C, 0x18, 0x01][..], &leaf[2..]].concat();
    assert_eq!(AuditEvent::from_leaf(&long), Err(EventError::NotCanonical));
    let open = [&[0x9F][..], &leaf[1..], &[0xFF]].concat();
    assert_eq!(AuditEvent::from_leaf(&open), Err(EventError::NotCanonical));
    let more = [&leaf[..], &[0]].concat();
    assert_eq!(AuditEvent::from_leaf(&more), Err(EventError::NotCanonical));
    let newer = [&[0x8C, 0x02][..], &leaf[2..]].concat();
    assert_eq!(AuditEvent::from_leaf(&newer), Err(EventError::Version(2)));
}

#[test]
fn events_have_bounds() {
    let full = AuditEvent { subjects: vec![[0xFF; 16].into(); MAX_SUBJECTS], ..audit_event() };
    assert_eq!(AuditEvent::from_leaf(&full.to_leaf().unwrap()).unwrap(), full);
    let too_long = |event: AuditEvent| assert!(matches!(event.to_leaf(), Err(EventError::TooLong { .. })));
    too_long(AuditEvent { subjects: vec![[0; 16].into(); MAX_SUBJECTS + 1], ..audit_event() });
    too_long(AuditEvent { operation: "x".repeat(65), ..audit_event() });
    too_long(AuditEvent { outcome: Some("x".repeat(65)), ..audit_event() });
    too_long(AuditEvent { detail: vec![("a".into(), "b".into()); 17], ..audit_event() });
    too_long(AuditEvent { detail: vec![("a".into(), "b".repeat(257))], ..audit_event() });
    let key = |length| KeyEvent {
        version: 1,
        salt: [1; 16].into(),
        time_ms: 5,
        kind: KeyEventKind::Rotation,
        user: [2; 16].into(),
        body: vec![7; length].into(),
    };
    let leaf = key(MAX_BODY_BYTES).to_leaf().unwrap();
    assert_eq!(KeyEvent::from_leaf(&leaf).unwrap(), key(MAX_BODY_BYTES));
    assert!(key(MAX_BODY_BYTES + 1).to_leaf().is_err());
    assert_eq!(AuditEvent::from_leaf(&leaf), Err(EventError::Malformed));
    let hash: Hash = leaf_hash(&leaf);
    assert_eq!(Hash::parse_base64(&hash.to_base64()), Some(hash));
}
