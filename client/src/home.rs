//! The client's directory: what this device remembers. Mode 0700; every file is replaced whole or appended to, never half written.
//!
//! ```text
//!   HOME/default                          id of the deployment used when none is named
//!   HOME/deployments/<id>/deployment.json as imported, byte for byte
//!                        /keys/<name>.key, .bundle
//!                        /logs/{audit,keys}/…            mirrors
//!                        /bundles/<hash>                 people's bundles that verified
//!                        /people/<user id>/{seen,pins.json,receipts,…}   what this person on this device has seen
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use ticrypt_types::{DeploymentId, UserId};

use crate::entropy;
use crate::error::{ClientError, Result};

/// How long one program waits for another that is writing.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_POLL: Duration = Duration::from_millis(5);

/// The root of everything this device keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Opens a home, making it if needed. One that others can enter is refused.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        make_private(&root)?;
        let mode = fs::metadata(&root).map_err(|e| io_error("look at", &root, e))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(ClientError::invalid(format!(
                "{} can be entered by others (mode {:03o}); run `chmod 700` on it",
                root.display(),
                mode & 0o777
            )));
        }
        let root = fs::canonicalize(&root).map_err(|e| io_error("resolve", &root, e))?;
        Ok(Self { root })
    }

    /// Where the home is when nobody says otherwise: `$XDG_DATA_HOME/ticrypt`, else `~/.local/share/ticrypt`.
    pub fn default_path(xdg_data_home: Option<PathBuf>, user_home: Option<PathBuf>) -> Option<PathBuf> {
        // The specification says that a relative path is to be ignored.
        let xdg = xdg_data_home.filter(|path| path.is_absolute());
        xdg.or_else(|| user_home.map(|home| home.join(".local/share"))).map(|base| base.join("ticrypt"))
    }

    pub fn path(&self) -> &Path {
        &self.root
    }

    pub fn default_file(&self) -> PathBuf {
        self.root.join("default")
    }

    pub fn deployments_dir(&self) -> PathBuf {
        self.root.join("deployments")
    }

    pub fn deployment_dir(&self, id: DeploymentId) -> PathBuf {
        self.deployments_dir().join(id.to_string())
    }

    /// What one person on this device has seen of one deployment.
    pub fn person_dir(&self, deployment: DeploymentId, user: UserId) -> Result<PathBuf> {
        let dir = self.deployment_dir(deployment).join("people").join(user.to_string());
        make_private(&dir)?;
        Ok(dir)
    }

    /// A directory below a deployment's, made on first use.
    pub fn directory(&self, deployment: DeploymentId, name: &str) -> Result<PathBuf> {
        let dir = self.deployment_dir(deployment).join(name);
        make_private(&dir)?;
        Ok(dir)
    }
}

/// Makes a directory and its missing parents, for the owner only.
pub fn make_private(dir: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| io_error("make", dir, e))
}

/// Replaces a file in one step: temporary name, sync, rename, sync of the directory. Mode 0600.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    make_private(dir)?;
    let temporary = temporary_name(path)?;
    let written = write_new(&temporary, bytes).and_then(|()| {
        fs::rename(&temporary, path)?;
        File::open(dir)?.sync_all()
    });
    written.map_err(|e| {
        // Whatever stopped us, the old file is untouched; the temporary one is of no use to anybody.
        let _ = fs::remove_file(&temporary);
        io_error("write", path, e)
    })
}

/// Writes a file that must not be there yet, in one step. Mode 0600.
pub fn write_new_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary_name(path)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = write_new(&temporary, bytes).and_then(|()| {
        // A hard link refuses an existing name, which a rename would replace.
        fs::hard_link(&temporary, path)?;
        File::open(dir)?.sync_all()
    });
    let _ = fs::remove_file(&temporary);
    written.map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => ClientError::invalid(format!("{} exists; name another file", path.display())),
        _ => io_error("write", path, e),
    })
}

/// Reads a file of at most `max` bytes; `None` if there is none.
pub fn read_bounded(path: &Path, max: usize) -> Result<Option<Vec<u8>>> {
    use io::Read;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_error("open", path, e)),
    };
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes).map_err(|e| io_error("read", path, e))?;
    if bytes.len() > max {
        return Err(ClientError::invalid(format!("{} is larger than {max} bytes and cannot be what it should be", path.display())));
    }
    Ok(Some(bytes))
}

/// The same for a file that a person named, which must be there.
pub fn read_named(path: &Path, max: usize) -> Result<Vec<u8>> {
    read_bounded(path, max)?.ok_or_else(|| ClientError::not_found(format!("there is no file {}; check the path", path.display())))
}

/// Held while a file is read, changed and written; another program waits.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock `name` in a directory.
    #[allow(clippy::disallowed_methods, reason = "the system tells nobody when a file lock of another process is free")]
    pub fn acquire(dir: &Path, name: &str) -> Result<Self> {
        let began = Instant::now();
        loop {
            if let Some(lock) = Self::try_acquire(dir, name)? {
                return Ok(lock);
            }
            if began.elapsed() >= LOCK_WAIT {
                return Err(ClientError::unavailable(format!(
                    "another ticrypt has been writing to {} for {} seconds; wait for it or end it",
                    dir.display(),
                    LOCK_WAIT.as_secs()
                )));
            }
            std::thread::sleep(LOCK_POLL);
        }
    }

    /// Takes the lock unless somebody has it.
    pub fn try_acquire(dir: &Path, name: &str) -> Result<Option<Self>> {
        let path = dir.join(name);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(&path).map_err(|e| io_error("open", &path, e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
            Err(e) => Err(io_error("lock", &path, e.into())),
        }
    }
}

/// An error of the file system, with what was tried.
pub fn io_error(verb: &str, path: &Path, source: io::Error) -> ClientError {
    let hint = match source.kind() {
        io::ErrorKind::NotFound => "; check the path",
        io::ErrorKind::PermissionDenied => "; check its owner and mode",
        io::ErrorKind::StorageFull => "; the disk is full",
        _ => "",
    };
    let error = match source.kind() {
        io::ErrorKind::NotFound => ClientError::not_found(format!("cannot {verb} {}: {source}{hint}", path.display())),
        _ => ClientError::broken(format!("cannot {verb} {}: {source}{hint}", path.display())),
    };
    error.because(source)
}

fn temporary_name(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| ClientError::invalid(format!("{} is not the name of a file", path.display())))?;
    let mut temporary = name.to_os_string();
    temporary.push(format!(".{:016x}.tmp", u64::from_be_bytes(entropy::bytes()?)));
    Ok(path.with_file_name(temporary))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_home_is_private_and_an_open_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/b");
        Home::open(&root).unwrap();
        assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(&root, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(Home::open(&root).unwrap_err().to_string().contains("mode 750"));
    }

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x/file");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_new_atomic(&path, b"three").unwrap_err().to_string().contains("exists"));
        assert_eq!(fs::read_dir(dir.path().join("x")).unwrap().count(), 1);
        assert_eq!(read_bounded(&path, 3).unwrap().unwrap(), b"two");
        assert!(read_bounded(&path, 2).is_err());
        assert!(read_bounded(&dir.path().join("none"), 2).unwrap().is_none());
    }

    #[test]
    fn the_second_writer_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::acquire(dir.path(), "lock").unwrap();
        let path = dir.path().to_owned();
        let (begun, begins) = std::sync::mpsc::channel();
        let second = std::thread::spawn(move || {
            begun.send(()).unwrap();
            Lock::acquire(&path, "lock").map(|_| Instant::now())
        });
        begins.recv().unwrap();
        assert!(Lock::try_acquire(dir.path(), "lock").unwrap().is_none());
        let released = Instant::now();
        drop(first);
        assert!(second.join().unwrap().unwrap() >= released);
    }

    #[test]
    fn the_default_follows_xdg() {
        let at = |xdg: Option<&str>, home: Option<&str>| Home::default_path(xdg.map(Into::into), home.map(Into::into));
        assert_eq!(at(Some("/d"), Some("/h")), Some("/d/ticrypt".into()));
        assert_eq!(at(Some("relative"), Some("/h")), Some("/h/.local/share/ticrypt".into()));
        assert_eq!(at(None, None), None);
    }
}
