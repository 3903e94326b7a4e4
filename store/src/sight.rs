//! Who sees whom: a scope of people as a filter on accounts (rules §1).

use sea_orm::{FromQueryResult, Value};
use ticrypt_policy::PeopleScope;
use ticrypt_types::{Timestamp, UserId};

use crate::column::bytes;
use crate::connect::Store;
use crate::error::StoreError;

#[derive(FromQueryResult)]
struct Count {
    n: i64,
}

/// Active people in a team of `$1`.
const TEAM_MATES: &str = "(state = 'active' AND id IN (SELECT o.user_id FROM team_members m \
                          JOIN team_members o ON o.team_id = m.team_id WHERE m.user_id = $1))";

/// People in a team that is assigned to `$1` at `$2`.
const IN_CARE: &str = "id IN (SELECT m.user_id FROM team_assignments a JOIN team_members m ON m.team_id = a.team_id \
                       WHERE a.user_id = $1 AND (a.until_ms = 0 OR a.until_ms > $2))";

/// Members of a project that `$1` manages at `$2`.
const IN_PROJECTS: &str = "id IN (SELECT o.user_id FROM members m JOIN members o ON o.project_id = m.project_id \
                           WHERE m.user_id = $1 AND m.role = 'manager' AND m.withdrawn = FALSE AND (m.expires_ms = 0 OR m.expires_ms > $2))";

const IN_NO_TEAM: &str = "NOT EXISTS (SELECT 1 FROM team_members m WHERE m.user_id = users.id)";

/// `$1` is in no team either, or manages one and may take people in.
const ALONE_OR_MANAGER: &str = "(NOT EXISTS (SELECT 1 FROM team_members m WHERE m.user_id = $1) \
                                OR EXISTS (SELECT 1 FROM team_members m WHERE m.user_id = $1 AND m.manager))";

/// A team is assigned to `$1` at `$2`.
const HAS_CARE: &str = "EXISTS (SELECT 1 FROM team_assignments a WHERE a.user_id = $1 AND (a.until_ms = 0 OR a.until_ms > $2))";

/// Inactive for having left the last team: to be adopted.
const LEFT: &str = "(state = 'inactive' AND cause = 'left-last-team')";

/// The condition on `users`, and the values it takes; further ones come after these.
pub(crate) fn filter(scope: PeopleScope) -> (String, Vec<Value>) {
    match scope {
        PeopleScope::All => ("1 = 1".to_owned(), vec![]),
        PeopleScope::Own(user) => ("id = $1".to_owned(), vec![bytes(user.as_bytes())]),
        PeopleScope::TeamMates(user) => {
            let free = format!("(state = 'active' AND {IN_NO_TEAM} AND {ALONE_OR_MANAGER})");
            (format!("(id = $1 OR {TEAM_MATES} OR {free})"), vec![bytes(user.as_bytes())])
        }
        PeopleScope::Care(user, now) => {
            let free = format!("(state = 'active' AND ({ALONE_OR_MANAGER} OR {HAS_CARE}))");
            let free = format!("({IN_NO_TEAM} AND ({free} OR ({LEFT} AND {HAS_CARE})))");
            let which = format!("(id = $1 OR {TEAM_MATES} OR {IN_CARE} OR {IN_PROJECTS} OR {free})");
            (which, vec![bytes(user.as_bytes()), now.to_i64().into()])
        }
    }
}

impl Store {
    /// Whether a person is in a scope.
    pub async fn sees(&self, scope: PeopleScope, user: UserId) -> Result<bool, StoreError> {
        let (which, mut values) = filter(scope);
        let place = values.len() + 1;
        values.push(bytes(user.as_bytes()));
        let sql = format!("SELECT COUNT(*) AS n FROM users WHERE {which} AND id = ${place}");
        Ok(self.rows::<Count>(&sql, values).await?.iter().any(|row| row.n > 0))
    }

    /// Whether somebody is in a team that is assigned to the sub-admin at `now`.
    pub async fn is_in_care(&self, sub_admin: UserId, user: UserId, now: Timestamp) -> Result<bool, StoreError> {
        let values = vec![bytes(sub_admin.as_bytes()), now.to_i64().into(), bytes(user.as_bytes())];
        let sql = format!("SELECT COUNT(*) AS n FROM users WHERE {IN_CARE} AND id = $3");
        Ok(self.rows::<Count>(&sql, values).await?.iter().any(|row| row.n > 0))
    }
}
