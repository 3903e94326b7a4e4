//! Rules about source files: which module may name which, what files may be called, how long they may be, what they may not hold.

use std::path::Path;

use anyhow::Result;
use walkdir::WalkDir;

use super::Finding;

/// Roles are modules of the backend and meet only through traits in `api`.
const ROLES: &[&str] = &["rest", "file", "storage", "audit"];
const BANNED_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager", "misc"];
const LINES_MAX: usize = 800;
/// Words that would tell where something was written rather than what it is. Split, so that this file does not hold them.
const BANNED_TEXT: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("to", "do!("), "a stub"),
    (concat!("unimpl", "emented!("), "a stub"),
    (concat!("#[ig", "nore"), "a test that does not run"),
];

pub fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let walk = WalkDir::new(root).into_iter().filter_entry(|e| {
        let name = e.file_name().to_string_lossy();
        !matches!(&*name, "target" | ".git" | ".run" | "__pycache__" | "vectors")
    });
    for entry in walk {
        let entry = entry?;
        if !entry.file_type().is_file() {
            continue;
        }
        let place = entry.path().strip_prefix(root)?.display().to_string();
        let extension = entry.path().extension().and_then(|e| e.to_str()).unwrap_or_default();
        let mut find = |rule, what: String| findings.push(Finding { place: place.clone(), rule, what });
        if extension == "rs" {
            for part in place.trim_end_matches(".rs").split('/') {
                if BANNED_NAMES.contains(&part) {
                    find("names", format!("`{part}` says nothing; look for the noun"));
                }
            }
        }
        if !matches!(extension, "rs" | "md" | "py" | "sh" | "toml" | "json" | "txt" | "yml" | "patch" | "") {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        if extension == "rs" && text.lines().count() > LINES_MAX {
            find("size", format!("more than {LINES_MAX} lines; split by noun or verb"));
        }
        for (number, line) in text.lines().enumerate() {
            for (banned, why) in BANNED_TEXT {
                if line.contains(banned) {
                    find("text", format!("line {}: {why}", number + 1));
                }
            }
        }
        if extension == "rs" {
            for what in foreign_roles(&place, &text) {
                find("roles", what);
            }
            for what in shared_with_naive(&place, &text) {
                find("independence", what);
            }
        }
    }
    Ok(findings)
}

/// Lines in one role's module that name another role's module.
fn foreign_roles(place: &str, text: &str) -> Vec<String> {
    let Some(role) = ROLES.iter().find(|r| place.starts_with(&format!("backend/src/{r}/")) || place == format!("backend/src/{r}.rs"))
    else {
        return Vec::new();
    };
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .flat_map(|(number, line)| {
            ROLES
                .iter()
                .filter(move |other| *other != role && line.contains(&format!("crate::{other}::")))
                .map(move |other| format!("line {}: role `{role}` names role `{other}`; they meet through traits in `api`", number + 1))
        })
        .collect()
}

/// The second statement of the rules of access is worth something only as long as it shares nothing with the first: it may name the
/// plain words it is asked in, and the standard library.
const NAIVE: &str = "policy/tests/model/naive.rs";
const NAIVE_WORDS: &str = "policy/tests/model/world.rs";

fn shared_with_naive(place: &str, text: &str) -> Vec<String> {
    if place != NAIVE && place != NAIVE_WORDS {
        return Vec::new();
    }
    let foreign = |line: &str| line.contains("ticrypt") || line.contains("super::") || line.replace("crate::world", "").contains("crate::");
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//") && foreign(line))
        .map(|(number, _)| format!("line {}: the naive statement of the rules shares nothing with the policy crate", number + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_names_another_is_found() {
        assert_eq!(
            foreign_roles("backend/src/file/create.rs", "use crate::audit::AuditRole;\n// crate::rest::x\nuse crate::file::x;").len(),
            1
        );
        assert_eq!(shared_with_naive(NAIVE, "use crate::world::World;\nuse ticrypt_policy::Label;\nuse crate::facts::Facts;").len(), 2);
        assert!(shared_with_naive("policy/tests/model/facts.rs", "use ticrypt_policy::Label;").is_empty());
        assert!(foreign_roles("backend/src/wiring.rs", "use crate::audit::AuditRole;").is_empty());
    }
}
