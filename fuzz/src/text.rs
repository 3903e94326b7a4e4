//! Texts and logs: key file, notes, checkpoints, tiles, leaves, names.

use ticrypt_crypto::keyfile::KeyFileText;
use ticrypt_log::checkpoint::{Checkpoint, SignedCheckpoint};
use ticrypt_log::event::audit::AuditEvent;
use ticrypt_log::event::keys::KeyEvent;
use ticrypt_log::key::VerifierKey;
use ticrypt_log::note::{Note, parse_signature_lines};
use ticrypt_log::tile::{TilePath, decode_entries, decode_hashes};
use ticrypt_log::witness::parse_witness_request;
use ticrypt_types::{NodeName, UserName};

use crate::Target;

pub const TARGETS: &[Target] = &[
    ("key_file", |data| {
        if let Ok(text) = std::str::from_utf8(data)
            && let Ok(file) = KeyFileText::parse(text)
        {
            // Line ends may differ; what is written again reads the same.
            let written = file.to_text();
            assert_eq!(KeyFileText::parse(&written).map(|f| f.to_text()).ok(), Some(written));
        }
    }),
    ("note", |data| {
        if let Ok(note) = Note::parse(data) {
            let written = note.to_string();
            assert_eq!(Note::parse(written.as_bytes()).map(|n| n.to_string()).ok(), Some(written));
        }
        if let Ok(text) = std::str::from_utf8(data) {
            let _ = parse_signature_lines(text);
            let _ = VerifierKey::parse(text);
        }
    }),
    ("checkpoint", |data| {
        if let Ok(checkpoint) = SignedCheckpoint::parse(data) {
            assert!(SignedCheckpoint::parse(&checkpoint.to_bytes()).is_ok());
        }
        if let Ok(text) = std::str::from_utf8(data)
            && let Ok(checkpoint) = Checkpoint::parse_text(text)
        {
            assert!(Checkpoint::parse_text(&checkpoint.text()).is_ok());
        }
    }),
    ("tile", |data| {
        let Some((split, rest)) = data.split_first() else { return };
        let (path, tile) = rest.split_at(rest.len().min(usize::from(*split)));
        if let Ok(text) = std::str::from_utf8(path)
            && let Ok(path) = TilePath::parse(text)
        {
            assert_eq!(path.to_string(), text, "two spellings of one tile");
            let _ = decode_hashes(path, tile);
            let _ = decode_entries(path, tile);
        }
    }),
    ("audit_event", |data| {
        if let Ok(event) = AuditEvent::from_leaf(data) {
            assert_eq!(event.to_leaf().ok().as_deref(), Some(data));
        }
    }),
    ("key_event", |data| {
        if let Ok(event) = KeyEvent::from_leaf(data) {
            assert_eq!(event.to_leaf().ok().as_deref(), Some(data));
        }
    }),
    ("witness_request", |data| {
        let _ = parse_witness_request(data);
    }),
    ("names", |data| {
        if let Ok(text) = std::str::from_utf8(data) {
            let _ = text.parse::<UserName>();
            if let Ok(name) = NodeName::normalise(text) {
                assert!(NodeName::parse(name.as_str()).is_ok(), "a normalised name is a name");
                assert!(!name.harmless().to_string().contains(char::is_control));
            }
        }
    }),
];
