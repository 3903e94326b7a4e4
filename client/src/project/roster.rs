//! Who is in a project, as its signed heads prove it (docs/formats.md §13).
//!
//! ```text
//!   heads ─▶ by their signers' keys, in the key log ─▶ each signer a manager by an entry under the head before (policy) ─▶ not older than seen
//!   entry and proof ─▶ under the newest head ─▶ somebody is in the project, and until when
//! ```
//!
//! A head that was verified in an earlier run is remembered, so a long history is gone through once on a device.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ticrypt_api::project::{EntryProof, MemberProof, MemberView, ProjectHeadView, ProjectHeadsQuery, ProjectHeadsReply};
use ticrypt_crypto::project::{ProjectHeadPayload, RosterEntry};
use ticrypt_crypto::record::Record;
use ticrypt_crypto::{Digest, Signed};
use ticrypt_policy::project::member::may_sign_head;
use ticrypt_types::{DeploymentId, NodeId, Operation, ProjectId, Timestamp, UserId};

use crate::error::{ClientError, Result};
use crate::session::Session;
use crate::state::SeenKind;

/// The code of the refusal where no manager signed yet who is in a project.
pub const NO_HEADS: &str = "no_heads";

/// A head whose chain was verified.
pub type Verified = Arc<Signed<ProjectHeadPayload>>;

/// The newest heads of projects that were verified in this run.
#[derive(Debug, Default)]
pub struct Rosters(Mutex<HashMap<ProjectId, Verified>>);

impl Rosters {
    fn heads(&self) -> MutexGuard<'_, HashMap<ProjectId, Verified>> {
        // Each entry is replaced in one step; a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn lie(what: &str) -> ClientError {
    crate::heads::lie("the project", what)
}

/// A head that was verified by itself, with the entry of who signed it.
struct Shown {
    head: Signed<ProjectHeadPayload>,
    signer: EntryProof,
}

/// How far the heads of a project were gone through.
struct Walk {
    project: ProjectId,
    /// What an earlier run verified up to: counter and hash.
    seen: Option<(u64, Digest)>,
    newest: Option<Verified>,
}

/// Fetches what is new of a project's heads and verifies it; `None` for a project from before projects had heads.
pub async fn newest(session: &Session, project: ProjectId) -> Result<Option<Verified>> {
    let newest = session.rosters.heads().get(&project).cloned();
    let mut walk = Walk { project, seen: session.seen.highest(SeenKind::Project, seen_id(project)), newest };
    loop {
        let query = ProjectHeadsQuery { after: walk.after() };
        let reply: ProjectHeadsReply = session.transport.call(Operation::ProjectHeads, &[&project.to_string()], &query, &()).await?;
        let mut shown = Vec::with_capacity(reply.heads.len());
        for ProjectHeadView { head, leaf, signer } in reply.heads {
            shown.push(Shown { head: session.verified_head(&head.0, &leaf).await?, signer });
        }
        if !walk.go_on(shown, reply.counter)? {
            continue;
        }
        if let Some(head) = &walk.newest {
            keep(session, head)?;
        }
        return Ok(walk.newest);
    }
}

impl Walk {
    /// Heads are asked for from here. What an earlier run verified up to comes again, to go on from.
    fn after(&self) -> u64 {
        let before_seen = || self.seen.map_or(0, |(counter, _)| counter.saturating_sub(1));
        self.newest.as_ref().map_or_else(before_seen, |head| head.counter)
    }

    /// Follows what is shown; `counter` is the newest there is, as the server has it. Whether it was reached.
    fn go_on(&mut self, shown: Vec<Shown>, counter: u64) -> Result<bool> {
        let more = !shown.is_empty();
        for Shown { head, signer } in shown {
            if head.project != self.project {
                return Err(lie("a head is of another project"));
            }
            let was_verified = self.newest.is_none() && self.seen == Some((head.counter, head.record_hash()));
            if !was_verified {
                follow(self.newest.as_deref(), &head, &signer)?;
            }
            self.newest = Some(Arc::new(head));
        }
        match &self.newest {
            Some(head) if head.counter < counter && more => Ok(false),
            Some(head) if head.counter < counter => Err(lie("its newest heads are missing")),
            None if self.seen.is_some() || counter > 0 => Err(lie("its heads are missing")),
            _ => Ok(true),
        }
    }
}

/// The next head, or the first, and that its signer had leave to sign it.
fn follow(before: Option<&Signed<ProjectHeadPayload>>, head: &Signed<ProjectHeadPayload>, signer: &EntryProof) -> Result<()> {
    let entry = match before {
        Some(before) => {
            head.verify_successor(before).map_err(|e| lie("a head does not follow the one before").because(e))?;
            under(before, signer)?
        }
        None if head.counter == 1 => under(head, signer)?,
        None => return Err(lie("its first head is missing")),
    };
    if entry.user != head.writer {
        return Err(lie("a head is shown with somebody else's entry"));
    }
    let led_by = before.map_or(head.pi, |before| before.pi);
    may_sign_head(entry.user, entry.role, entry.expires, led_by, head.at)
        .map_err(|why| lie(&format!("somebody signed a head who had no leave to ({why})")))
}

/// An entry that is under a head.
fn under(head: &ProjectHeadPayload, proof: &EntryProof) -> Result<RosterEntry> {
    let entry = RosterEntry::parse(&proof.entry.0).map_err(|e| lie("an entry cannot be read").because(e))?;
    let beside: Vec<Digest> = proof.beside.iter().map(|hash| Digest::new(hash.0)).collect();
    head.verify_entry(&entry, &beside).map_err(|e| lie("an entry is not under the head that it is shown with").because(e))?;
    Ok(entry)
}

/// Remembers a head as the newest, here and on this device, and refuses an older state or another one in its place.
pub(super) fn keep(session: &Session, head: &Verified) -> Result<()> {
    session.seen.check_and_raise(SeenKind::Project, seen_id(head.project), head.counter, head.record_hash())?;
    session.rosters.heads().insert(head.project, Arc::clone(head));
    Ok(())
}

/// From the root of its tree down to it, the newest heads of a project and of those above, as the heads themselves name them.
pub async fn line(session: &Session, project: ProjectId) -> Result<Vec<Verified>> {
    let mut line = Vec::new();
    let mut at = Some(project);
    while let Some(project) = at {
        let head = newest(session, project).await?.ok_or_else(|| unsigned(project))?;
        at = head.parent;
        if line.len() >= ticrypt_types::limits::PROJECT_DEPTH_MAX {
            return Err(lie("projects above it never end"));
        }
        line.push(head);
    }
    line.reverse();
    Ok(line)
}

pub(super) fn unsigned(project: ProjectId) -> ClientError {
    ClientError::refused(
        NO_HEADS,
        format!("nobody signed yet who is in the project {project}; its manager does so with the next change of a member"),
    )
}

/// Those of some people who are proven to be in all of these projects now.
pub fn proven(line: &[Verified], proofs: &[MemberProof], now: Timestamp) -> Result<Vec<UserId>> {
    let mut projects_of: HashMap<UserId, BTreeSet<ProjectId>> = HashMap::new();
    for MemberProof { counter, proof } in proofs {
        let entry = RosterEntry::parse(&proof.entry.0).map_err(|e| lie("an entry cannot be read").because(e))?;
        // Of another project, or under another head than the newest: not asked for, or overtaken by a change.
        let Some(head) = line.iter().find(|head| (head.project, head.counter) == (entry.project, *counter)) else { continue };
        if !under(head, proof)?.expires.is_expired(now) {
            projects_of.entry(entry.user).or_default().insert(entry.project);
        }
    }
    Ok(projects_of.into_iter().filter(|(_, projects)| projects.len() == line.len()).map(|(user, _)| user).collect())
}

/// The entry of somebody in a list of members.
pub(super) fn entry(deployment: DeploymentId, project: ProjectId, member: &MemberView) -> Result<RosterEntry> {
    Ok(RosterEntry {
        deployment,
        project,
        user: member.user,
        role: member.role,
        restrictions: member.restrictions,
        expires: member.expires_ms.unwrap_or(Timestamp::ABSENT),
        salt: member.salt.0.as_slice().try_into().map_err(|_| lie("an entry has no salt"))?,
    })
}

fn seen_id(project: ProjectId) -> NodeId {
    NodeId::from_random(project.to_bytes())
}

#[cfg(test)]
mod tests;
