//! Where subjects stand in the audit log.

use sea_orm_migration::prelude::*;

use super::column::{bytes, number};

#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(manager, "audit_index", vec![bytes("subject"), number("event_index")], &["subject", "event_index"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop(manager, &["audit_index"]).await
    }
}
