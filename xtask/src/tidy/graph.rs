//! The dependency graph of the shipped programs, read from `cargo tree -e normal`: "the server cannot decrypt" as a fact.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Finding;

/// What the server side must never link: everything that opens, unwraps or agrees.
const NOT_IN_THE_SERVER: &[&str] = &["ticrypt-keyring", "ticrypt-client", "hpke", "ml-kem", "x-wing"];
/// What nothing shipped links: a second provider or TLS stack.
const NOWHERE: &[&str] = &["ring", "openssl", "openssl-sys", "native-tls", "libressl-sys"];
const SERVER: &[&str] = &["ticrypt-backend", "ticrypt-witness"];
const SHIPPED: &[&str] = &["ticrypt-backend", "ticrypt-witness", "ticrypt", "ticrypt-connect"];

pub fn check(root: &Path, bless: bool) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut ours = String::new();
    for program in SHIPPED {
        let linked = tree(root, program)?;
        let forbidden = NOWHERE.iter().chain(NOT_IN_THE_SERVER.iter().filter(|_| SERVER.contains(program)));
        for name in forbidden.filter(|name| linked.contains(**name)) {
            findings.push(Finding {
                place: (*program).to_owned(),
                rule: "dependency graph",
                what: format!("links `{name}`; `cargo tree -e normal -p {program} -i {name}` shows by whom"),
            });
        }
        let workspace: Vec<&str> = linked.iter().filter(|n| n.starts_with("ticrypt")).map(String::as_str).collect();
        ours.push_str(&format!("{program}: {}\n", workspace.join(" ")));
    }
    let golden = root.join("docs/dependency-graph.txt");
    if bless {
        std::fs::write(&golden, &ours)?;
    } else if std::fs::read_to_string(&golden).unwrap_or_default() != ours {
        findings.push(Finding {
            place: "docs/dependency-graph.txt".to_owned(),
            rule: "dependency graph",
            what: "the programs link other crates of the workspace than recorded; if that is meant, run `cargo xtask tidy --bless`"
                .to_owned(),
        });
    }
    Ok(findings)
}

/// The names of all packages that end up in a program.
fn tree(root: &Path, program: &str) -> Result<BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "-e", "normal", "--prefix", "none", "--no-dedupe", "-f", "{p}", "-p", program])
        .current_dir(root)
        .output()
        .context("run cargo tree")?;
    ensure!(output.status.success(), "cargo tree -p {program}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().filter_map(|line| line.split(' ').next()).filter(|n| !n.is_empty()).map(str::to_owned).collect())
}
