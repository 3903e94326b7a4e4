//! Progress as bars on a terminal; remarks go to standard error as they come.

use indicatif::ProgressBar;
use ticrypt_client::vault::progress::{Note, Outcome, Progress};
use ticrypt_types::name::Harmless;

use crate::output::Output;

/// A bar over bytes.
pub(super) struct Bar {
    bar: ProgressBar,
    json: bool,
    remarks: bool,
}

impl Bar {
    pub(super) fn bytes(output: &Output, what: &str) -> Self {
        Self::over(output, output.bytes_bar(0, what))
    }

    pub(super) fn count(output: &Output, what: &str) -> Self {
        Self::over(output, output.count_bar(0, what))
    }

    fn over(output: &Output, bar: ProgressBar) -> Self {
        Self { bar, json: output.is_json(), remarks: output.shows_progress() }
    }

    pub(super) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn expect(&self, _files: u64, bytes: u64) {
        self.bar.inc_length(bytes);
    }

    fn begin(&self, what: &str) {
        self.bar.set_message(Harmless(what).to_string());
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn note(&self, note: &Note) {
        let shown = match note.outcome {
            // With --json the report tells.
            _ if self.json => false,
            Outcome::Failed | Outcome::Conflict => true,
            Outcome::Skipped | Outcome::Renamed | Outcome::Locked => true,
            Outcome::Unchanged => self.remarks,
        };
        if shown {
            self.bar.suspend(|| eprintln!("{}", Harmless(&note.to_string())));
        }
    }
}

/// The same over things instead of bytes.
pub(super) struct Counted(pub(super) Bar);

impl Progress for Counted {
    fn expect(&self, files: u64, _bytes: u64) {
        self.0.bar.inc_length(files);
    }

    fn begin(&self, what: &str) {
        self.0.begin(what);
    }

    fn finish(&self, files: u64) {
        self.0.bar.inc(files);
    }

    fn note(&self, note: &Note) {
        self.0.note(note);
    }
}
