//! The recording of the shim: one [`Record`] per change, in the order in which they happened.

use anyhow::{Context, Result, bail};

/// One change. Files and directories are named by inode number, which may be used again once the last name is gone.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where it begins in the recording, in bytes.
    pub at: u64,
    pub change: Change,
}

#[derive(Debug, Clone)]
pub enum Change {
    Create {
        parent: u64,
        object: u64,
        directory: bool,
        mode: u32,
        name: String,
    },
    Write {
        object: u64,
        offset: u64,
        data: Vec<u8>,
    },
    Truncate {
        object: u64,
        length: u64,
    },
    Allocate {
        object: u64,
        length: u64,
    },
    Link {
        parent: u64,
        object: u64,
        name: String,
    },
    Unlink {
        parent: u64,
        object: u64,
        name: String,
    },
    Rename {
        from: u64,
        old: String,
        to: u64,
        new: String,
        object: u64,
    },
    /// Answers for everything that stood before `covers` in the recording. The path is relative; a directory's ends with a slash.
    Sync {
        object: u64,
        covers: u64,
        path: String,
    },
    Mode {
        object: u64,
        mode: u32,
    },
}

/// Splits a recording. A last record that is not whole is left out: the cut was in the middle of it.
pub fn parse_log(bytes: &[u8]) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Some((body, after)) = after.split_at_checked(u32::from_ne_bytes(*length) as usize) else { break };
        let at = (bytes.len() - rest.len()) as u64;
        records.push(Record { at, change: parse(body).with_context(|| format!("record at {at}"))? });
        rest = after;
    }
    Ok(records)
}

fn parse(body: &[u8]) -> Result<Change> {
    let mut reader = Reader(body);
    let [kind, directory] = *reader.take::<2>()?;
    let mode = u32::from(u16::from_ne_bytes(*reader.take()?));
    let [a, b, c, _] = [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
    let name = String::from_utf8(reader.bytes()?.to_vec()).context("a name that is not UTF-8")?;
    let data = reader.bytes()?;
    let directory = directory == 1;
    Ok(match kind {
        1 => Change::Create { parent: a, object: b, directory, mode, name },
        2 => Change::Write { object: a, offset: b, data: data.to_vec() },
        3 => Change::Truncate { object: a, length: b },
        4 => Change::Link { parent: a, object: b, name },
        5 => Change::Unlink { parent: a, object: b, name },
        6 => Change::Rename { from: a, old: name, to: c, new: String::from_utf8(data.to_vec())?, object: b },
        7 => Change::Sync { object: a, covers: b, path: if directory { name + "/" } else { name } },
        8 => Change::Mode { object: a, mode },
        9 => Change::Allocate { object: a, length: b },
        10 => bail!("the program did what cannot be replayed: {name}"),
        other => bail!("unknown kind {other}"),
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        let (part, rest) = self.0.split_first_chunk().context("too short")?;
        self.0 = rest;
        Ok(part)
    }

    fn number(&mut self) -> Result<u64> {
        Ok(u64::from_ne_bytes(*self.take()?))
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = u32::from_ne_bytes(*self.take()?) as usize;
        let (part, rest) = self.0.split_at_checked(length).context("too short")?;
        self.0 = rest;
        Ok(part)
    }
}
