//! Which chunks are being written now: one writer for each, so that the bytes and the hash recorded for them are of one request.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use ticrypt_types::VersionId;

type Key = (VersionId, u64);

#[derive(Clone, Debug, Default)]
pub(super) struct Busy {
    writing: Arc<Mutex<HashSet<Key>>>,
}

/// Until it is dropped, nobody else writes this chunk. The lock itself is held only to look.
#[derive(Debug)]
pub(super) struct Guard {
    writing: Arc<Mutex<HashSet<Key>>>,
    key: Key,
}

impl Busy {
    /// `None` if the chunk is being written already.
    pub(super) fn begin(&self, version: VersionId, number: u64) -> Option<Guard> {
        let key = (version, number);
        let new = self.writing.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        new.then(|| Guard { writing: self.writing.clone(), key })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_at_a_time_for_each_chunk() {
        let busy = Busy::default();
        let version = VersionId::from_random([1; 16]);
        let first = busy.begin(version, 0).unwrap();
        assert!(busy.begin(version, 0).is_none());
        assert!(busy.begin(version, 1).is_some());
        drop(first);
        assert!(busy.begin(version, 0).is_some());
    }
}
