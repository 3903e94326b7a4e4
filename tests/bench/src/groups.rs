//! A group with a large tree: somebody comes in, somebody is taken out until no key is given to them, what is written afterwards gets new keys; and a
//! directory of many tags is opened again.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use ticrypt_api::node::{ListItem, ListReply, ListRequest};
use ticrypt_client::project;
use ticrypt_client::users::Person;
use ticrypt_client::vault::Vault;
use ticrypt_client::vault::path::VaultPath;
use ticrypt_client::vault::plan::IfExists;
use ticrypt_client::vault::progress::{Cancel, Quiet};
use ticrypt_client::vault::put::PutOptions;
use ticrypt_client::{Deployment, Home, Keys};
use ticrypt_types::{GroupChange, GroupPermissions, GroupStep, NodeId, NodeName, Operation, ProjectId};

use crate::logins::{self, Place};
use crate::members;

/// Files in each directory.
const TOGETHER: usize = 2_000;
/// Members besides the owner, before any comes or goes.
const MEMBERS: usize = 8;
/// Times a directory is opened again.
const ROUNDS: usize = 9;
/// Files with a tag of their own, of each of two projects.
const TAGGED: usize = 200;

pub(crate) fn run(place: &Place, files: usize, entries: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!("{}", runtime.block_on(timed(place, files, entries))?);
    Ok(())
}

async fn timed(place: &Place, files: usize, entries: usize) -> Result<serde_json::Value> {
    let home = Home::open(&place.home)?;
    let deployment = Deployment::choose(&home, None)?;
    let session = logins::administrator(&home, &deployment, &place.passphrase_file).await?;
    let projects = [members::begun(&session, "Mixed one").await?, members::begun(&session, "Mixed two").await?];
    // What is new counts from the next login.
    let session = Arc::new(logins::administrator(&home, &deployment, &place.passphrase_file).await?);
    let mut people = Vec::new();
    for number in 0..=MEMBERS {
        let keys = logins::person("grouped", number, &deployment, &session).await?;
        people.push(session.users.lookup(&keys.identity().name).await?);
    }
    let vault = Vault::new(Arc::clone(&session));
    let (last, members): (&Person, _) = people.split_last().context("nobody")?;
    let members: Vec<_> = members.iter().map(|person| (person.clone(), GroupPermissions::USER)).collect();
    let (group, _) = vault.create_group("bench".parse()?, &members).await?;
    let root = VaultPath::parse("/@groups/bench")?;
    for directory in 0..files.div_ceil(TOGETHER) {
        put(&vault, &root, &format!("d{directory}"), TOGETHER.min(files - directory * TOGETHER)).await?;
    }

    let start = Instant::now();
    vault.groups().add(group, &[(last.clone(), GroupPermissions::USER)]).await?;
    let added = start.elapsed();

    // Out, with a new key for those who stay: from here on the server gives no key to who was taken out.
    let out = |person: &Person| vec![GroupChange { user: person.user, step: GroupStep::Remove }];
    let start = Instant::now();
    vault.groups().change(group, out(last)).await?;
    let out_after = start.elapsed();

    // The whole command: new keys for the directory as well, once the log shows the group's new head.
    let start = Instant::now();
    vault.change_group(group, out(&members.last().context("nobody")?.0)).await?;
    let removed = start.elapsed();

    let start = Instant::now();
    put(&vault, &root.child(&name("d0")?), "after", 1).await?;
    let written = start.elapsed();

    let start = Instant::now();
    vault.rekey(&root, &Quiet, &Cancel::new()).await?;
    let rekeyed = start.elapsed();

    let opened = mixed(&vault, &root, projects, entries).await?;
    Ok(serde_json::json!({
        "files": files, "members": MEMBERS + 1, "added_ms": ms(added), "out_ms": ms(out_after), "removed_ms": ms(removed), "first_write_ms": ms(written),
        "rekeyed_s": rekeyed.as_secs_f64(), "entries": entries, "tagged": 2 * TAGGED,
        "listed_ms": opened.listed, "names_ms": opened.names, "whole_ms": opened.whole,
    }))
}

fn ms(took: std::time::Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// So many small files in a directory of that name.
async fn put(vault: &Vault, into: &VaultPath, name: &str, files: usize) -> Result<()> {
    let place = tempfile::tempdir()?;
    let source = place.path().join(name);
    std::fs::create_dir(&source)?;
    for file in 0..files {
        std::fs::write(source.join(format!("f{file}")), file.to_string())?;
    }
    let options = PutOptions { if_exists: IfExists::Force, ..PutOptions::default() };
    let report = vault.put(&[source], into, &options, &Quiet, &Cancel::new()).await?;
    if report.files != files as u64 {
        bail!("{} of {files} files were put", report.files);
    }
    Ok(())
}

/// Medians, in milliseconds, of what it takes to open a directory again in which some files carry the tag one works in and some another.
struct Opened {
    /// The server alone: who may see what decided, all of it read, and sent.
    listed: f64,
    /// Verified, with every name opened.
    names: f64,
    /// With what is current in each file besides, verified.
    whole: f64,
}

async fn mixed(vault: &Vault, root: &VaultPath, projects: [ProjectId; 2], entries: usize) -> Result<Opened> {
    let session = vault.session();
    put(vault, root, "mixed", entries).await?;
    let directory = root.child(&name("mixed")?);
    for (number, project) in projects.into_iter().enumerate() {
        project::work_in(session, vec![project]).await?;
        for file in 0..TAGGED {
            let at = directory.child(&name(&format!("f{}", number * TAGGED + file))?);
            vault.tag(&at, &[project], &Quiet, &Cancel::new()).await?;
        }
    }
    let found = vault.resolve(&directory).await?;
    let opened = Opened {
        listed: median(async || served(vault, found.held.id).await, (entries, TAGGED)).await?,
        names: median(
            async || {
                let contents = vault.contents(&vault.resolve(&directory).await?).await?;
                Ok((contents.directory.len(), contents.directory.members().filter(|member| member.is_locked()).count()))
            },
            (entries, TAGGED),
        )
        .await?,
        whole: median(
            async || {
                let listed = vault.list(&directory).await?;
                Ok((listed.len(), listed.iter().filter(|entry| entry.locked).count()))
            },
            (entries, TAGGED),
        )
        .await?,
    };
    project::work_in(session, Vec::new()).await?;
    Ok(opened)
}

/// Asks for all of a directory's entries and believes none.
async fn served(vault: &Vault, directory: NodeId) -> Result<(usize, usize)> {
    let (mut page, mut entries, mut locked) = (None, 0, 0);
    loop {
        let items = vec![ListItem { directory, page }];
        let request = ListRequest { items, limit: 4_000, manifests: false };
        let reply: ListReply = vault.session().call(Operation::NodeList, &[], &request).await?;
        let listed = reply.directories.into_iter().next().context("no directory")?;
        entries += listed.entries.len();
        locked += listed.entries.iter().filter(|entry| entry.locked).count();
        match listed.next {
            Some(next) => page = Some(next),
            None => return Ok((entries, locked)),
        }
    }
}

/// The median of some rounds after a first that is not warm; each counts so many entries, and so many of them locked.
async fn median(round: impl AsyncFn() -> Result<(usize, usize)>, expected: (usize, usize)) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..=ROUNDS {
        let start = Instant::now();
        let counted = round().await?;
        times.push(ms(start.elapsed()));
        if counted != expected {
            bail!("{} entries, {} of them locked", counted.0, counted.1);
        }
    }
    times.remove(0);
    times.sort_by(f64::total_cmp);
    times.get(ROUNDS / 2).copied().context("no rounds")
}

fn name(text: &str) -> Result<NodeName> {
    Ok(NodeName::parse(text)?)
}
