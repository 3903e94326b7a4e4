//! What can go wrong in the store, told apart by what the caller does next.

use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// Something that exists already under that id, name or number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    UserId,
    UserName,
    Bundle,
    Session,
    NodeId,
    /// Another entry of the directory has this name tag.
    NodeName,
    VersionId,
    /// The chunk is recorded with another hash.
    Chunk,
    Manifest,
    GrantId,
    GroupId,
    Home,
    ProjectId,
    LevelId,
    RequirementId,
    BulkId,
    TeamId,
    ProfileId,
}

impl Taken {
    pub const fn word(self) -> &'static str {
        match self {
            Self::UserId => "user id",
            Self::BulkId => "bulk id",
            Self::UserName => "user name",
            Self::Bundle => "identity bundle",
            Self::Session => "session",
            Self::NodeId => "node id",
            Self::NodeName => "name in this directory",
            Self::VersionId => "version id",
            Self::Chunk => "chunk",
            Self::Manifest => "manifest",
            Self::GrantId => "grant id",
            Self::GroupId => "group id",
            Self::Home => "home",
            Self::ProjectId => "project id",
            Self::LevelId => "level id",
            Self::RequirementId => "requirement id",
            Self::TeamId => "team id",
            Self::ProfileId => "profile id",
        }
    }
}

/// Why the store did not do it. Nothing was changed, except after [`StoreError::Unavailable`] from a commit, when it is unknown.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the {0} does not exist; load the list again")]
    NotFound(&'static str),
    /// The state the permit was decided on is gone: load the facts and decide again.
    #[error("the {0} changed in the meantime; load it again and retry")]
    Stale(&'static str),
    #[error("the {} is taken; choose another", .0.word())]
    Taken(Taken),
    /// The request contradicts itself or what is stored; a retry does not help.
    #[error("{0}")]
    Invalid(&'static str),
    #[error("the last active super-admin stays; make another one first")]
    LastSuperAdmin,
    #[error("the database has schema {found}, this program knows up to {known}; use the newer program")]
    SchemaNewer { found: u32, known: u32 },
    #[error("the database has schema {found}, this program needs {known}; run `ticrypt-backend migrate`")]
    SchemaOlder { found: u32, known: u32 },
    #[error("the database address is not understood; write sqlite://PATH or postgres://…")]
    Address,
    #[error("the store is shut down; wait for the server to come back")]
    Closed,
    #[error("the database does not answer; try again")]
    Unavailable(#[source] Option<DbErr>),
    /// Nothing was changed: the disk, or the share of it that the database may use, has no room.
    #[error("the database has no room left; tell an administrator, then try again")]
    Full,
    #[error("the database refused a statement; see the log")]
    Database(#[source] DbErr),
    #[error("column {0} holds what was never written there; run `ticrypt-backend check`")]
    Corrupt(&'static str),
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(text)) => {
                return taken(&text).map_or(Self::Database(error), Self::Taken);
            }
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => return Self::NotFound("referenced row"),
            _ => {}
        }
        if is_full(&error) {
            tracing::error!(%error, "the database has no room left");
            return Self::Full;
        }
        match error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::SqlxError(_)) => Self::Unavailable(Some(error)),
            error => Self::Database(error),
        }
    }
}

/// SQLite says so in words (its error code 13), PostgreSQL by its error class 53.
pub(crate) fn is_full(error: &DbErr) -> bool {
    let text = error.to_string();
    ["database or disk is full", "No space left on device", "could not extend file"].iter().any(|words| text.contains(words))
}

/// SQLite names the columns of a broken constraint, PostgreSQL its index.
fn taken(text: &str) -> Option<Taken> {
    const KNOWN: &[(&str, &str, Taken)] = &[
        ("users.name", "users_name", Taken::UserName),
        ("users.id", "users_pkey", Taken::UserId),
        ("bundles.hash", "bundles_pkey", Taken::Bundle),
        ("bundles.user_id", "bundles_generation", Taken::Bundle),
        ("sessions.id", "sessions_pkey", Taken::Session),
        ("sessions.token_hash", "sessions_token", Taken::Session),
        ("nodes.id", "nodes_pkey", Taken::NodeId),
        ("nodes.parent_id", "nodes_name", Taken::NodeName),
        ("versions.id", "versions_pkey", Taken::VersionId),
        ("small_chunks.version_id", "small_chunks_pkey", Taken::Chunk),
        ("chunks.version_id", "chunks_pkey", Taken::Chunk),
        ("manifests.file_id", "manifests_", Taken::Manifest),
        ("grants.id", "grants_pkey", Taken::GrantId),
        ("grants.hash", "grants_hash", Taken::GrantId),
        ("groups.id", "\"groups_pkey", Taken::GroupId),
        ("group_heads.hash", "group_heads_hash", Taken::GroupId),
        ("projects.id", "\"projects_pkey", Taken::ProjectId),
        ("levels.id", "\"levels_pkey", Taken::LevelId),
        ("requirements.id", "\"requirements_pkey", Taken::RequirementId),
        ("teams.id", "\"teams_pkey", Taken::TeamId),
        ("profiles.id", "\"profiles_pkey", Taken::ProfileId),
    ];
    KNOWN.iter().find(|(sqlite, postgres, _)| text.contains(sqlite) || text.contains(postgres)).map(|(_, _, taken)| *taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_constraints_of_both_databases_are_told_apart() {
        for (text, expected) in [
            ("UNIQUE constraint failed: nodes.parent_id, nodes.parent_epoch, nodes.live_tag", Some(Taken::NodeName)),
            ("duplicate key value violates unique constraint \"nodes_name\"", Some(Taken::NodeName)),
            ("UNIQUE constraint failed: nodes.id", Some(Taken::NodeId)),
            ("duplicate key value violates unique constraint \"nodes_pkey\"", Some(Taken::NodeId)),
            ("UNIQUE constraint failed: small_chunks.version_id", Some(Taken::Chunk)),
            ("duplicate key value violates unique constraint \"versions_pkey\"", Some(Taken::VersionId)),
            ("UNIQUE constraint failed: projects.id", Some(Taken::ProjectId)),
            ("duplicate key value violates unique constraint \"requirements_pkey\"", Some(Taken::RequirementId)),
            ("duplicate key value violates unique constraint \"level_requirements_pkey\"", None),
            ("UNIQUE constraint failed: groups.id", Some(Taken::GroupId)),
            ("UNIQUE constraint failed: group_members.group_id, group_members.user_id", None),
            ("UNIQUE constraint failed: teams.id", Some(Taken::TeamId)),
            ("UNIQUE constraint failed: profiles.id", Some(Taken::ProfileId)),
            ("UNIQUE constraint failed: team_members.team_id, team_members.user_id", None),
            ("UNIQUE constraint failed: nothing.known", None),
        ] {
            assert_eq!(taken(text), expected, "{text}");
        }
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        for (text, full) in [
            ("error returned from database: (code: 13) database or disk is full", true),
            ("could not extend file \"base/5/1259\": No space left on device", true),
            ("error returned from database: (code: 5) database is locked", false),
        ] {
            assert_eq!(matches!(StoreError::from(DbErr::Custom(text.to_owned())), StoreError::Full), full, "{text}");
        }
    }
}
