//! What `put --exclude` and `find` match: patterns in the manner of gitignore.
//!
//! - `*.tmp` matches a name at any depth; `/build` or `a/b` only from the top of what is put; `**` any number of directories;
//! - `cache/` matches directories alone; `!keep.tmp` takes back an earlier match. The last pattern that matches decides.
//! - A directory that is excluded is not entered, so nothing below it can be taken back.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use crate::error::{ClientError, Result};

#[derive(Clone, Debug)]
struct Rule {
    matcher: GlobMatcher,
    directories_only: bool,
    take_back: bool,
}

/// Patterns, in the order given.
#[derive(Clone, Debug, Default)]
pub struct Exclude {
    rules: Vec<Rule>,
}

impl Exclude {
    pub fn parse<S: AsRef<str>>(patterns: &[S]) -> Result<Self> {
        patterns.iter().map(|pattern| rule(pattern.as_ref())).collect::<Result<_>>().map(|rules| Self { rules })
    }

    /// Whether something at `path`, relative to the top of what is put, is left out.
    pub fn matches(&self, path: &Path, is_directory: bool) -> bool {
        let last = self.rules.iter().rev().find(|rule| (is_directory || !rule.directories_only) && rule.matcher.is_match(path));
        last.is_some_and(|rule| !rule.take_back)
    }
}

fn rule(pattern: &str) -> Result<Rule> {
    let (take_back, rest) = pattern.strip_prefix('!').map_or((false, pattern), |rest| (true, rest));
    let (directories_only, rest) = rest.strip_suffix('/').map_or((false, rest), |rest| (true, rest));
    if rest.is_empty() {
        return Err(ClientError::invalid(format!("the pattern `{pattern}` is empty; to exclude everything write `*`")));
    }
    let anchored = rest.strip_prefix('/').map(str::to_owned).or_else(|| rest.contains('/').then(|| rest.to_owned()));
    let glob = anchored.unwrap_or_else(|| format!("**/{rest}"));
    Ok(Rule { matcher: glob_of(&glob, pattern)?, directories_only, take_back })
}

/// A pattern for a single name, for `find --name`.
pub fn name_pattern(pattern: &str) -> Result<GlobMatcher> {
    glob_of(pattern, pattern)
}

fn glob_of(glob: &str, shown: &str) -> Result<GlobMatcher> {
    let built = GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).build();
    Ok(built.map_err(|e| ClientError::invalid(format!("`{shown}` is not a pattern: {}", e.kind())))?.compile_matcher())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn in_the_manner_of_gitignore() {
        let rules = Exclude::parse(&["*.tmp", "/build", "doc/*.pdf", "cache/", "!keep.tmp", "**/deep/x"]).unwrap();
        for (path, directory, expected) in [
            ("a.tmp", false, true),
            ("x/y/a.tmp", false, true),
            ("keep.tmp", false, false),
            ("x/keep.tmp", false, false),
            ("build", true, true),
            ("x/build", true, false),
            ("doc/a.pdf", false, true),
            ("doc/x/a.pdf", false, false),
            ("x/cache", true, true),
            ("x/cache", false, false),
            ("q/w/deep/x", false, true),
            ("a.txt", false, false),
        ] {
            assert_eq!(rules.matches(Path::new(path), directory), expected, "{path}");
        }
        assert!(!Exclude::default().matches(Path::new("a"), false));
    }

    #[test]
    fn bad_patterns_are_named() {
        for bad in ["", "!", "/", "a[", "{a"] {
            let error = Exclude::parse(&[bad]).unwrap_err().to_string();
            assert!(error.contains(bad), "{error}");
        }
        assert!(name_pattern("*.c?v").unwrap().is_match("a.csv"));
        assert!(!name_pattern("*").unwrap().is_match("a/b"));
    }
}
