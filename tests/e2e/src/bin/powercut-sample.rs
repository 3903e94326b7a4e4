//! A small program that stores things durably, for trying the power-cut layer on something whose every step is known.
//!
//! `powercut-sample DIR COUNT [LACKING]` stores COUNT items and says `stored N` after each. LACKING names one sync it leaves out:
//! `file`, `directory` or `parent`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut arguments = arguments.iter().map(String::as_str);
    let root = Path::new(arguments.next().unwrap_or("."));
    let count: u32 = arguments.next().unwrap_or("1").parse().map_err(io::Error::other)?;
    let lacking = arguments.next().unwrap_or("");
    let sync = |kind: &str, path: &Path| if kind == lacking { Ok(()) } else { File::open(path)?.sync_all() };

    let journal_path = root.join("journal");
    let mut journal = OpenOptions::new().create(true).append(true).open(&journal_path)?;
    for item in 0..count {
        let directory = root.join(format!("d{}", item / 4));
        if !directory.exists() {
            fs::create_dir(&directory)?;
            sync("parent", root)?;
        }
        let temporary = directory.join(format!("{item}.tmp"));
        let mut file = File::create(&temporary)?;
        // Out of order, over itself, and shortened: what a database does.
        let content = content(item);
        let (head, tail) = content.split_at(8);
        file.write_all_at(tail, 8)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(head)?;
        file.write_all_at(b"too much", content.len() as u64)?;
        file.set_len(content.len() as u64)?;
        if lacking != "file" {
            file.sync_data()?;
        }
        fs::rename(&temporary, directory.join(item.to_string()))?;
        sync("directory", &directory)?;
        let line = item.to_string();
        let written = journal.write_vectored(&[io::IoSlice::new(line.as_bytes()), io::IoSlice::new(b"\n")])?;
        assert_eq!(written, line.len() + 1);
        journal.sync_all()?;
        let mut old = directory.join(format!("{item}.old"));
        fs::copy(directory.join(item.to_string()), &old)?;
        fs::remove_file(&old)?;
        old.set_extension("gone");
        fs::create_dir(&old)?;
        fs::remove_dir(&old)?;
        let mut answer = io::stdout();
        writeln!(answer, "stored {item}")?;
        answer.flush()?;
    }
    Ok(())
}

fn content(item: u32) -> Vec<u8> {
    (0..600 + item).map(|i| (i * 7 + item) as u8).collect()
}
