//! What the system lets somebody do: given and taken within what one has oneself.

use ticrypt_api::ApiError;
use ticrypt_api::role::Event;
use ticrypt_api::user::PermissionsRequest;
use ticrypt_policy::Denial;
use ticrypt_policy::user::may_set_permissions;
use ticrypt_types::{Permission, Rank, UserId};

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
            // Only administrators learn which accounts there are.
            None if actor.rank < Rank::SubAdmin => Err(Denial::NeedsAdministrator),
            None => Err(Denial::NotFound),
        };
        let had = account.map_or(permissions, |account| account.permissions);
        let (given, taken) = had.changed(permissions).iter().partition::<Vec<_>, _>(|permission| permissions.contains(*permission));
        let detail = [("given", given), ("taken", taken)].into_iter().flat_map(|(name, some)| words(name, &some));
        let row = Event { detail: detail.collect(), ..event(call, &[target.to_bytes()], &[]) };
        self.change(call, row, decided, |permit| self.store.set_permissions(permit, permissions)).await
    }
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
