//! Requests to join projects; reminders of what ends soon; and what people are told of both.

use sea_orm_migration::prelude::*;

use super::column::{bytes, bytes_null, number, number_null, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(
            manager,
            "joins",
            vec![
                bytes("project_id"),
                bytes("user_id"),
                text("state"),
                text("message"),
                text("reason"),
                number("asked_ms"),
                number("closed_ms"),
                number("revision"),
            ],
            &["project_id", "user_id"],
        )
        .await?;
        super::create(
            manager,
            "reminders",
            vec![text("kind"), bytes("of_id"), bytes("user_id"), number("ends_ms"), number("days")],
            &["kind", "of_id", "user_id"],
        )
        .await?;
        for column in [bytes_null("project_id"), bytes_null("requirement_id"), number_null("ends_ms")] {
            manager.alter_table(Table::alter().table("notifications").add_column(column).to_owned()).await?;
        }
        super::run(manager, &["CREATE INDEX joins_user ON joins (user_id)"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop(manager, &["reminders", "joins"]).await?;
        super::run(
            manager,
            &[
                "ALTER TABLE notifications DROP COLUMN project_id",
                "ALTER TABLE notifications DROP COLUMN requirement_id",
                "ALTER TABLE notifications DROP COLUMN ends_ms",
            ],
        )
        .await
    }
}
