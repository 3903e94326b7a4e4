//! Groups: the signed chain that says who is in one and which key is its newest (docs/formats.md §12).
//!
//! A head carries the changes themselves, so whoever verifies a group replays it from the first head: signature and chain here, whether each
//! writer had leave in `ticrypt_policy::roster`. The server can withhold a head and can make none.
//!
//! ```text
//!   head 1 (owner, generation 1) ◀─ head 2: two added ◀─ head 3: one removed, generation 2 ◀─ …
//!                                                            └ public key, and generation 1's seed wrapped under its seed
//! ```
//!
//! A generation is a KEM key pair from a seed. Its seed goes to members in seals, which nobody signs: the public key in the head says whether
//! a seed is the right one.

use minicbor::decode;
use minicbor::encode::{self, Write};
use minicbor::{Decoder, Encoder};
use ticrypt_types::{Compartment, DeploymentId, GroupChange, GroupId, GroupPermissions, GroupStep, Timestamp, UserId, limits};

use crate::bundle::KemPublicKey;
use crate::record::{Element, Listed, Record, RecordError};
use crate::signature::{Namespace, Payload, Signed};
use crate::{Digest, grant, record};

/// Bytes of a wrapped seed: nonce, 32 bytes and the tag.
pub const WRAPPED_SEED_LEN: usize = 60;
/// Bytes of a sealed seed: `[1, bstr32]` and the tag behind the encapsulated key.
pub const SEALED_SEED_LEN: usize = grant::ENCAPSULATED_LEN + 36 + 16;

/// Why a head does not follow another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    #[error("it is of another group")]
    OtherGroup,
    #[error("its counter is not one more")]
    Counter,
    #[error("it names another head as the one before")]
    Previous,
    #[error("its generation is not the one before, or with a new key the next")]
    Generation,
}

record! {
    /// The state of a group after some changes.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct GroupHeadPayload {
        pub deployment: DeploymentId,
        pub group: GroupId,
        /// 1 for the first head, one more for each.
        pub counter: u64,
        /// Record hash of the head before.
        pub previous: Option<Digest>,
        /// In the order in which they are made.
        pub changes: Vec<GroupChange>,
        /// Of the group's key, from 1.
        pub generation: u32,
        /// Where a generation begins: its public key.
        pub key: Option<KemPublicKey>,
        /// The seed of the generation before, wrapped under this one's; empty where none begins, and for the first.
        pub wrapped: Vec<u8>,
        /// The first head's writer is the group's owner.
        pub writer: UserId,
        pub writer_bundle: Digest,
        pub at: Timestamp,
    }
}

impl GroupHeadPayload {
    /// Whether a generation begins here.
    pub fn renews(&self) -> bool {
        self.key.is_some()
    }

    /// Checks that this head is the next one after `previous`.
    pub fn verify_successor(&self, previous: &Signed<Self>) -> Result<(), GroupError> {
        if (self.deployment, self.group) != (previous.deployment, previous.group) {
            return Err(GroupError::OtherGroup);
        }
        if previous.counter.checked_add(1) != Some(self.counter) {
            return Err(GroupError::Counter);
        }
        if self.previous != Some(previous.record_hash()) {
            return Err(GroupError::Previous);
        }
        if previous.generation.checked_add(u32::from(self.renews())) != Some(self.generation) {
            return Err(GroupError::Generation);
        }
        Ok(())
    }
}

impl Record for GroupHeadPayload {
    const MAX_LEN: usize = 60 * 1024;

    fn check(&self) -> Result<(), RecordError> {
        if self.counter == 0 || self.generation == 0 {
            return Err(RecordError::Rule("counters and generations begin at 1"));
        }
        if self.previous.is_none() != (self.counter == 1) {
            return Err(RecordError::Rule("the first head alone names none before it"));
        }
        if (self.counter == 1) != (self.generation == 1 && self.renews()) {
            return Err(RecordError::Rule("the first head, and no other, begins the first generation"));
        }
        let expected = if self.renews() && self.generation > 1 { WRAPPED_SEED_LEN } else { 0 };
        if self.wrapped.len() != expected {
            return Err(RecordError::Rule("a new generation wraps the seed of the one before, and nothing else does"));
        }
        if self.changes.len() > limits::GROUP_CHANGES_MAX {
            return Err(RecordError::Rule("a head makes at most 500 changes"));
        }
        if self.changes.is_empty() && !self.renews() {
            return Err(RecordError::Rule("a head changes something"));
        }
        Ok(())
    }
}

impl Payload for GroupHeadPayload {
    const NAMESPACE: Namespace = Namespace::GroupHead;
}

record! {
    /// What the seed of a generation is sealed to somebody as; nobody signs it, its hash is in the HPKE info.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct GroupSealTerms {
        pub deployment: DeploymentId,
        pub group: GroupId,
        /// Which of the group's keys; none for its own.
        pub compartment: Compartment,
        pub generation: u32,
        pub member: UserId,
        pub bundle: Digest,
        /// Of the member's own keys.
        pub bundle_generation: u32,
    }
}

impl GroupSealTerms {
    /// The HPKE info that ties a sealed seed to these terms.
    pub fn info(&self) -> Digest {
        Digest::of_parts(&[b"ticrypt/v1/group-seal", &[0], &self.to_bytes()])
    }
}

impl Record for GroupSealTerms {
    const MAX_LEN: usize = 1024;

    fn check(&self) -> Result<(), RecordError> {
        if self.generation == 0 { Err(RecordError::Rule("generations begin at 1")) } else { Ok(()) }
    }
}

impl Listed for GroupChange {}

impl Element for GroupChange {
    fn put<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>> {
        let (code, bundle, permissions) = match &self.step {
            GroupStep::Add { bundle, permissions } => (0, &bundle[..], *permissions),
            GroupStep::Permit(permissions) => (1, &[][..], *permissions),
            GroupStep::Remove => (2, &[][..], GroupPermissions::NONE),
            GroupStep::Own => (3, &[][..], GroupPermissions::NONE),
        };
        e.array(4)?.u8(code)?;
        self.user.put(e)?;
        e.bytes(bundle)?.u8(permissions.bits())?.ok()
    }

    fn take(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        if d.array()? != Some(4) {
            return Err(decode::Error::message("a change has 4 elements"));
        }
        let (code, user, bundle) = (d.u8()?, UserId::take(d)?, d.bytes()?.to_vec());
        let permissions = GroupPermissions::from_bits(d.u8()?).ok_or_else(|| decode::Error::message("unknown permissions"))?;
        let step = match (code, bundle.as_slice(), permissions) {
            (0, bundle, permissions) => {
                let bundle = bundle.try_into().map_err(|_| decode::Error::message("who is added is added with a key"))?;
                GroupStep::Add { bundle, permissions }
            }
            (1, [], permissions) => GroupStep::Permit(permissions),
            (2, [], GroupPermissions::NONE) => GroupStep::Remove,
            (3, [], GroupPermissions::NONE) => GroupStep::Own,
            _ => return Err(decode::Error::message("unknown change of a group")),
        };
        Ok(Self { user, step })
    }
}

/// A public key, or none as the empty byte string.
impl Element for Option<KemPublicKey> {
    fn put<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>> {
        match self {
            Some(key) => key.put(e),
            None => e.bytes(&[])?.ok(),
        }
    }

    fn take(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        match d.bytes()? {
            [] => Ok(None),
            bytes => KemPublicKey::from_bytes(bytes).map(Some).map_err(decode::Error::message),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
