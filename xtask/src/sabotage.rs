//! Tests of the tests: each patch in `sabotage/` breaks one promise, and names the test that must notice.
//!
//! A patch begins with lines `Breaks: <what>`, `Target: <which test programs>` and `Test: <nextest filter>`, then a unified diff. It is applied
//! to a copy of the tree with a target directory of its own: cargo takes two trees of one workspace for the same, and would leave sabotaged
//! programs among the tree's. Dependencies are copied from the tree's target directory, so only the workspace's own crates are built.
//! The workspace is built as a whole, as everywhere, or its dependencies would have other features. A patch that no longer applies, does not
//! build, or leaves its test green is a failure.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

#[derive(Args)]
pub struct Options {
    /// Only the sabotages whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Only the i-th of n slices, `i/n`, or `today/n` for the one whose turn it is.
    #[arg(long)]
    slice: Option<String>,
    /// Only checks that every patch still applies.
    #[arg(long)]
    check: bool,
}

struct Sabotage {
    name: String,
    patch: PathBuf,
    breaks: String,
    /// As cargo names them: `--test vault`, `--lib`.
    target: Vec<String>,
    test: String,
}

pub fn run(root: &Path, options: &Options) -> Result<()> {
    let all = load(&root.join("sabotage"))?;
    ensure!(all.len() >= 12, "only {} sabotages; there were to be at least 12", all.len());
    let (slice, of) = options.slice.as_deref().map_or(Ok((0, 1)), parse_slice)?;
    let copy = root.join("target/sabotage");
    if !options.check {
        lend_dependencies(&root.join("target/debug"), &copy.join("target/debug"))?;
    }
    let mut failures = Vec::new();
    let chosen = all.iter().enumerate().filter(|(i, s)| i % of == slice && options.only.as_ref().is_none_or(|o| s.name.contains(o)));
    for (_, sabotage) in chosen {
        refresh(root, &copy)?;
        let applied = git_apply(&copy, &sabotage.patch)?;
        let verdict = match (applied, options.check) {
            (false, _) => Err("the patch no longer applies"),
            (true, true) => Ok("applies"),
            (true, false) => verdict(&copy, sabotage)?,
        };
        match verdict {
            Ok(word) => println!("{}: {word} ({})", sabotage.name, sabotage.breaks),
            Err(why) => {
                println!("{}: FAILED: {why} ({})", sabotage.name, sabotage.breaks);
                failures.push(sabotage.name.clone());
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { bail!("not noticed: {}", failures.join(", ")) }
}

fn load(folder: &Path) -> Result<Vec<Sabotage>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let patch = entry?.path();
        if patch.extension().is_none_or(|e| e != "patch") {
            continue;
        }
        let text = std::fs::read_to_string(&patch)?;
        let field = |key: &str| {
            text.lines()
                .find_map(|l| l.strip_prefix(key))
                .map(|v| v.trim().to_owned())
                .with_context(|| format!("{}: no line `{key}`", patch.display()))
        };
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        all.push(Sabotage {
            name,
            breaks: field("Breaks:")?,
            target: field("Target:")?.split_whitespace().map(str::to_owned).collect(),
            test: field("Test:")?,
            patch: patch.clone(),
        });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// `2/7`, or `today/7`: the day of the week decides, so that a week of runs covers all.
fn parse_slice(text: &str) -> Result<(usize, usize)> {
    let (index, of) = text.split_once('/').context("a slice is written i/n")?;
    let of: usize = of.parse()?;
    ensure!(of > 0, "a slice is one of at least 1");
    let index = if index == "today" {
        let output = Command::new("date").arg("+%j").output()?;
        String::from_utf8(output.stdout)?.trim().parse::<usize>()?
    } else {
        index.parse()?
    };
    Ok((index % of, of))
}

/// Brings the copy to the state of the tree. What is the same keeps its time; what a patch had changed gets a new one, so that cargo builds it again.
fn refresh(root: &Path, copy: &Path) -> Result<()> {
    std::fs::create_dir_all(copy)?;
    let status = Command::new("rsync")
        .args(["-rlp", "--checksum", "--delete", "--exclude=/target", "--exclude=/.git", "--exclude=/.run", "--exclude=/fuzz/target"])
        .arg(format!("{}/", root.display()))
        .arg(format!("{}/", copy.display()))
        .status()
        .context("run rsync")?;
    ensure!(status.success(), "rsync failed");
    Ok(())
}

/// What is built already need not be built again. Times are kept, by which cargo knows it.
fn lend_dependencies(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(to)?;
    for part in ["deps", "build", ".fingerprint"].map(|part| from.join(part)) {
        let status = Command::new("cp").arg("-a").arg(&part).arg(to).status().context("run cp")?;
        ensure!(status.success(), "{} cannot be copied", part.display());
    }
    Ok(())
}

fn git_apply(copy: &Path, patch: &Path) -> Result<bool> {
    let status = Command::new("patch")
        .args(["-p1", "--forward", "--no-backup-if-mismatch", "--fuzz=2", "-i"])
        .arg(patch)
        .current_dir(copy)
        .output()?
        .status;
    Ok(status.success())
}

fn verdict(copy: &Path, sabotage: &Sabotage) -> Result<Result<&'static str, &'static str>> {
    let cargo = |more: &[&str]| -> Result<std::process::Output> {
        let command = ["nextest", "run", "--workspace", "--locked"];
        let arguments = command.into_iter().chain(sabotage.target.iter().map(String::as_str)).chain(more.iter().copied());
        Ok(Command::new(env!("CARGO")).args(arguments).current_dir(copy).env_remove("CARGO_TARGET_DIR").output()?)
    };
    let build = cargo(&["--no-run"])?;
    if !build.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&build.stderr));
        return Ok(Err("it does not build, so no test noticed it"));
    }
    let test = cargo(&["-E", &sabotage.test])?;
    // nextest ends with 100 when tests ran and some failed; 4 means that the filter chose none.
    Ok(match test.status.code() {
        Some(100) => Ok("noticed"),
        Some(0) => Err("its test stayed green"),
        Some(4) => Err("its test does not exist"),
        _ => {
            eprintln!("{}", String::from_utf8_lossy(&test.stderr));
            Err("its test could not be run")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices() -> Result<()> {
        assert_eq!(parse_slice("2/7")?, (2, 7));
        assert_eq!(parse_slice("9/7")?, (2, 7));
        assert!(parse_slice("today/7")?.0 < 7);
        assert!(parse_slice("3").is_err());
        Ok(())
    }
}
