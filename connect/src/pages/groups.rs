//! Groups: those one is in, how one stands in each, and what is done with a whole one.

use std::cmp::Ordering;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::group::GroupView;
use ticrypt_client::group::{Unsealed, label};
use ticrypt_client::project::Projects;
use ticrypt_client::show;
use ticrypt_client::users::Person;
use ticrypt_client::vault::VaultPath;
use ticrypt_types::{GroupChange, GroupId, GroupPermissions, GroupStep, ProjectId, Title, UserId, UserName};

use super::group::{self, Choice};
use super::members::people;
use super::vault::{NameDialog, address, shown};
use super::{Inside, Visit};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Filter, Row, Tag};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look, Note, Offer, Offered, Tally};

/// A row: a group with what it is tagged with.
#[derive(Serialize)]
struct Group {
    #[serde(flatten)]
    view: GroupView,
    #[serde(skip)]
    me: UserId,
    #[serde(skip)]
    tags: Vec<Tag>,
}

impl Group {
    fn role(&self) -> &'static str {
        role(&self.view, self.me)
    }

    /// A colour and a word, by which it is filtered too.
    fn state(&self) -> (&'static str, &'static str) {
        match &self.view {
            GroupView { locked: true, .. } => ("secondary", "locked"),
            GroupView { has_key: false, .. } => ("yellow", "waits for a key"),
            GroupView { waiting: 1.., .. } => ("blue", "members wait"),
            GroupView { closed: true, .. } => ("orange", "needs a new key"),
            _ => ("green", "key held"),
        }
    }
}

/// What somebody is in a group, as the server knows it.
pub fn role(view: &GroupView, me: UserId) -> &'static str {
    match view.permissions.contains(GroupPermissions::ADD_MEMBERS) {
        _ if view.owner == me => "owner",
        true => "manager",
        false => "user",
    }
}

/// The colour of a role.
pub fn tone(role: &str) -> &'static str {
    if role == "user" { "secondary" } else { "primary" }
}

/// The address of a group's page.
pub fn page_of(group: GroupId) -> String {
    format!("/groups/group?{}", ui::field("group", &group.to_string()))
}

/// Where a group's directory is: by its name, if no other is called so and it can stand in a path.
pub fn path_of(view: &GroupView, groups: &[GroupView]) -> Result<VaultPath> {
    let name = view.name.as_str();
    let twice = groups.iter().any(|other| other.name == view.name && other.group != view.group);
    let text = if twice { label(view) } else { name.to_owned() };
    let by_id = || VaultPath::of_group(&view.group.to_string());
    let path = if name.contains('/') { by_id() } else { VaultPath::of_group(&text).or_else(|_| by_id()) };
    path.map_err(|e| Trouble::invalid(e.to_string()))
}

/// The tags of a group as they are shown; `projects` is known where there are any.
pub fn tags(view: &GroupView, projects: Option<&Projects>) -> Vec<Tag> {
    if view.locked {
        return vec![Tag::locked()];
    }
    let tag = |project: &ProjectId| projects.and_then(|projects| projects.get(*project)).map_or_else(Tag::unknown, Tag::of);
    view.tags.iter().map(tag).collect()
}

/// The projects, if any of the groups carries a tag.
pub async fn projects(office: &Office, groups: &[GroupView]) -> Result<Option<Projects>> {
    let is_tagged = groups.iter().any(|view| !view.tags.is_empty());
    Ok(if is_tagged { Some(Projects::load(office.session()).await?) } else { None })
}

impl Row for Group {
    const NOUN: &'static str = "groups";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Group"),
        Column::shown("role", "Role"),
        Column::shown("members", "Members").number(),
        Column::shown("state", "State"),
        Column::shown("changed", "Changed"),
        Column::hidden("may", "You may"),
        Column::hidden("created", "Made"),
        Column::hidden("id", "Id"),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter { key: "role", title: "Role", values: &[("owner", "Owner"), ("manager", "Manager"), ("user", "User")] },
        Filter {
            key: "state",
            title: "State",
            values: &[
                ("key held", "Key held"),
                ("waits for a key", "You wait for a key"),
                ("members wait", "Members wait"),
                ("needs a new key", "Needs a new key"),
                ("locked", "Locked"),
            ],
        },
    ];

    fn key(&self) -> String {
        self.view.group.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        match column {
            "name" => Cell::Name {
                icon: "users-group",
                text: shown(self.view.name.as_str()),
                href: Some(page_of(self.view.group)),
                marks: Vec::new(),
                tags: self.tags.clone(),
            },
            "role" => Cell::badge(tone(self.role()), self.role()),
            "members" => Cell::Text(if self.view.locked { String::new() } else { self.view.members.to_string() }),
            "state" => match self.state() {
                (tone, "members wait") => Cell::badge(tone, ui::count_of(self.view.waiting.into(), "member waits", "members wait")),
                (tone, text) => Cell::badge(tone, text),
            },
            "changed" => Cell::Time(self.view.changed_ms),
            "may" => Cell::Text(group::may(self.view.permissions)),
            "created" => Cell::Time(self.view.created_ms),
            _ => Cell::Code(self.key()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let (a, b) = (&self.view, &other.view);
        match column {
            "role" => self.role().cmp(other.role()),
            "members" => a.members.cmp(&b.members),
            "state" => self.state().1.cmp(other.state().1),
            "changed" => a.changed_ms.cmp(&b.changed_ms),
            "may" => a.permissions.bits().cmp(&b.permissions.bits()),
            "created" => a.created_ms.cmp(&b.created_ms),
            _ => Ordering::Equal,
        }
        .then_with(|| a.name.cmp(&b.name))
        .then_with(|| a.group.cmp(&b.group))
    }

    fn has(&self, word: &str) -> bool {
        let tagged = |tag: &Tag| tag.text.to_lowercase().contains(word);
        self.view.name.as_str().to_lowercase().contains(word) || self.tags.iter().any(tagged)
    }

    fn filtered(&self, filter: &str) -> &'static str {
        if filter == "role" { self.role() } else { self.state().1 }
    }

    fn traits(&self) -> String {
        let mut traits = vec![if self.role() == "owner" { "owner" } else { "leave" }];
        if !self.view.locked && self.view.has_key {
            traits.push("open");
        }
        traits.join(" ")
    }
}

const ACTIONS: &[Action] = &[
    Action { title: "Open folder", icon: "folder", act: "/groups/open", one: true, needs: "open", ..Action::NONE },
    Action { title: "Rename…", icon: "pencil", dialog: "/groups/rename-dialog", one: true, needs: "owner", key: "F2", ..Action::NONE },
    Action { title: "Hand over…", icon: "user-check", dialog: "/groups/own-dialog", one: true, needs: "owner", ..Action::NONE },
    Action {
        title: "Leave",
        icon: "door-exit",
        act: "/groups/leave",
        confirm: "Leave {n}? You get nothing more of what is in it, and only a member can add you again.",
        needs: "leave",
        danger: true,
        ..Action::NONE
    },
    Action {
        title: "Delete…",
        icon: "trash",
        dialog: "/groups/delete-dialog",
        needs: "owner",
        key: "Delete",
        danger: true,
        ..Action::NONE
    },
];

#[derive(Template)]
#[template(path = "groups.html")]
struct Page {
    chrome: Chrome,
    table: String,
}

/// `GET /groups`.
pub async fn page(Visit(office): Visit) -> Result<Response> {
    let groups = office.vault.groups().list().await?;
    let projects = projects(&office, &groups).await?;
    let me = office.session().user();
    let row = |view: GroupView| Group { tags: tags(&view, projects.as_ref()), view, me };
    let look = Look {
        one: "group",
        many: "groups",
        sort: "name",
        empty_icon: "users-group",
        empty: "You are in no group",
        empty_hint: "A group is people who share one key and a folder of their own. Make one with New group, or let a member add you.",
        actions: ACTIONS,
        ..Look::PLAIN
    };
    ui::html(&Page { chrome: Chrome::new(&office, "/groups"), table: ui::table(&office, groups.into_iter().map(row).collect(), &look)? })
}

#[derive(Template)]
#[template(path = "group_new.html")]
struct NewDialog {
    choices: Vec<Choice>,
}

/// `POST /groups/new-dialog`.
pub async fn new_dialog(Inside(_): Inside) -> Result<Response> {
    ui::html(&NewDialog { choices: group::choices(GroupPermissions::USER, GroupPermissions::ALL) })
}

/// `POST /groups/new`: with everybody who was named, or not at all.
pub async fn new(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let name: Title = fields.parsed("name", "a name")?;
    let permissions = group::chosen(&fields)?;
    let mut found: Vec<(Person, GroupPermissions)> = Vec::new();
    for word in people(fields.get("people").unwrap_or_default()) {
        let person = look_up(&office, word).await.map_err(|error| Trouble::invalid(format!("{}: {error}", shown(word))))?;
        if person.user != office.session().user() && !found.iter().any(|(known, _)| known.user == person.user) {
            found.push((person, permissions));
        }
    }
    let told = format!("Made {}.", shown(name.as_str()));
    let (group, unsealed) = office.vault.create_group(name, &found).await?;
    let notes = first_contacts(found.iter().map(|(person, _)| person)).chain(waits(&unsealed)).collect();
    Ok(Done { toast: Some(told), notes, ..Done::go(page_of(group)) })
}

/// Somebody by their exact name, with their key.
pub async fn look_up(office: &Office, word: &str) -> std::result::Result<Person, ticrypt_client::ClientError> {
    let name: UserName = word.parse().map_err(|_| ticrypt_client::ClientError::invalid("this is not a user name; check it"))?;
    office.session().users.lookup(&name).await
}

/// Whose key was never seen before is worth comparing.
pub fn first_contacts<'a>(people: impl Iterator<Item = &'a Person>) -> impl Iterator<Item = Note> {
    people.filter(|person| person.first_contact).map(|person| Note {
        text: format!("First contact with {}: compare the fingerprint with them, in person or by telephone.", person.name),
        offer: Some(Offer {
            label: "Compare",
            what: Offered::Dialog("/account/compare-dialog"),
            fields: ui::field("key", person.name.as_str()),
        }),
    })
}

/// To whom the key could not be sealed.
pub fn waits(unsealed: &[Unsealed]) -> impl Iterator<Item = Note> {
    unsealed.iter().map(|Unsealed { user, name, why }| {
        let who = name.as_ref().map_or_else(|| user.to_string(), UserName::to_string);
        format!("{who} waits for the group's key: {why}").into()
    })
}

/// The selected groups, or the one that a page is of.
async fn selected(office: &Office, fields: &Fields) -> Result<Vec<GroupView>> {
    let keys = table::selection(&office.sheets, fields).await?;
    let groups = office.vault.groups().list().await?;
    let chosen: Vec<GroupView> = groups.into_iter().filter(|view| keys.iter().any(|key| *key == view.group.to_string())).collect();
    if chosen.is_empty() { Err(group::gone()) } else { Ok(chosen) }
}

async fn one(office: &Office, fields: &Fields) -> Result<GroupView> {
    let mut chosen = selected(office, fields).await?;
    match (chosen.pop(), chosen.is_empty()) {
        (Some(view), true) => Ok(view),
        _ => Err(Trouble::invalid("choose one group for this")),
    }
}

/// `POST /groups/open`.
pub async fn open(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let view = one(&office, &fields).await?;
    let path = path_of(&view, &office.vault.groups().list().await?)?;
    Ok(Done::go(address("/vault", &path.text())))
}

/// `POST /groups/rename-dialog`.
pub async fn rename_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let view = one(&office, &fields).await?;
    ui::html(&NameDialog {
        title: "Rename the group",
        action: "/groups/rename",
        button: "Rename",
        at: view.group.to_string(),
        name: view.name.to_string(),
    })
}

/// `POST /groups/rename`.
pub async fn rename(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let name: Title = fields.parsed("name", "a name")?;
    let groups = office.vault.groups();
    let view = groups.find(fields.need("at")?).await?;
    if view.name == name {
        return Ok(Done::default());
    }
    let told = format!("Renamed {} to {}. Its folder has the new name too.", shown(view.name.as_str()), shown(name.as_str()));
    groups.rename(&view, name).await?;
    Ok(Done::page(told))
}

#[derive(Template)]
#[template(path = "group_own.html")]
struct OwnDialog {
    group: String,
    name: String,
    person: String,
}

/// `POST /groups/own-dialog`: of a group that was selected, or to a member who was.
pub async fn own_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let (view, person) = match fields.get("group") {
        Some(_) => {
            let (group, members) = group::selected(&office, &fields).await?;
            let [member] = members.as_slice() else { return Err(Trouble::invalid("choose one member for this")) };
            (group.view, member.name.to_string())
        }
        None => (one(&office, &fields).await?, String::new()),
    };
    ui::html(&OwnDialog { group: view.group.to_string(), name: shown(view.name.as_str()), person })
}

/// `POST /groups/own`.
pub async fn own(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let name: UserName = fields.parsed("person", "a user name")?;
    let groups = office.vault.groups();
    let group = groups.load(group::id(&fields)?).await?;
    let member = groups.members(&group).await?.into_iter().find(|member| member.name == name);
    let member = member.ok_or_else(|| Trouble::invalid(format!("{name} is no member of this group; add them first")))?;
    let unsealed = office.vault.change_group(group.view.group, vec![GroupChange { user: member.user, step: GroupStep::Own }]).await?;
    Ok(Done { notes: waits(&unsealed).collect(), ..Done::page(format!("{name} owns the group now.")) })
}

/// `POST /groups/leave`: each by itself; those that are not left say why.
pub async fn leave(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let mut tally = Tally::default();
    for view in selected(&office, &fields).await? {
        tally.take(&shown(view.name.as_str()), office.vault.groups().leave(&view).await);
    }
    Ok(away(tally, "Left"))
}

/// A group's own page is of no use when it is gone.
fn away(tally: Tally, word: &str) -> Done {
    let mut done = tally.told(word, "group", "groups");
    if done.notes.is_empty() {
        done.go = Some("/groups".to_owned());
    }
    done
}

/// What is lost with a group.
struct Loss {
    name: String,
    members: String,
    /// What is in its directory, where it can be looked at.
    holds: Option<String>,
}

#[derive(Template)]
#[template(path = "group_delete.html")]
struct DeleteDialog {
    title: String,
    keys: Vec<String>,
    losses: Vec<Loss>,
}

/// `POST /groups/delete-dialog`.
pub async fn delete_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let chosen = selected(&office, &fields).await?;
    let all = office.vault.groups().list().await?;
    let mut losses = Vec::with_capacity(chosen.len());
    for view in &chosen {
        let others = u64::from(view.members).saturating_sub(1);
        let members = match others {
            0 => "Nobody else is in it.".to_owned(),
            1 => "1 other member loses access.".to_owned(),
            others => format!("{others} other members lose access."),
        };
        losses.push(Loss { name: shown(view.name.as_str()), members, holds: holds(&office, view, &all).await });
    }
    let title = match losses.as_slice() {
        [one] => format!("Delete {}?", one.name),
        several => format!("Delete {}?", ui::count(several.len(), "group", "groups")),
    };
    ui::html(&DeleteDialog { title, keys: chosen.iter().map(|view| view.group.to_string()).collect(), losses })
}

/// Words for what is in a group's directory. Whatever stands in the way of looking: all of it goes.
async fn holds(office: &Office, view: &GroupView, all: &[GroupView]) -> Option<String> {
    let usage = office.vault.usage(&path_of(view, all).ok()?, 0).await.ok()?;
    let Some(total) = usage.last().filter(|total| total.files + total.directories > 0) else { return Some("nothing".to_owned()) };
    let (files, folders) = (ui::count_of(total.files, "file", "files"), ui::count_of(total.directories, "folder", "folders"));
    Some(match (total.files, total.directories) {
        (_, 0) => format!("{files}, {}", show::size(total.bytes)),
        (0, _) => folders,
        _ => format!("{files}, {folders}, {}", show::size(total.bytes)),
    })
}

/// `POST /groups/delete`: each by itself; those that are not deleted say why.
pub async fn delete(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let mut tally = Tally::default();
    for view in selected(&office, &fields).await? {
        tally.take(&shown(view.name.as_str()), office.vault.groups().delete(view.group).await);
    }
    Ok(away(tally, "Deleted"))
}
