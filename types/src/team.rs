//! Words of teams (rules §1): what the people in one may use together.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::limits::QUOTA_MAX;

/// What a team may use at most, all its members together. What is absent is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quotas {
    #[serde(default)]
    pub cores: Option<u32>,
    #[serde(default)]
    pub memory_mib: Option<u64>,
    /// Devices such as graphics cards.
    #[serde(default)]
    pub devices: Option<u32>,
    #[serde(default)]
    pub drive_bytes: Option<u64>,
    /// Ciphertext, earlier versions and the trash included.
    #[serde(default)]
    pub vault_bytes: Option<u64>,
}

impl Quotas {
    /// Of a new team, whoever makes it; more is given by who has the permission for quotas.
    pub const NEW_TEAM: Self =
        Self { cores: Some(16), memory_mib: Some(64 << 10), devices: Some(0), drive_bytes: Some(1 << 40), vault_bytes: Some(100 << 30) };

    /// Whether every number can be stored.
    pub fn is_sound(&self) -> bool {
        [self.memory_mib, self.drive_bytes, self.vault_bytes].into_iter().flatten().all(|quota| quota <= QUOTA_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_team_is_limited_in_everything_and_numbers_have_an_end() {
        let Quotas { cores, memory_mib, devices, drive_bytes, vault_bytes } = Quotas::NEW_TEAM;
        assert!(cores.is_some() && memory_mib.is_some() && devices.is_some() && drive_bytes.is_some() && vault_bytes.is_some());
        assert!(Quotas::NEW_TEAM.is_sound() && Quotas::default().is_sound());
        for (vault_bytes, sound) in [(QUOTA_MAX, true), (QUOTA_MAX + 1, false)] {
            assert_eq!(Quotas { vault_bytes: Some(vault_bytes), ..Quotas::default() }.is_sound(), sound);
        }
    }
}
