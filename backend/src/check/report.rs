//! What a check found, for people and for programs.

use std::fmt;

use serde::Serialize;

/// Something that does not hold together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// A stable word.
    pub code: &'static str,
    /// The id or name of what it is about.
    pub about: String,
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.about, self.what)
    }
}

/// How far a verb has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    pub step: &'static str,
    pub done: u64,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.done)
    }
}

/// What was looked at and what was found. `--json` prints it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub people: u64,
    pub bundles: u64,
    pub directories: u64,
    pub files: u64,
    pub manifests: u64,
    pub grants: u64,
    pub chunks: u64,
    pub log_entries: u64,
    pub findings: Vec<Finding>,
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    pub(super) fn found(&mut self, code: &'static str, about: impl ToString, what: impl ToString) {
        self.findings.push(Finding { code, about: about.to_string(), what: what.to_string() });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        write!(
            f,
            "{} people, {} bundles, {} directories, {} files, {} manifests, {} grants, {} chunks, {} log entries: {}",
            self.people,
            self.bundles,
            self.directories,
            self.files,
            self.manifests,
            self.grants,
            self.chunks,
            self.log_entries,
            match self.findings.len() {
                0 => "sound".to_owned(),
                n => format!("{n} findings"),
            }
        )
    }
}
