//! Groups: their heads, who is in them, the seals of their keys; and what people are told of them.

use sea_orm_migration::prelude::*;

use super::column::{bytes, bytes_null, flag, number, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(
            manager,
            "groups",
            vec![
                bytes("id"),
                text("name"),
                bytes("owner_id"),
                bytes("root_id"),
                bytes("head_hash"),
                number("counter"),
                number("generation"),
                bytes("key_head"),
                flag("key_lost"),
                number("revision"),
                number("created_ms"),
            ],
            &["id"],
        )
        .await?;
        super::create(
            manager,
            "group_heads",
            vec![
                bytes("group_id"),
                number("counter"),
                bytes("hash"),
                bytes("envelope"),
                number("log_index"),
                bytes("log_leaf"),
                number("at_ms"),
            ],
            &["group_id", "counter"],
        )
        .await?;
        super::create(
            manager,
            "group_members",
            vec![bytes("group_id"), bytes("user_id"), number("permissions"), bytes("bundle_hash")],
            &["group_id", "user_id"],
        )
        .await?;
        super::create(
            manager,
            "group_seals",
            vec![
                bytes("group_id"),
                bytes("user_id"),
                number("generation"),
                bytes("bundle_hash"),
                number("bundle_generation"),
                bytes("sealed"),
                number("at_ms"),
            ],
            &["group_id", "user_id"],
        )
        .await?;
        manager.alter_table(Table::alter().table("notifications").add_column(bytes_null("group_id")).to_owned()).await?;
        super::run(
            manager,
            &[
                "CREATE UNIQUE INDEX group_heads_hash ON group_heads (hash)",
                "CREATE INDEX group_members_user ON group_members (user_id)",
                "CREATE INDEX group_seals_user ON group_seals (user_id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop(manager, &["group_seals", "group_members", "group_heads", "groups"]).await?;
        super::run(manager, &["ALTER TABLE notifications DROP COLUMN group_id"]).await
    }
}
