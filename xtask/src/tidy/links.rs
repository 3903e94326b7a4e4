//! Links in our documents lead somewhere.

use std::path::Path;

use anyhow::Result;
use walkdir::WalkDir;

use super::Finding;

pub fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let walk = WalkDir::new(root).into_iter().filter_entry(|e| !matches!(&*e.file_name().to_string_lossy(), "target" | ".git" | ".run"));
    for entry in walk {
        let entry = entry?;
        if entry.path().extension().is_none_or(|e| e != "md") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path())?;
        for target in relative_links(&text) {
            let folder = entry.path().parent().unwrap_or(root);
            if !folder.join(target).exists() {
                findings.push(Finding {
                    place: entry.path().strip_prefix(root)?.display().to_string(),
                    rule: "links",
                    what: format!("`{target}` does not exist"),
                });
            }
        }
    }
    Ok(findings)
}

/// The files that inline links of a Markdown text name, without fragments; web addresses are left out, and pictures, which a script makes.
fn relative_links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter_map(|link| link.split('#').next())
        .filter(|link| {
            !link.is_empty()
                && !link.contains("://")
                && !link.starts_with("mailto:")
                && !link.starts_with("pictures/")
                && !link.contains(' ')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_are_looked_for() {
        assert_eq!(relative_links("[a](b.md#c) [d](https://e) [f](#g) ![h](pictures/i.png)"), ["b.md"]);
    }
}
