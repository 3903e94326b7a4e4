//! The contract of the role, each verb led to its file.

use async_trait::async_trait;
use ticrypt_api::ApiError;
use ticrypt_api::access::{AccessExplainReply, AccessExplainRequest, AccessLossesReply, AccessLossesRequest};
use ticrypt_api::grant::{GrantCreateRequest, GrantEndReply, GrantListReply, GrantListRequest, GrantRevokeRequest};
use ticrypt_api::group::{
    CompartmentReadReply, CompartmentReadRequest, CompartmentRenewRequest, CompartmentReply, CompartmentSealRequest, GroupChangeRequest,
    GroupCreateRequest, GroupListReply, GroupReadQuery, GroupReadReply, GroupRenameRequest, GroupReply, GroupSealRequest,
};
use ticrypt_api::node::{
    CreateRequest, DeleteReply, DeleteRequest, HeadReply, HistoryReply, HomeCreateRequest, ListReply, ListRequest, MoveRequest, PageQuery,
    RekeyRequest, RenameRequest, RestoreRequest, RootsReply, StatReply, StatRequest, TagRequest, TrashQuery, TrashReply, TrashRequest,
};
use ticrypt_api::role::{Caller, Reply, Vault};
use ticrypt_api::upload::{UploadBeginReply, UploadBeginRequest, UploadStatusReply};
use ticrypt_api::version::{OpenReply, OpenRequest, PublishReply, PublishRequest, VersionListReply, VersionListRequest};
use ticrypt_types::{GrantId, GroupId, NodeId, VersionId};

use super::FileRole;

macro_rules! verbs {
    ($($verb:ident ( $($argument:ident : $type:ty),* ) -> $reply:ty = $to:ident;)+) => {
        #[async_trait]
        impl Vault for FileRole {
            $(async fn $verb(&self, caller: &Caller $(, $argument: $type)*) -> Result<Reply<$reply>, ApiError> {
                self.$to(caller $(, $argument)*).await
            })+
        }
    };
}

verbs! {
    create_home(request: HomeCreateRequest) -> HeadReply = home_create;
    roots() -> RootsReply = vault_roots;
    list(request: ListRequest) -> ListReply = node_list;
    stat(request: StatRequest) -> StatReply = node_stat;
    create(request: CreateRequest) -> HeadReply = node_create;
    rename(request: RenameRequest) -> HeadReply = node_rename;
    move_node(request: MoveRequest) -> HeadReply = node_move;
    trash(request: TrashRequest) -> HeadReply = node_trash;
    restore(request: RestoreRequest) -> HeadReply = node_restore;
    delete(request: DeleteRequest) -> DeleteReply = node_delete;
    trash_list(query: TrashQuery) -> TrashReply = trash_list_page;
    rekey(request: RekeyRequest) -> HeadReply = node_rekey;
    tag(request: TagRequest) -> HeadReply = node_tag;
    history(node: NodeId, page: PageQuery) -> HistoryReply = node_history;

    begin_uploads(request: UploadBeginRequest) -> UploadBeginReply = upload_begin;
    upload_status(version: VersionId) -> UploadStatusReply = upload_state;
    abandon_upload(version: VersionId) -> () = upload_abandon;
    publish(request: PublishRequest) -> PublishReply = version_publish;
    versions(request: VersionListRequest) -> VersionListReply = version_list;
    open(request: OpenRequest) -> OpenReply = content_open;

    create_grants(request: GrantCreateRequest) -> () = grant_create;
    revoke_grant(grant: GrantId, request: GrantRevokeRequest) -> GrantEndReply = grant_revoke;
    leave_grant(grant: GrantId) -> GrantEndReply = grant_leave;
    grants(request: GrantListRequest) -> GrantListReply = grant_list;

    explain(request: AccessExplainRequest) -> AccessExplainReply = access_explain;
    access_losses(request: AccessLossesRequest) -> AccessLossesReply = losses_over_all;

    groups() -> GroupListReply = group_list;
    group(group: GroupId, query: GroupReadQuery) -> GroupReadReply = group_read;
    create_group(request: GroupCreateRequest) -> GroupReply = group_create;
    change_group(group: GroupId, request: GroupChangeRequest) -> GroupReply = group_change;
    seal_group(group: GroupId, request: GroupSealRequest) -> GroupReply = group_seal;
    compartment(group: GroupId, request: CompartmentReadRequest) -> CompartmentReadReply = compartment_read;
    renew_compartment(group: GroupId, request: CompartmentRenewRequest) -> CompartmentReply = compartment_renew;
    seal_compartment(group: GroupId, request: CompartmentSealRequest) -> CompartmentReply = compartment_seal;
    rename_group(group: GroupId, request: GroupRenameRequest) -> GroupReply = group_rename;
    delete_group(group: GroupId) -> () = group_delete;
}
