//! What people are told, and how far they have read it.

use sea_orm_migration::prelude::*;

use super::column::{bytes, bytes_null, number, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(
            manager,
            "notifications",
            vec![
                bytes("user_id"),
                number("sequence"),
                text("kind"),
                bytes_null("grant_id"),
                bytes_null("node_id"),
                bytes_null("other_id"),
                number("at_ms"),
            ],
            &["user_id", "sequence"],
        )
        .await?;
        super::create(manager, "notification_reads", vec![bytes("user_id"), number("sequence")], &["user_id"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop(manager, &["notification_reads", "notifications"]).await
    }
}
