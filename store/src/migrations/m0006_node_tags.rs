//! Tags of directories and files.

use sea_orm_migration::prelude::*;

use super::column::bytes;

#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(manager, "node_tags", vec![bytes("node_id"), bytes("project_id")], &["node_id", "project_id"]).await?;
        super::run(
            manager,
            &[
                // Whether rows are there for the node: most have none, and then nobody looks.
                "ALTER TABLE nodes ADD COLUMN tagged BOOLEAN NOT NULL DEFAULT FALSE",
                "CREATE INDEX node_tags_project ON node_tags (project_id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop(manager, &["node_tags"]).await?;
        super::run(manager, &["ALTER TABLE nodes DROP COLUMN tagged"]).await
    }
}
