//! Deployments this device knows: imported from a file that came out of band, compared by fingerprint, then believed (security C19).
//!
//! The file is kept byte for byte, because its fingerprint is the hash of exactly those bytes. Everything the client later believes
//! about the server (pins, log keys, witnesses) comes from here and never from the server.

use std::fs;
use std::path::{Path, PathBuf};

use ticrypt_api::deployment::DeploymentFile;
use ticrypt_crypto::bundle::Fingerprint;
use ticrypt_crypto::{Digest, Suite};
use ticrypt_log::{SignatureType, VerifierKey};
use ticrypt_types::DeploymentId;
use ticrypt_types::name::Harmless;

use crate::error::{ClientError, Result};
use crate::home::{self, Home, io_error};

const FILE: &str = "deployment.json";
const FILE_MAX_BYTES: usize = 64 * 1024;
const LIST_MAX: usize = 16;

/// A deployment file that was imported.
#[derive(Clone, Debug)]
pub struct Deployment {
    file: DeploymentFile,
    fingerprint: Fingerprint,
    audit_log_key: VerifierKey,
    key_log_key: VerifierKey,
    witnesses: Vec<VerifierKey>,
    endpoints: Vec<Address>,
    dir: PathBuf,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    pub port: u16,
}

/// A deployment file read but not yet believed.
#[derive(Debug)]
pub struct Candidate {
    bytes: Vec<u8>,
    deployment: Deployment,
    /// The same deployment was imported before, with other bytes.
    pub replaces: Option<Fingerprint>,
}

impl Candidate {
    /// Reads a deployment file; nothing is stored.
    pub fn read(home: &Home, bytes: Vec<u8>) -> Result<Self> {
        let mut deployment = Deployment::parse(&bytes, PathBuf::new())?;
        deployment.dir = home.deployment_dir(deployment.id());
        let present = Deployment::load(home, deployment.id())?.map(|present| present.fingerprint());
        let replaces = present.filter(|fingerprint| *fingerprint != deployment.fingerprint());
        Ok(Self { bytes, deployment, replaces })
    }

    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Stores it if the fingerprint is the one that was compared. The first deployment becomes the default.
    pub fn accept(self, home: &Home, compared: Fingerprint) -> Result<Deployment> {
        if compared != self.deployment.fingerprint {
            return Err(ClientError::refused(
                "fingerprint",
                format!(
                    "the fingerprint of the file is {}, not {compared}; get the file again from somebody you trust",
                    self.deployment.fingerprint
                ),
            ));
        }
        home::write_atomic(&self.deployment.dir.join(FILE), &self.bytes)?;
        if default_id(home)?.is_none() {
            set_default(home, self.deployment.id())?;
        }
        Ok(self.deployment)
    }
}

impl Deployment {
    pub fn id(&self) -> DeploymentId {
        self.file.id
    }

    /// Safe to print.
    pub fn display_name(&self) -> String {
        Harmless(&self.file.display_name).to_string()
    }

    pub fn file(&self) -> &DeploymentFile {
        &self.file
    }

    /// SHA-256 of the file's bytes, in groups.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub fn audit_log_key(&self) -> &VerifierKey {
        &self.audit_log_key
    }

    pub fn key_log_key(&self) -> &VerifierKey {
        &self.key_log_key
    }

    pub fn witnesses(&self) -> &[VerifierKey] {
        &self.witnesses
    }

    /// So many of the witnesses must have countersigned a checkpoint.
    pub fn quorum(&self) -> usize {
        self.file.witness_quorum as usize
    }

    /// Where to connect, in the order to try.
    pub fn addresses(&self) -> &[Address] {
        &self.endpoints
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// One that was imported; `None` if it was not.
    pub fn load(home: &Home, id: DeploymentId) -> Result<Option<Self>> {
        let dir = home.deployment_dir(id);
        let Some(bytes) = home::read_bounded(&dir.join(FILE), FILE_MAX_BYTES)? else { return Ok(None) };
        let deployment = Self::parse(&bytes, dir)?;
        if deployment.id() != id {
            return Err(ClientError::broken(format!("{} is of another deployment; import it again", deployment.dir.display())));
        }
        Ok(Some(deployment))
    }

    /// All that were imported, by id.
    pub fn list(home: &Home) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        let entries = match fs::read_dir(home.deployments_dir()) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(found),
            Err(e) => return Err(io_error("list", &home.deployments_dir(), e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| io_error("list", &home.deployments_dir(), e))?;
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(id) = id
                && let Some(deployment) = Self::load(home, id)?
            {
                found.push(deployment);
            }
        }
        found.sort_by_key(Deployment::id);
        Ok(found)
    }

    /// The one named by id or by display name, else the default.
    pub fn choose(home: &Home, named: Option<&str>) -> Result<Self> {
        let Some(named) = named else {
            let id = default_id(home)?.ok_or_else(|| {
                ClientError::not_found(
                    "no deployment is known; run `ticrypt deployment import FILE` with the file your administrator gave you",
                )
            })?;
            return Self::load(home, id)?.ok_or_else(|| {
                ClientError::not_found(format!("the default deployment {id} is gone; run `ticrypt deployment import FILE`"))
            });
        };
        if let Ok(id) = named.parse()
            && let Some(deployment) = Self::load(home, id)?
        {
            return Ok(deployment);
        }
        let mut matching = Self::list(home)?.into_iter().filter(|deployment| deployment.file.display_name == named);
        match (matching.next(), matching.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(ClientError::invalid(format!("several deployments are called `{named}`; name one by its id"))),
            (None, _) => Err(ClientError::not_found(format!("no deployment `{named}` was imported; run `ticrypt deployment list`"))),
        }
    }

    /// Forgets a deployment: pins, mirrors, highest counters and key files kept in the home.
    pub fn remove(self, home: &Home) -> Result<()> {
        fs::remove_dir_all(&self.dir).map_err(|e| io_error("remove", &self.dir, e))?;
        if default_id(home)? == Some(self.id()) {
            match Self::list(home)?.first() {
                Some(next) => set_default(home, next.id())?,
                None => fs::remove_file(home.default_file()).map_err(|e| io_error("remove", &home.default_file(), e))?,
            }
        }
        Ok(())
    }

    fn parse(bytes: &[u8], dir: PathBuf) -> Result<Self> {
        let wrong =
            |what: &str| ClientError::invalid(format!("this is not a deployment file: {what}; get it again from your administrator"));
        if bytes.len() > FILE_MAX_BYTES {
            return Err(wrong("it is too long"));
        }
        // The version first, so that a file of a newer form asks for an update instead of naming a field.
        #[derive(serde::Deserialize)]
        struct Version {
            version: u32,
        }
        let version: Version = serde_json::from_slice(bytes).map_err(|e| wrong(&e.to_string()))?;
        if version.version != DeploymentFile::VERSION {
            return Err(ClientError::invalid(format!(
                "the deployment file is of version {}, this program knows version {}; update this program",
                version.version,
                DeploymentFile::VERSION
            )));
        }
        let file: DeploymentFile = serde_json::from_slice(bytes).map_err(|e| wrong(&e.to_string()))?;
        let known_suite = u16::from(Suite::CURRENT.id());
        if file.minimum_suite > known_suite {
            return Err(ClientError::invalid(format!(
                "the deployment asks for suite {} or above, this program knows {known_suite}; update this program",
                file.minimum_suite
            )));
        }
        if file.tls_pins.is_empty() || file.tls_pins.len() > LIST_MAX {
            return Err(wrong("it has no tls pin, or too many"));
        }
        if file.urls.is_empty() || file.urls.len() > LIST_MAX || file.witness_keys.len() > LIST_MAX {
            return Err(wrong("it has no url, or too many entries"));
        }
        if file.witness_quorum as usize > file.witness_keys.len() {
            return Err(wrong("it asks for more witnesses than it names"));
        }
        let key = |text: &str| VerifierKey::parse(text).map_err(|e| wrong("a verifier key in it is malformed").because(e));
        let (audit_log_key, key_log_key) = (key(&file.audit_log_key)?, key(&file.key_log_key)?);
        if audit_log_key.kind() != SignatureType::Ed25519 || key_log_key.kind() != SignatureType::Ed25519 {
            return Err(wrong("the keys of its logs are of the wrong type"));
        }
        let witnesses = file.witness_keys.iter().map(|text| key(text)).collect::<Result<Vec<_>>>()?;
        let endpoints = file.urls.iter().map(|url| parse_url(url).ok_or_else(|| wrong("a url is not `https://host:port`")));
        let endpoints = endpoints.collect::<Result<Vec<_>>>()?;
        let fingerprint = Fingerprint(Digest::of(bytes));
        Ok(Self { file, fingerprint, audit_log_key, key_log_key, witnesses, endpoints, dir })
    }
}

/// The deployment used when none is named.
pub fn default_id(home: &Home) -> Result<Option<DeploymentId>> {
    let Some(bytes) = home::read_bounded(&home.default_file(), 64)? else { return Ok(None) };
    let id = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
    id.map(Some).ok_or_else(|| {
        ClientError::broken(format!("{} does not hold an id; remove it and name a deployment", home.default_file().display()))
    })
}

/// Makes a deployment the one used when none is named.
pub fn set_default(home: &Home, id: DeploymentId) -> Result<()> {
    home::write_atomic(&home.default_file(), format!("{id}\n").as_bytes())
}

/// `https://host[:port]`, nothing behind it.
fn parse_url(url: &str) -> Option<Address> {
    let uri: hyper::Uri = url.parse().ok()?;
    let plain = uri.scheme_str() == Some("https") && uri.path() == "/" && uri.query().is_none();
    let authority = uri.authority().filter(|authority| plain && !authority.as_str().contains('@'))?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return None;
    }
    Some(Address { host: host.to_owned(), port: authority.port_u16().unwrap_or(443) })
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::error::Kind;
    use ticrypt_api::Hash;

    pub(crate) fn sample() -> DeploymentFile {
        let key = |name: &str| VerifierKey::new(name, SignatureType::Ed25519, [9; 32]).unwrap().to_string();
        DeploymentFile {
            version: 1,
            id: DeploymentId::from_random([1; 16]),
            display_name: "Cluster".to_owned(),
            urls: vec!["https://vault.example:8443".to_owned()],
            tls_pins: vec![Hash([1; 32]), Hash([2; 32])],
            audit_log_key: key("vault.example/audit"),
            key_log_key: key("vault.example/keys"),
            witness_keys: vec![],
            witness_quorum: 0,
            site_key: None,
            minimum_suite: 1,
            registration_token: None,
        }
    }

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("home")).unwrap();
        (dir, home)
    }

    #[test]
    fn only_the_compared_fingerprint_is_accepted() {
        let (_dir, home) = home();
        let bytes = serde_json::to_vec(&sample()).unwrap();
        let candidate = Candidate::read(&home, bytes.clone()).unwrap();
        assert_eq!(candidate.accept(&home, Fingerprint(Digest::ZERO)).unwrap_err().code(), "fingerprint");
        assert_eq!(Deployment::choose(&home, None).unwrap_err().kind(), Kind::NotFound);

        let candidate = Candidate::read(&home, bytes.clone()).unwrap();
        candidate.accept(&home, Fingerprint(Digest::of(&bytes))).unwrap();
        for named in [None, Some("Cluster"), Some("01010101-0101-4101-8101-010101010101")] {
            assert_eq!(Deployment::choose(&home, named).unwrap().id(), sample().id);
        }

        let other = serde_json::to_vec(&DeploymentFile { tls_pins: vec![Hash([3; 32])], ..sample() }).unwrap();
        assert_eq!(Candidate::read(&home, other).unwrap().replaces, Some(Fingerprint(Digest::of(&bytes))));

        Deployment::choose(&home, None).unwrap().remove(&home).unwrap();
        assert!(Deployment::list(&home).unwrap().is_empty());
        assert_eq!(default_id(&home).unwrap(), None);
    }

    #[test]
    fn files_that_are_not_exactly_right_are_refused() {
        let (_dir, home) = home();
        let good = serde_json::to_value(sample()).unwrap();
        let with = |field: &str, value: serde_json::Value| {
            let mut file = good.clone();
            file.as_object_mut().unwrap().insert(field.to_owned(), value);
            serde_json::to_vec(&file).unwrap()
        };
        Candidate::read(&home, with("version", 1.into())).unwrap();
        for (bytes, why) in [
            (with("unknown", 1.into()), "unknown field"),
            (with("version", 2.into()), "update this program"),
            (with("minimum_suite", 2.into()), "update this program"),
            (with("tls_pins", serde_json::json!([])), "no tls pin"),
            (with("urls", serde_json::json!(["http://vault.example"])), "https://host:port"),
            (with("urls", serde_json::json!(["https://vault.example/path"])), "https://host:port"),
            (with("urls", serde_json::json!(["https://user@vault.example"])), "https://host:port"),
            (with("key_log_key", "nothing".into()), "verifier key"),
            (with("witness_quorum", 1.into()), "more witnesses than it names"),
            (b"{".to_vec(), "not a deployment file"),
            (vec![b' '; FILE_MAX_BYTES + 1], "too long"),
        ] {
            let error = Candidate::read(&home, bytes).unwrap_err();
            assert!(error.to_string().contains(why), "{error} / {why}");
        }
    }

    #[test]
    fn urls() {
        let at = |url: &str| parse_url(url).map(|address| (address.host, address.port));
        assert_eq!(at("https://[::1]:8443"), Some(("::1".to_owned(), 8443)));
        assert_eq!(at("https://127.0.0.1"), Some(("127.0.0.1".to_owned(), 443)));
    }
}
