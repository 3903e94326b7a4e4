//! Grants that records name as their writers' authority, handed out with those records.
//!
//! A reader believes a head or a manifest of somebody who is not the owner only along a chain of grants up to one the owner
//! sealed. Each answer carries the chains it needs, each grant once. Ended ones too: what was written while they stood stands.

use std::collections::{BTreeSet, HashMap};

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
        let chains = self.chains(named.0).await?;
        Ok(chains.into_iter().map(|grant| Blob(grant.envelope)).collect())
    }

    /// What a grant rests on, nearest first.
    pub(super) async fn rests_on(&self, grant: &Grant) -> Result<Vec<Blob>, FileError> {
        let chains = self.chains(below(grant).collect()).await?;
        Ok(chains.into_iter().map(|grant| Blob(grant.envelope)).collect())
    }

    /// Breadth first from `start`, each grant once.
    async fn chains(&self, start: BTreeSet<[u8; 32]>) -> Result<Vec<Grant>, FileError> {
        let mut seen: HashMap<[u8; 32], ()> = start.iter().map(|hash| (*hash, ())).collect();
        let mut layer: Vec<[u8; 32]> = start.into_iter().collect();
        let mut found = Vec::new();
        while !layer.is_empty() {
            if seen.len() > GRANTS_MAX {
                return Err(FileError::TooLarge);
            }
            let mut next = Vec::new();
            for hash in layer {
                // A grant whose node was deleted for good is gone; what its writer left elsewhere names it all the same.
                let Some(grant) = self.store.grant_by_hash(&hash).await? else { continue };
                next.extend(below(&grant).filter(|hash| seen.insert(*hash, ()).is_none()));
                found.push(grant);
            }
            layer = next;
        }
        Ok(found)
    }
}

/// What a reader needs to believe a grant: its authority; and where its sealer is not the owner, the one it may have re-sealed.
fn below(grant: &Grant) -> impl Iterator<Item = [u8; 32]> {
    let predecessor = grant.predecessor.filter(|_| grant.sealer != grant.owner);
    grant.authority.into_iter().chain(predecessor)
}
