//! What the system lets somebody do: given and taken within what one has oneself.

use ticrypt_api::ApiError;
use ticrypt_api::role::Event;
use ticrypt_api::user::PermissionsRequest;
use ticrypt_policy::user::may_set_permissions;
use ticrypt_policy::{Actor, Denial};
use ticrypt_types::{Permission, Permissions, Rank, UserId};

use super::Rest;
use super::call::{Answer, Call};
use super::change::event;
use crate::refusal::store_failed;

impl Rest {
    pub(super) async fn set_permissions(&self, call: &Call) -> Result<Answer, ApiError> {
        let target: UserId = call.parameter(0)?;
        let PermissionsRequest { permissions } = call.body()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let failed = |error| store_failed(error, call.now);
        let facts = self.account_facts(&actor, target, call.now).await?;
        let account = self.store.user(target).await.map_err(failed)?;
        let decided = match facts.zip(account.as_ref()) {
            Some((facts, account)) => may_set_permissions(&actor, &facts, account.permissions, permissions, call.now),
            None => Err(no_account(&actor)),
        };
        let had = account.map_or(permissions, |account| account.permissions);
        let row = Event { detail: changes(had, permissions), ..event(call, &[target.to_bytes()], &[]) };
        self.change(call, row, decided, |permit| self.store.set_permissions(permit, permissions)).await
    }
}

/// Only administrators learn which accounts there are.
pub(super) fn no_account(actor: &Actor) -> Denial {
    if actor.rank < Rank::SubAdmin { Denial::NeedsAdministrator } else { Denial::NotFound }
}

/// What is given and what is taken, for a row of the log.
pub(super) fn changes(had: Permissions, wanted: Permissions) -> Vec<(String, String)> {
    let (given, taken) = had.changed(wanted).iter().partition::<Vec<_>, _>(|permission| wanted.contains(*permission));
    [("given", given), ("taken", taken)].into_iter().flat_map(|(name, some)| words(name, &some)).collect()
}

/// As many words as a detail of a row holds, and the next detail for the rest.
fn words(name: &str, permissions: &[Permission]) -> Vec<(String, String)> {
    const AT_ONCE: usize = 8;
    let parts = permissions.chunks(AT_ONCE).enumerate();
    parts.map(|(at, some)| (format!("{name}.{at}"), some.iter().map(|one| one.word()).collect::<Vec<_>>().join(" "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ticrypt_log::event::audit::{MAX_DETAIL_VALUE_BYTES, MAX_DETAILS};

    #[test]
    fn every_permission_fits_into_a_row() {
        let all = words("given", Permission::ALL);
        assert!(all.len() <= MAX_DETAILS && all.iter().all(|(_, value)| value.len() <= MAX_DETAIL_VALUE_BYTES));
        assert_eq!(all.iter().flat_map(|(_, value)| value.split(' ')).count(), Permission::ALL.len());
    }
}
