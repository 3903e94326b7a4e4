//! Grants that records name as their writers' authority, handed out with those records.
//!
//! A reader believes a head or a manifest of somebody who is not the owner only along a chain of grants up to one the owner
//! sealed. Each answer carries the chains it needs, each grant once. Ended ones too: what was written while they stood stands.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ticrypt_api::Blob;
use ticrypt_api::node::EntryView;
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::manifest::ManifestPayload;
use ticrypt_crypto::signature::Payload;
use ticrypt_crypto::{Digest, Envelope};
use ticrypt_store::grant::Grant;

use super::FileRole;
use super::error::FileError;

/// Grants in one answer; a tree with more writers than this asks in smaller pieces.
const GRANTS_MAX: usize = 2_000;

/// Record hashes of grants that an answer's records name.
#[derive(Debug, Default)]
pub(super) struct Named(BTreeSet<[u8; 32]>);

impl Named {
    pub(super) fn head(&mut self, envelope: &[u8]) -> Result<(), FileError> {
        self.0.extend(claimed::<HeadPayload>(envelope)?.authority.map(Digest::to_bytes));
        Ok(())
    }

    pub(super) fn manifest(&mut self, envelope: &[u8]) -> Result<(), FileError> {
        self.0.extend(claimed::<ManifestPayload>(envelope)?.authority.map(Digest::to_bytes));
        Ok(())
    }

    pub(super) fn entries(&mut self, entries: &[EntryView]) -> Result<(), FileError> {
        entries.iter().filter_map(|entry| entry.current.as_ref()).try_for_each(|current| self.manifest(&current.manifest.0))
    }
}

/// A record of ours, read again; its signature was checked when it came.
fn claimed<T: Payload>(envelope: &[u8]) -> Result<T, FileError> {
    Envelope::parse(envelope).and_then(|envelope| envelope.claimed()).map_err(|_| FileError::Corrupt("a stored record cannot be read"))
}

impl FileRole {
    /// The named grants and those they rest on.
    pub(super) async fn grants_named(&self, named: Named) -> Result<Vec<Blob>, FileError> {
        let found = self.chains(named.0, GRANTS_MAX).await?;
        Ok(found.0.into_values().map(|grant| Blob(grant.envelope)).collect())
    }

    /// What a grant rests on, nearest first.
    pub(super) async fn rests_on(&self, grant: &Grant) -> Result<Vec<Blob>, FileError> {
        Ok(self.rest_on(std::slice::from_ref(grant)).await?.below(grant))
    }

    /// What several rest on, read together.
    pub(super) async fn rest_on(&self, grants: &[Grant]) -> Result<Chains, FileError> {
        self.chains(grants.iter().flat_map(below).collect(), GRANTS_MAX + grants.len()).await
    }

    /// Layer by layer from `start`.
    async fn chains(&self, start: BTreeSet<[u8; 32]>, most: usize) -> Result<Chains, FileError> {
        let mut seen = start.clone();
        let mut layer: Vec<[u8; 32]> = start.into_iter().collect();
        let mut found = BTreeMap::new();
        while !layer.is_empty() {
            if seen.len() > most {
                return Err(FileError::TooLarge);
            }
            // A grant whose node was deleted for good is gone; what its writer left elsewhere names it all the same. And a member of a group names its head.
            let grants = self.store.grants_by_hash(&layer).await?;
            layer = grants.iter().flat_map(below).filter(|hash| seen.insert(*hash)).collect();
            found.extend(grants.into_iter().map(|grant| (grant.hash, grant)));
        }
        Ok(Chains(found))
    }
}

/// Grants by their hashes, with all that they rest on.
#[derive(Debug)]
pub(super) struct Chains(BTreeMap<[u8; 32], Grant>);

impl Chains {
    /// What one of them rests on, nearest first, each once.
    pub(super) fn below(&self, grant: &Grant) -> Vec<Blob> {
        let mut seen: BTreeSet<[u8; 32]> = BTreeSet::new();
        let mut layer: VecDeque<[u8; 32]> = below(grant).filter(|hash| seen.insert(*hash)).collect();
        let mut found = Vec::new();
        while let Some(grant) = layer.pop_front().map(|hash| self.0.get(&hash)) {
            let Some(grant) = grant else { continue };
            layer.extend(below(grant).filter(|hash| seen.insert(*hash)));
            found.push(Blob(grant.envelope.clone()));
        }
        found
    }
}

/// What a reader needs to believe a grant: its authority; and where its sealer is not the owner, the one it may have re-sealed.
fn below(grant: &Grant) -> impl Iterator<Item = [u8; 32]> {
    let predecessor = grant.predecessor.filter(|_| grant.sealer != grant.owner);
    grant.authority.into_iter().chain(predecessor)
}
