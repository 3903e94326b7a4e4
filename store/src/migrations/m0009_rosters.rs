//! Who is in a project, by heads that its managers sign. Of a project from before, the first change brings the first head.

use sea_orm_migration::prelude::*;

use super::column::{bytes, bytes_null, number};

#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(
            manager,
            "project_heads",
            vec![
                bytes("project_id"),
                number("counter"),
                bytes("hash"),
                bytes("envelope"),
                bytes("signer_entry"),
                bytes("signer_proof"),
                number("log_index"),
                bytes("log_leaf"),
                number("at_ms"),
            ],
            &["project_id", "counter"],
        )
        .await?;
        for (table, column) in [("projects", "head_hash"), ("members", "salt")] {
            manager.alter_table(Table::alter().table(table).add_column(bytes_null(column)).to_owned()).await?;
        }
        super::run(
            manager,
            &[
                "ALTER TABLE projects ADD COLUMN counter BIGINT NOT NULL DEFAULT 0",
                "ALTER TABLE members ADD COLUMN withdrawn BOOLEAN NOT NULL DEFAULT FALSE",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop(manager, &["project_heads"]).await?;
        super::run(
            manager,
            &[
                "ALTER TABLE projects DROP COLUMN head_hash",
                "ALTER TABLE projects DROP COLUMN counter",
                "ALTER TABLE members DROP COLUMN salt",
                "ALTER TABLE members DROP COLUMN withdrawn",
            ],
        )
        .await
    }
}
