//! Where subjects stand in the audit log, and which of its rows are open.

use sea_orm_migration::prelude::*;

use super::column::{bytes, number, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(manager, "audit_index", vec![bytes("subject"), number("event_index")], &["subject", "event_index"]).await?;
        super::create(manager, "audit_open", vec![number("event_index"), text("operation"), number("at_ms")], &["event_index"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop(manager, &["audit_open", "audit_index"]).await
    }
}
