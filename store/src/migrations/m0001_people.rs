//! Settings, people, their identities and sessions.

use sea_orm_migration::prelude::*;

use super::column::{bytes, number, number_null, text, text_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(manager, "settings", vec![text("key"), bytes("value")], &["key"]).await?;
        super::create(
            manager,
            "users",
            vec![
                bytes("id"),
                text("name"),
                text("rank"),
                text("state"),
                text_null("cause"),
                text_null("reason"),
                number("disabled_until_ms"),
                number("epoch"),
                number("revision"),
                bytes("bundle_hash"),
                number("created_ms"),
                number("failed_logins"),
                number("last_failure_ms"),
                number("last_login_ms"),
            ],
            &["id"],
        )
        .await?;
        super::create(
            manager,
            "bundles",
            vec![
                bytes("hash"),
                bytes("user_id"),
                number("generation"),
                bytes("bundle"),
                number("log_index"),
                bytes("log_leaf"),
                number("created_ms"),
            ],
            &["hash"],
        )
        .await?;
        let mut seq = ColumnDef::new("seq");
        seq.big_integer().not_null().auto_increment().primary_key();
        let mut statements = Table::create();
        statements.table("statements").col(seq);
        for column in [
            bytes("user_id"),
            bytes("bundle_hash"),
            number("action"),
            bytes("envelope"),
            number("log_index"),
            bytes("log_leaf"),
            number("at_ms"),
        ] {
            statements.col(column);
        }
        manager.create_table(statements).await?;
        super::create(
            manager,
            "sessions",
            vec![
                bytes("id"),
                bytes("user_id"),
                bytes("token_hash"),
                bytes("session_key"),
                number("epoch"),
                number("created_ms"),
                number("last_seen_ms"),
                number("expires_ms"),
                number_null("ended_ms"),
                text("client"),
            ],
            &["id"],
        )
        .await?;
        super::run(
            manager,
            &[
                "CREATE UNIQUE INDEX users_name ON users (name)",
                "CREATE UNIQUE INDEX bundles_generation ON bundles (user_id, generation)",
                "CREATE INDEX statements_user ON statements (user_id)",
                "CREATE UNIQUE INDEX sessions_token ON sessions (token_hash)",
                "CREATE INDEX sessions_user ON sessions (user_id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop(manager, &["sessions", "statements", "bundles", "users", "settings"]).await
    }
}
