//! The file operations a log needs, as one small trait.
//!
//! A log's promise hangs on the order of these calls (write, sync, rename, sync the directory), so
//! they go through [`LogFs`]: [`RealFs`] does them, and a test can put in a disk that forgets
//! everything unsynced when its power is cut.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// A directory tree with explicit durability.
pub trait LogFs: Send + Sync + 'static {
    /// The whole content of a file.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Names of the entries of a directory, in any order.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Whether a directory of this name is there.
    fn is_directory(&self, path: &Path) -> bool;

    /// Makes one directory; its parent must be there. Durable once the parent is synced.
    ///
    /// # Errors
    /// Those of the system; an existing directory is not an error.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes an empty file, or empties the one there.
    ///
    /// # Errors
    /// Those of the system.
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>>;

    /// Opens a file to write at its end, after cutting it to `length` bytes.
    ///
    /// # Errors
    /// Those of the system.
    fn open_at(&self, path: &Path, length: u64) -> io::Result<Box<dyn LogFile>>;

    /// Renames a file over another. Durable once the directory is synced.
    ///
    /// # Errors
    /// Those of the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Those of the system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes names created, renamed and removed in this directory durable.
    ///
    /// # Errors
    /// Those of the system.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;

    /// Takes the exclusive right to write in a log directory, held until the value is dropped.
    ///
    /// # Errors
    /// `WouldBlock` when another process has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
}

/// A file open for writing at its end.
pub trait LogFile: Send {
    /// Writes all of it.
    ///
    /// # Errors
    /// Those of the system; how much was written is then unknown.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written so far durable (fdatasync).
    ///
    /// # Errors
    /// Those of the system; what is durable is then unknown and the file must not be used again.
    fn sync(&mut self) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFs;

impl LogFs for RealFs {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().into_string()));
        // A name that is not UTF-8 is none of ours.
        Ok(names.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other,
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(RealFile(File::create(path)?)))
    }

    fn open_at(&self, path: &Path, length: u64) -> io::Result<Box<dyn LogFile>> {
        let file = OpenOptions::new().append(true).open(path)?;
        file.set_len(length)?;
        Ok(Box::new(RealFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

struct RealFile(File);

impl LogFile for RealFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Makes a directory and those above it as needed, each name durable before the next is used.
///
/// # Errors
/// Those of the file system.
pub fn create_directories(fs: &dyn LogFs, path: &Path) -> io::Result<()> {
    if fs.is_directory(path) {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_directories(fs, parent)?;
        fs.create_directory(path)?;
        return fs.sync_directory(parent);
    }
    fs.create_directory(path)
}

/// Replaces a file so that after a power cut either the old or the new content is there.
///
/// # Errors
/// Those of the file system.
pub fn replace(fs: &dyn LogFs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = fs.create(&temporary)?;
    file.write_all(bytes)?;
    file.sync()?;
    drop(file);
    fs.rename(&temporary, path)?;
    match path.parent() {
        Some(parent) => fs.sync_directory(parent),
        None => Ok(()),
    }
}
