//! Where a person's way into the vault begins: their own tree, and what is shared with them.

use std::collections::HashMap;
use ticrypt_api::ApiError;
use ticrypt_api::Blob;
use ticrypt_api::node::{LostRootView, RootView, RootsReply};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::Actor;
use ticrypt_policy::node::{NodeFacts, may_stat};
use ticrypt_store::grant::Grant;
use ticrypt_store::node::Entry;
use ticrypt_types::{NodeId, Operation};

use super::FileRole;
use super::audited::event;
use super::error::FileError;

/// Shares in one answer.
const SHARED_MAX: u64 = 1_000;

impl FileRole {
    pub(super) async fn vault_roots(&self, caller: &Caller) -> Result<Reply<RootsReply>, ApiError> {
        let answer = self.read_roots(caller).await;
        let nodes: Vec<NodeId> =
            answer.iter().flat_map(|roots| roots.home.iter().chain(&roots.shared_with_me)).map(|root| root.entry.node.node).collect();
        self.hand_out(event(caller, Operation::VaultRoots, nodes), answer).await
    }

    async fn read_roots(&self, caller: &Caller) -> Result<RootsReply, FileError> {
        let actor = self.actor(caller).await?;
        actor.check(caller.now)?;
        let home = match self.store.home(actor.user).await? {
            None => None,
            Some(root) => {
                let grants = self.store.grants_on(&[root.id]).await?;
                let own = grants.into_iter().rev().find(|grant| grant.ended.is_none() && grant.recipient == actor.user);
                let own = own.ok_or(FileError::Corrupt("a home without its owner's grant"))?;
                self.root_views(caller, &actor, vec![own]).await?.pop()
            }
        };
        let shared = self.store.shared_with(actor.user, caller.now, None, SHARED_MAX).await?;
        Ok(RootsReply { home, shared_with_me: self.root_views(caller, &actor, shared).await?, lost: self.lost_views(caller).await? })
    }

    /// Trees of one's own whose keys were lost: what there is to delete, and who would lose something by it.
    async fn lost_views(&self, caller: &Caller) -> Result<Vec<LostRootView>, FileError> {
        let mut lost = Vec::new();
        for root in self.store.lost_homes(caller.user).await? {
            let tree = self.store.subtree(root.id).await?;
            let grants = self.store.grants_on(&tree).await?;
            let shares = grants.iter().filter(|grant| grant.is_living(caller.now) && grant.recipient != caller.user).count();
            lost.push(LostRootView { node: root.id, created_ms: root.created, nodes: tree.len() as u64, shares: shares as u64 });
        }
        Ok(lost)
    }

    /// Nodes one holds a grant on; what lies in the trash is left out like what is missing.
    pub(super) async fn root_views(&self, caller: &Caller, actor: &Actor, grants: Vec<Grant>) -> Result<Vec<RootView>, FileError> {
        let ids: Vec<NodeId> = grants.iter().map(|grant| grant.node).collect();
        let facts: HashMap<NodeId, NodeFacts> =
            self.store.node_facts(actor.user, &ids).await?.into_iter().map(|facts| (facts.node, facts)).collect();
        let shown = self.shown(actor, &facts.values().cloned().collect::<Vec<_>>(), caller.now).await?;
        let mut entries: HashMap<NodeId, Entry> = self.store.entries(&ids).await?.into_iter().map(|entry| (entry.node.id, entry)).collect();
        let mut roots = Vec::with_capacity(grants.len());
        for grant in grants {
            let Some(facts) = facts.get(&grant.node).filter(|facts| may_stat(actor, facts, caller.now).is_ok()) else { continue };
            let Some(entry) = entries.get_mut(&grant.node).cloned() else { continue };
            let placed = vec![(entry.node.into(), entry.current, facts.closure())];
            let entry = self.views(placed, &shown, caller.now).await?.pop().ok_or(FileError::Corrupt("a node without a view"))?;
            let authority = self.rests_on(&grant).await?;
            // The keys of what is locked are not given out, whoever asks.
            let sealed = if entry.locked { Vec::new() } else { grant.sealed };
            roots.push(RootView { grant: Blob(grant.envelope), sealed: Blob(sealed), authority, entry });
        }
        Ok(roots)
    }
}
