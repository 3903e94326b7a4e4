//! Remembers batches whose signature was verified, so that a thousand manifests of one upload cost one ECDSA operation.

use std::collections::{HashSet, VecDeque};

use super::{PublicKey, SIGNATURE_LEN};
use crate::Digest;

/// A bounded memory of verified batches; the oldest is forgotten first. Forgetting costs time, never safety.
#[derive(Debug)]
pub struct VerifyCache {
    seen: HashSet<Digest>,
    order: VecDeque<Digest>,
    capacity: usize,
}

impl VerifyCache {
    /// Remembers at most `capacity` batches, 32 bytes each twice.
    pub fn new(capacity: usize) -> Self {
        Self { seen: HashSet::new(), order: VecDeque::new(), capacity }
    }

    pub fn len(&self) -> usize {
        self.seen.len()
    }

    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Binds all that was verified, the signature too: a broken copy beside a good one is still refused.
    pub(super) fn entry(key: &PublicKey, signature: &[u8; SIGNATURE_LEN], message: &[u8]) -> Digest {
        // Every part but the last has a fixed length.
        Digest::of_parts(&[key.as_bytes(), signature, message])
    }

    pub(super) fn contains(&self, entry: &Digest) -> bool {
        self.seen.contains(entry)
    }

    pub(super) fn remember(&mut self, entry: Digest) {
        if self.capacity == 0 {
            return;
        }
        while self.order.len() >= self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        if self.seen.insert(entry) {
            self.order.push_back(entry);
        }
    }
}

impl Default for VerifyCache {
    fn default() -> Self {
        Self::new(256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_capacity_and_forgets_the_oldest() {
        let mut cache = VerifyCache::new(2);
        for name in [b"a", b"b", b"b", b"c"] {
            cache.remember(Digest::of(name));
            assert!(cache.len() <= 2);
        }
        assert!(!cache.contains(&Digest::of(b"a")));
        assert!(cache.contains(&Digest::of(b"b")));
        assert!(cache.contains(&Digest::of(b"c")));
    }
}
