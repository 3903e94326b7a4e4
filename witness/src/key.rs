//! The witness's own key: made at the first start, kept in one file that only its owner may read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SecureRandom;
use ticrypt_log::fs::{LogFs, RealFs, create_directories};
use ticrypt_log::key::KeyError;
use ticrypt_log::{NoteSigner, SignatureType};

/// Name of the key file in the data directory.
pub const KEY_FILE: &str = "key";

const MAX_KEY_BYTES: u64 = 4096;

/// The key cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system refused.
    #[error("cannot {step} {file}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// With which file.
        file: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Others can read it.
    #[error("key file {0} can be read by others; make it mode 0600")]
    Mode(PathBuf),
    /// It is not a key.
    #[error("key file {file} is not a cosignature key")]
    Key {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// It is the key of another name.
    #[error("key in the data directory is named {found}, not {wanted}; a witness does not change its name")]
    Name {
        /// Name of the key.
        found: String,
        /// Name asked for.
        wanted: String,
    },
    /// There is none and no name to make one under.
    #[error("no key in the data directory yet; give a name to make one")]
    NoName,
}

/// Reads the key, or makes one under `name` if there is none. A key file that is there is never
/// replaced; a name that differs from its name is an error.
///
/// # Errors
/// [`KeyFileError`].
pub fn load_or_generate(directory: &Path, name: Option<&str>, random: &dyn SecureRandom) -> Result<NoteSigner, KeyFileError> {
    let file = directory.join(KEY_FILE);
    let io = |step| {
        let file = file.clone();
        move |source| KeyFileError::Io { step, file, source }
    };
    let broken = |source| KeyFileError::Key { file: file.clone(), source };
    match fs::metadata(&file) {
        Ok(metadata) => {
            if metadata.permissions().mode() & 0o077 != 0 {
                return Err(KeyFileError::Mode(file));
            }
            if metadata.len() > MAX_KEY_BYTES {
                return Err(broken(KeyError::Signer));
            }
            let text = fs::read_to_string(&file).map_err(io("read"))?;
            let signer = NoteSigner::parse(text.trim_end()).map_err(broken)?;
            if signer.verifier().kind() != SignatureType::CosignatureV1 {
                return Err(broken(KeyError::Signer));
            }
            let found = signer.verifier().name();
            match name.filter(|wanted| *wanted != found) {
                Some(wanted) => Err(KeyFileError::Name { found: found.to_owned(), wanted: wanted.to_owned() }),
                None => Ok(signer),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = name.ok_or(KeyFileError::NoName)?;
            let signer = NoteSigner::generate(name, SignatureType::CosignatureV1, random).map_err(broken)?;
            create_directories(&RealFs, directory).map_err(io("make the directory of"))?;
            let temporary = file.with_extension("tmp");
            // A leftover of an interrupted start may have another mode.
            let _ = fs::remove_file(&temporary);
            let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(io("create"))?;
            let written = open.write_all(signer.secret_text().expose().as_bytes());
            written.and_then(|()| open.sync_all()).map_err(io("write"))?;
            fs::rename(&temporary, &file).map_err(io("rename"))?;
            RealFs.sync_directory(directory).map_err(io("sync the directory of"))?;
            Ok(signer)
        }
        Err(error) => Err(io("look at")(error)),
    }
}
