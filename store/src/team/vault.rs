//! Which team a tree is charged to, and what a team's trees hold.
//!
//! A person's tree, and those of the groups they own, are charged to the first team they were added to and still are in. That is looked up, not stored: who
//! leaves a team takes the charge along at once.

use sea_orm::FromQueryResult;
use ticrypt_types::limits::CHUNK_OVERHEAD_BYTES;
use ticrypt_types::{TeamId, UserId};

use super::large;
use crate::column::{bytes, count, id, number};
use crate::connect::Store;
use crate::error::StoreError;

/// Who pays for a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    pub team: TeamId,
    /// Absent: as much as they like.
    pub vault_bytes: Option<u64>,
}

#[derive(FromQueryResult)]
struct ChargeRow {
    id: Vec<u8>,
    vault_bytes: Option<i64>,
}

#[derive(FromQueryResult)]
struct Sum {
    held: i64,
}

/// Of the owner `$1` of a tree: a person, or a group, whose owner it is then.
const CHARGED: &str = "SELECT t.id, t.vault_bytes FROM team_members m JOIN teams t ON t.id = m.team_id \
                       WHERE m.user_id = COALESCE((SELECT g.owner_id FROM groups g WHERE g.id = $1), $1) \
                       ORDER BY m.since_ms, m.team_id LIMIT 1";

/// All owners of trees that are charged to `$1`, then their contents: what is stored or on its way for their files, and for files that are to come.
const HELD: &str = "WITH people AS (SELECT m.user_id FROM team_members m WHERE m.team_id = $1 AND NOT EXISTS \
                    (SELECT 1 FROM team_members e WHERE e.user_id = m.user_id \
                     AND (e.since_ms < m.since_ms OR (e.since_ms = m.since_ms AND e.team_id < m.team_id)))), \
                    owners AS (SELECT user_id AS id FROM people UNION ALL SELECT g.id FROM groups g JOIN people p ON p.user_id = g.owner_id), \
                    contents AS (SELECT v.size, v.chunk_count FROM nodes n JOIN versions v ON v.file_id = n.id \
                    WHERE n.owner_id IN (SELECT id FROM owners) AND v.state <> 'abandoned' \
                    UNION ALL SELECT v.size, v.chunk_count FROM versions v JOIN nodes d ON d.id = v.directory_id \
                    WHERE v.state <> 'stored' AND v.state <> 'abandoned' AND d.owner_id IN (SELECT id FROM owners)) \
                    SELECT CAST(COALESCE(SUM(size + chunk_count * $2), 0) AS BIGINT) AS held FROM contents";

impl Store {
    /// What the tree of `owner` is charged to. `None`: to nobody, since they are in no team.
    pub async fn charged(&self, owner: UserId) -> Result<Option<Charge>, StoreError> {
        let rows = self.rows::<ChargeRow>(CHARGED, vec![bytes(owner.as_bytes())]).await?;
        let charge =
            |row: &ChargeRow| Ok(Charge { team: id("teams.id", &row.id)?, vault_bytes: large("teams.vault_bytes", row.vault_bytes)? });
        rows.first().map(charge).transpose()
    }

    /// Bytes of ciphertext that the trees charged to a team hold, earlier versions, the trash and what is being uploaded included.
    pub async fn vault_bytes(&self, team: TeamId) -> Result<u64, StoreError> {
        let values = vec![bytes(team.as_bytes()), number(CHUNK_OVERHEAD_BYTES as u64)?.into()];
        let rows = self.rows::<Sum>(HELD, values).await?;
        count("sum", rows.first().map_or(0, |row| row.held))
    }
}
