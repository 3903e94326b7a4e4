//! Who has what: on one node, or everything one gave. Signed records are handed out, never the sealed keys.

use std::collections::{BTreeSet, HashMap};

use ticrypt_api::ApiError;
use ticrypt_api::Blob;
use ticrypt_api::grant::{GrantFilter, GrantListReply, GrantListRequest, GrantView};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::grant::may_list_grants;
use ticrypt_store::grant::Grant;
use ticrypt_types::{GrantId, NodeId, Operation, Timestamp, UserId, UserName};

use super::super::FileRole;
use super::super::audited::{event, with};
use super::super::error::FileError;
use super::super::page;

const LIMIT_MAX: u32 = 1_000;
/// Shares with lost identities in one answer; each is gone once it is given again or ended.
const DEAD_MAX: u64 = 1_000;

impl FileRole {
    pub(crate) async fn grant_list(&self, caller: &Caller, request: GrantListRequest) -> Result<Reply<GrantListReply>, ApiError> {
        let row = with(event(caller, Operation::GrantList, request.node), "filter", filter_word(request.filter));
        let answer = self.read_grants(caller, request).await;
        self.hand_out(row, answer).await
    }

    async fn read_grants(&self, caller: &Caller, request: GrantListRequest) -> Result<GrantListReply, FileError> {
        if request.limit == 0 || request.limit > LIMIT_MAX {
            return Err(FileError::Bound("a page of shares has 1 to 1000"));
        }
        let limit = request.limit as usize;
        let after: Option<GrantId> = page::after_id(request.page.as_deref())?;
        let actor = self.actor(caller).await?;
        actor.check(caller.now)?;
        let first = after.is_none();
        let (mut grants, dead) = match (request.filter, request.node) {
            (GrantFilter::OnNode, Some(node)) => {
                let facts = self.facts_of(&actor, node).await?;
                let _permit = may_list_grants(&actor, &facts, caller.now)?;
                let mut grants = self.store.grants_on(&[node]).await?;
                // Of what is tagged itself the owner has a seal as well; of a root it is their way into their own tree, and nobody's business.
                let with_owner = facts.parent.is_some();
                grants.retain(|grant| grant.is_living(caller.now) && (with_owner || grant.recipient != grant.owner));
                (grants, if first { self.store.dead_on(node).await? } else { Vec::new() })
            }
            (GrantFilter::ByMe, None) => {
                let dead = if first { self.store.dead_by(actor.user, None, DEAD_MAX).await? } else { Vec::new() };
                (self.given_by(actor.user, caller.now, after, request.limit).await?, dead)
            }
            _ => return Err(FileError::Bound("name a node for `on_node`, and none for `by_me`")),
        };
        grants.retain(|grant| after.is_none_or(|after| grant.id > after));
        grants.sort_by_key(|grant| grant.id);
        let more = grants.len() > limit;
        grants.truncate(limit);
        let next = grants.last().filter(|_| more).map(|last| page::after(last.id.as_bytes()));
        // Whoever makes new keys for the holders of these believes none without its chain; others only look.
        let mut authority = BTreeSet::new();
        if request.filter == GrantFilter::OnNode {
            let chains = self.rest_on(&grants).await?;
            authority.extend(grants.iter().flat_map(|grant| chains.below(grant)));
        }
        let authority = authority.into_iter().collect();
        Ok(GrantListReply { grants: self.grant_views(grants).await?, authority, next, dead: self.grant_views(dead).await? })
    }

    /// What one sealed, and what others sealed of one's own tree: one more than a page.
    async fn given_by(&self, user: UserId, now: Timestamp, after: Option<GrantId>, limit: u32) -> Result<Vec<Grant>, FileError> {
        let mut grants: HashMap<GrantId, Grant> = HashMap::new();
        for grant in self.store.shared_by(user, now, after, u64::from(limit) + 1).await? {
            grants.insert(grant.id, grant);
        }
        if let Some(home) = self.store.home(user).await? {
            let tree: Vec<NodeId> = self.store.subtree(home.id).await?;
            let others = self.store.grants_on(&tree).await?;
            let others = others.into_iter().filter(|grant| grant.is_living(now) && grant.recipient != user);
            grants.extend(others.map(|grant| (grant.id, grant)));
        }
        Ok(grants.into_values().collect())
    }

    async fn grant_views(&self, grants: Vec<Grant>) -> Result<Vec<GrantView>, FileError> {
        let mut names: HashMap<UserId, UserName> = HashMap::new();
        let people: BTreeSet<UserId> = grants.iter().flat_map(|grant| [grant.sealer, grant.recipient]).collect();
        for user in people {
            let account = self.store.user(user).await?.ok_or(FileError::Corrupt("a grant of somebody without an account"))?;
            names.insert(user, account.name);
        }
        let name = |user: &UserId| names.get(user).cloned().ok_or(FileError::Corrupt("a grant of somebody without an account"));
        let view = |grant: Grant| {
            Ok(GrantView {
                id: grant.id,
                node: grant.node,
                sealer_name: name(&grant.sealer)?,
                recipient_name: name(&grant.recipient)?,
                grant: Blob(grant.envelope),
                sealer: grant.sealer,
                recipient: grant.recipient,
                created_ms: grant.created,
                expires_ms: Some(grant.expires).filter(|expires| *expires != Timestamp::ABSENT),
            })
        };
        grants.into_iter().map(view).collect()
    }
}

const fn filter_word(filter: GrantFilter) -> &'static str {
    match filter {
        GrantFilter::ByMe => "by_me",
        GrantFilter::OnNode => "on_node",
    }
}
