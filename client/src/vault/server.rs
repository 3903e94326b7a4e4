//! The vault's endpoints as functions. The one file of the engine that knows how a call is made.

use bytes::Bytes;
use ticrypt_api::grant::*;
use ticrypt_api::node::*;
use ticrypt_api::upload::*;
use ticrypt_api::version::*;
use ticrypt_types::{GrantId, NodeId, Operation, VersionId};

use crate::error::Result;
use crate::transport::Transport;

/// An answer that says no more than that it was done.
type Nothing = Option<serde::de::IgnoredAny>;

/// The server, as the vault talks to it.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    pub transport: &'a Transport,
}

macro_rules! posts {
    ($($name:ident $operation:ident $request:ty => $reply:ty;)+) => {
        impl Server<'_> {
            $(pub async fn $name(self, request: $request) -> Result<$reply> {
                self.transport.call(Operation::$operation, &[], &(), &request).await
            })+
        }
    };
}

posts! {
    create_home HomeCreate HomeCreateRequest => HeadReply;
    list NodeList ListRequest => ListReply;
    stat NodeStat StatRequest => StatReply;
    create NodeCreate CreateRequest => HeadReply;
    rename NodeRename RenameRequest => HeadReply;
    move_node NodeMove MoveRequest => HeadReply;
    trash NodeTrash TrashRequest => HeadReply;
    restore NodeRestore RestoreRequest => HeadReply;
    delete NodeDelete DeleteRequest => DeleteReply;
    rekey NodeRekey RekeyRequest => HeadReply;
    tag NodeTag TagRequest => HeadReply;
    begin_uploads UploadBegin UploadBeginRequest => UploadBeginReply;
    versions VersionList VersionListRequest => VersionListReply;
    publish VersionPublish PublishRequest => PublishReply;
    open ContentOpen OpenRequest => OpenReply;
    grants GrantList GrantListRequest => GrantListReply;
}

impl Server<'_> {
    pub async fn roots(self) -> Result<RootsReply> {
        self.transport.call(Operation::VaultRoots, &[], &(), &()).await
    }

    pub async fn history(self, node: NodeId, page: PageQuery) -> Result<HistoryReply> {
        self.transport.call(Operation::NodeHistory, &[&node.to_string()], &page, &()).await
    }

    pub async fn trash_list(self, query: TrashQuery) -> Result<TrashReply> {
        self.transport.call(Operation::TrashList, &[], &query, &()).await
    }

    pub async fn upload_status(self, version: VersionId) -> Result<UploadStatusReply> {
        self.transport.call(Operation::UploadStatus, &[&version.to_string()], &(), &()).await
    }

    pub async fn abandon_upload(self, version: VersionId) -> Result<()> {
        self.transport.call::<_, Nothing>(Operation::UploadAbandon, &[&version.to_string()], &(), &()).await.map(|_| ())
    }

    pub async fn create_grants(self, request: GrantCreateRequest) -> Result<()> {
        self.transport.call::<_, Nothing>(Operation::GrantCreate, &[], &(), &request).await.map(|_| ())
    }

    pub async fn revoke_grant(self, grant: GrantId, request: GrantRevokeRequest) -> Result<GrantEndReply> {
        self.transport.call(Operation::GrantRevoke, &[&grant.to_string()], &(), &request).await
    }

    pub async fn leave_grant(self, grant: GrantId) -> Result<GrantEndReply> {
        self.transport.call(Operation::GrantLeave, &[&grant.to_string()], &(), &GrantLeaveRequest {}).await
    }

    pub async fn put_chunk(self, ticket: &Ticket, number: u64, bytes: Bytes) -> Result<()> {
        self.transport.put_chunk(ticket.version, number, &ticket.ticket.0, bytes).await
    }

    /// The stored chunk in a buffer of its own, to be opened where it lies.
    pub async fn get_chunk(self, ticket: &Ticket, number: u64) -> Result<Vec<u8>> {
        self.transport.get_chunk(ticket.version, number, &ticket.ticket.0).await
    }
}
