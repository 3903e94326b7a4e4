//! Rosters of projects as their heads commit to them: the trie over the stored entries, and proofs out of it.

use std::collections::BTreeMap;

use ticrypt_api::project::EntryProof;
use ticrypt_api::{Blob, Hash};
use ticrypt_crypto::project::RosterEntry;
use ticrypt_crypto::record::Record;
use ticrypt_crypto::trie::Trie;
use ticrypt_crypto::{Digest, project};
use ticrypt_store::project::Listed;
use ticrypt_store::{Store, StoreError};
use ticrypt_types::{DeploymentId, ProjectId, UserId};

/// The entries of a project.
#[derive(Clone, Debug)]
pub struct Roster(BTreeMap<UserId, RosterEntry>);

/// The entries with the hashes over them.
#[derive(Debug)]
pub struct Proofs<'a> {
    roster: &'a Roster,
    trie: Trie,
}

/// An entry with the hashes beside the way to it.
#[derive(Clone, Debug)]
pub struct Proven {
    pub entry: RosterEntry,
    pub beside: Vec<Digest>,
}

impl Roster {
    /// What the newest head of a project commits to.
    pub async fn load(store: &Store, deployment: DeploymentId, project: ProjectId) -> Result<Self, StoreError> {
        let listed = store.listed(project).await?;
        Ok(Self(listed.into_iter().map(|member| (member.user, entry(deployment, project, &member))).collect()))
    }

    pub fn set(&mut self, entry: RosterEntry) {
        self.0.insert(entry.user, entry);
    }

    pub fn remove(&mut self, user: UserId) {
        self.0.remove(&user);
    }

    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, user: UserId) -> bool {
        self.0.contains_key(&user)
    }

    /// Hashes all entries.
    pub fn proofs(&self) -> Proofs<'_> {
        let trie = project::roster(self.0.values().cloned());
        // A map has nobody twice.
        Proofs { roster: self, trie: trie.unwrap_or_else(|twice| unreachable!("{twice}")) }
    }
}

impl Proofs<'_> {
    pub fn root(&self) -> Digest {
        self.trie.root()
    }

    /// `None`: not in the project.
    pub fn of(&self, user: UserId) -> Option<Proven> {
        Some(Proven { entry: self.roster.0.get(&user)?.clone(), beside: self.trie.proof(user.as_bytes())? })
    }
}

impl Proven {
    pub fn view(&self) -> EntryProof {
        EntryProof { entry: Blob(self.entry.to_bytes()), beside: self.beside.iter().map(|hash| Hash(hash.to_bytes())).collect() }
    }
}

fn entry(deployment: DeploymentId, project: ProjectId, member: &Listed) -> RosterEntry {
    let Listed { user, role, restrictions, expires, salt, .. } = *member;
    RosterEntry { deployment, project, user, role, restrictions, expires, salt }
}
