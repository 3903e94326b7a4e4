//! Pins: which key a name meant the last time, on this device (`pins.json`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use ticrypt_crypto::Digest;
use ticrypt_crypto::bundle::Bundle;
use ticrypt_types::{Timestamp, UserId, UserName};

use crate::error::{ClientError, Result};
use crate::home::{self, Lock};

const FILE: &str = "pins.json";
const LOCK: &str = "pins.lock";
const FILE_MAX_BYTES: usize = 64 * 1024 * 1024;
const VERSION: u32 = 1;

/// How a pinned key came to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// It was the first one seen.
    FirstContact,
    /// People compared the fingerprint.
    Compared,
}

/// What is remembered of one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    pub name: UserName,
    /// Record hash of the newest bundle seen.
    pub fingerprint: Digest,
    pub generation: u32,
    pub trust: Trust,
    pub since: Timestamp,
    /// Record hash of every generation seen, the newest included.
    pub known: BTreeMap<u32, Digest>,
}

impl Pin {
    /// Of a person of whom only one bundle was seen.
    pub fn first(bundle: &Bundle, since: Timestamp) -> Self {
        let payload = bundle.payload();
        Self {
            name: payload.name.clone(),
            fingerprint: bundle.hash(),
            generation: payload.generation,
            trust: Trust::FirstContact,
            since,
            known: BTreeMap::from([(payload.generation, bundle.hash())]),
        }
    }

    /// Whether this very bundle was seen.
    pub fn knows(&self, bundle: &Bundle) -> bool {
        self.known.get(&bundle.payload().generation) == Some(&bundle.hash())
    }

    /// Whether another bundle of the same generation was seen.
    pub fn contradicts(&self, bundle: &Bundle) -> bool {
        self.known.get(&bundle.payload().generation).is_some_and(|known| *known != bundle.hash())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinFile {
    version: u32,
    pins: BTreeMap<UserId, Pin>,
}

/// The pins of one person on one device. Read from disk each time: other programs change them too, and they are few.
#[derive(Debug)]
pub struct Pins {
    dir: PathBuf,
}

impl Pins {
    pub fn open(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub fn get(&self, user: UserId) -> Result<Option<Pin>> {
        Ok(self.load()?.remove(&user))
    }

    pub fn by_name(&self, name: &UserName) -> Result<Option<(UserId, Pin)>> {
        Ok(self.load()?.into_iter().find(|(_, pin)| pin.name == *name))
    }

    pub fn all(&self) -> Result<BTreeMap<UserId, Pin>> {
        self.load()
    }

    /// Pins, in place of what was pinned for this person or under this name.
    pub fn put(&self, user: UserId, pin: Pin) -> Result<()> {
        let _lock = Lock::acquire(&self.dir, LOCK)?;
        let mut pins = self.load()?;
        pins.retain(|other, old| *other == user || old.name != pin.name);
        pins.insert(user, pin);
        self.save(pins)
    }

    pub fn remove(&self, name: &UserName) -> Result<Option<Pin>> {
        let _lock = Lock::acquire(&self.dir, LOCK)?;
        let mut pins = self.load()?;
        let found = pins.iter().find(|(_, pin)| pin.name == *name).map(|(user, _)| *user);
        let removed = found.and_then(|user| pins.remove(&user));
        if removed.is_some() {
            self.save(pins)?;
        }
        Ok(removed)
    }

    fn load(&self) -> Result<BTreeMap<UserId, Pin>> {
        let path = self.dir.join(FILE);
        let Some(bytes) = home::read_bounded(&path, FILE_MAX_BYTES)? else { return Ok(BTreeMap::new()) };
        let file: PinFile = serde_json::from_slice(&bytes).map_err(|e| {
            ClientError::broken(format!("{} is damaged or of a newer program ({e}); restore it from a copy", path.display())).because(e)
        })?;
        if file.version != VERSION {
            return Err(ClientError::broken(format!("{} is of version {}; update this program", path.display(), file.version)));
        }
        Ok(file.pins)
    }

    fn save(&self, pins: BTreeMap<UserId, Pin>) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(&PinFile { version: VERSION, pins })
            .map_err(|e| ClientError::broken("the pins cannot be written").because(e))?;
        home::write_atomic(&self.dir.join(FILE), &bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pin(name: &str, hash: &[u8]) -> Pin {
        Pin {
            name: name.parse().unwrap(),
            fingerprint: Digest::of(hash),
            generation: 0,
            trust: Trust::FirstContact,
            since: Timestamp::from_millis(1),
            known: BTreeMap::from([(0, Digest::of(hash))]),
        }
    }

    #[test]
    fn a_name_is_pinned_once() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins::open(dir.path().to_owned());
        let (one, two) = (UserId::from_random([1; 16]), UserId::from_random([2; 16]));
        pins.put(one, pin("ann", b"1")).unwrap();
        pins.put(two, pin("bob", b"2")).unwrap();
        assert_eq!(pins.by_name(&"ann".parse().unwrap()).unwrap().unwrap().0, one);
        pins.put(two, pin("ann", b"3")).unwrap();
        assert_eq!(pins.get(one).unwrap(), None);
        assert_eq!(pins.remove(&"ann".parse().unwrap()).unwrap(), Some(pin("ann", b"3")));
        assert!(pins.all().unwrap().is_empty());
        std::fs::write(dir.path().join(FILE), b"{\"version\":1,\"pins\":{},\"more\":1}").unwrap();
        assert!(pins.all().unwrap_err().to_string().contains("damaged"));
    }
}
