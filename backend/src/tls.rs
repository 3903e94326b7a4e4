//! The server's TLS identity: two P-256 keys, one in use and one ready, whose pins stand in every deployment file.
//!
//! ```text
//! first start      current = A   next = B     pins A, B
//! tls rotate       current = B   next = C     pins B, C      who pinned A, B still connects
//! ```
//!
//! Clients trust a pin (SHA-256 of the key), not a certificate authority, so the certificate is self-signed. TLS 1.3 only, with the
//! post-quantum hybrids first; no tickets, no resumption and no early data, so that each connection proves the key anew and has an
//! exporter of its own (security C15).

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self as provider, kx_group};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use ticrypt_api::Hash;

use crate::config::TlsFiles;

const CURRENT_KEY: &str = "current.key.pem";
const CURRENT_CERTIFICATE: &str = "current.crt.pem";
const NEXT_KEY: &str = "next.key.pem";

/// Why there is no TLS identity.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot {step} {path}; check that the directory can be written")]
    Io {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot make a key or certificate")]
    Generate(#[source] rcgen::Error),
    #[error("{path} is not a PEM file of the kind expected")]
    Pem {
        path: PathBuf,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    #[error("{path} is not a P-256 key in PKCS#8; make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`")]
    Key {
        path: PathBuf,
        #[source]
        source: rcgen::Error,
    },
    #[error("the certificate and the key do not belong together")]
    Configuration(#[source] rustls::Error),
    #[error("the keys are brought along by the configuration (server.tls); rotate them there")]
    BroughtAlong,
}

/// What the listener presents, and the pins of it and of the key kept ready.
#[derive(Debug)]
pub struct Identity {
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// In use, then ready.
    pub pins: [Hash; 2],
}

impl Identity {
    /// Takes what the configuration names, or what lies in `directory`, or makes it there.
    pub fn load_or_make(directory: &Path, brought: Option<&TlsFiles>, name: &str) -> Result<Self, TlsError> {
        if let Some(files) = brought {
            return Self::load(&files.certificate, &files.key, &files.next_key);
        }
        let path = |file: &str| directory.join(file);
        if !path(CURRENT_CERTIFICATE).exists() {
            make_directory(directory)?;
            let current = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(TlsError::Generate)?;
            let next = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(TlsError::Generate)?;
            write_private(&path(NEXT_KEY), next.serialize_pem().as_bytes())?;
            write_private(&path(CURRENT_KEY), current.serialize_pem().as_bytes())?;
            // Written last: its presence says that the others are there.
            write_private(&path(CURRENT_CERTIFICATE), certify(&current, name)?.as_bytes())?;
        }
        Self::load(&path(CURRENT_CERTIFICATE), &path(CURRENT_KEY), &path(NEXT_KEY))
    }

    /// The key kept ready comes into use, and another is made ready.
    pub fn rotate(directory: &Path, brought: Option<&TlsFiles>, name: &str) -> Result<Self, TlsError> {
        if brought.is_some() {
            return Err(TlsError::BroughtAlong);
        }
        // Makes what is missing, so that a rotation before the first start is a rotation all the same.
        Self::load_or_make(directory, None, name)?;
        let path = |file: &str| directory.join(file);
        let ready = load_key(&path(NEXT_KEY))?;
        let next = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(TlsError::Generate)?;
        write_private(&path(CURRENT_KEY), ready.serialize_pem().as_bytes())?;
        write_private(&path(CURRENT_CERTIFICATE), certify(&ready, name)?.as_bytes())?;
        write_private(&path(NEXT_KEY), next.serialize_pem().as_bytes())?;
        Self::load(&path(CURRENT_CERTIFICATE), &path(CURRENT_KEY), &path(NEXT_KEY))
    }

    fn load(certificate: &Path, key: &Path, next: &Path) -> Result<Self, TlsError> {
        let pem = |path: &Path| {
            let path = path.to_path_buf();
            move |source| TlsError::Pem { path, source }
        };
        let certificates =
            CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(pem(certificate))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(pem(key))?;
        let pins = [pin(&load_key(key)?), pin(&load_key(next)?)];
        Ok(Self { certificates, key: private, pins })
    }

    /// The settings of the listener.
    pub fn server_config(&self) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        let builder = rustls::ServerConfig::builder_with_provider(Arc::new(crypto_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsError::Configuration)?
            .with_no_client_auth();
        let mut config = builder.with_single_cert(self.certificates.clone(), self.key.clone_key()).map_err(TlsError::Configuration)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Arc::new(config))
    }
}

/// One provider, TLS 1.3 suites, the hybrids first; the classical groups after them serve stock clients of the public log.
fn crypto_provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::SECP256R1MLKEM768, kx_group::SECP256R1, kx_group::SECP384R1, kx_group::X25519],
        ..provider::default_provider()
    }
}

fn certify(key: &KeyPair, name: &str) -> Result<String, TlsError> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(TlsError::Generate)?;
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, "ticrypt server key, pinned by the deployment file");
    params.distinguished_name = distinguished;
    Ok(params.self_signed(key).map_err(TlsError::Generate)?.pem())
}

fn load_key(path: &Path) -> Result<KeyPair, TlsError> {
    let pem = fs::read_to_string(path).map_err(|source| TlsError::Io { step: "read", path: path.to_path_buf(), source })?;
    KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &PKCS_ECDSA_P256_SHA256)
        .map_err(|source| TlsError::Key { path: path.to_path_buf(), source })
}

fn pin(key: &KeyPair) -> Hash {
    let spki = key.subject_public_key_info();
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, &spki).as_ref()) {
        *to = *from;
    }
    Hash(out)
}

/// A directory for secrets, mode 0700, with what is above it. Each stays after a power cut: what lies in one must not outlast what lies
/// in another.
pub fn make_directory(path: &Path) -> Result<(), TlsError> {
    use std::os::unix::fs::DirBuilderExt;
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_directory(parent)?;
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    let parent = parent.unwrap_or(Path::new("."));
    made.and_then(|()| fs::File::open(parent)?.sync_all()).map_err(|source| TlsError::Io {
        step: "make the directory",
        path: path.to_path_buf(),
        source,
    })
}

/// Replaces a file of mode 0600 so that after a power cut the old or the new one is there.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), TlsError> {
    let error = |source| TlsError::Io { step: "write", path: path.to_path_buf(), source };
    let temporary = path.with_extension("tmp");
    // A temporary file left behind may have another mode; begin anew.
    let _ = fs::remove_file(&temporary);
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&temporary).map_err(error)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(error)?;
    fs::rename(&temporary, path).map_err(error)?;
    if let Some(parent) = path.parent() {
        fs::File::open(parent).and_then(|directory| directory.sync_all()).map_err(error)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rotation_takes_the_pin_that_was_ready() {
        let dir = tempfile::tempdir().unwrap();
        let tls = dir.path().join("tls");
        let first = Identity::load_or_make(&tls, None, "localhost").unwrap();
        let again = Identity::load_or_make(&tls, None, "localhost").unwrap();
        assert_eq!(first.pins, again.pins);
        let rotated = Identity::rotate(&tls, None, "localhost").unwrap();
        assert_eq!(rotated.pins[0], first.pins[1]);
        assert!(!first.pins.contains(&rotated.pins[1]));
        rotated.server_config().unwrap();
        // The pin is of the key in the certificate itself.
        use std::os::unix::fs::PermissionsExt;
        for file in [CURRENT_KEY, NEXT_KEY] {
            assert_eq!(fs::metadata(tls.join(file)).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn nothing_is_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let config = Identity::load_or_make(dir.path(), None, "localhost").unwrap().server_config().unwrap();
        assert_eq!((config.send_tls13_tickets, config.max_early_data_size), (0, 0));
        assert!(!config.session_storage.can_cache());
        let groups: Vec<_> = config.crypto_provider().kx_groups.iter().map(|g| g.name()).collect();
        assert_eq!(groups[..2], [rustls::NamedGroup::X25519MLKEM768, rustls::NamedGroup::secp256r1MLKEM768]);
    }
}
