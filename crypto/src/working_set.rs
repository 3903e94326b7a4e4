//! The projects a person works in, chosen by an answer to a fresh challenge (docs/formats.md §4).

use ticrypt_types::{DeploymentId, ProjectId, SessionId, Timestamp, UserId, limits};

use crate::record::{Record, RecordError};
use crate::signature::{Namespace, Payload};
use crate::{Digest, record};

record! {
    /// From now on, and in all sessions, this person works in these projects.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WorkingSetPayload {
        pub deployment: DeploymentId,
        pub user: UserId,
        pub bundle: Digest,
        /// The session it is asked in.
        pub session: SessionId,
        pub challenge: [u8; 32],
        /// In ascending order, none twice; none at all: on what carries no tag.
        pub projects: Vec<ProjectId>,
        pub at: Timestamp,
    }
}

impl Record for WorkingSetPayload {
    const MAX_LEN: usize = 512;

    fn check(&self) -> Result<(), RecordError> {
        if self.projects.len() > limits::LABEL_LINES_MAX {
            return Err(RecordError::Rule("a working set has at most 8 projects"));
        }
        if self.projects.iter().zip(self.projects.iter().skip(1)).any(|(before, after)| before >= after) {
            return Err(RecordError::Rule("the projects are in ascending order, none twice"));
        }
        Ok(())
    }
}

impl Payload for WorkingSetPayload {
    const NAMESPACE: Namespace = Namespace::WorkingSet;
}
