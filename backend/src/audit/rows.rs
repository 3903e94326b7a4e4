//! Rows of the audit log, and which opening rows have no closing row yet.

use std::collections::BTreeMap;

use aws_lc_rs::rand;
use minicbor::bytes::{ByteArray, ByteVec};
use ticrypt_api::ApiError;
use ticrypt_api::role::{Event, KeyEventKind, Outcome};
use ticrypt_log::event::audit::{AuditEvent, MAX_WORD_BYTES, Phase};
use ticrypt_log::event::{EVENT_VERSION, keys};
use ticrypt_types::Timestamp;

/// Opening rows without a closing row, each by its index, or by the size of the log before it was appended.
#[derive(Debug, Default)]
pub struct OpenRows(BTreeMap<u64, usize>);

impl OpenRows {
    pub fn add(&mut self, index: u64) {
        *self.0.entry(index).or_default() += 1;
    }

    pub fn remove(&mut self, index: u64) {
        if let Some(count) = self.0.get_mut(&index) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&index);
            }
        }
    }

    /// The first index that may be open in a log of `size` rows.
    pub fn settled_below(&self, size: u64) -> u64 {
        self.0.keys().next().map_or(size, |first| (*first).min(size))
    }
}

/// The word a closing row carries.
pub fn outcome_word(outcome: &Outcome) -> String {
    let mut word = match outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::Refused(code) => format!("refused:{code}"),
        Outcome::Failed(code) => format!("failed:{code}"),
    };
    while word.len() > MAX_WORD_BYTES {
        word.pop();
    }
    word
}

/// A row of the audit log.
pub fn row(event: &Event, phase: Phase, opening: Option<u64>, outcome: Option<&Outcome>) -> Result<AuditEvent, ApiError> {
    Ok(AuditEvent {
        version: EVENT_VERSION,
        salt: salt()?.into(),
        time_ms: event.at.as_millis(),
        phase,
        operation: event.operation.name().to_owned(),
        request: event.request.to_bytes().into(),
        actor: event.actor.map(|id| id.to_bytes().into()),
        session: event.session.map(|id| id.to_bytes().into()),
        // A closing row names its opening row, which names the subjects.
        subjects: if phase == Phase::Closed { Vec::new() } else { event.subjects.iter().map(|id| ByteArray::from(*id)).collect() },
        opening,
        outcome: outcome.map(outcome_word),
        detail: event.detail.clone(),
    })
}

/// A leaf of the key log.
pub fn key_leaf(kind: KeyEventKind, subject: [u8; 16], body: Vec<u8>, at: Timestamp) -> Result<Vec<u8>, ApiError> {
    let kind = match kind {
        KeyEventKind::Bundle => keys::KeyEventKind::Bundle,
        KeyEventKind::Activation => keys::KeyEventKind::Activation,
        KeyEventKind::State => keys::KeyEventKind::State,
        KeyEventKind::Rotation => keys::KeyEventKind::Rotation,
        KeyEventKind::Reset => keys::KeyEventKind::Reset,
        KeyEventKind::GroupHead => keys::KeyEventKind::GroupHead,
        KeyEventKind::CompartmentHead => keys::KeyEventKind::CompartmentHead,
        KeyEventKind::ProjectHead => keys::KeyEventKind::ProjectHead,
    };
    let event = keys::KeyEvent {
        version: EVENT_VERSION,
        salt: salt()?.into(),
        time_ms: at.as_millis(),
        kind,
        user: subject.into(),
        body: ByteVec::from(body),
    };
    event.to_leaf().map_err(|error| {
        tracing::error!(error = %error, "a leaf of the key log cannot be encoded");
        ApiError::broken()
    })
}

pub(super) fn salt<const N: usize>() -> Result<[u8; N], ApiError> {
    let mut salt = [0; N];
    rand::fill(&mut salt).map_err(|_| ApiError::broken())?;
    Ok(salt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_waits_for_the_oldest_open_row() {
        let mut rows = OpenRows::default();
        assert_eq!(rows.settled_below(7), 7);
        rows.add(7); // being appended, the log has 7 rows
        assert_eq!(rows.settled_below(9), 7);
        rows.add(8);
        rows.remove(7);
        assert_eq!(rows.settled_below(9), 8);
        rows.add(8); // another one that began when the log had 8 rows
        rows.remove(8);
        assert_eq!(rows.settled_below(9), 8);
        rows.remove(8);
        assert_eq!(rows.settled_below(9), 9);
    }

    #[test]
    fn words_fit_a_row() {
        assert_eq!(outcome_word(&Outcome::Refused("no_edit".to_owned())), "refused:no_edit");
        assert_eq!(outcome_word(&Outcome::Failed("x".repeat(100))).len(), MAX_WORD_BYTES);
    }
}
