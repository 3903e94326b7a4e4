//! Request bodies, as the server reads them, and answers, as a client does; in both codings.

use serde::Serialize;
use serde::de::DeserializeOwned;
use ticrypt_api::deployment::DeploymentFile;
use ticrypt_api::wire::{decode, encode};
use ticrypt_api::sse::{Block, Parser};
use ticrypt_api::{Codec, Problem, access, bulk, grant, group, join, log, node, notification, profile, project, session, team, upload, user, version};

use crate::Target;

pub const TARGETS: &[Target] = &[
    ("deployment_file", |data| {
        let _ = decode::<DeploymentFile>(Codec::Json, data);
    }),
    ("json_requests", |data| {
        body::<user::RegisterRequest>(Codec::Json, data);
        body::<session::ChallengeRequest>(Codec::Json, data);
        body::<session::LoginRequest>(Codec::Json, data);
        body::<user::UserStateRequest>(Codec::Json, data);
        body::<user::PinReportRequest>(Codec::Json, data);
        body::<notification::NotificationReadRequest>(Codec::Json, data);
        body::<group::GroupRenameRequest>(Codec::Json, data);
        body::<access::AccessExplainRequest>(Codec::Json, data);
        body::<access::AccessLossesRequest>(Codec::Json, data);
        body::<profile::ProfileSetRequest>(Codec::Json, data);
        body::<profile::ProfileApplyRequest>(Codec::Json, data);
        body::<team::TeamCreateRequest>(Codec::Json, data);
        body::<team::TeamChangeRequest>(Codec::Json, data);
        body::<team::TeamQuotaRequest>(Codec::Json, data);
        body::<team::TeamAddRequest>(Codec::Json, data);
        body::<team::TeamAssignRequest>(Codec::Json, data);
        body::<join::JoinAskRequest>(Codec::Json, data);
        body::<join::JoinRefuseRequest>(Codec::Json, data);
    }),
    ("cbor_requests", |data| {
        body::<node::HomeCreateRequest>(Codec::Cbor, data);
        body::<node::ListRequest>(Codec::Cbor, data);
        body::<node::CreateRequest>(Codec::Cbor, data);
        body::<node::MoveRequest>(Codec::Cbor, data);
        body::<node::RekeyRequest>(Codec::Cbor, data);
        body::<node::TagRequest>(Codec::Cbor, data);
        body::<bulk::BulkStartRequest>(Codec::Cbor, data);
        body::<group::GroupCreateRequest>(Codec::Cbor, data);
        body::<group::GroupChangeRequest>(Codec::Cbor, data);
        body::<group::GroupSealRequest>(Codec::Cbor, data);
        body::<group::CompartmentReadRequest>(Codec::Cbor, data);
        body::<group::CompartmentRenewRequest>(Codec::Cbor, data);
        body::<group::CompartmentSealRequest>(Codec::Cbor, data);
        body::<upload::UploadBeginRequest>(Codec::Cbor, data);
        body::<version::PublishRequest>(Codec::Cbor, data);
        body::<version::VersionListRequest>(Codec::Cbor, data);
        body::<version::OpenRequest>(Codec::Cbor, data);
        body::<grant::GrantCreateRequest>(Codec::Cbor, data);
        body::<log::EntriesRequest>(Codec::Cbor, data);
    }),
    ("replies", |data| {
        let _ = decode::<Problem>(Codec::Json, data);
        body::<user::UserCard>(Codec::Json, data);
        body::<session::LoginReply>(Codec::Json, data);
        body::<notification::NotificationListReply>(Codec::Json, data);
        body::<node::RootsReply>(Codec::Cbor, data);
        body::<node::ListReply>(Codec::Cbor, data);
        body::<group::GroupReadReply>(Codec::Cbor, data);
        body::<group::CompartmentReadReply>(Codec::Cbor, data);
        body::<project::ProjectHeadsReply>(Codec::Cbor, data);
        body::<project::MemberListReply>(Codec::Json, data);
        body::<access::AccessExplainReply>(Codec::Json, data);
        body::<access::AccessLossesReply>(Codec::Json, data);
        body::<team::TeamListReply>(Codec::Json, data);
        body::<team::TeamMembersReply>(Codec::Json, data);
        body::<join::JoinListReply>(Codec::Json, data);
        body::<version::OpenReply>(Codec::Cbor, data);
        body::<version::VersionListReply>(Codec::Cbor, data);
        body::<grant::GrantListReply>(Codec::Cbor, data);
        body::<log::EntriesReply>(Codec::Cbor, data);
    }),
    ("events", |data| {
        // In one piece and byte by byte it is the same; what is read and written again reads the same.
        let whole = Parser::default().feed(data);
        let mut parser = Parser::default();
        let pieces: Result<Vec<Vec<Block>>, _> = data.iter().map(|byte| parser.feed(std::slice::from_ref(byte))).collect();
        assert_eq!(whole, pieces.map(|pieces| pieces.concat()));
        if let Ok(blocks) = whole {
            let written: String = blocks.iter().map(Block::write).collect();
            assert_eq!(Parser::default().feed(written.as_bytes()), Ok(blocks));
            let _ = decode::<notification::EventData>(Codec::Json, data);
        }
    }),
];

/// What is read can be written, and reads the same again.
fn body<T: DeserializeOwned + Serialize>(codec: Codec, data: &[u8]) {
    if let Ok(value) = decode::<T>(codec, data) {
        let bytes = encode(codec, &value).expect("what was read can be written");
        let again = decode::<T>(codec, &bytes).expect("what was written can be read");
        assert_eq!(encode(codec, &again).expect("as before"), bytes);
    }
}
