//! How the backend's roles meet. `rest` identifies and routes; the role that owns a noun decides and acts, so a permit never
//! crosses a wire. Today every link is in process; a remote one implements the same traits.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use ticrypt_types::{NodeId, Operation, Rank, RequestId, SessionId, Timestamp, UserId, VersionId};

use crate::access::{AccessExplainReply, AccessExplainRequest, AccessLossesReply, AccessLossesRequest};
use crate::error::ApiError;
use crate::grant::{GrantCreateRequest, GrantEndReply, GrantListReply, GrantListRequest, GrantRevokeRequest};
use crate::group::{
    CompartmentReadReply, CompartmentReadRequest, CompartmentRenewRequest, CompartmentReply, CompartmentSealRequest, GroupChangeRequest,
    GroupCreateRequest, GroupListReply, GroupReadQuery, GroupReadReply, GroupRenameRequest, GroupReply, GroupSealRequest,
};
use crate::log::{EntriesReply, EntriesRequest, LogName, LoggedEvent};
use crate::node::*;
use crate::upload::{UploadBeginReply, UploadBeginRequest, UploadStatusReply};
use crate::user::KeyLeaf;
use crate::version::{OpenReply, OpenRequest, PublishReply, PublishRequest, VersionListReply, VersionListRequest};
use ticrypt_types::{GrantId, GroupId};

/// Who asks, as `rest` has identified them. A role decides by this and by the facts it loads, never by anything in the body.
#[derive(Clone, Debug)]
pub struct Caller {
    pub user: UserId,
    pub rank: Rank,
    pub session: SessionId,
    /// Of the person when the session was made; a loss of rights raises the person's, and this one no longer fits.
    pub epoch: u64,
    /// When the session began: what came after it is not gained.
    pub login: Timestamp,
    pub request: RequestId,
    pub address: IpAddr,
    /// The server's time at which the request is decided.
    pub now: Timestamp,
}

/// What goes into an audit row. Ids only: no name, no key, no body.
#[derive(Clone, Debug)]
pub struct Event {
    pub operation: Operation,
    pub request: RequestId,
    pub actor: Option<UserId>,
    pub session: Option<SessionId>,
    /// Everything the row is about, at most `limits::BATCH_MAX_NODES`.
    pub subjects: Vec<[u8; 16]>,
    /// Public metadata: words and counts.
    pub detail: Vec<(String, String)>,
    pub at: Timestamp,
}

/// An opening row that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    pub index: u64,
    pub leaf_hash: [u8; 32],
}

/// How an audited piece of work ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The rule said no; the code of the refusal.
    Refused(String),
    Failed(String),
}

/// The audit role: no row, no work.
#[async_trait]
pub trait Audit: Send + Sync + fmt::Debug {
    /// Returns once the row is durable; an error means that the work must not start.
    async fn open(&self, event: Event) -> Result<Opened, ApiError>;
    /// Returns once the closing row is durable. An error makes the role stop taking mutations.
    async fn close(&self, opened: Opened, event: Event, outcome: Outcome) -> Result<(), ApiError>;
    /// One row for something that has no duration: a hand-out, a refusal, a failed login.
    async fn fact(&self, event: Event, outcome: Outcome) -> Result<Opened, ApiError>;
    /// A leaf of the key log about a person, a group or a project; durable on return.
    async fn key_event(&self, kind: KeyEventKind, subject: [u8; 16], body: Vec<u8>, at: Timestamp) -> Result<KeyLeaf, ApiError>;
    /// Signs that a row is in the log.
    fn receipt(&self, opened: Opened) -> Result<Vec<u8>, ApiError>;
    async fn checkpoint(&self, log: LogName) -> Result<Bytes, ApiError>;
    /// `None`: no such tile.
    async fn tile(&self, log: LogName, path: &str) -> Result<Option<Bytes>, ApiError>;
    async fn entries(&self, log: LogName, request: EntriesRequest) -> Result<EntriesReply, ApiError>;
    /// Rows of the audit log about a subject, newest first, those before an index.
    async fn about(&self, subject: [u8; 16], before: Option<u64>, limit: u32) -> Result<Vec<LoggedEvent>, ApiError>;
}

/// What a leaf of the key log is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEventKind {
    Bundle,
    Activation,
    State,
    Rotation,
    Reset,
    /// Of a group; the body is the head's record hash.
    GroupHead,
    CompartmentHead,
    /// Of a project, likewise.
    ProjectHead,
}

/// The file role: directories, files, versions, grants, groups.
#[async_trait]
pub trait Vault: Send + Sync + fmt::Debug {
    async fn create_home(&self, caller: &Caller, request: HomeCreateRequest) -> Result<Reply<HeadReply>, ApiError>;
    async fn roots(&self, caller: &Caller) -> Result<Reply<RootsReply>, ApiError>;
    async fn list(&self, caller: &Caller, request: ListRequest) -> Result<Reply<ListReply>, ApiError>;
    async fn stat(&self, caller: &Caller, request: StatRequest) -> Result<Reply<StatReply>, ApiError>;
    async fn create(&self, caller: &Caller, request: CreateRequest) -> Result<Reply<HeadReply>, ApiError>;
    async fn rename(&self, caller: &Caller, request: RenameRequest) -> Result<Reply<HeadReply>, ApiError>;
    async fn move_node(&self, caller: &Caller, request: MoveRequest) -> Result<Reply<HeadReply>, ApiError>;
    async fn trash(&self, caller: &Caller, request: TrashRequest) -> Result<Reply<HeadReply>, ApiError>;
    async fn restore(&self, caller: &Caller, request: RestoreRequest) -> Result<Reply<HeadReply>, ApiError>;
    async fn delete(&self, caller: &Caller, request: DeleteRequest) -> Result<Reply<DeleteReply>, ApiError>;
    async fn trash_list(&self, caller: &Caller, query: TrashQuery) -> Result<Reply<TrashReply>, ApiError>;
    async fn rekey(&self, caller: &Caller, request: RekeyRequest) -> Result<Reply<HeadReply>, ApiError>;
    async fn tag(&self, caller: &Caller, request: TagRequest) -> Result<Reply<HeadReply>, ApiError>;
    async fn history(&self, caller: &Caller, node: NodeId, page: PageQuery) -> Result<Reply<HistoryReply>, ApiError>;

    async fn begin_uploads(&self, caller: &Caller, request: UploadBeginRequest) -> Result<Reply<UploadBeginReply>, ApiError>;
    async fn upload_status(&self, caller: &Caller, version: VersionId) -> Result<Reply<UploadStatusReply>, ApiError>;
    async fn abandon_upload(&self, caller: &Caller, version: VersionId) -> Result<Reply<()>, ApiError>;
    async fn publish(&self, caller: &Caller, request: PublishRequest) -> Result<Reply<PublishReply>, ApiError>;
    async fn versions(&self, caller: &Caller, request: VersionListRequest) -> Result<Reply<VersionListReply>, ApiError>;
    async fn open(&self, caller: &Caller, request: OpenRequest) -> Result<Reply<OpenReply>, ApiError>;

    async fn create_grants(&self, caller: &Caller, request: GrantCreateRequest) -> Result<Reply<()>, ApiError>;
    async fn revoke_grant(&self, caller: &Caller, grant: GrantId, request: GrantRevokeRequest) -> Result<Reply<GrantEndReply>, ApiError>;
    async fn leave_grant(&self, caller: &Caller, grant: GrantId) -> Result<Reply<GrantEndReply>, ApiError>;
    async fn grants(&self, caller: &Caller, request: GrantListRequest) -> Result<Reply<GrantListReply>, ApiError>;

    async fn explain(&self, caller: &Caller, request: AccessExplainRequest) -> Result<Reply<AccessExplainReply>, ApiError>;
    async fn access_losses(&self, caller: &Caller, request: AccessLossesRequest) -> Result<Reply<AccessLossesReply>, ApiError>;
    async fn groups(&self, caller: &Caller) -> Result<Reply<GroupListReply>, ApiError>;
    async fn group(&self, caller: &Caller, group: GroupId, query: GroupReadQuery) -> Result<Reply<GroupReadReply>, ApiError>;
    async fn create_group(&self, caller: &Caller, request: GroupCreateRequest) -> Result<Reply<GroupReply>, ApiError>;
    async fn change_group(&self, caller: &Caller, group: GroupId, request: GroupChangeRequest) -> Result<Reply<GroupReply>, ApiError>;
    async fn seal_group(&self, caller: &Caller, group: GroupId, request: GroupSealRequest) -> Result<Reply<GroupReply>, ApiError>;
    async fn compartment(
        &self,
        caller: &Caller,
        group: GroupId,
        request: CompartmentReadRequest,
    ) -> Result<Reply<CompartmentReadReply>, ApiError>;
    async fn renew_compartment(
        &self,
        caller: &Caller,
        group: GroupId,
        request: CompartmentRenewRequest,
    ) -> Result<Reply<CompartmentReply>, ApiError>;
    async fn seal_compartment(
        &self,
        caller: &Caller,
        group: GroupId,
        request: CompartmentSealRequest,
    ) -> Result<Reply<CompartmentReply>, ApiError>;
    async fn rename_group(&self, caller: &Caller, group: GroupId, request: GroupRenameRequest) -> Result<Reply<GroupReply>, ApiError>;
    async fn delete_group(&self, caller: &Caller, group: GroupId) -> Result<Reply<()>, ApiError>;
}

/// An answer and the audit row it rests on, for the receipt.
#[derive(Clone, Debug)]
pub struct Reply<T> {
    pub body: T,
    pub opened: Option<Opened>,
}

/// The storage role: chunks move only with a ticket of the file role (security C16).
#[async_trait]
pub trait Chunks: Send + Sync + fmt::Debug {
    /// Durable on return. Sending the same chunk again is fine; other bytes for a number that is recorded are refused.
    async fn write(&self, caller: &Caller, ticket: &[u8], version: VersionId, number: u64, bytes: Bytes) -> Result<(), ApiError>;
    async fn read(&self, caller: &Caller, ticket: &[u8], version: VersionId, number: u64) -> Result<Bytes, ApiError>;
    /// For the file role after a deletion is committed; what cannot be deleted now is left to `sweep`.
    async fn delete(&self, file: NodeId, version: VersionId);
}

/// Epochs of people (security C16): every request and every chunk checks its caller's, so a loss is felt within a second.
pub trait Epochs: Send + Sync + fmt::Debug {
    fn is_current(&self, user: UserId, session: SessionId, epoch: u64) -> bool;
}

/// The in-process links.
#[derive(Clone, Debug)]
pub struct Links {
    pub audit: Arc<dyn Audit>,
    pub vault: Arc<dyn Vault>,
    pub chunks: Arc<dyn Chunks>,
}
