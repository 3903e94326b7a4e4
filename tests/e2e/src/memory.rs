//! The memory of a running program, read like a core dump would hold it, without stopping it.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};

use crate::canary::{Searcher, Sighting};

const BLOCK_BYTES: u64 = 8 << 20;

/// One mapping that can be read.
struct Mapping {
    start: u64,
    end: u64,
    name: String,
}

/// Searches everything a process has mapped. Returns the bytes searched as well.
pub fn search(process: u32, searcher: &Searcher, overlap: u64) -> Result<(Vec<Sighting>, u64)> {
    let memory = File::open(format!("/proc/{process}/mem")).with_context(|| format!("open the memory of process {process}"))?;
    let (mut found, mut searched) = (Vec::new(), 0);
    for mapping in mappings(process)? {
        let mut at = mapping.start;
        while at < mapping.end {
            let mut block = vec![0; (mapping.end - at).min(BLOCK_BYTES + overlap) as usize];
            // A page that is gone since, or that the kernel keeps for itself, cannot be read.
            let Ok(read) = memory.read_at(&mut block, at) else { break };
            block.truncate(read);
            found.extend(searcher.search(&format!("memory, {}", mapping.name), &block, at));
            searched += read.min(BLOCK_BYTES as usize) as u64;
            if read == 0 {
                break;
            }
            at += (read as u64).min(BLOCK_BYTES);
        }
    }
    found.sort();
    found.dedup();
    Ok((found, searched))
}

fn mappings(process: u32) -> Result<Vec<Mapping>> {
    let text = std::fs::read_to_string(format!("/proc/{process}/maps"))?;
    let parse = |line: &str| -> Option<Mapping> {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let readable = fields.next()?.starts_with('r');
        let name = fields.nth(3).unwrap_or("[anonymous]").to_owned();
        let number = |hex| u64::from_str_radix(hex, 16).ok();
        (readable && name != "[vvar]" && name != "[vsyscall]").then_some(Mapping { start: number(start)?, end: number(end)?, name })
    };
    Ok(text.lines().filter_map(parse).collect())
}

/// Memory a process has in use, in MiB.
pub fn resident_mib(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the system does not tell the memory of a process")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib / 1_024)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::canary::Canary;
    use crate::chance::Chance;
    use data_encoding::HEXLOWER;

    /// Our own memory holds what we hold, in the dress in which we hold it, and nothing else.
    #[test]
    fn what_a_process_holds_is_seen() {
        let secret = Chance::new(std::process::id().into()).bytes(32);
        let canaries = [Canary::new("held", secret.clone()), Canary::new("not held", Chance::new(99).bytes(32))];
        // Only the heap copy of the hexadecimal dress is ours; the searcher itself holds all of them, so it is made of parts.
        let held = HEXLOWER.encode(&secret);
        let searcher = Searcher::new(&canaries).unwrap();
        let (seen, searched) = search(std::process::id(), &searcher, 256).unwrap();
        let address = held.as_ptr() as u64;
        assert!(seen.iter().any(|s| s.offset == address && s.dress == "hexadecimal" && s.canary == "held"), "{seen:?}");
        assert!(searched > 1 << 20, "{searched}");
    }
}
