//! The server's roles with some of their answers bent.

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use ticrypt_api::access::*;
use ticrypt_api::grant::*;
use ticrypt_api::group::*;
use ticrypt_api::node::*;
use ticrypt_api::role::{Caller, Chunks, Reply, Vault};
use ticrypt_api::upload::*;
use ticrypt_api::version::*;
use ticrypt_api::{ApiError, Blob, Codec, wire};
use ticrypt_types::{GrantId, GroupId, NodeId, Operation, VersionId};

/// A stored chunk on its way out.
#[derive(Clone, Debug, Serialize)]
pub struct StoredChunk {
    pub version: VersionId,
    pub number: u64,
    pub bytes: Blob,
}

type Bend = Arc<dyn Fn(&mut dyn Any) + Send + Sync>;
type Invent = Arc<dyn Fn() -> Box<dyn Any + Send> + Send + Sync>;

/// One lie about the answers of one operation.
#[derive(Clone)]
pub enum Lie {
    Bent(Operation, Bend),
    /// Answered so, and nothing is done.
    Undone(Operation, Invent),
}

impl Lie {
    /// An answer that is changed.
    pub fn bent<T: 'static>(operation: Operation, bend: impl Fn(&mut T) + Send + Sync + 'static) -> Self {
        Self::Bent(operation, Arc::new(move |reply| bend(reply.downcast_mut().expect("an answer of this operation"))))
    }

    /// A change that is acknowledged and not made.
    pub fn undone<T: Clone + Send + Sync + 'static>(operation: Operation, reply: T) -> Self {
        Self::Undone(operation, Arc::new(move || Box::new(reply.clone())))
    }

    pub fn roots(bend: impl Fn(&mut RootsReply) + Send + Sync + 'static) -> Self {
        Self::bent(Operation::VaultRoots, bend)
    }

    pub fn list(bend: impl Fn(&mut ListReply) + Send + Sync + 'static) -> Self {
        Self::bent(Operation::NodeList, bend)
    }

    pub fn stat(bend: impl Fn(&mut StatReply) + Send + Sync + 'static) -> Self {
        Self::bent(Operation::NodeStat, bend)
    }

    pub fn open(bend: impl Fn(&mut OpenReply) + Send + Sync + 'static) -> Self {
        Self::bent(Operation::ContentOpen, bend)
    }

    pub fn versions(bend: impl Fn(&mut VersionListReply) + Send + Sync + 'static) -> Self {
        Self::bent(Operation::VersionList, bend)
    }

    pub fn grants(bend: impl Fn(&mut GrantListReply) + Send + Sync + 'static) -> Self {
        Self::bent(Operation::GrantList, bend)
    }

    pub fn group(bend: impl Fn(&mut GroupReadReply) + Send + Sync + 'static) -> Self {
        Self::bent(Operation::GroupRead, bend)
    }

    pub fn compartment(bend: impl Fn(&mut CompartmentReadReply) + Send + Sync + 'static) -> Self {
        Self::bent(Operation::CompartmentRead, bend)
    }

    pub fn chunk(bend: impl Fn(&mut StoredChunk) + Send + Sync + 'static) -> Self {
        Self::bent(Operation::ChunkRead, bend)
    }
}

/// Stands between `rest` and the roles.
pub struct Liar {
    vault: Arc<dyn Vault>,
    chunks: Arc<dyn Chunks>,
    lies: Mutex<Vec<Lie>>,
    told: AtomicUsize,
    /// Honest answers, as they were given.
    heard: Mutex<HashMap<Operation, Vec<Box<dyn Any + Send>>>>,
}

impl std::fmt::Debug for Liar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Liar")
    }
}

impl Liar {
    pub fn new(vault: Arc<dyn Vault>, chunks: Arc<dyn Chunks>) -> Self {
        Self { vault, chunks, lies: Mutex::default(), told: AtomicUsize::new(0), heard: Mutex::default() }
    }

    /// From now on tells these lies and no others.
    pub fn tell(&self, lies: &[Lie]) {
        *self.lies.lock().unwrap() = lies.to_vec();
        self.told.store(0, Ordering::SeqCst);
    }

    pub fn be_honest(&self) {
        self.tell(&[]);
    }

    /// Answers that were not the honest ones, since it was last told how to answer.
    pub fn told(&self) -> usize {
        self.told.load(Ordering::SeqCst)
    }

    /// Every honest answer of an operation, oldest first.
    pub fn heard<T: Clone + 'static>(&self, operation: Operation) -> Vec<T> {
        let heard = self.heard.lock().unwrap();
        heard
            .get(&operation)
            .into_iter()
            .flatten()
            .map(|reply| reply.downcast_ref::<T>().expect("an answer of this operation").clone())
            .collect()
    }

    /// The last of them.
    pub fn last<T: Clone + 'static>(&self, operation: Operation) -> T {
        self.heard(operation).pop().expect("an honest answer before")
    }

    fn invented<T: 'static>(&self, operation: Operation) -> Option<T> {
        let lies = self.lies.lock().unwrap();
        let invent = lies.iter().find_map(|lie| match lie {
            Lie::Undone(of, invent) if *of == operation => Some(invent),
            _ => None,
        })?;
        self.told.fetch_add(1, Ordering::SeqCst);
        Some(*invent().downcast::<T>().expect("an answer of this operation"))
    }

    fn bend<T: Clone + Serialize + Send + 'static>(&self, operation: Operation, mut reply: T) -> T {
        self.heard.lock().unwrap().entry(operation).or_default().push(Box::new(reply.clone()));
        let lies = self.lies.lock().unwrap().clone();
        let honest = wire::encode(Codec::Cbor, &reply).unwrap();
        for lie in &lies {
            if let Lie::Bent(of, bend) = lie
                && *of == operation
            {
                bend(&mut reply);
            }
        }
        if wire::encode(Codec::Cbor, &reply).unwrap() != honest {
            self.told.fetch_add(1, Ordering::SeqCst);
        }
        reply
    }
}

macro_rules! vault {
    ($($name:ident $operation:ident ($($argument:ident: $type:ty),*) => $reply:ty;)+) => {
        #[async_trait]
        impl Vault for Liar {
            $(async fn $name(&self, caller: &Caller, $($argument: $type),*) -> Result<Reply<$reply>, ApiError> {
                if let Some(body) = self.invented(Operation::$operation) {
                    return Ok(Reply { body, opened: None });
                }
                let reply = self.vault.$name(caller, $($argument),*).await?;
                Ok(Reply { body: self.bend(Operation::$operation, reply.body), opened: reply.opened })
            })+
        }
    };
}

vault! {
    create_home HomeCreate (request: HomeCreateRequest) => HeadReply;
    roots VaultRoots () => RootsReply;
    list NodeList (request: ListRequest) => ListReply;
    stat NodeStat (request: StatRequest) => StatReply;
    create NodeCreate (request: CreateRequest) => HeadReply;
    rename NodeRename (request: RenameRequest) => HeadReply;
    move_node NodeMove (request: MoveRequest) => HeadReply;
    trash NodeTrash (request: TrashRequest) => HeadReply;
    restore NodeRestore (request: RestoreRequest) => HeadReply;
    delete NodeDelete (request: DeleteRequest) => DeleteReply;
    trash_list TrashList (query: TrashQuery) => TrashReply;
    rekey NodeRekey (request: RekeyRequest) => HeadReply;
    tag NodeTag (request: TagRequest) => HeadReply;
    history NodeHistory (node: NodeId, page: PageQuery) => HistoryReply;
    begin_uploads UploadBegin (request: UploadBeginRequest) => UploadBeginReply;
    upload_status UploadStatus (version: VersionId) => UploadStatusReply;
    abandon_upload UploadAbandon (version: VersionId) => ();
    publish VersionPublish (request: PublishRequest) => PublishReply;
    versions VersionList (request: VersionListRequest) => VersionListReply;
    open ContentOpen (request: OpenRequest) => OpenReply;
    create_grants GrantCreate (request: GrantCreateRequest) => ();
    revoke_grant GrantRevoke (grant: GrantId, request: GrantRevokeRequest) => GrantEndReply;
    leave_grant GrantLeave (grant: GrantId) => GrantEndReply;
    grants GrantList (request: GrantListRequest) => GrantListReply;
    groups GroupList () => GroupListReply;
    group GroupRead (group: GroupId, query: GroupReadQuery) => GroupReadReply;
    create_group GroupCreate (request: GroupCreateRequest) => GroupReply;
    change_group GroupChange (group: GroupId, request: GroupChangeRequest) => GroupReply;
    compartment CompartmentRead (group: GroupId, request: CompartmentReadRequest) => CompartmentReadReply;
    renew_compartment CompartmentRenew (group: GroupId, request: CompartmentRenewRequest) => CompartmentReply;
    seal_compartment CompartmentSeal (group: GroupId, request: CompartmentSealRequest) => CompartmentReply;
    explain AccessExplain (request: AccessExplainRequest) => AccessExplainReply;
    access_losses AccessLosses (request: AccessLossesRequest) => AccessLossesReply;
    seal_group GroupSeal (group: GroupId, request: GroupSealRequest) => GroupReply;
    rename_group GroupRename (group: GroupId, request: GroupRenameRequest) => GroupReply;
    delete_group GroupDelete (group: GroupId) => ();
}

#[async_trait]
impl Chunks for Liar {
    async fn write(&self, caller: &Caller, ticket: &[u8], version: VersionId, number: u64, bytes: Bytes) -> Result<(), ApiError> {
        match self.invented(Operation::ChunkWrite) {
            Some(()) => Ok(()),
            None => self.chunks.write(caller, ticket, version, number, bytes).await,
        }
    }

    async fn read(&self, caller: &Caller, ticket: &[u8], version: VersionId, number: u64) -> Result<Bytes, ApiError> {
        let bytes = Blob(self.chunks.read(caller, ticket, version, number).await?.to_vec());
        Ok(self.bend(Operation::ChunkRead, StoredChunk { version, number, bytes }).bytes.0.into())
    }

    async fn delete(&self, file: NodeId, version: VersionId) {
        self.chunks.delete(file, version).await;
    }
}
