//! Sealing a node's keys to a person or to a generation of a group, and opening them (docs/formats.md §6).
//!
//! HPKE here has no sender: what says who sealed is the signature over the payload, and the payload's hash is in the HPKE info,
//! so that the sealed keys open under no other terms.

use minicbor::encode::{Encode, Encoder, Write};
use minicbor::{Decode, Decoder};
use ticrypt_crypto::bundle::{Bundle, KemPublicKey};
use ticrypt_crypto::grant::{GrantPayload, RecipientKind, SEALED_LENS};
use ticrypt_crypto::record::{self, Record, VERSION};
use ticrypt_crypto::signature::EnvelopeBytes;
use ticrypt_crypto::{RecordError, Signed};
use zeroize::Zeroizing;

use crate::aead::{OpenError, SealError};
use crate::group::GroupSeed;
use crate::identity::{Identity, KemSeed};
use crate::kem;
use crate::node::{ListKey, NodeKeys, TreeKey};
use crate::random::Random;
use crate::sign::{SignError, SigningKey};

/// Why a grant could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error("the keys could not be sealed")]
    Seal(#[from] SealError),
    #[error("the grant could not be signed")]
    Sign(#[from] SignError),
}

/// A grant as stored and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedGrant {
    pub envelope: EnvelopeBytes,
    pub sealed: Vec<u8>,
}

/// Seals a node's keys under the terms of `payload` to the person of `recipient`, and signs the terms.
pub fn issue(
    random: &dyn Random,
    sealer: &SigningKey,
    recipient: &Bundle,
    payload: &GrantPayload,
    keys: &NodeKeys,
) -> Result<SealedGrant, IssueError> {
    let sealed = seal(random, recipient, payload, keys)?;
    Ok(SealedGrant { envelope: sealer.sign_record(payload)?, sealed })
}

/// Seals a node's keys under the terms of `payload`. Without *view* the tree key stays out.
pub fn seal(random: &dyn Random, recipient: &Bundle, payload: &GrantPayload, keys: &NodeKeys) -> Result<Vec<u8>, SealError> {
    check_recipient(recipient, payload)?;
    seal_to(random, &recipient.payload().kem_key, payload, keys)
}

/// Seals the keys of a group's directory to a generation of the group: its public key, out of a verified head.
pub fn seal_to_group(random: &dyn Random, key: &KemPublicKey, payload: &GrantPayload, keys: &NodeKeys) -> Result<Vec<u8>, SealError> {
    if payload.recipient_kind != RecipientKind::Group {
        return Err(SealError::Mismatch("the grant's terms name a person"));
    }
    seal_to(random, key, payload, keys)
}

fn seal_to(random: &dyn Random, key: &KemPublicKey, payload: &GrantPayload, keys: &NodeKeys) -> Result<Vec<u8>, SealError> {
    payload.check().map_err(SealError::Rule)?;
    let tree = if payload.has_tree_key() {
        Some(keys.tree.as_ref().ok_or(SealError::Mismatch("a grant to view needs the tree key"))?)
    } else {
        None
    };
    if keys.list.commitment() != payload.list_commitment || tree.is_some_and(|tree| tree.commitment() != payload.tree_commitment) {
        return Err(SealError::Mismatch("the grant's terms name other keys"));
    }
    let plaintext =
        Zeroizing::new(record::encode(&GrantedKeys { list: keys.list.expose(), tree: tree.map_or(&[][..], |tree| &tree.expose()[..]) }));
    kem::seal(random, key, &payload.info(), &plaintext)
}

fn check_recipient(recipient: &Bundle, payload: &GrantPayload) -> Result<(), SealError> {
    let bundle = recipient.payload();
    if payload.recipient_kind == RecipientKind::Person
        && payload.deployment == bundle.deployment
        && payload.recipient == bundle.user
        && payload.recipient_bundle == recipient.hash()
        && payload.recipient_generation == bundle.generation
    {
        Ok(())
    } else {
        Err(SealError::Mismatch("the grant's terms name another recipient"))
    }
}

/// Opens a grant's keys. Its signature was verified (the type says so); that it leads back to the owner is the caller's to check.
pub fn open(identity: &Identity, payload: &Signed<GrantPayload>, sealed: &[u8]) -> Result<NodeKeys, OpenError> {
    if payload.recipient_kind != RecipientKind::Person
        || payload.recipient != identity.user()
        || payload.deployment != identity.deployment()
    {
        return Err(OpenError::Mismatch("the grant is for somebody else"));
    }
    let seed = identity
        .seed(payload.recipient_generation)
        .ok_or(OpenError::Mismatch("the grant is for keys this key file does not hold: ask for a new one"))?;
    open_from(seed, payload, sealed)
}

/// Opens the keys of a group's directory with the seed of the generation they were sealed to. Whether the terms are the group's own is
/// for [`GrantPayload::verify_of_group`], and whether a member signed them for the roster.
pub fn open_with(seed: &GroupSeed, payload: &Signed<GrantPayload>, sealed: &[u8]) -> Result<NodeKeys, OpenError> {
    if payload.recipient_kind != RecipientKind::Group {
        return Err(OpenError::Mismatch("the grant is for a person"));
    }
    open_from(seed.kem(), payload, sealed)
}

fn open_from(seed: &KemSeed, payload: &GrantPayload, sealed: &[u8]) -> Result<NodeKeys, OpenError> {
    if !SEALED_LENS.contains(&sealed.len()) {
        return Err(OpenError::Length);
    }
    let plaintext = kem::open(seed, &payload.info(), sealed)?;
    let granted: GrantedKeys<'_> = record::decode_strict(&plaintext, 128).map_err(OpenError::Content)?;
    granted.into_keys(payload)
}

/// What is sealed: `[1, list key bstr32, tree key bstr]`.
struct GrantedKeys<'a> {
    list: &'a [u8],
    tree: &'a [u8],
}

impl GrantedKeys<'_> {
    fn into_keys(self, payload: &GrantPayload) -> Result<NodeKeys, OpenError> {
        let wrong = || OpenError::Content(RecordError::Rule("a key has 32 bytes"));
        let list = ListKey::from_bytes(self.list.try_into().map_err(|_| wrong())?)?;
        let tree = match self.tree {
            [] => None,
            bytes => Some(TreeKey::from_bytes(bytes.try_into().map_err(|_| wrong())?)?),
        };
        if tree.is_some() != payload.has_tree_key() {
            return Err(OpenError::Mismatch("the tree key is there without view, or missing with it"));
        }
        if list.commitment() != payload.list_commitment || tree.as_ref().is_some_and(|tree| tree.commitment() != payload.tree_commitment) {
            return Err(OpenError::Mismatch("the sealed keys are not the ones the grant names"));
        }
        Ok(NodeKeys { list, tree })
    }
}

impl<C> Encode<C> for GrantedKeys<'_> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(3)?.u64(VERSION)?.bytes(self.list)?.bytes(self.tree)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for GrantedKeys<'b> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        record::open_array(d, 3)?;
        Ok(Self { list: d.bytes()?, tree: d.bytes()? })
    }
}

#[cfg(test)]
mod tests;
