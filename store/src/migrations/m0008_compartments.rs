//! Keys of groups for what carries tags: their heads, and the seals of them.

use sea_orm_migration::prelude::*;

use super::column::{bytes, flag, number};

#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(
            manager,
            "compartments",
            vec![bytes("group_id"), bytes("tags"), number("generation"), bytes("head_hash"), flag("key_lost")],
            &["group_id", "tags"],
        )
        .await?;
        super::create(
            manager,
            "compartment_heads",
            vec![
                bytes("group_id"),
                bytes("tags"),
                number("generation"),
                bytes("hash"),
                bytes("envelope"),
                number("log_index"),
                bytes("log_leaf"),
                number("at_ms"),
            ],
            &["group_id", "tags", "generation"],
        )
        .await?;
        super::create(
            manager,
            "compartment_seals",
            vec![
                bytes("group_id"),
                bytes("tags"),
                bytes("user_id"),
                number("generation"),
                bytes("bundle_hash"),
                number("bundle_generation"),
                bytes("sealed"),
                number("at_ms"),
            ],
            &["group_id", "tags", "user_id"],
        )
        .await?;
        super::run(
            manager,
            &[
                "CREATE UNIQUE INDEX compartment_heads_hash ON compartment_heads (hash)",
                "CREATE INDEX compartment_seals_user ON compartment_seals (user_id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop(manager, &["compartment_seals", "compartment_heads", "compartments"]).await
    }
}
