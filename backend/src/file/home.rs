//! A person's own tree: its root, the grant that seals the root's keys to its owner, the first head.

use ticrypt_api::ApiError;
use ticrypt_api::node::{HeadReply, HomeCreateRequest};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::Permit;
use ticrypt_policy::node::{Home, may_create_home};
use ticrypt_policy::permit::HomeCreate;
use ticrypt_store::node::HomeNew;
use ticrypt_types::{NodeId, Operation, Timestamp};

use super::FileRole;
use super::audited::{Plan, event};
use super::error::FileError;
use super::fit;
use super::grant::{grant_new, sealed_len, to_bundle};
use super::place::head_new;
use super::records::Reader;

type Planned = Plan<(Permit<HomeCreate>, HomeNew), HeadReply>;

impl FileRole {
    pub(super) async fn home_create(&self, caller: &Caller, request: HomeCreateRequest) -> Result<Reply<HeadReply>, ApiError> {
        let plan = self.plan_home(caller, request).await;
        let node: Option<NodeId> = match &plan {
            Ok(Plan::Do((_, home))) => Some(home.node),
            _ => None,
        };
        let store = self.store.clone();
        self.change(event(caller, Operation::HomeCreate, node), plan, move |(permit, home)| async move {
            store.create_home(permit, home).await?;
            Ok(HeadReply { head_counter: 1 })
        })
        .await
    }

    async fn plan_home(&self, caller: &Caller, request: HomeCreateRequest) -> Result<Planned, FileError> {
        let who = self.who(caller).await?;
        let mut reader = Reader::new(self.deployment, &who.signer, caller.now);
        let grant = reader.grant(&request.grant.grant)?;
        let head = reader.head(&request.head)?;
        let home = self.store.home(caller.user).await?;
        if home.as_ref().is_some_and(|home| home.id == grant.node && home.head_counter >= 1)
            && self.store.grant_by_hash(&grant.record_hash().to_bytes()).await?.is_some()
        {
            return Ok(Plan::Again(HeadReply { head_counter: 1 }));
        }
        let state = match &home {
            Some(_) => Home::Open,
            None if self.store.lost_homes(caller.user).await?.is_empty() => Home::None,
            None => Home::Lost,
        };
        let permit = may_create_home(&who.actor, state, caller.now)?;
        if !grant.is_root_of(caller.user) || grant.epoch != 1 || grant.predecessor.is_some() || grant.expires != Timestamp::ABSENT {
            return Err(FileError::unfit(
                "grant_root",
                "the root of a tree is sealed by its owner to its owner, with all verbs and for ever",
            ));
        }
        to_bundle(&grant, &who.signer)?;
        sealed_len(&grant, &request.grant.sealed)?;
        fit::head(&head, fit::HeadBefore { directory: grant.node, epoch: 1, counter: 0, hash: None }, Vec::new())?;
        if head.authority.is_some() {
            return Err(ticrypt_policy::Denial::NoAuthority.into());
        }
        let node = grant.node;
        let home =
            HomeNew { node, head: head_new(&head, request.head), grant: grant_new(&grant, request.grant, caller.now), created: caller.now };
        Ok(Plan::Do((permit, home)))
    }
}
