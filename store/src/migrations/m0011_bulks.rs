//! Bulk actions: lists of requests that the server carries out item by item.

use sea_orm_migration::prelude::*;

use super::column::{bytes, number, text, text_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(
            manager,
            "bulks",
            vec![
                bytes("id"),
                bytes("user_id"),
                text("operation"),
                text("state"),
                number("items"),
                number("done"),
                number("failed"),
                number("started_ms"),
                number("changed_ms"),
                number("revision"),
            ],
            &["id"],
        )
        .await?;
        super::create(
            manager,
            "bulk_items",
            vec![
                bytes("bulk_id"),
                number("number"),
                text("parameters"),
                bytes("body"),
                text("state"),
                text_null("code"),
                text_null("message"),
            ],
            &["bulk_id", "number"],
        )
        .await?;
        super::run(manager, &["CREATE INDEX bulks_user ON bulks (user_id)"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop(manager, &["bulk_items", "bulks"]).await
    }
}
