//! Projects: the signed chain that says who is in one (docs/formats.md §13).
//!
//! Members of a project do not see each other, so a head names none of them: it commits to all their entries by one root, and somebody's entry is
//! shown, with its proof, to who needs it.
//!
//! ```text
//!   head 1 (counter 1, root, investigator) ◀─ head 2 ◀─ head 3 …      each by a manager, shown by their entry under the root before
//!                       └ trie over members: H(entry), keyed by person
//! ```

use ticrypt_types::{DeploymentId, MemberRole, ProjectId, Restrictions, Timestamp, UserId};

use crate::record::{Record, RecordError};
use crate::signature::{Namespace, Payload, Signed};
use crate::trie::{Duplicate, Trie, root_by};
use crate::{Digest, batch, record};

/// Why a head does not follow another, or an entry is not under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProjectError {
    #[error("it is of another project, or of one below another")]
    OtherProject,
    #[error("its counter is not one more")]
    Counter,
    #[error("it names another head as the one before")]
    Previous,
    #[error("an entry is not under the root that was signed")]
    NotProven,
    #[error("{found} members are listed, the signed head says {signed}")]
    Count { found: u64, signed: u64 },
    #[error("a member is listed twice")]
    Twice,
}

record! {
    /// Somebody in a project, as a head commits to it. Nobody signs it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RosterEntry {
        pub deployment: DeploymentId,
        pub project: ProjectId,
        pub user: UserId,
        pub role: MemberRole,
        pub restrictions: Restrictions,
        /// [`Timestamp::ABSENT`]: never.
        pub expires: Timestamp,
        /// Random, so that a hash beside a proof does not tell whose it is.
        pub salt: [u8; 16],
    }
}

impl RosterEntry {
    /// What stands under a root for it.
    pub fn leaf(&self) -> Digest {
        batch::leaf(&self.to_bytes())
    }
}

impl Record for RosterEntry {
    const MAX_LEN: usize = 128;

    fn check(&self) -> Result<(), RecordError> {
        Ok(())
    }
}

/// The entries of a project, from which the root and each proof follow.
pub fn roster(entries: impl IntoIterator<Item = RosterEntry>) -> Result<Trie, ProjectError> {
    Trie::new(entries.into_iter().map(|entry| (entry.user.to_bytes(), entry.leaf()))).map_err(|Duplicate(_)| ProjectError::Twice)
}

record! {
    /// Who is in a project after some changes.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ProjectHeadPayload {
        pub deployment: DeploymentId,
        pub project: ProjectId,
        /// The project above, which never changes.
        pub parent: Option<ProjectId>,
        /// 1 for the first head, one more for each.
        pub counter: u64,
        /// Record hash of the head before.
        pub previous: Option<Digest>,
        pub members: u64,
        /// Over the entries of all members.
        pub root: Digest,
        /// The principal investigator, who counts as a manager while a member.
        pub pi: Option<UserId>,
        pub writer: UserId,
        pub writer_bundle: Digest,
        pub at: Timestamp,
    }
}

impl ProjectHeadPayload {
    /// Checks that this head is the next one after `previous`.
    pub fn verify_successor(&self, previous: &Signed<Self>) -> Result<(), ProjectError> {
        if (self.deployment, self.project, self.parent) != (previous.deployment, previous.project, previous.parent) {
            return Err(ProjectError::OtherProject);
        }
        if previous.counter.checked_add(1) != Some(self.counter) {
            return Err(ProjectError::Counter);
        }
        if self.previous != Some(previous.record_hash()) {
            return Err(ProjectError::Previous);
        }
        Ok(())
    }

    /// Checks that somebody is in the project on these terms.
    pub fn verify_entry(&self, entry: &RosterEntry, proof: &[Digest]) -> Result<(), ProjectError> {
        if (entry.deployment, entry.project) != (self.deployment, self.project) {
            return Err(ProjectError::OtherProject);
        }
        if root_by(entry.user.as_bytes(), entry.leaf(), proof) == Some(self.root) { Ok(()) } else { Err(ProjectError::NotProven) }
    }

    /// Checks a list of all members.
    pub fn verify_roster<'a>(&self, entries: impl IntoIterator<Item = &'a RosterEntry>) -> Result<(), ProjectError> {
        let entries: Vec<RosterEntry> = entries.into_iter().cloned().collect();
        if entries.iter().any(|entry| (entry.deployment, entry.project) != (self.deployment, self.project)) {
            return Err(ProjectError::OtherProject);
        }
        let found = entries.len() as u64;
        if found != self.members {
            return Err(ProjectError::Count { found, signed: self.members });
        }
        if roster(entries)?.root() == self.root { Ok(()) } else { Err(ProjectError::NotProven) }
    }
}

impl Record for ProjectHeadPayload {
    const MAX_LEN: usize = 512;

    fn check(&self) -> Result<(), RecordError> {
        if self.counter == 0 {
            return Err(RecordError::Rule("counters begin at 1"));
        }
        if self.previous.is_none() != (self.counter == 1) {
            return Err(RecordError::Rule("the first head alone names none before it"));
        }
        if (self.members == 0) != (self.root == Digest::ZERO) {
            return Err(RecordError::Rule("an empty project alone has the root of zeros"));
        }
        if self.parent == Some(self.project) {
            return Err(RecordError::Rule("a project is not above itself"));
        }
        Ok(())
    }
}

impl Payload for ProjectHeadPayload {
    const NAMESPACE: Namespace = Namespace::ProjectHead;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn user(n: u8) -> UserId {
        UserId::from_random([n; 16])
    }

    fn entry(n: u8) -> RosterEntry {
        RosterEntry {
            deployment: DeploymentId::from_random([1; 16]),
            project: ProjectId::from_random([2; 16]),
            user: user(n),
            role: MemberRole::Manager,
            restrictions: Restrictions::NO_DOWNLOAD,
            expires: Timestamp::from_millis(9),
            salt: [n; 16],
        }
    }

    fn entries() -> Vec<RosterEntry> {
        (1..=5).map(entry).collect()
    }

    fn first() -> ProjectHeadPayload {
        ProjectHeadPayload {
            deployment: DeploymentId::from_random([1; 16]),
            project: ProjectId::from_random([2; 16]),
            parent: None,
            counter: 1,
            previous: None,
            members: 5,
            root: roster(entries()).unwrap().root(),
            pi: Some(user(1)),
            writer: user(1),
            writer_bundle: Digest::of(b"writer"),
            at: Timestamp::from_millis(1),
        }
    }

    #[test]
    fn every_head_and_entry_reads_as_it_was_written() {
        let later = ProjectHeadPayload {
            counter: 2,
            previous: Some(Digest::of(b"before")),
            parent: Some(ProjectId::from_random([3; 16])),
            ..first()
        };
        let longest = ProjectHeadPayload { counter: u64::MAX, members: u64::MAX, at: Timestamp::from_millis(u64::MAX), ..later.clone() };
        for head in [first(), later, ProjectHeadPayload { pi: None, ..first() }, longest] {
            assert_eq!(ProjectHeadPayload::parse(&head.to_bytes()).unwrap(), head);
        }
        for entry in [entry(1), RosterEntry { role: MemberRole::User, expires: Timestamp::from_millis(u64::MAX), ..entry(2) }] {
            assert_eq!(RosterEntry::parse(&entry.to_bytes()).unwrap(), entry);
        }
    }

    #[test]
    fn what_a_head_may_not_be() {
        let itself = Some(ProjectId::from_random([2; 16]));
        for head in [
            ProjectHeadPayload { counter: 0, ..first() },
            ProjectHeadPayload { counter: 2, ..first() },
            ProjectHeadPayload { previous: Some(Digest::ZERO), ..first() },
            ProjectHeadPayload { members: 0, ..first() },
            ProjectHeadPayload { root: Digest::ZERO, ..first() },
            ProjectHeadPayload { parent: itself, ..first() },
        ] {
            assert!(matches!(ProjectHeadPayload::parse(&head.to_bytes()), Err(RecordError::Rule(_))), "{head:?}");
        }
    }

    #[test]
    fn an_entry_is_proven_as_it_is_and_in_no_other_way() {
        let (head, set) = (first(), roster(entries()).unwrap());
        let proof = set.proof(user(2).as_bytes()).unwrap();
        assert_eq!(head.verify_entry(&entry(2), &proof), Ok(()));
        for other in [
            RosterEntry { user: user(6), ..entry(2) },
            RosterEntry { role: MemberRole::User, ..entry(2) },
            RosterEntry { restrictions: Restrictions::NONE, ..entry(2) },
            RosterEntry { expires: Timestamp::ABSENT, ..entry(2) },
            RosterEntry { salt: [9; 16], ..entry(2) },
        ] {
            assert_eq!(head.verify_entry(&other, &proof), Err(ProjectError::NotProven), "{other:?}");
        }
        for other in [
            RosterEntry { project: ProjectId::from_random([9; 16]), ..entry(2) },
            RosterEntry { deployment: DeploymentId::from_random([9; 16]), ..entry(2) },
        ] {
            assert_eq!(head.verify_entry(&other, &proof), Err(ProjectError::OtherProject));
            assert_eq!(head.verify_roster([&other]), Err(ProjectError::OtherProject));
        }
        assert_eq!(head.verify_entry(&entry(2), &set.proof(user(3).as_bytes()).unwrap()), Err(ProjectError::NotProven));
    }

    #[test]
    fn a_list_of_members_is_whole() {
        let (head, all) = (first(), entries());
        assert_eq!(head.verify_roster(&all), Ok(()));
        assert_eq!(head.verify_roster(&all[1..]), Err(ProjectError::Count { found: 4, signed: 5 }));
        let swapped: Vec<RosterEntry> = all[1..].iter().cloned().chain([entry(6)]).collect();
        assert_eq!(head.verify_roster(&swapped), Err(ProjectError::NotProven));
        let twice: Vec<RosterEntry> = all[1..].iter().cloned().chain([entry(2)]).collect();
        assert_eq!(head.verify_roster(&twice), Err(ProjectError::Twice));
    }
}
