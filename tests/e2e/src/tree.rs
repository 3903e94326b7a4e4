//! Directory trees on disk: made by chance, read whole, compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::chance::Chance;

/// Every file below a directory with its content, by its path.
pub fn read(root: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).with_context(|| format!("list {}", directory.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
                files.insert(name, fs::read(&path).with_context(|| format!("read {}", path.display()))?);
            }
        }
    }
    Ok(files)
}

/// Copies a directory.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    Ok(())
}

/// Fills a directory with files of all the sizes that matter, in directories some levels deep, with names of several scripts.
pub fn plant(root: &Path, chance: &mut Chance, sizes: &[usize]) -> Result<()> {
    const DIRECTORIES: [&str; 5] = ["", "papers", "papers/2019 — Entwürfe", "データ/deep/er", "with space/ and.dots."];
    for (number, size) in sizes.iter().enumerate() {
        let directory = root.join(DIRECTORIES.get(number % DIRECTORIES.len()).unwrap_or(&""));
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(format!("{number}-{}.bin", chance.word(6))), chance.bytes(*size))?;
    }
    fs::create_dir_all(root.join("empty"))?;
    Ok(())
}

/// Bytes in all files below a directory.
pub fn bytes_below(root: &Path) -> Result<u64> {
    let mut bytes = 0;
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).with_context(|| format!("list {}", directory.display()))? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                open.push(entry.path());
            } else {
                bytes += metadata.len();
            }
        }
    }
    Ok(bytes)
}
