//! What compilers cannot see, checked: mostly absences. Each finding says the file, the rule and what to do.

mod graph;
mod links;
mod source;

use std::path::Path;

use anyhow::{Result, bail};

/// One thing that is not as it should be.
pub struct Finding {
    pub place: String,
    pub rule: &'static str,
    pub what: String,
}

pub fn run(root: &Path, bless: bool) -> Result<()> {
    let mut findings = graph::check(root, bless)?;
    findings.extend(source::check(root)?);
    findings.extend(links::check(root)?);
    for f in &findings {
        println!("{}: {} [{}]", f.place, f.what, f.rule);
    }
    if findings.is_empty() {
        println!("tidy: nothing found");
        return Ok(());
    }
    bail!("{} findings", findings.len())
}
