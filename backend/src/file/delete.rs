//! For good, out of the trash, by the owner. The rows go in one transaction; chunks follow, and what a crash leaves is swept.

use ticrypt_api::ApiError;
use ticrypt_api::node::{DeleteReply, DeleteRequest};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_crypto::chunk::stored_total;
use ticrypt_policy::Permit;
use ticrypt_policy::node::may_delete;
use ticrypt_policy::permit::NodeDelete;
use ticrypt_types::limits::BATCH_MAX_NODES;
use ticrypt_types::{NodeId, Operation};

use super::FileRole;
use super::audited::{Plan, event};
use super::error::FileError;

type Planned = Plan<(Vec<Permit<NodeDelete>>, DeleteReply), DeleteReply>;

impl FileRole {
    pub(super) async fn node_delete(&self, caller: &Caller, request: DeleteRequest) -> Result<Reply<DeleteReply>, ApiError> {
        let row = event(caller, Operation::NodeDelete, request.nodes.iter().copied());
        let plan = self.plan_delete(caller, &request.nodes).await;
        let (store, chunks, tasks) = (self.store.clone(), self.chunks.clone(), self.tasks.clone());
        self.change(row, plan, move |(permits, mut reply)| async move {
            let deleted = store.delete(permits).await?;
            reply.versions = deleted.len() as u64;
            // Thousands of chunks take a while; the answer need not wait, the role's shutdown does.
            tasks.spawn(async move {
                for version in deleted {
                    chunks.delete(version.file, version.version).await;
                }
            });
            Ok(reply)
        })
        .await
    }

    async fn plan_delete(&self, caller: &Caller, nodes: &[NodeId]) -> Result<Planned, FileError> {
        if nodes.is_empty() || nodes.len() > BATCH_MAX_NODES {
            return Err(FileError::Bound("a request names 1 to 2000 nodes; split it"));
        }
        let actor = self.actor(caller).await?;
        let mut permits = Vec::with_capacity(nodes.len());
        for facts in self.facts_of_all(&actor, nodes).await? {
            permits.push(may_delete(&actor, &facts, caller.now)?);
        }
        let mut reply = DeleteReply { nodes: 0, versions: 0, stored_bytes: 0 };
        for node in nodes {
            let below = self.store.subtree(*node).await?;
            let contents = self.store.contents_of(&below).await?;
            reply.nodes += below.len() as u64;
            reply.stored_bytes += contents.iter().map(|upload| stored_total(upload.version.size)).sum::<u64>();
        }
        Ok(Plan::Do((permits, reply)))
    }
}
