//! Shares. The server can make none: it checks that a signed grant says nothing but what its sealer may give, keeps it, and ends it.

mod end;
mod expire;
mod give;
mod list;
mod resting;

use ticrypt_api::Blob;
use ticrypt_api::grant::NewGrant;
use ticrypt_crypto::grant::{GrantPayload, RecipientKind, SEALED_LENS};
use ticrypt_crypto::{Digest, Envelope, Signed};
use ticrypt_store::grant::{Grant, GrantNew};
use ticrypt_types::{NodeId, NodeKind, Timestamp, UserId};

use super::error::FileError;
use super::records::Signer;

/// The node a grant must be of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of {
    pub(super) node: NodeId,
    pub(super) kind: NodeKind,
    pub(super) owner: UserId,
    pub(super) epoch: u32,
}

/// A grant is of this node, under its present keys.
pub(super) fn is_of(grant: &Signed<GrantPayload>, of: Of) -> Result<(), FileError> {
    if (grant.node, grant.kind, grant.owner) != (of.node, of.kind, of.owner) {
        return Err(FileError::unfit("grant_node", "the grant is of another node, kind or owner; seal one of this"));
    }
    if grant.epoch != of.epoch {
        return Err(FileError::unfit("grant_epoch", "the grant seals other keys than the node's present ones; load it again"));
    }
    Ok(())
}

/// A grant is sealed to a person's current key.
pub(super) fn to_bundle(grant: &Signed<GrantPayload>, recipient: &Signer) -> Result<(), FileError> {
    if grant.recipient_kind != RecipientKind::Person {
        return Err(FileError::unfit("grant_recipient", "the grant is for a group, and there are none here; share with people"));
    }
    let named = (grant.recipient, grant.recipient_bundle, grant.recipient_generation);
    if named != (recipient.user, recipient.bundle, recipient.generation) {
        return Err(FileError::unfit(
            "recipient_bundle",
            "the grant is sealed to another key than the recipient's current one; look them up again",
        ));
    }
    Ok(())
}

/// The sealed keys have the one length that the verbs ask for: with *view* there is a tree key.
pub(super) fn sealed_len(grant: &Signed<GrantPayload>, Blob(sealed): &Blob) -> Result<(), FileError> {
    let [without_tree, with_tree] = SEALED_LENS;
    if sealed.len() == if grant.has_tree_key() { with_tree } else { without_tree } {
        Ok(())
    } else {
        Err(FileError::unfit("grant_sealed", "the sealed keys do not have the length that the verbs ask for; seal them again"))
    }
}

/// Grants of the same keys commit to the same keys. What stands is compared, so that nobody hands out keys of their own making.
pub(super) fn commits_like(grant: &GrantPayload, others: &[Grant]) -> Result<(), FileError> {
    for other in others.iter().filter(|other| other.epoch == u64::from(grant.epoch)) {
        let other = claimed(other)?;
        if (other.list_commitment, other.tree_commitment) != (grant.list_commitment, grant.tree_commitment) {
            return Err(FileError::unfit("grant_commitment", "the grant commits to other keys than the node has; load the node again"));
        }
    }
    Ok(())
}

/// A stored grant's terms; its signature was checked when it came.
pub(super) fn claimed(grant: &Grant) -> Result<GrantPayload, FileError> {
    Envelope::parse(&grant.envelope)
        .and_then(|envelope| envelope.claimed())
        .map_err(|_| FileError::Corrupt("a stored grant cannot be read"))
}

pub(super) fn grant_new(grant: &Signed<GrantPayload>, new: NewGrant, now: Timestamp) -> GrantNew {
    GrantNew {
        id: grant.grant,
        node: grant.node,
        hash: grant.record_hash().to_bytes(),
        envelope: new.grant.0,
        sealed: new.sealed.0,
        owner: grant.owner,
        sealer: grant.sealer,
        recipient: grant.recipient,
        recipient_bundle: grant.recipient_bundle.to_bytes(),
        verbs: grant.verbs,
        epoch: u64::from(grant.epoch),
        expires: grant.expires,
        authority: grant.authority.map(Digest::to_bytes),
        predecessor: grant.predecessor.map(Digest::to_bytes),
        created: now,
    }
}

/// Whether one expiry outlives another; an absent one never passes.
pub(super) fn outlasts(expiry: Timestamp, other: Timestamp) -> bool {
    other != Timestamp::ABSENT && (expiry == Timestamp::ABSENT || expiry > other)
}
