//! Profiles, and which one was applied to somebody last.

use sea_orm_migration::prelude::*;

use super::column::{bytes, bytes_null, number, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(
            manager,
            "profiles",
            vec![bytes("id"), text("name"), text("description"), number("permissions"), number("revision"), number("created_ms")],
            &["id"],
        )
        .await?;
        manager.alter_table(Table::alter().table("users").add_column(bytes_null("profile_id")).to_owned()).await?;
        super::run(manager, &["CREATE INDEX users_profile ON users (profile_id)"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop(manager, &["profiles"]).await?;
        super::run(manager, &["DROP INDEX users_profile", "ALTER TABLE users DROP COLUMN profile_id"]).await
    }
}
