//! The vault: nodes, versions and their chunks, manifests, grants.

use sea_orm_migration::prelude::*;

use super::column::{bytes, bytes_null, flag, number, number_null, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(
            manager,
            "nodes",
            vec![
                bytes("id"),
                bytes_null("parent_id"),
                bytes("owner_id"),
                number("kind"),
                number("epoch"),
                number("parent_epoch"),
                bytes("entry"),
                bytes("leaf_hash"),
                bytes("name_tag"),
                bytes_null("live_tag"),
                number_null("trashed_ms"),
                bytes_null("trashed_by"),
                number("created_ms"),
                number("closure_seq"),
                number("rolled_seq"),
                bytes_null("head"),
                bytes_null("head_hash"),
                number("head_counter"),
                number("current_sequence"),
                number("revision"),
            ],
            &["id"],
        )
        .await?;
        super::create(
            manager,
            "versions",
            vec![
                bytes("id"),
                bytes("file_id"),
                bytes_null("directory_id"),
                text("state"),
                bytes("content_wrap"),
                number("size"),
                number("chunk_count"),
                bytes("created_by"),
                number("session_epoch"),
                number("created_ms"),
                number("touched_ms"),
            ],
            &["id"],
        )
        .await?;
        super::create(
            manager,
            "chunks",
            vec![bytes("version_id"), number("number"), bytes("hash"), number("stored_len")],
            &["version_id", "number"],
        )
        .await?;
        super::create(manager, "small_chunks", vec![bytes("version_id"), bytes("bytes")], &["version_id"]).await?;
        super::create(
            manager,
            "manifests",
            vec![
                bytes("file_id"),
                number("sequence"),
                bytes("hash"),
                bytes("envelope"),
                bytes("props_key"),
                bytes("version_id"),
                bytes("writer_id"),
                flag("conflict"),
                number("at_ms"),
            ],
            &["file_id", "hash"],
        )
        .await?;
        super::create(
            manager,
            "grants",
            vec![
                bytes("id"),
                bytes("node_id"),
                bytes("hash"),
                bytes("envelope"),
                bytes("sealed"),
                bytes("owner_id"),
                bytes("sealer_id"),
                bytes("recipient_id"),
                bytes("recipient_bundle"),
                number("verbs"),
                number("epoch"),
                number("expires_ms"),
                bytes_null("authority_hash"),
                bytes_null("predecessor_hash"),
                number("created_ms"),
                number_null("ended_ms"),
                bytes_null("ended_by"),
                bytes_null("revocation"),
            ],
            &["id"],
        )
        .await?;
        super::create(manager, "retired", vec![bytes("id")], &["id"]).await?;
        super::run(
            manager,
            &[
                // Two entries of one directory never have one name; in the trash live_tag is null, and nulls differ.
                "CREATE UNIQUE INDEX nodes_name ON nodes (parent_id, parent_epoch, live_tag)",
                "CREATE INDEX nodes_parent ON nodes (parent_id, id)",
                "CREATE INDEX nodes_roots ON nodes (owner_id) WHERE parent_id IS NULL",
                "CREATE INDEX versions_file ON versions (file_id)",
                "CREATE INDEX versions_unfinished ON versions (touched_ms) WHERE state <> 'stored'",
                "CREATE UNIQUE INDEX manifests_current ON manifests (file_id, sequence) WHERE NOT conflict",
                "CREATE UNIQUE INDEX grants_hash ON grants (hash)",
                "CREATE INDEX grants_node ON grants (node_id)",
                "CREATE INDEX grants_recipient ON grants (recipient_id, id)",
                "CREATE INDEX grants_sealer ON grants (sealer_id, id)",
                "CREATE INDEX grants_authority ON grants (authority_hash)",
                "CREATE INDEX grants_expiry ON grants (expires_ms) WHERE ended_ms IS NULL AND expires_ms > 0",
                "CREATE INDEX nodes_trash ON nodes (owner_id, id) WHERE trashed_ms IS NOT NULL",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop(manager, &["retired", "grants", "manifests", "small_chunks", "chunks", "versions", "nodes"]).await
    }
}
