//! Groups (rules §4). The server can add nobody: it keeps heads that members signed, after asking the rule that every member's client asks
//! again, and hands out the newest key as it was sealed to somebody while the group's tag is in their working set.
//!
//! ```text
//!   head ─▶ signed by the caller, follows the stored one ─▶ may they change that? (policy: group, roster)
//!        ─▶ seals fit ─▶ opening row ─▶ leaf of the key log ─▶ one transaction: head, members, seals ─▶ losses cut
//! ```

mod change;
mod compartment;
mod create;
mod delete;
mod read;
mod seal;

use std::collections::BTreeSet;

use ticrypt_api::Blob;
use ticrypt_api::group::{GroupReply, NewGroupSeal};
use ticrypt_api::role::{Caller, Event, KeyEventKind};
use ticrypt_crypto::group::{GroupHeadPayload, SEALED_SEED_LEN};
use ticrypt_crypto::{Digest, Signed};
use ticrypt_policy::Denial;
use ticrypt_policy::group::GroupFacts;
use ticrypt_policy::roster::Roster;
use ticrypt_store::group::{GroupHeadNew, GroupSeal};
use ticrypt_types::{Compartment, GroupChange, GroupId, GroupStep, Operation, Timestamp, UserId, UserState, limits};

use super::FileRole;
use super::audited::event_about;
use super::error::FileError;

/// A head that is to be stored, but for its leaf of the key log.
#[derive(Debug)]
struct Accepted {
    head: Signed<GroupHeadPayload>,
    envelope: Blob,
}

impl FileRole {
    async fn group_facts(&self, group: GroupId) -> Result<GroupFacts, FileError> {
        Ok(self.store.group_facts(group).await?.ok_or(Denial::NotFound)?)
    }

    /// Of the people that changes add or make the owner, those whose account is active and, if added, whose present key is the one named.
    async fn active_among(&self, changes: &[GroupChange]) -> Result<BTreeSet<UserId>, FileError> {
        let mut active = BTreeSet::new();
        for change in changes {
            let bundle = match change.step {
                GroupStep::Add { bundle, .. } => Some(bundle),
                GroupStep::Own => None,
                GroupStep::Permit(_) | GroupStep::Remove => continue,
            };
            let Some(user) = self.store.user(change.user).await?.filter(|user| user.state == UserState::Active) else { continue };
            if bundle.is_some_and(|bundle| bundle != user.bundle) {
                return Err(FileError::unfit(
                    "member_bundle",
                    "somebody would be added with another key than their current one; look them up again",
                ));
            }
            active.insert(change.user);
        }
        Ok(active)
    }

    /// Seals of a generation to members, each once and to their present key.
    async fn seals_fit(&self, roster: &Roster, generation: u32, seals: Vec<NewGroupSeal>) -> Result<Vec<GroupSeal>, FileError> {
        if seals.len() > limits::GROUP_SEALS_MAX {
            return Err(FileError::Bound("a request seals the group's key to at most 1000 members; send the others after it"));
        }
        let mut members = BTreeSet::new();
        let mut fit = Vec::with_capacity(seals.len());
        for NewGroupSeal { member, bundle, bundle_generation, sealed: Blob(sealed) } in seals {
            if roster.permissions(member).is_none() || !members.insert(member) {
                return Err(FileError::unfit("seal_member", "the key is sealed to somebody who is no member, or twice; leave that out"));
            }
            if sealed.len() != SEALED_SEED_LEN {
                return Err(FileError::Bound("a sealed key of a group has one length; update this program"));
            }
            let user = self.store.user(member).await?.ok_or(Denial::NotFound)?;
            let signer = self.signers.load(&self.store, member, user.bundle).await?;
            if (Digest::new(bundle.0), bundle_generation) != (signer.bundle, signer.generation) {
                return Err(FileError::unfit(
                    "recipient_bundle",
                    "the key is sealed to another key than the member's current one; look them up again",
                ));
            }
            fit.push(GroupSeal { member, generation, bundle: bundle.0, bundle_generation, sealed });
        }
        Ok(fit)
    }

    /// The head with its leaf of the key log, which is durable on return: nobody is shown a head that is not in it.
    async fn logged(&self, Accepted { head, envelope }: Accepted, now: Timestamp) -> Result<GroupHeadNew, FileError> {
        let hash = head.record_hash();
        let leaf = self.audit.key_event(KeyEventKind::GroupHead, head.group.to_bytes(), hash.to_bytes().to_vec(), now).await?;
        Ok(GroupHeadNew {
            counter: head.counter,
            hash: hash.to_bytes(),
            previous: head.previous.map(Digest::to_bytes),
            envelope: envelope.0,
            generation: head.generation,
            renews: head.renews(),
            changes: head.changes.clone(),
            log_index: leaf.index,
            log_leaf: leaf.leaf.0,
        })
    }

    async fn group_reply(&self, group: GroupId, user: UserId) -> Result<GroupReply, FileError> {
        // Who has just left is told no more than that.
        let own = self.store.own_group(group, user).await?;
        Ok(own.map_or(GroupReply { counter: 0, waiting: 0 }, |own| GroupReply { counter: own.group.counter, waiting: count(own.waiting) }))
    }
}

/// A row about a compartment of a group, which its tags name.
fn of_compartment(caller: &Caller, operation: Operation, group: GroupId, compartment: &Compartment) -> Event {
    let tags = compartment.tags().iter().map(|tag| tag.to_bytes());
    event_about(caller, operation, std::iter::once(group.to_bytes()).chain(tags))
}

/// A count that high says enough.
fn count(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
