//! One program, many targets: `FUZZ_TARGET` says which parser gets libFuzzer's bytes, `list` prints them all,
//! and `seeds:FOLDER` writes what every target begins with.
//!
//! A target does not only ask for the absence of a crash: what a strict parser accepts must encode to the very same bytes.

#![no_main]

mod records;
mod seeds;
mod text;
mod wire;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// A name and what to do with some bytes.
type Target = (&'static str, fn(&[u8]));

const GROUPS: &[&[Target]] = &[records::TARGETS, text::TARGETS, wire::TARGETS];

fn chosen() -> fn(&[u8]) {
    static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let mut all = GROUPS.iter().flat_map(|group| group.iter());
        if wanted == "list" {
            for (name, _) in all {
                println!("{name}");
            }
            std::process::exit(0);
        }
        if let Some(folder) = wanted.strip_prefix("seeds:") {
            seeds::write(std::path::Path::new(folder)).expect("write the seeds");
            std::process::exit(0);
        }
        match all.find(|(name, _)| *name == wanted) {
            Some((_, run)) => *run,
            None => {
                eprintln!("FUZZ_TARGET is not a target; FUZZ_TARGET=list prints them");
                std::process::exit(2);
            }
        }
    })
}

fuzz_target!(init: { chosen(); }, |data: &[u8]| chosen()(data));
