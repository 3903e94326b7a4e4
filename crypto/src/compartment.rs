//! Keys of a group for what carries tags (docs/formats.md §12): a chain of heads for each compartment, each the beginning of a generation.
//!
//! Who is to hold such a key is in the group, which its heads say, and may be active in the tags. So nobody is named here: what changes
//! is the key alone.
//!
//! ```text
//!   {US, Texas}:  generation 1 ◀─ generation 2 ◀─ …      each signed by a member of the group, on a head of the group
//!                                     └ public key, and generation 1's seed wrapped under its seed
//! ```

use minicbor::encode::{self, Write};
use minicbor::{Decoder, Encoder, decode};
use ticrypt_types::{Compartment, DeploymentId, GroupId, ProjectId, Timestamp, UserId};

use crate::bundle::KemPublicKey;
use crate::group::{GroupError, WRAPPED_SEED_LEN};
use crate::record::{Element, Record, RecordError};
use crate::signature::{Namespace, Payload, Signed};
use crate::{Digest, record};

record! {
    /// The beginning of a generation of a compartment's key.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CompartmentHeadPayload {
        pub deployment: DeploymentId,
        pub group: GroupId,
        pub compartment: Compartment,
        /// From 1, one more for each head.
        pub generation: u32,
        /// Record hash of the head before.
        pub previous: Option<Digest>,
        pub key: KemPublicKey,
        /// The seed of the generation before, wrapped under this one's; empty for the first.
        pub wrapped: Vec<u8>,
        /// The group's newest head, by which the writer is a member.
        pub authority: Digest,
        pub writer: UserId,
        pub writer_bundle: Digest,
        pub at: Timestamp,
    }
}

impl CompartmentHeadPayload {
    /// Checks that this head is the next one after `previous`.
    pub fn verify_successor(&self, previous: &Signed<Self>) -> Result<(), GroupError> {
        if (self.deployment, self.group, &self.compartment) != (previous.deployment, previous.group, &previous.compartment) {
            return Err(GroupError::OtherGroup);
        }
        if previous.generation.checked_add(1) != Some(self.generation) {
            return Err(GroupError::Generation);
        }
        if self.previous != Some(previous.record_hash()) {
            return Err(GroupError::Previous);
        }
        Ok(())
    }
}

impl Record for CompartmentHeadPayload {
    const MAX_LEN: usize = 4 * 1024;

    fn check(&self) -> Result<(), RecordError> {
        if self.compartment.is_unlocked() {
            return Err(RecordError::Rule("what carries no tags is under the group's own key"));
        }
        if self.generation == 0 {
            return Err(RecordError::Rule("generations begin at 1"));
        }
        if self.previous.is_none() != (self.generation == 1) {
            return Err(RecordError::Rule("the first head alone names none before it"));
        }
        let expected = if self.generation > 1 { WRAPPED_SEED_LEN } else { 0 };
        if self.wrapped.len() != expected {
            return Err(RecordError::Rule("a generation wraps the seed of the one before, and the first does not"));
        }
        Ok(())
    }
}

impl Payload for CompartmentHeadPayload {
    const NAMESPACE: Namespace = Namespace::CompartmentHead;
}

impl Element for Compartment {
    fn put<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>> {
        Vec::from(self.clone()).put(e)
    }

    fn take(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        Self::try_from(Vec::<ProjectId>::take(d)?).map_err(decode::Error::message)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::group::tests::key;

    fn first() -> CompartmentHeadPayload {
        CompartmentHeadPayload {
            deployment: DeploymentId::from_random([1; 16]),
            group: GroupId::from_random([2; 16]),
            compartment: Compartment::of([ProjectId::from_random([3; 16]), ProjectId::from_random([4; 16])]).unwrap(),
            generation: 1,
            previous: None,
            key: key(),
            wrapped: vec![],
            authority: Digest::of(b"head"),
            writer: UserId::from_random([9; 16]),
            writer_bundle: Digest::of(b"writer"),
            at: Timestamp::from_millis(1),
        }
    }

    fn second() -> CompartmentHeadPayload {
        CompartmentHeadPayload { generation: 2, previous: Some(Digest::of(b"before")), wrapped: vec![3; WRAPPED_SEED_LEN], ..first() }
    }

    #[test]
    fn every_head_reads_as_it_was_written() {
        for head in [first(), second()] {
            assert_eq!(CompartmentHeadPayload::parse(&head.to_bytes()).unwrap(), head);
        }
        let most = Compartment::of((0..32).map(|n| ProjectId::from_random([n; 16]))).unwrap();
        let full = CompartmentHeadPayload { compartment: most, generation: u32::MAX, at: Timestamp::from_millis(u64::MAX), ..second() };
        assert!(full.to_bytes().len() < CompartmentHeadPayload::MAX_LEN, "{}", full.to_bytes().len());
    }

    #[test]
    fn what_a_head_may_not_be() {
        for head in [
            CompartmentHeadPayload { compartment: Compartment::UNLOCKED, ..first() },
            CompartmentHeadPayload { generation: 0, ..first() },
            CompartmentHeadPayload { generation: 2, ..first() },
            CompartmentHeadPayload { previous: Some(Digest::ZERO), ..first() },
            CompartmentHeadPayload { wrapped: vec![3; WRAPPED_SEED_LEN], ..first() },
            CompartmentHeadPayload { previous: None, ..second() },
            CompartmentHeadPayload { wrapped: vec![], ..second() },
        ] {
            assert!(matches!(CompartmentHeadPayload::parse(&head.to_bytes()), Err(RecordError::Rule(_))), "{head:?}");
        }
    }
}
