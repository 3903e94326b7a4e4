//! `ticrypt share`.

use clap::Args;
use ticrypt_client::ClientError;
use ticrypt_client::project::Projects;
use ticrypt_client::vault::VaultPath;
use ticrypt_types::{Timestamp, UserName, Verbs};

use super::{complete, open, path};
use crate::context::Context;
use ticrypt_client::when;

/// Without options a person may view and download.
///
/// Which restriction rests on what:
///   --list-only    kept by keys: the key to contents is not given, names and sizes are
///   (no --edit)    kept by the server, and by every reader: what such a person writes is refused
///   --no-download  kept by an honest client only; who can view can copy
///   --expires      kept by the server; what was copied before stays copied
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    #[arg(value_name = "PATH", value_parser = path, add = complete::vault_path())]
    path: VaultPath,
    /// Names of people
    #[arg(required_unless_present = "members_of", value_name = "PERSON")]
    people: Vec<UserName>,
    /// Everybody who is in a project now, if you see its members; a project shares nothing by itself
    #[arg(long, value_name = "PROJECT")]
    members_of: Option<String>,
    /// They may change it too
    #[arg(long, conflicts_with_all = ["view_only", "list_only"])]
    edit: bool,
    /// They may share it on, with no more than they have
    #[arg(long, conflicts_with_all = ["view_only", "list_only"])]
    reshare: bool,
    /// They may view and download it, not change it or share it on; what is given without options
    #[arg(long)]
    view_only: bool,
    /// They may do all else but download
    #[arg(long)]
    no_download: bool,
    /// They see names, sizes and times, no contents
    #[arg(long, conflicts_with_all = ["view_only", "no_download"])]
    list_only: bool,
    /// When it ends by itself, as `30d` or `2027-01-31`
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
}

impl Arguments {
    fn verbs(&self) -> Verbs {
        if self.list_only {
            return Verbs::NONE;
        }
        let mut verbs = Verbs::VIEW;
        let parts = [(!self.no_download, Verbs::DOWNLOAD), (self.edit, Verbs::EDIT), (self.reshare, Verbs::SHARE)];
        for (_, verb) in parts.into_iter().filter(|(given, _)| *given) {
            verbs = verbs.and(verb);
        }
        verbs
    }
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let expires = match &arguments.expires {
        Some(text) => when::parse(text, ticrypt_client::clock::now())
            .ok_or_else(|| ClientError::invalid(format!("`{text}` is not a time; write 30d, 12h or 2027-01-31")))?,
        None => Timestamp::ABSENT,
    };
    let verbs = arguments.verbs();
    let vault = open(context).await?;
    let mut people = arguments.people;
    if let Some(project) = &arguments.members_of {
        let project = Projects::load(vault.session()).await?.find(project)?.project;
        people.extend(vault.members_to_share_with(&arguments.path, project).await?);
        people.sort_unstable();
        people.dedup();
    }
    let shared = vault.share(&arguments.path, &people, verbs, expires).await?;
    for one in shared.iter().filter(|one| one.first_contact && !one.compared) {
        context.output.hint(&format!(
            "first contact with {}: compare the fingerprint with them by another way, then run `ticrypt users verify {}`\n  {}",
            one.recipient, one.recipient, one.fingerprint
        ));
    }
    context.output.table(&shared, &["PERSON", "MAY", "FINGERPRINT"], |one| {
        let words = one.verbs.words();
        let may = if words.is_empty() { "list".to_owned() } else { words.join(", ") };
        vec![one.recipient.to_string(), may, one.fingerprint.clone()]
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn options_are_verbs() {
        let verbs = |options: &[&str]| {
            let line = ["share", "/a", "r.tal"].iter().chain(options).copied();
            Line::try_parse_from(line).map(|line| line.arguments.verbs().words().join(" "))
        };
        assert_eq!(verbs(&[]).unwrap(), "view download");
        assert_eq!(verbs(&["--edit"]).unwrap(), "view download edit");
        assert_eq!(verbs(&["--edit", "--reshare", "--no-download"]).unwrap(), "view edit share");
        assert_eq!(verbs(&["--view-only"]).unwrap(), "view download");
        assert_eq!(verbs(&["--no-download"]).unwrap(), "view");
        assert_eq!(verbs(&["--list-only"]).unwrap(), "");
        assert!(Line::try_parse_from(["share", "/a"]).is_err(), "with nobody");
        assert!(Line::try_parse_from(["share", "/a", "--members-of", "Florida"]).is_ok());
        for bad in [["--list-only", "--edit"], ["--view-only", "--edit"], ["--list-only", "--view-only"]] {
            assert!(verbs(&bad).is_err(), "{bad:?}");
        }
    }
}
