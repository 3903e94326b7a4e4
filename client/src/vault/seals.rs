//! Grants as they go out: sealed to somebody for the first time, or anew to those who remain.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use ticrypt_api::Blob;
use ticrypt_api::grant::{GrantFilter, GrantListRequest, GrantView, NewGrant};
use ticrypt_crypto::bundle::Bundle;
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_crypto::{Digest, Signed};
use ticrypt_types::{NodeId, Timestamp, UserName};

use super::Vault;
use super::load::blocking;
use super::make::{cannot_seal, new_grant_id};
use super::tree::Held;
use super::trust::lie;
use crate::error::Result;
use crate::keys::Batch;

const PAGE: u32 = 1_000;
/// So long after its end a share is certainly over, whatever the two clocks say.
const EXPIRED_MS: u64 = 15 * 60 * 1_000;

/// Who has a share of a node.
#[derive(Debug, Default)]
pub(super) struct OnNode {
    pub living: Vec<GrantView>,
    /// Sealed to keys that their person lost; nobody opens these again.
    pub dead: Vec<GrantView>,
}

impl Vault {
    /// Every grant on a node; its owner's own among them where it is tagged itself, and no root.
    pub(super) async fn grants_on(&self, node: NodeId) -> Result<OnNode> {
        let mut page = None;
        let mut found = OnNode::default();
        loop {
            let request = GrantListRequest { filter: GrantFilter::OnNode, node: Some(node), limit: PAGE, page };
            let reply = self.server().grants(request).await?;
            self.admit_records(&reply.authority, [], []).await?;
            found.living.extend(reply.grants);
            found.dead.extend(reply.dead);
            page = reply.next;
            if page.is_none() {
                return Ok(found);
            }
        }
    }

    /// Seals a node's new keys to everybody who remains, each under the terms they have. `with_owner`: to its owner too, for whom they are
    /// wrapped nowhere.
    pub(super) async fn reseal(&self, held: &Held, next: &Held, own: &[Blob], with_owner: bool) -> Result<Vec<NewGrant>> {
        let mut old: HashMap<Digest, (Blob, Option<UserName>)> = HashMap::new();
        let standing = self.grants_on(next.id).await?.living;
        for view in standing.into_iter().filter(|view| with_owner || view.recipient != held.root.owner()) {
            let hash = self.grant_of(&view.grant).await?.record_hash();
            old.insert(hash, (view.grant, Some(view.recipient_name)));
        }
        for bytes in own {
            old.entry(self.grant_of(bytes).await?.record_hash()).or_insert((bytes.clone(), None));
        }
        let tree = next.tree_key()?;
        let now = crate::clock::now();
        let (mut terms, mut bundles) = (Vec::with_capacity(old.len()), Vec::with_capacity(old.len()));
        for (hash, (bytes, name)) in old {
            let before = self.grant_of(&bytes).await?;
            self.verify_standing(held, &before, now)?;
            let bundle = match name {
                _ if before.recipient == self.me().user => Arc::new(self.me().bundle.clone()),
                Some(name) => {
                    let person = self.session.users.lookup_met(&name, &before.recipient_bundle).await?;
                    if person.user != before.recipient {
                        return Err(lie("the server shows another person for a grant than the one it was made for"));
                    }
                    person.bundle
                }
                None => return Err(lie("the server shows a grant without its holder")),
            };
            let renewed = GrantPayload {
                grant: new_grant_id(&self.random)?,
                epoch: next.epoch,
                list_commitment: next.keys.list.commitment(),
                tree_commitment: tree.commitment(),
                sealer: self.me().user,
                sealer_bundle: self.me().hash(),
                recipient_bundle: bundle.hash(),
                recipient_generation: bundle.payload().generation,
                predecessor: Some(hash),
                authority: next.root.authority(),
                issued: now,
                ..(**before).clone()
            };
            terms.push(self.with_key_log(renewed).await);
            bundles.push(bundle);
        }
        self.seal_grants(next, terms, bundles).await
    }

    /// Whether new keys of a node may go to the holder of this grant. The server says who holds what; it must not be able to add anybody, nor
    /// to bring back somebody whose share this person has ended.
    fn verify_standing(&self, held: &Held, grant: &Signed<GrantPayload>, now: Timestamp) -> Result<()> {
        if (grant.node, grant.kind) != (held.id, held.kind) {
            return Err(lie("the server shows a grant of another node"));
        }
        if grant.owner != held.root.owner() {
            return Err(lie("the server shows a grant by somebody who is not the owner's to give it"));
        }
        self.trust.verify_chain_to(grant, held.tree())?;
        // A re-seal gives nothing: what counts is the authority of the share that first gave those terms, not of who made new keys since.
        let mut step = Some(grant.clone());
        while let Some(at) = step {
            if self.session.seen.is_ended(&at.record_hash()) {
                return Err(lie("the server counts a share among the living that was ended on this device"));
            }
            let known = |hash: Option<Digest>| hash.and_then(|hash| self.trust.grant(&hash));
            let next = known(at.predecessor).filter(|before| at.is_reseal_of(before)).or_else(|| known(at.authority));
            step = next.map(|next| Signed::clone(&next));
        }
        let long_ago = Timestamp::from_millis(now.as_millis().saturating_sub(EXPIRED_MS));
        if grant.expires.is_expired(long_ago) {
            return Err(lie("the server counts a share among the living that has expired"));
        }
        // Whoever made the present keys sealed them to everybody who remained.
        match grant.epoch.cmp(&held.epoch) {
            Ordering::Less => Err(lie("the server counts a share among the living that got no seal of the present keys")),
            Ordering::Equal => Ok(()),
            Ordering::Greater => Err(super::tree::moved_on()),
        }
    }

    /// Seals and signs grants of one node.
    pub(super) async fn seal_grants(&self, held: &Held, terms: Vec<GrantPayload>, bundles: Vec<Arc<Bundle>>) -> Result<Vec<NewGrant>> {
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        let (keys, jobs) = (Arc::clone(&held.keys), terms.clone());
        let sealing = blocking(move || {
            let random = ticrypt_keyring::SystemRandom::new();
            let seal = |(terms, bundle): (&GrantPayload, &Arc<_>)| ticrypt_keyring::grant::seal(&random, bundle, terms, &keys);
            jobs.iter().zip(&bundles).map(seal).collect::<Result<Vec<_>, _>>()
        });
        let sealed = sealing.await?.map_err(cannot_seal)?;
        let envelopes = self.session.keys.sign(Batch::Grants(terms)).await?;
        Ok(envelopes.into_iter().zip(sealed).map(|(grant, sealed)| NewGrant { grant: Blob(grant), sealed: Blob(sealed) }).collect())
    }

    /// A grant, its signature verified.
    pub(super) async fn grant_of(&self, bytes: &Blob) -> Result<Arc<Signed<GrantPayload>>> {
        self.admit_records(std::slice::from_ref(bytes), [], []).await?;
        self.trust.admit_grant(bytes)
    }
}
