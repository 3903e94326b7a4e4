//! Teams, who is in them, to whom they are assigned; and what people are told of them.

use sea_orm_migration::prelude::*;

use super::column::{bytes, bytes_null, flag, number, number_null, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(
            manager,
            "teams",
            vec![
                bytes("id"),
                text("name"),
                text("description"),
                number_null("cores"),
                number_null("memory_mib"),
                number_null("devices"),
                number_null("drive_bytes"),
                number_null("vault_bytes"),
                number("revision"),
                number("created_ms"),
            ],
            &["id"],
        )
        .await?;
        super::create(
            manager,
            "team_members",
            vec![bytes("team_id"), bytes("user_id"), flag("manager"), number("since_ms"), bytes("set_by")],
            &["team_id", "user_id"],
        )
        .await?;
        super::create(
            manager,
            "team_assignments",
            vec![bytes("team_id"), bytes("user_id"), number("until_ms"), bytes("set_by")],
            &["team_id", "user_id"],
        )
        .await?;
        manager.alter_table(Table::alter().table("notifications").add_column(bytes_null("team_id")).to_owned()).await?;
        super::run(
            manager,
            &[
                "CREATE INDEX teams_name ON teams (name, id)",
                "CREATE INDEX team_members_user ON team_members (user_id)",
                "CREATE INDEX team_assignments_user ON team_assignments (user_id)",
                // For what the trees of a team hold.
                "CREATE INDEX nodes_owner ON nodes (owner_id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop(manager, &["team_assignments", "team_members", "teams"]).await?;
        super::run(manager, &["ALTER TABLE notifications DROP COLUMN team_id", "DROP INDEX nodes_owner"]).await
    }
}
