//! `ticrypt group`: who is in a group, and as what. What is in its directory is in the vault, under `/@groups`.

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;
use ticrypt_api::group::GroupView;
use ticrypt_client::ClientError;
use ticrypt_client::group::{Group, Named, Unsealed};
use ticrypt_client::project::Projects;
use ticrypt_client::vault::Vault;
use ticrypt_types::name::Harmless;
use ticrypt_types::{GroupChange, GroupPermissions, GroupStep, Title, UserId, UserName};

use crate::context::Context;
use crate::vault::confirm;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the groups you are in
    List,
    /// Show a group: its members, what each may do, its key
    Show { group: String },
    /// Make a group with a directory of its own, `/@groups/NAME`; you own it
    Create {
        name: Title,
        /// People who are in it from the beginning
        #[arg(value_name = "PERSON")]
        people: Vec<UserName>,
        #[command(flatten)]
        permissions: Permissions,
    },
    /// Add people: the group's key is sealed to each of them, and they are told
    Add {
        group: String,
        #[arg(required = true, value_name = "PERSON")]
        people: Vec<UserName>,
        #[command(flatten)]
        permissions: Permissions,
    },
    /// Take people out: they get no key from then on, and the group gets a new one
    Remove {
        group: String,
        #[arg(required = true, value_name = "PERSON")]
        people: Vec<UserName>,
    },
    /// Change what members may do
    Permit {
        group: String,
        #[arg(required = true, value_name = "PERSON")]
        people: Vec<UserName>,
        #[command(flatten)]
        permissions: Permissions,
    },
    /// Make another member the owner; you stay a member until you leave
    Own { group: String, person: UserName },
    /// Leave a group; its owner hands it over first
    Leave { group: String },
    /// Give a group another name
    Rename { group: String, name: Title },
    /// Seal the group's keys to members who wait for them
    Seal { group: String },
    /// Delete a group that you own, with everything in its directory
    Delete {
        group: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// What somebody may do in a group [default: add-entries create-directories]
#[derive(Debug, Args)]
pub struct Permissions {
    /// All but changing tags, and with it the role of a manager
    #[arg(long, conflicts_with = "may")]
    manager: bool,
    /// Read, and nothing more
    #[arg(long, conflicts_with_all = ["may", "manager"])]
    read_only: bool,
    /// Any of add-members, remove-members, change-permissions, add-entries, remove-entries, create-directories, modify-tag
    #[arg(long, num_args = 1.., value_name = "PERMISSION", value_parser = permission)]
    may: Vec<GroupPermissions>,
}

fn permission(word: &str) -> Result<GroupPermissions, &'static str> {
    GroupPermissions::from_words([word]).ok_or(
        "`add-members`, `remove-members`, `change-permissions`, `add-entries`, `remove-entries`, `create-directories` or `modify-tag`",
    )
}

impl Permissions {
    fn chosen(&self) -> GroupPermissions {
        match (self.manager, self.read_only, self.may.is_empty()) {
            (true, ..) => GroupPermissions::MANAGER,
            (_, true, _) => GroupPermissions::NONE,
            (.., true) => GroupPermissions::USER,
            _ => self.may.iter().copied().fold(GroupPermissions::NONE, GroupPermissions::and),
        }
    }
}

#[derive(Serialize)]
struct Member {
    name: UserName,
    user: UserId,
    role: &'static str,
    permissions: Vec<&'static str>,
    /// The group's newest key is not sealed to them yet.
    waits: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    view: &'a GroupView,
    member: Vec<Member>,
    tag_key: Vec<TagKey>,
}

/// The key of what carries these tags.
#[derive(Serialize)]
struct TagKey {
    tags: Vec<String>,
    generation: u32,
    /// Somebody who lost access holds it: the next who writes makes another.
    closed: bool,
    /// How many wait for it.
    waiting: usize,
}

#[derive(Serialize)]
struct Waits {
    name: Option<UserName>,
    user: UserId,
    why: String,
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let vault = Vault::new(Arc::new(context.session().await?));
    let groups = vault.groups();
    match command {
        Command::List => list(&groups.list().await?, context),
        Command::Show { group } => show(&groups.load(groups.find(&group).await?.group).await?, &vault, context).await,
        Command::Create { name, people, permissions } => {
            let people = looked_up(&vault, &people, permissions.chosen()).await?;
            let path = format!("/@groups/{name}");
            let (group, unsealed) = vault.create_group(name, &people).await?;
            context.output.hint(&format!("Made. What you put into {} belongs to the group.", Harmless(&path)));
            tell(&unsealed, context);
            context.output.result(&group, |out| writeln!(out, "{group}"))
        }
        Command::Add { group, people, permissions } => {
            let group = groups.find(&group).await?.group;
            let people = looked_up(&vault, &people, permissions.chosen()).await?;
            done(groups.add(group, &people).await?, "Added.", context)
        }
        Command::Remove { group, people } => {
            let group = groups.load(groups.find(&group).await?.group).await?;
            if people.contains(&vault.session().me().name) {
                return Err(ClientError::invalid("you do not take yourself out; use `ticrypt group leave`").into());
            }
            let changes = changes(&vault, &group, &people, |_| GroupStep::Remove).await?;
            done(vault.change_group(group.view.group, changes).await?, "Taken out; the group has a new key.", context)
        }
        Command::Permit { group, people, permissions } => {
            let group = groups.load(groups.find(&group).await?.group).await?;
            let chosen = permissions.chosen();
            let changes = changes(&vault, &group, &people, |_| GroupStep::Permit(chosen)).await?;
            done(vault.change_group(group.view.group, changes).await?, "Changed.", context)
        }
        Command::Own { group, person } => {
            let group = groups.load(groups.find(&group).await?.group).await?;
            let changes = changes(&vault, &group, std::slice::from_ref(&person), |_| GroupStep::Own).await?;
            done(vault.change_group(group.view.group, changes).await?, &format!("{person} owns the group now."), context)
        }
        Command::Leave { group } => {
            groups.leave(&groups.find(&group).await?).await?;
            context.output.hint("You left. Only a member can add you again.");
            Ok(())
        }
        Command::Rename { group, name } => Ok(groups.rename(&groups.find(&group).await?, name).await?),
        Command::Seal { group } => seal(&groups.load(groups.find(&group).await?.group).await?, &vault, context).await,
        Command::Delete { group, yes } => {
            let view = groups.find(&group).await?;
            let question = format!("Delete the group {} with {} members and everything in its directory?", view.name, view.members);
            confirm(context, yes, &question)?;
            groups.delete(view.group).await?;
            context.output.hint("Deleted.");
            Ok(())
        }
    }
}

fn list(groups: &[GroupView], context: &Context) -> anyhow::Result<()> {
    if groups.is_empty() && !context.output.is_json() {
        context.output.hint("You are in no group. A member adds you; `ticrypt group create` makes one.");
    }
    context.output.table(groups, &["NAME", "MEMBERS", "YOU", ""], |view| {
        let members = if view.locked { "?".to_owned() } else { view.members.to_string() };
        vec![view.name.to_string(), members, may(view.permissions), state(view)]
    })
}

/// What stands in the way of using a group, in words.
fn state(view: &GroupView) -> String {
    match view {
        GroupView { locked: true, .. } => "locked: its project is not in your working set".to_owned(),
        GroupView { has_key: false, .. } => "waiting for a key".to_owned(),
        GroupView { waiting: 1.., .. } => format!("{} waiting for a key", view.waiting),
        _ => String::new(),
    }
}

fn may(permissions: GroupPermissions) -> String {
    let words = permissions.words();
    if words.is_empty() { "read-only".to_owned() } else { words.join(" ") }
}

async fn show(group: &Group, vault: &Vault, context: &Context) -> anyhow::Result<()> {
    let roster = group.chain.roster();
    let member = |Named { user, name }: Named| Member {
        name,
        user,
        role: roster.role(user).map_or("user", |role| role.word()),
        permissions: roster.permissions(user).unwrap_or_default().words(),
        waits: group.waiting.contains(&user),
    };
    let members: Vec<Member> = vault.groups().members(group).await?.into_iter().map(member).collect();
    let keys = tag_keys(group, vault).await?;
    if context.output.is_json() {
        return context.output.record(&Shown { view: &group.view, member: members, tag_key: keys }, &[]);
    }
    let view = &group.view;
    let fields = [
        ("name", view.name.to_string()),
        ("id", view.group.to_string()),
        ("you may", may(view.permissions)),
        ("key", format!("generation {}{}", view.generation, if view.closed { ", to be made anew by who writes next" } else { "" })),
        ("heads", format!("{}, each verified", view.counter)),
    ];
    context.output.record(view, &fields)?;
    context.output.table(&members, &["MEMBER", "ROLE", "MAY", ""], |member| {
        let waits = if member.waits { "waiting for a key" } else { "" };
        let words = if member.permissions.is_empty() { "read-only".to_owned() } else { member.permissions.join(" ") };
        vec![member.name.to_string(), member.role.to_owned(), words, waits.to_owned()]
    })?;
    if keys.is_empty() {
        return Ok(());
    }
    context.output.table(&keys, &["KEY FOR", "GENERATION", ""], |key| {
        let state = match key {
            TagKey { closed: true, .. } => "to be made anew by who writes next".to_owned(),
            TagKey { waiting: 1.., .. } => format!("{} waiting for it", key.waiting),
            _ => String::new(),
        };
        vec![key.tags.iter().map(|tag| format!("#{tag}")).collect::<Vec<_>>().join(", "), key.generation.to_string(), state]
    })
}

/// The keys for what carries tags, of those that are not locked.
async fn tag_keys(group: &Group, vault: &Vault) -> anyhow::Result<Vec<TagKey>> {
    if group.compartments.is_empty() {
        return Ok(Vec::new());
    }
    let projects = Projects::load(vault.session()).await?;
    let mut keys = Vec::with_capacity(group.compartments.len());
    for compartment in &group.compartments {
        let Some(key) = vault.groups().compartment(&group.chain, compartment).await? else { continue };
        keys.push(TagKey {
            tags: compartment
                .tags()
                .iter()
                .map(|tag| projects.get(*tag).map_or_else(|| tag.to_string(), |view| projects.path(view)))
                .collect(),
            generation: key.chain.generation()?.number,
            closed: !key.is_open(&group.chain),
            waiting: key.waiting.len(),
        });
    }
    Ok(keys)
}

/// People with their keys, each with these permissions.
async fn looked_up(
    vault: &Vault,
    people: &[UserName],
    permissions: GroupPermissions,
) -> anyhow::Result<Vec<(ticrypt_client::users::Person, GroupPermissions)>> {
    let mut found = Vec::with_capacity(people.len());
    for name in people {
        found.push((vault.session().users.lookup(name).await?, permissions));
    }
    Ok(found)
}

/// The same change for members, by their names.
async fn changes(
    vault: &Vault,
    group: &Group,
    people: &[UserName],
    step: impl Fn(UserId) -> GroupStep,
) -> anyhow::Result<Vec<GroupChange>> {
    let members = vault.groups().members(group).await?;
    let of = |name: &UserName| {
        let member = members.iter().find(|member| member.name == *name);
        let member = member.ok_or_else(|| ClientError::not_found(format!("{name} is no member; see `ticrypt group show`")))?;
        Ok(GroupChange { user: member.user, step: step(member.user) })
    };
    people.iter().map(of).collect()
}

async fn seal(group: &Group, vault: &Vault, context: &Context) -> anyhow::Result<()> {
    let bar = context.output.count_bar(group.view.waiting.into(), "sealed");
    let unsealed = vault.groups().fulfil(group, &|done| bar.inc(done as u64)).await;
    bar.finish_and_clear();
    let mut unsealed = unsealed?;
    let mut sealed = u64::from(group.view.waiting);
    for compartment in &group.compartments {
        if let Some(key) = vault.groups().compartment(&group.chain, compartment).await? {
            sealed += key.waiting.len() as u64;
            unsealed.extend(vault.groups().fulfil_compartment(&group.chain, &key, usize::MAX).await?);
        }
    }
    done(unsealed, if sealed == 0 { "Nobody waits for the key." } else { "Sealed." }, context)
}

/// Tells that it was done, and to whom the key could not be sealed.
fn done(unsealed: Vec<Unsealed>, word: &str, context: &Context) -> anyhow::Result<()> {
    context.output.hint(word);
    tell(&unsealed, context);
    if !context.output.is_json() {
        return Ok(());
    }
    let waits: Vec<Waits> = unsealed.into_iter().map(|Unsealed { user, name, why }| Waits { name, user, why }).collect();
    context.output.result(&waits, |_| Ok(()))
}

fn tell(unsealed: &[Unsealed], context: &Context) {
    for Unsealed { user, name, why } in unsealed {
        let who = name.as_ref().map_or_else(|| user.to_string(), UserName::to_string);
        context.output.warn(&format!("{who} waits for the key: {why}"));
    }
}
