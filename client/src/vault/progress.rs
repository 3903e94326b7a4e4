//! How long work tells how far it is, and how it is told to stop.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
pub use tokio_util::sync::CancellationToken as Cancel;

/// Hears of progress. Calls come from several tasks and must be quick; each has a default that ignores it.
pub trait Progress: Send + Sync {
    /// More work was found.
    fn expect(&self, _files: u64, _bytes: u64) {}
    /// Work on this began.
    fn begin(&self, _what: &str) {}
    /// So many bytes of content went through.
    fn advance(&self, _bytes: u64) {}
    /// So many files are done.
    fn finish(&self, _files: u64) {}
    /// Something a person should read, now.
    fn note(&self, _note: &Note) {}
}

/// Ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {}

/// A progress that is shared by tasks.
pub type SharedProgress = Arc<dyn Progress>;

/// What came of one item, where that is not simply *done*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The same is there already; nothing was written.
    Unchanged,
    /// Left out, as asked.
    Skipped,
    /// Written under another name than its own.
    Renamed,
    /// Tagged with a project that is not active: left out, the rest went on.
    Locked,
    /// Could not be done; the rest went on.
    Failed,
    /// Written, and somebody else wrote at the same time: both are in the history.
    Conflict,
}

/// One item a person should know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    pub path: String,
    pub outcome: Outcome,
    pub reason: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.outcome {
            Outcome::Unchanged => "unchanged",
            Outcome::Skipped => "skipped",
            Outcome::Renamed => "renamed",
            Outcome::Locked => "locked",
            Outcome::Failed => "failed",
            Outcome::Conflict => "conflict",
        };
        write!(f, "{word}: {}: {}", self.path, self.reason)
    }
}

/// What came of the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub files: u64,
    pub directories: u64,
    pub bytes: u64,
    pub unchanged: u64,
    pub notes: Vec<Note>,
}

impl Report {
    /// Whether something asked for was not done.
    pub fn is_partial(&self) -> bool {
        self.notes.iter().any(|note| note.outcome == Outcome::Failed)
    }

    pub fn merge(&mut self, other: Self) {
        self.files += other.files;
        self.directories += other.directories;
        self.bytes += other.bytes;
        self.unchanged += other.unchanged;
        self.notes.extend(other.notes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_make_a_report_partial() {
        let note = |outcome| Note { path: "a".into(), outcome, reason: "because".into() };
        let mut report = Report { notes: vec![note(Outcome::Skipped), note(Outcome::Renamed)], ..Report::default() };
        assert!(!report.is_partial());
        report.merge(Report { files: 2, notes: vec![note(Outcome::Failed)], ..Report::default() });
        assert!(report.is_partial());
        assert_eq!((report.files, report.notes.len()), (2, 3));
        assert_eq!(note(Outcome::Failed).to_string(), "failed: a: because");
    }
}
