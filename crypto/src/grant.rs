//! Grants: a node's keys, sealed to somebody, and what they may do with them (docs/formats.md §6).
//!
//! The server stores and routes grants, and ends them; it can make none, because a reader accepts a node's keys only along
//! signed grants that lead back to the owner:
//!
//! ```text
//!   owner ──grant (view, share)──▶ a colleague ──grant (view), authority = that grant──▶ another
//!                                      └─ verbs and expiry within what they hold
//! ```
//!
//! A directory of a group is sealed to a generation of the group, which owns it; who may seal it so, the group's heads say (§12).

use ticrypt_types::{DeploymentId, GrantId, GroupId, NodeId, NodeKind, Timestamp, UserId, Verbs};

use crate::record::{Record, RecordError};
use crate::signature::{Namespace, Payload, Signed};
use crate::{Digest, Suite, code_element, record};

/// Bytes of the encapsulated key before the sealed keys.
pub const ENCAPSULATED_LEN: usize = 1665;
/// Bytes of a sealed grant without a tree key, and with one: `[1, bstr32, bstr0 or bstr32]` and the tag behind the encapsulated key.
pub const SEALED_LENS: [usize; 2] = [ENCAPSULATED_LEN + 37 + 16, ENCAPSULATED_LEN + 70 + 16];

/// Why a grant does not follow from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    #[error("the grant names another grant as its authority")]
    OtherAuthority,
    #[error("the grant it rests on was made for somebody else than the one who sealed this")]
    NotHolder,
    #[error("the two grants are not of the same deployment and owner")]
    OtherTree,
    #[error("the one who sealed this may not share")]
    MayNotShare,
    #[error("the one who made new keys may not edit")]
    MayNotEdit,
    #[error("the grant allows more than the one it rests on")]
    MoreVerbs,
    #[error("the grant lasts longer than the one it rests on")]
    LongerExpiry,
    #[error("a grant by somebody who is not the owner rests on another grant, and one by the owner does not")]
    AuthorityNeeded,
    #[error("the grant does not replace that one: {0}")]
    NotReplacement(&'static str),
    #[error("the grant is not one of the group's own: {0}")]
    NotOfGroup(&'static str),
}

code_element! {
    /// Whom keys are sealed to.
    pub enum RecipientKind {
        Person = 0,
        Group = 1,
    }
}

record! {
    /// The terms of a grant; the keys are sealed beside it, with the hash of this in the HPKE info.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct GrantPayload {
        pub deployment: DeploymentId,
        pub suite: Suite,
        pub grant: GrantId,
        pub node: NodeId,
        pub kind: NodeKind,
        /// Of the node's keys, from 1.
        pub epoch: u32,
        pub list_commitment: Digest,
        pub tree_commitment: Digest,
        /// Who created the tree, or the group whose tree it is.
        pub owner: UserId,
        pub sealer: UserId,
        pub sealer_bundle: Digest,
        pub recipient_kind: RecipientKind,
        /// A person, or a group under an id of the same form.
        pub recipient: UserId,
        /// Of a group: the record hash of the head that began the generation.
        pub recipient_bundle: Digest,
        pub recipient_generation: u32,
        pub verbs: Verbs,
        /// [`Timestamp::ABSENT`]: never.
        pub expires: Timestamp,
        /// The grant this one replaces, for the same recipient.
        pub predecessor: Option<Digest>,
        /// The grant under which the sealer shares, in a group's tree the group's head on which they are a member; absent when the sealer
        /// is the owner.
        pub authority: Option<Digest>,
        pub key_log_size: u64,
        pub key_log_root: Option<Digest>,
        pub issued: Timestamp,
    }
}

impl GrantPayload {
    /// What a group's keys are sealed for: what each member may do of it, the roster says, and a group shares nothing on.
    pub const GROUP_VERBS: Verbs = Verbs::VIEW.and(Verbs::DOWNLOAD).and(Verbs::EDIT);

    /// The HPKE info that ties the sealed keys to these terms.
    pub fn info(&self) -> Digest {
        Digest::of_parts(&[b"ticrypt/v1/grant", &[0], &self.to_bytes()])
    }

    /// Whether the sealed part holds a tree key: *cannot view* is kept by keys.
    pub fn has_tree_key(&self) -> bool {
        self.verbs.contains(Verbs::VIEW)
    }

    /// Whether this can be the grant of the root of `user`'s own tree.
    pub fn is_root_of(&self, user: UserId) -> bool {
        self.recipient_kind == RecipientKind::Person
            && self.kind == NodeKind::Directory
            && [self.owner, self.sealer, self.recipient] == [user; 3]
            && self.verbs == Verbs::ALL
            && self.authority.is_none()
    }

    /// Checks a grant of a group's directory to its own members: `head` is the record hash of the head that began the generation. That the
    /// sealer is a member on the head named as authority is for the caller, who knows the roster.
    pub fn verify_of_group(&self, group: GroupId, generation: u32, head: &Digest) -> Result<(), GrantError> {
        if self.recipient_kind != RecipientKind::Group || [self.owner, self.recipient] != [group.as_owner(); 2] {
            return Err(GrantError::NotOfGroup("another owner or recipient"));
        }
        if self.recipient_generation != generation || self.recipient_bundle != *head {
            return Err(GrantError::NotOfGroup("another generation"));
        }
        if self.verbs != Self::GROUP_VERBS {
            return Err(GrantError::NotOfGroup("other verbs"));
        }
        if self.expires != Timestamp::ABSENT {
            return Err(GrantError::NotOfGroup("it expires"));
        }
        if self.authority.is_none() {
            return Err(GrantError::NotOfGroup("it names no head that its sealer stands on"));
        }
        Ok(())
    }

    /// Checks a grant by a holder who shares on: `authority` is theirs, carries *share*, and is not exceeded. That it is of this
    /// node or of one above is for the caller, who knows the tree.
    pub fn verify_terms_within(&self, authority: &Signed<Self>) -> Result<(), GrantError> {
        self.verify_authority(authority)?;
        if !authority.verbs.contains(Verbs::SHARE) {
            return Err(GrantError::MayNotShare);
        }
        if !authority.verbs.contains(self.verbs) {
            return Err(GrantError::MoreVerbs);
        }
        if outlasts(self.expires, authority.expires) {
            return Err(GrantError::LongerExpiry);
        }
        Ok(())
    }

    /// Whether this grant only carries new keys under the unchanged terms of `predecessor`.
    pub fn is_reseal_of(&self, predecessor: &Signed<Self>) -> bool {
        self.verify_reseal_of(predecessor).is_ok()
    }

    /// Checks what may differ from the grant this one replaces: keys, sealer and the recipient's generation; never the terms.
    pub fn verify_reseal_of(&self, predecessor: &Signed<Self>) -> Result<(), GrantError> {
        self.verify_replaces(predecessor)?;
        if self.verbs != predecessor.verbs {
            return Err(GrantError::NotReplacement("other verbs"));
        }
        if self.expires != predecessor.expires {
            return Err(GrantError::NotReplacement("another expiry"));
        }
        Ok(())
    }

    /// Checks a grant against the one it replaces, whatever the new terms: same tree, node and recipient, no older keys.
    pub fn verify_replaces(&self, predecessor: &Signed<Self>) -> Result<(), GrantError> {
        if self.predecessor != Some(predecessor.record_hash()) {
            return Err(GrantError::NotReplacement("it names another predecessor"));
        }
        if self.deployment != predecessor.deployment || self.owner != predecessor.owner {
            return Err(GrantError::OtherTree);
        }
        if (self.node, self.kind) != (predecessor.node, predecessor.kind) {
            return Err(GrantError::NotReplacement("another node"));
        }
        if (self.recipient_kind, self.recipient) != (predecessor.recipient_kind, predecessor.recipient) {
            return Err(GrantError::NotReplacement("another recipient"));
        }
        if self.epoch < predecessor.epoch || self.recipient_generation < predecessor.recipient_generation {
            return Err(GrantError::NotReplacement("an older epoch or generation"));
        }
        if self.suite < predecessor.suite {
            return Err(GrantError::NotReplacement("a weaker suite"));
        }
        Ok(())
    }

    /// Checks a grant that somebody made while giving a node new keys: unchanged terms, by the owner or by a holder with *edit*.
    pub fn verify_reseal_by(&self, predecessor: &Signed<Self>, authority: Option<&Signed<Self>>) -> Result<(), GrantError> {
        self.verify_reseal_of(predecessor)?;
        match authority {
            None if self.authority.is_none() => Ok(()),
            None => Err(GrantError::AuthorityNeeded),
            Some(authority) => {
                self.verify_authority(authority)?;
                if authority.verbs.contains(Verbs::EDIT) { Ok(()) } else { Err(GrantError::MayNotEdit) }
            }
        }
    }

    fn verify_authority(&self, authority: &Signed<Self>) -> Result<(), GrantError> {
        if self.authority != Some(authority.record_hash()) {
            return Err(GrantError::OtherAuthority);
        }
        if self.deployment != authority.deployment || self.owner != authority.owner {
            return Err(GrantError::OtherTree);
        }
        // Who is in a group, its heads prove: members stand on those, and a grant to a group is nobody's authority.
        if authority.recipient_kind != RecipientKind::Person || authority.recipient != self.sealer {
            return Err(GrantError::NotHolder);
        }
        Ok(())
    }
}

/// Whether a grant with one expiry outlives one with the other; an absent expiry never passes.
fn outlasts(expiry: Timestamp, other: Timestamp) -> bool {
    other != Timestamp::ABSENT && (expiry == Timestamp::ABSENT || expiry > other)
}

impl Record for GrantPayload {
    const MAX_LEN: usize = 1024;

    fn check(&self) -> Result<(), RecordError> {
        if self.epoch == 0 {
            return Err(RecordError::Rule("epochs begin at 1"));
        }
        if self.authority.is_none() != (self.sealer == self.owner) {
            return Err(RecordError::Rule("the owner shares without an authority, everybody else with one"));
        }
        if self.key_log_root.is_none() != (self.key_log_size == 0) {
            return Err(RecordError::Rule("a key log of size 0 has no root, and any other has one"));
        }
        Ok(())
    }
}

impl Payload for GrantPayload {
    const NAMESPACE: Namespace = Namespace::Grant;
}

record! {
    /// The end of a grant.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Revocation {
        pub deployment: DeploymentId,
        pub grant: GrantId,
        pub grant_hash: Digest,
        pub node: NodeId,
        pub issuer: UserId,
        pub issuer_bundle: Digest,
        pub at: Timestamp,
    }
}

impl Revocation {
    /// Whether this ends that grant.
    pub fn is_of(&self, grant: &Signed<GrantPayload>) -> bool {
        self.grant_hash == grant.record_hash() && (self.deployment, self.grant, self.node) == (grant.deployment, grant.grant, grant.node)
    }
}

impl Record for Revocation {
    const MAX_LEN: usize = 256;

    fn check(&self) -> Result<(), RecordError> {
        Ok(())
    }
}

impl Payload for Revocation {
    const NAMESPACE: Namespace = Namespace::Revocation;
}
