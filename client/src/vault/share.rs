//! Giving access, seeing who has it, ending it.
//!
//! Ending a share takes two steps: the server stops serving the person at once, and new keys keep them from what is written afterwards. What
//! they copied while they had access stays with them; no system can change that.

use std::sync::Arc;

use serde::Serialize;
use ticrypt_api::Blob;
use ticrypt_api::grant::{GrantCreateRequest, GrantFilter, GrantListRequest, GrantRevokeRequest, GrantView};
use ticrypt_crypto::bundle::Bundle;
use ticrypt_crypto::grant::{GrantPayload, RecipientKind, Revocation};
use ticrypt_crypto::{Digest, Signed, Suite};
use ticrypt_types::{GrantId, NodeId, NodeKind, ProjectId, Timestamp, UserName, Verbs};

use super::Vault;
use super::make::{new_grant_id, unsigned};
use super::path::{Label, VaultPath};
use super::progress::{Cancel, Progress, Report};
use super::roots::Unbelieved;
use super::seals::OnNode;
use super::tree::Held;
use super::trust::lie;
use crate::error::{ClientError, Kind, Result};
use crate::keys::Batch;
use crate::users::Trust;

const PAGE: u32 = 1_000;
/// Recipients of one request.
const RECIPIENTS: usize = 100;

/// How far new keys are made when a share has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewKeys {
    /// For everything that was shared.
    Whole,
    /// For the node itself: what is below gets its own when it is next written, or by [`Vault::rekey`].
    NodeOnly,
}

/// A share that was made.
#[derive(Clone, Debug, Serialize)]
pub struct Shared {
    pub recipient: UserName,
    pub grant: GrantId,
    pub verbs: Verbs,
    /// The key was seen for the first time: compare fingerprints.
    pub first_contact: bool,
    /// People have compared the fingerprint.
    pub compared: bool,
    pub fingerprint: String,
}

/// A share as it stands.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    pub grant: GrantId,
    pub node: NodeId,
    pub kind: NodeKind,
    /// `with_me` or `by_me`.
    pub direction: &'static str,
    pub name: Option<String>,
    /// Where it is, if it is in a tree this person can see.
    pub path: Option<String>,
    pub sealer: UserName,
    pub recipient: UserName,
    pub verbs: Verbs,
    pub words: Vec<&'static str>,
    pub issued_ms: Timestamp,
    pub expires_ms: Option<Timestamp>,
    pub epoch: u32,
    /// The recipient lost the keys it was sealed to: nobody opens it. Give it again or end it.
    pub dead: bool,
    /// Tagged with a project that is not in one's working set: not even the name can be read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
}

impl Vault {
    /// Everybody in a project as signed heads have it, but for oneself and the owner of the thing; for who sees them. A project shares nothing by itself
    /// (features H7), so its members are named one by one, as they are now: who comes later is shared with later.
    pub async fn members_to_share_with(&self, path: &VaultPath, project: ProjectId) -> Result<Vec<UserName>> {
        let owner = self.resolve(path).await?.held.root.owner();
        let me = self.me().user;
        let members = crate::project::proven_members(&self.session, project).await?;
        let others = members.into_iter().filter(|member| ![me, owner].contains(&member.user));
        let people: Vec<UserName> = others.map(|member| member.name).collect();
        if people.is_empty() {
            return Err(ClientError::refused(
                "nobody_to_share_with",
                "nobody else is in that project now; its managers add people, or name somebody",
            ));
        }
        Ok(people)
    }

    /// Shares a node with people; whoever has it already gets the new terms.
    pub async fn share(&self, path: &VaultPath, people: &[UserName], verbs: Verbs, expires: Timestamp) -> Result<Vec<Shared>> {
        let found = self.resolve(path).await?;
        let held = &found.held;
        if !held.root.verbs().contains(Verbs::SHARE) {
            if held.root.group.is_some() {
                return Err(ClientError::refused(
                    "in_group",
                    format!("what is in a group is shared with its members and nobody else; add people to the group that `{path}` is in"),
                ));
            }
            return Err(ClientError::refused("no_share", format!("your share of `{path}` does not let you share on; ask its owner")));
        }
        if !held.root.verbs().contains(verbs) {
            return Err(ClientError::refused("beyond_own", "a share is never freer than your own; give fewer rights"));
        }
        let before = self.grants_on(held.id).await?.living;
        let mut shared = Vec::with_capacity(people.len());
        for some in people.chunks(RECIPIENTS) {
            let (mut terms, mut bundles) = (Vec::new(), Vec::new());
            for name in some {
                let person = self.session.users.lookup(name).await?;
                if person.user == self.me().user || person.user == held.root.owner() {
                    return Err(ClientError::refused("recipient_has_all", format!("{name} is you or the owner; choose somebody else")));
                }
                let predecessor = match before.iter().find(|view| view.recipient == person.user) {
                    Some(view) => self.replaceable(&view.grant, held, &person.bundle).await?,
                    None => None,
                };
                let payload = self.terms(held, &person.bundle, verbs, expires, predecessor)?;
                shared.push(Shared {
                    recipient: name.clone(),
                    grant: payload.grant,
                    verbs,
                    first_contact: person.first_contact,
                    compared: person.trust == Trust::Compared,
                    fingerprint: person.fingerprint().to_string(),
                });
                terms.push(self.with_key_log(payload).await);
                bundles.push(person.bundle);
            }
            let grants = self.seal_grants(held, terms, bundles).await?;
            self.server().create_grants(GrantCreateRequest { grants }).await?;
        }
        Ok(shared)
    }

    /// The grant a new one replaces, if the two can stand in that relation.
    async fn replaceable(&self, bytes: &Blob, held: &Held, bundle: &Bundle) -> Result<Option<Digest>> {
        let grant = self.grant_of(bytes).await?;
        let follows = grant.node == held.id && grant.epoch <= held.epoch && grant.recipient_generation <= bundle.payload().generation;
        Ok(follows.then(|| grant.record_hash()))
    }

    fn terms(
        &self,
        held: &Held,
        recipient: &Bundle,
        verbs: Verbs,
        expires: Timestamp,
        predecessor: Option<Digest>,
    ) -> Result<GrantPayload> {
        let to = recipient.payload();
        // Without *view* the tree key is not given; its commitment then binds to nothing the recipient holds.
        let tree_commitment = match &held.keys.tree {
            Some(tree) => tree.commitment(),
            None => held.root.grant.tree_commitment,
        };
        Ok(GrantPayload {
            deployment: self.deployment(),
            suite: Suite::CURRENT,
            grant: new_grant_id(&self.random)?,
            node: held.id,
            kind: held.kind,
            epoch: held.epoch,
            list_commitment: held.keys.list.commitment(),
            tree_commitment,
            owner: held.root.owner(),
            sealer: self.me().user,
            sealer_bundle: self.me().hash(),
            recipient_kind: RecipientKind::Person,
            recipient: to.user,
            recipient_bundle: recipient.hash(),
            recipient_generation: to.generation,
            verbs,
            expires,
            predecessor,
            authority: held.root.authority(),
            key_log_size: 0,
            key_log_root: None,
            issued: crate::clock::now(),
        })
    }

    /// Ends shares of a node and makes new keys. With nobody named, ends all that this person may end.
    pub async fn unshare(
        &self,
        path: &VaultPath,
        people: &[UserName],
        new_keys: NewKeys,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(Vec<UserName>, Report)> {
        let found = self.resolve(path).await?;
        let OnNode { living: mut standing, dead } = self.grants_on(found.held.id).await?;
        standing.extend(dead);
        standing.retain(|view| view.recipient != found.held.root.owner());
        let mine = |view: &&GrantView| found.held.root.owner() == self.me().user || view.sealer == self.me().user;
        let chosen: Vec<&GrantView> = if people.is_empty() {
            standing.iter().filter(mine).filter(|view| view.recipient != self.me().user).collect()
        } else {
            let mut chosen = Vec::new();
            for name in people {
                let some: Vec<_> = standing.iter().filter(|view| view.recipient_name == *name).collect();
                if some.is_empty() {
                    return Err(ClientError::not_found(format!("`{path}` is not shared with {name} itself; see `ticrypt shares`")));
                }
                chosen.extend(some);
            }
            chosen
        };
        // All are looked at before the first is ended: a name in the wrong place would end another's share.
        for view in &chosen {
            self.named_grant(found.held.id, view).await?;
        }
        let mut ended = Vec::with_capacity(chosen.len());
        for view in chosen {
            self.revoke(found.held.id, view).await?;
            ended.push(view.recipient_name.clone());
        }
        // From here on the server refuses writes below until new keys are made; make them now rather than at the next write.
        let report = match new_keys {
            NewKeys::Whole => self.rekey(path, progress, cancel).await?,
            NewKeys::NodeOnly => self.rekey_node(path, progress).await?,
        };
        // The root of somebody else's share gets its new keys from whoever holds the directory above it; what is locked, when it is not.
        let is_ours_to_roll = found.parent().map_or(found.held.root.is_home, |(_, member)| !member.is_locked());
        if !ended.is_empty() && is_ours_to_roll && self.resolve(path).await?.held.epoch <= found.held.epoch {
            return Err(lie("the server said that a share was ended, and did not end it"));
        }
        Ok((ended, report))
    }

    async fn revoke(&self, node: NodeId, view: &GrantView) -> Result<()> {
        let grant = self.named_grant(node, view).await?;
        let revocation = Revocation {
            deployment: self.deployment(),
            grant: grant.grant,
            grant_hash: grant.record_hash(),
            node,
            issuer: self.me().user,
            issuer_bundle: self.me().hash(),
            at: crate::clock::now(),
        };
        let envelope = self.session.keys.sign(Batch::Revocations(vec![revocation])).await?.pop().ok_or_else(unsigned)?;
        let request = GrantRevokeRequest { revocation: Blob(envelope) };
        if let Err(error) = self.server().revoke_grant(view.id, request).await
            // The reply to a former attempt was lost.
            && error.code() != "already_ended"
        {
            return Err(error);
        }
        // Whatever the server says later, new keys do not go there.
        self.session.seen.end_grant(&grant.record_hash())
    }

    /// A grant of a node, its names held to the keys it names: the server's words decide whose share is ended, so they are not just taken.
    async fn named_grant(&self, node: NodeId, view: &GrantView) -> Result<Arc<Signed<GrantPayload>>> {
        let grant = self.grant_of(&view.grant).await?;
        if (grant.node, grant.grant) != (node, view.id) {
            return Err(lie("the server shows a grant of another node"));
        }
        let sealer = self.trust.bundle(&grant.sealer_bundle).ok_or_else(|| lie("the key that sealed a share is not known"))?;
        let recipient = self.session.users.bundle(&grant.recipient_bundle).await?;
        let (sealer, recipient) = (sealer.payload(), recipient.payload());
        if (recipient.user, &recipient.name, &sealer.name) != (grant.recipient, &view.recipient_name, &view.sealer_name)
            || (grant.recipient, grant.sealer) != (view.recipient, view.sealer)
        {
            return Err(lie("the server gives the people of a share other names than their keys do"));
        }
        Ok(grant)
    }

    /// Gives up a share that somebody made for this person.
    pub async fn leave(&self, path: &VaultPath) -> Result<()> {
        let found = self.resolve(path).await?;
        let share = found.share.filter(|share| !share.root().is_home);
        let share = share.ok_or_else(|| {
            ClientError::new(
                Kind::Invalid,
                "not_a_share",
                format!("`{path}` is not a share itself; name one of `ticrypt shares --with-me`"),
            )
        })?;
        self.server().leave_grant(share.root().grant.grant).await.map(|_| ())
    }

    /// What others share with this person, and what is not shown because a key changed.
    pub async fn shares_with_me(&self) -> Result<(Vec<Standing>, Vec<Unbelieved>)> {
        let roots = self.roots().await?;
        let (locked, open): (Vec<_>, Vec<_>) = roots.shares.iter().cloned().partition(|share| share.is_locked());
        let held = self.open_shares(&open).await?;
        let mut standing = Vec::with_capacity(roots.shares.len());
        for (share, held) in open.iter().zip(held) {
            let name = self.share_props(share, &held).ok().map(|props| props.name);
            let label = name.as_ref().map(|name| Label::exact(name, held.id));
            let path = label.and_then(|label| VaultPath::of_share(share.sharer(), &label).ok()).map(|path| path.to_string());
            let name = name.map(|name| name.as_str().to_owned());
            let one = standing_of(&share.root().grant, share.sharer().clone(), self.me().name.clone(), path);
            standing.push(Standing { direction: "with_me", name, ..one });
        }
        // The name of what is locked is under keys that the server keeps back.
        for share in locked {
            let one = standing_of(&share.root().grant, share.sharer().clone(), self.me().name.clone(), None);
            standing.push(Standing { direction: "with_me", locked: true, ..one });
        }
        Ok((standing, roots.unbelieved))
    }

    /// What this person shares, and what others share of this person's tree.
    pub async fn shares_by_me(&self) -> Result<Vec<Standing>> {
        let mut views = Vec::new();
        let mut page = None;
        loop {
            let request = GrantListRequest { filter: GrantFilter::ByMe, node: None, limit: PAGE, page };
            let reply = self.server().grants(request).await?;
            views.extend(reply.grants.into_iter().map(|view| (view, false)).chain(reply.dead.into_iter().map(|view| (view, true))));
            page = reply.next;
            if page.is_none() {
                break;
            }
        }
        let mut standing = Vec::with_capacity(views.len());
        let home = self.home().await?;
        for (view, dead) in views {
            let grant = self.named_grant(view.node, &view).await?;
            if grant.recipient == grant.owner {
                continue;
            }
            // Only one's own tree can be searched upwards.
            let path = if grant.owner == self.me().user { self.path_of(&VaultPath::home(), &home, grant.node).await.ok() } else { None };
            let one = standing_of(&grant, view.sealer_name, view.recipient_name, path.map(|(path, _)| path.to_string()));
            standing.push(Standing { dead, ..one });
        }
        Ok(standing)
    }

    /// Who has shares of one node.
    pub async fn shares_of(&self, path: &VaultPath) -> Result<Vec<Standing>> {
        let found = self.resolve(path).await?;
        let mut standing = Vec::new();
        let OnNode { living, dead } = self.grants_on(found.held.id).await?;
        for (view, dead) in living.into_iter().map(|view| (view, false)).chain(dead.into_iter().map(|view| (view, true))) {
            let grant = self.named_grant(found.held.id, &view).await?;
            if grant.recipient != grant.owner {
                let one = standing_of(&grant, view.sealer_name, view.recipient_name, Some(path.to_string()));
                standing.push(Standing { dead, ..one });
            }
        }
        Ok(standing)
    }
}

fn standing_of(grant: &GrantPayload, sealer: UserName, recipient: UserName, path: Option<String>) -> Standing {
    Standing {
        direction: "by_me",
        name: path.as_deref().and_then(|path| path.rsplit('/').next()).map(str::to_owned),
        grant: grant.grant,
        node: grant.node,
        kind: grant.kind,
        path,
        sealer,
        recipient,
        verbs: grant.verbs,
        words: grant.verbs.words(),
        issued_ms: grant.issued,
        expires_ms: (grant.expires != Timestamp::ABSENT).then_some(grant.expires),
        epoch: grant.epoch,
        dead: false,
        locked: false,
    }
}
