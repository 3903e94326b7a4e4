//! Projects and their members, what they ask for, who is certified, who works in what; and what the system lets people do.

use sea_orm_migration::prelude::*;

use super::column::{bytes, bytes_null, flag, number, number_null, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::create(
            manager,
            "requirements",
            vec![
                bytes("id"),
                text("name"),
                text("description"),
                flag("must_expire"),
                number_null("default_ms"),
                number_null("maximum_ms"),
                number("revision"),
            ],
            &["id"],
        )
        .await?;
        super::create(manager, "levels", vec![bytes("id"), text("name"), text("description"), number("revision")], &["id"]).await?;
        super::create(
            manager,
            "level_requirements",
            vec![bytes("level_id"), bytes("requirement_id"), number("since_ms"), number("until_ms")],
            &["level_id", "requirement_id", "since_ms"],
        )
        .await?;
        super::create(
            manager,
            "projects",
            vec![
                bytes("id"),
                bytes_null("parent_id"),
                bytes("path"),
                text("name"),
                text("tag"),
                text("colour"),
                text("description"),
                bytes_null("level_id"),
                bytes_null("pi_id"),
                number("revision"),
                number("created_ms"),
            ],
            &["id"],
        )
        .await?;
        super::create(
            manager,
            "project_levels",
            vec![bytes("project_id"), bytes("level_id"), number("since_ms"), number("until_ms")],
            &["project_id", "level_id", "since_ms"],
        )
        .await?;
        super::create(
            manager,
            "members",
            vec![
                bytes("project_id"),
                bytes("user_id"),
                text("role"),
                number("restrictions"),
                number("since_ms"),
                number("expires_ms"),
                bytes("set_by"),
                number("revision"),
            ],
            &["project_id", "user_id"],
        )
        .await?;
        super::create(
            manager,
            "certifications",
            vec![
                bytes("requirement_id"),
                bytes("user_id"),
                number("since_ms"),
                number("expires_ms"),
                bytes("given_by"),
                number("given_ms"),
            ],
            &["requirement_id", "user_id"],
        )
        .await?;
        super::create(manager, "working_sets", vec![bytes("user_id"), bytes("project_id")], &["user_id", "project_id"]).await?;
        // Who was here before has what a newcomer had on the day of this step: the basic permissions, as a number that stays.
        const BASIC: u64 = 1_556_736;
        let permissions = format!("ALTER TABLE users ADD COLUMN permissions BIGINT NOT NULL DEFAULT {BASIC}");
        super::run(
            manager,
            &[
                &permissions,
                "ALTER TABLE users ADD COLUMN working_revision BIGINT NOT NULL DEFAULT 0",
                "CREATE INDEX projects_parent ON projects (parent_id)",
                "CREATE INDEX members_user ON members (user_id)",
                "CREATE INDEX certifications_user ON certifications (user_id)",
                "CREATE INDEX level_requirements_requirement ON level_requirements (requirement_id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::drop(
            manager,
            &["working_sets", "certifications", "members", "project_levels", "projects", "level_requirements", "levels", "requirements"],
        )
        .await?;
        super::run(manager, &["ALTER TABLE users DROP COLUMN permissions", "ALTER TABLE users DROP COLUMN working_revision"]).await
    }
}
