//! Fingerprints that people compare: what the server shows now beside what this device has pinned.

use ticrypt_crypto::bundle::Fingerprint;
use ticrypt_types::UserName;

use super::{Person, Pin, Trust, Users};
use crate::clock;
use crate::error::{ClientError, Result};

/// What there is to compare.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub name: UserName,
    /// Of the key the server shows now; it is in the key log.
    pub shown: Fingerprint,
    pub pinned: Option<Pin>,
    pub change: Change,
}

/// How the key shown now comes from the pinned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is the same, or nothing was pinned.
    None,
    /// By the signature of the old one.
    Rotation,
    /// An administrator accepted it because the old one was lost.
    Reset,
    /// By nothing that the key log proves.
    Unexplained,
}

impl Change {
    /// Only people can say whether such a key is believed.
    pub fn is_blocked(self) -> bool {
        matches!(self, Self::Reset | Self::Unexplained)
    }
}

impl Users {
    /// Looks a person up without believing anything: only the key log must contain what is shown.
    pub async fn comparison(&self, name: &UserName) -> Result<Comparison> {
        let chain = self.fetch(name).await?;
        let pinned = self.pins.by_name(name)?;
        let change = pinned.as_ref().map_or(Change::None, |(user, pin)| chain.since(*user, pin));
        Ok(Comparison { name: name.clone(), shown: chain.newest().fingerprint(), pinned: pinned.map(|(_, pin)| pin), change })
    }

    /// Pins the key a person shows now, after its fingerprint was compared by people. Replaces whatever was pinned.
    pub async fn verify(&self, name: &UserName, compared: Fingerprint) -> Result<Person> {
        let chain = self.fetch(name).await?;
        let shown = chain.newest().fingerprint();
        if shown != compared {
            return Err(ClientError::refused(
                "fingerprint",
                format!("the server shows another key for {name}: {shown}; do not share with them, and tell an administrator"),
            ));
        }
        self.pins.put(chain.user(), chain.pin(Trust::Compared, clock::now()))?;
        self.remember_chain(&chain)?;
        Ok(chain.person(Trust::Compared, false))
    }
}
