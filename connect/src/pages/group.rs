//! One group: its members and what each may do, its key, and how it came to be as it is.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::response::Response;
use serde::{Serialize, Serializer};
use ticrypt_api::group::GroupView;
use ticrypt_client::group::{Group, LOCKED, Named, Unsealed};
use ticrypt_client::users::Person;
use ticrypt_client::{Kind, show};
use ticrypt_types::limits::GROUP_CHANGES_MAX;
use ticrypt_types::{GroupChange, GroupId, GroupPermissions, GroupStep, Timestamp, UserId, UserName};

use super::groups::{first_contacts, look_up, path_of, projects, tags, tone, waits};
use super::heads::{self, Told};
use super::members::people;
use super::vault::{address, shown};
use super::{Inside, Visit};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Check, Column, Filter, Row, Tag};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look, Note};

/// The permissions of a member: the word, the heading of its column, and what it lets them do.
pub const PERMISSIONS: [(GroupPermissions, &str, &str, &str); 7] = [
    (GroupPermissions::ADD_MEMBERS, "add-members", "Add people", "add people"),
    (GroupPermissions::REMOVE_MEMBERS, "remove-members", "Remove people", "remove people"),
    (GroupPermissions::CHANGE_PERMISSIONS, "change-permissions", "Permissions", "change permissions"),
    (GroupPermissions::ADD_ENTRIES, "add-entries", "Add files", "add files"),
    (GroupPermissions::REMOVE_ENTRIES, "remove-entries", "Remove files", "remove files"),
    (GroupPermissions::CREATE_DIRECTORIES, "create-directories", "New folders", "make folders"),
    (GroupPermissions::MODIFY_TAG, "modify-tag", "Tag", "change tags"),
];

/// What permissions let somebody do, in words.
pub fn may(permissions: GroupPermissions) -> String {
    let words: Vec<&str> = PERMISSIONS.iter().filter(|(bit, ..)| permissions.contains(*bit)).map(|(.., reads)| *reads).collect();
    if words.is_empty() { "read only".to_owned() } else { words.join(", ") }
}

/// A permission in a form.
pub struct Choice {
    pub word: &'static str,
    pub reads: &'static str,
    pub on: bool,
    /// One has it oneself; what one does not have is given by somebody else, and stays as it is.
    pub own: bool,
}

pub fn choices(chosen: GroupPermissions, own: GroupPermissions) -> Vec<Choice> {
    let one = |(bit, word, _, reads): &(GroupPermissions, &'static str, &'static str, &'static str)| {
        let own = own.contains(*bit);
        Choice { word, reads, on: own && chosen.contains(*bit), own }
    };
    PERMISSIONS.iter().map(one).collect()
}

/// The permissions that a form chose.
pub fn chosen(fields: &Fields) -> Result<GroupPermissions> {
    let chosen = GroupPermissions::from_words(fields.each("permission"));
    chosen.ok_or_else(|| Trouble::invalid("this is not a permission; load the page again"))
}

/// What the roster says to changes one could make, asked as the server asks it. Members with the same permissions get the same answer.
struct Rules {
    group: Group,
    me: UserId,
    answers: Mutex<HashMap<Question, Option<String>>>,
}

/// All that an answer depends on.
#[derive(PartialEq, Eq, Hash)]
struct Question {
    owns: bool,
    is_me: bool,
    before: GroupPermissions,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Permit(GroupPermissions),
    Remove,
    Own,
}

impl Rules {
    /// Why a change would be refused.
    fn refusal(&self, member: &Named, step: Step) -> Option<String> {
        let roster = self.group.chain.roster();
        let before = roster.permissions(member.user)?;
        let question = Question { owns: member.user == roster.owner(), is_me: member.user == self.me, before, step };
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let ask = || {
            let (step, renews) = match step {
                Step::Permit(permissions) => (GroupStep::Permit(permissions), false),
                Step::Remove => (GroupStep::Remove, true),
                Step::Own => (GroupStep::Own, false),
            };
            let applied = roster.clone().apply(self.me, &[GroupChange { user: member.user, step }], renews);
            applied.err().map(|why| why.to_string())
        };
        answers.entry(question).or_insert_with(ask).clone()
    }
}

/// A row: a member.
struct Member {
    rules: Arc<Rules>,
    named: Named,
    role: &'static str,
    permissions: GroupPermissions,
    waits: bool,
    /// When and by whom they were added last.
    added: Timestamp,
    by: String,
}

impl Serialize for Member {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct View<'a> {
            name: &'a UserName,
            user: UserId,
            role: &'static str,
            permissions: Vec<&'static str>,
            waits: bool,
            added_ms: Timestamp,
        }
        let view = View {
            name: &self.named.name,
            user: self.named.user,
            role: self.role,
            permissions: self.permissions.words(),
            waits: self.waits,
            added_ms: self.added,
        };
        view.serialize(serializer)
    }
}

impl Member {
    fn key_state(&self) -> (&'static str, &'static str) {
        if self.waits { ("yellow", "waits") } else { ("green", "held") }
    }

    /// With a permission that they have not, or without one that they have.
    fn after(&self, bit: GroupPermissions) -> GroupPermissions {
        if self.permissions.contains(bit) { self.permissions.without(bit) } else { self.permissions.and(bit) }
    }

    fn check(&self, column: &str) -> Option<Cell> {
        let (bit, word, _, reads) = PERMISSIONS.iter().find(|(_, word, ..)| *word == column)?;
        let on = self.permissions.contains(*bit);
        let is_own = self.named.user == self.rules.me && *bit == GroupPermissions::CHANGE_PERMISSIONS;
        Some(Cell::Check(Check {
            on,
            label: format!("{} may {reads}", self.named.name),
            act: "/groups/permit",
            fields: ui::fields_of(&[("group", &self.rules.group.view.group.to_string()), ("key", &self.key()), ("permission", word)]),
            refused: self.rules.refusal(&self.named, Step::Permit(self.after(*bit))).map(|why| heads::begun(&why)),
            confirm: is_own
                .then_some("You take this away from yourself, and cannot give it back: then you change nobody's permissions any more."),
        }))
    }
}

impl Row for Member {
    const NOUN: &'static str = "group-members";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Name"),
        Column::shown("role", "Role"),
        Column::shown("add-members", PERMISSIONS[0].2),
        Column::shown("remove-members", PERMISSIONS[1].2),
        Column::shown("change-permissions", PERMISSIONS[2].2),
        Column::shown("add-entries", PERMISSIONS[3].2),
        Column::shown("remove-entries", PERMISSIONS[4].2),
        Column::shown("create-directories", PERMISSIONS[5].2),
        Column::shown("modify-tag", PERMISSIONS[6].2),
        Column::shown("key", "Key"),
        Column::hidden("added", "Added"),
        Column::hidden("by", "Added by"),
        Column::hidden("id", "Id"),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter { key: "role", title: "Role", values: &[("owner", "Owner"), ("manager", "Managers"), ("user", "Users")] },
        Filter { key: "key", title: "Key", values: &[("held", "Hold the key"), ("waits", "Wait for the key")] },
    ];

    fn key(&self) -> String {
        self.named.user.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        if let Some(check) = self.check(column) {
            return check;
        }
        match column {
            "name" => Cell::name("user", self.named.name.to_string()),
            "role" => Cell::badge(tone(self.role), self.role),
            "key" => {
                let (tone, text) = self.key_state();
                Cell::badge(tone, text)
            }
            "added" => Cell::Time(self.added),
            "by" => Cell::Text(self.by.clone()),
            _ => Cell::Code(self.named.user.to_string()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let bit = PERMISSIONS.iter().find(|(_, word, ..)| *word == column).map(|(bit, ..)| *bit);
        match (column, bit) {
            // Who may comes first.
            (_, Some(bit)) => other.permissions.contains(bit).cmp(&self.permissions.contains(bit)),
            ("role", _) => self.role.cmp(other.role),
            ("key", _) => other.waits.cmp(&self.waits),
            ("added", _) => self.added.cmp(&other.added),
            ("by", _) => self.by.cmp(&other.by),
            _ => Ordering::Equal,
        }
        .then_with(|| self.named.name.cmp(&other.named.name))
    }

    fn has(&self, word: &str) -> bool {
        self.named.name.as_str().to_lowercase().contains(word)
    }

    fn filtered(&self, filter: &str) -> &'static str {
        if filter == "role" { self.role } else { self.key_state().1 }
    }

    fn traits(&self) -> String {
        let mut traits = Vec::new();
        if PERMISSIONS.iter().any(|(bit, ..)| self.rules.refusal(&self.named, Step::Permit(self.after(*bit))).is_none()) {
            traits.push("permit");
        }
        if self.named.user != self.rules.me && self.rules.refusal(&self.named, Step::Remove).is_none() {
            traits.push("remove");
        }
        if self.rules.refusal(&self.named, Step::Own).is_none() {
            traits.push("own");
        }
        if self.waits {
            traits.push("waits");
        }
        traits.join(" ")
    }
}

const ACTIONS: &[Action] = &[
    Action {
        title: "Permissions…",
        icon: "pencil",
        dialog: "/groups/permit-dialog",
        needs: "permit",
        key: "F2",
        first: true,
        ..Action::NONE
    },
    Action { title: "Make owner…", icon: "user-check", dialog: "/groups/own-dialog", one: true, needs: "own", ..Action::NONE },
    Action {
        title: "Remove",
        icon: "user-off",
        act: "/groups/remove",
        confirm: "Remove {n}? They get nothing more of what is in the group, and it gets a new key at once. What they copied stays with them.",
        needs: "remove",
        key: "Delete",
        danger: true,
        ..Action::NONE
    },
];

#[derive(Template)]
#[template(path = "group.html")]
struct Page {
    chrome: Chrome,
    view: GroupView,
    id: String,
    name: String,
    role: &'static str,
    tone: &'static str,
    tags: Vec<Tag>,
    /// The address of its directory, where that can be opened.
    folder: Option<String>,
    path: String,
    may_add: bool,
    may_renew: bool,
    /// Who waits for a key, in words, and how many they are.
    waiting: String,
    table: String,
    key: Vec<(&'static str, String)>,
    past: Vec<Told>,
    /// Heads that are not told.
    older: usize,
}

/// In the place of a group that one cannot see into.
#[derive(Template)]
#[template(path = "group_closed.html")]
struct Closed {
    chrome: Chrome,
    /// It is locked; otherwise one is not in it.
    is_in: bool,
    id: String,
    name: String,
}

pub fn id(fields: &Fields) -> Result<GroupId> {
    fields.parsed("group", "a group")
}

pub fn gone() -> Trouble {
    Trouble::not_found("you are not in that group any more; load the page again")
}

/// Heads that are told.
const TOLD: usize = 200;
/// Names of those who wait that are told.
const WAITING_NAMED: usize = 8;

/// `GET /groups/group?group=ID`.
pub async fn page(Visit(office): Visit, fields: Fields) -> Result<Response> {
    let (id, groups) = (id(&fields)?, office.vault.groups());
    let chrome = Chrome::new(&office, "/groups");
    let group = match groups.load(id).await {
        Ok(group) => group,
        Err(error) if error.code() == LOCKED || error.kind() == Kind::NotFound => {
            let view = groups.list().await?.into_iter().find(|view| view.group == id);
            let name = view.as_ref().map(|view| shown(view.name.as_str())).unwrap_or_default();
            return ui::html(&Closed { chrome, is_in: view.is_some(), id: id.to_string(), name });
        }
        Err(error) => return Err(error.into()),
    };
    let all = groups.list().await?;
    let view = group.view.clone();
    let me = office.session().user();
    let members = groups.members(&group).await?;
    let names = names(&office, &group, &members).await?;
    let path = path_of(&view, &all)?.text();
    let projects = projects(&office, std::slice::from_ref(&view)).await?;
    let (past, older) = heads::tell(&group.chain, me, &names, TOLD);
    let role = group.chain.roster().role(me).map_or("user", |role| role.word());
    let look = Look {
        one: "member",
        many: "members",
        sort: "name",
        empty_icon: "users-group",
        empty: "Nobody",
        empty_hint: "No member fits.",
        actions: ACTIONS,
        ..Look::PLAIN
    };
    let writes = [GroupPermissions::ADD_ENTRIES, GroupPermissions::REMOVE_ENTRIES, GroupPermissions::CREATE_DIRECTORIES];
    ui::html(&Page {
        chrome,
        id: id.to_string(),
        name: shown(view.name.as_str()),
        role,
        tone: tone(role),
        tags: tags(&view, projects.as_ref()),
        folder: view.has_key.then(|| address("/vault", &path)),
        path,
        may_add: view.permissions.contains(GroupPermissions::ADD_MEMBERS),
        may_renew: view.has_key && writes.iter().any(|bit| view.permissions.contains(*bit)),
        waiting: waiting(&group, me, &names),
        key: key(&group, &names)?,
        past,
        older,
        table: ui::table(&office, rows(group, members, me, &names), &look)?,
        view,
    })
}

fn rows(group: Group, members: Vec<Named>, me: UserId, names: &heads::Names) -> Vec<Member> {
    let mut added: BTreeMap<UserId, (Timestamp, UserId)> = BTreeMap::new();
    for head in group.chain.past() {
        for change in head.changes.iter().filter(|change| matches!(change.step, GroupStep::Add { .. })) {
            added.insert(change.user, (head.at, head.writer));
        }
    }
    let rules = Arc::new(Rules { group, me, answers: Mutex::default() });
    let roster = rules.group.chain.roster();
    let row = |named: Named| {
        let (at, by) = added.get(&named.user).copied().unwrap_or((Timestamp::ABSENT, named.user));
        Member {
            role: roster.role(named.user).map_or("user", |role| role.word()),
            permissions: roster.permissions(named.user).unwrap_or_default(),
            waits: rules.group.waiting.contains(&named.user),
            added: at,
            by: names.get(&by).cloned().unwrap_or_default(),
            rules: Arc::clone(&rules),
            named,
        }
    };
    members.into_iter().map(row).collect()
}

/// Names of all who are or were in the group: members by the key they were added with, others as this device has pinned them.
async fn names(office: &Office, group: &Group, members: &[Named]) -> Result<heads::Names> {
    let session = office.session();
    let mut names: heads::Names = session.users.pins().all()?.into_iter().map(|(user, pin)| (user, pin.name.to_string())).collect();
    names.extend(members.iter().map(|member| (member.user, member.name.to_string())));
    for head in group.chain.past().iter().rev().take(TOLD) {
        for change in &head.changes {
            if let GroupStep::Add { bundle, .. } = change.step
                && !names.contains_key(&change.user)
            {
                // Who left long ago and cannot be found any more is told without a name.
                if let Ok(found) = session.users.bundle(&ticrypt_crypto::Digest::new(bundle)).await
                    && found.payload().user == change.user
                {
                    names.insert(change.user, found.payload().name.to_string());
                }
            }
        }
    }
    Ok(names)
}

/// Who waits for a key, oneself left out.
fn waiting(group: &Group, me: UserId, names: &heads::Names) -> String {
    let mut who: Vec<String> = group.waiting.iter().filter(|user| **user != me).map(|user| heads::name(names, *user)).collect();
    who.sort();
    let others = who.len().saturating_sub(WAITING_NAMED);
    who.truncate(WAITING_NAMED);
    if others > 0 {
        who.push(ui::count(others, "other", "others"));
    }
    heads::and(&who)
}

/// The generations of the key: the newest, and how it came.
fn key(group: &Group, names: &heads::Names) -> Result<Vec<(&'static str, String)>> {
    let chain = &group.chain;
    let generation = chain.generation()?;
    let mut facts = vec![("Generation", generation.number.to_string())];
    if let Some(head) = chain.past().iter().find(|head| head.record_hash() == generation.head) {
        facts.push(("Since", format!("{} UTC", show::time(head.at))));
        facts.push(("Made by", heads::name(names, head.writer)));
    }
    let holders = chain.roster().members().len().saturating_sub(group.waiting.len());
    facts.push(("Held by", format!("{holders} of {}", ui::count(chain.roster().members().len(), "member", "members"))));
    facts.push(("Heads", format!("{}, each verified", chain.newest().counter)));
    facts.push(("Id", chain.group().to_string()));
    Ok(facts)
}

#[derive(Template)]
#[template(path = "group_people.html")]
struct PeopleDialog {
    title: String,
    action: &'static str,
    button: &'static str,
    group: String,
    /// Of members: who they are. Of people to come: nobody yet.
    keys: Vec<String>,
    choices: Vec<Choice>,
}

/// `POST /groups/add-dialog`.
pub async fn add_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let group = office.vault.groups().load(id(&fields)?).await?;
    ui::html(&PeopleDialog {
        title: format!("Add people to {}", shown(group.view.name.as_str())),
        action: "/groups/add",
        button: "Add",
        group: group.view.group.to_string(),
        keys: Vec::new(),
        choices: choices(GroupPermissions::USER, group.view.permissions),
    })
}

/// `POST /groups/add`: whoever can be is added; each of the others is told with the reason.
pub async fn add(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let (id, permissions, groups) = (id(&fields)?, chosen(&fields)?, office.vault.groups());
    let group = groups.load(id).await?;
    let (mut found, mut told): (Vec<(Person, GroupPermissions)>, Vec<String>) = (Vec::new(), Vec::new());
    for word in people(fields.need("people")?) {
        match look_up(&office, word).await {
            Ok(person) if group.chain.roster().permissions(person.user).is_some() => {
                told.push(format!("{} is in the group already.", person.name))
            }
            Ok(person) if found.iter().any(|(known, _)| known.user == person.user) => {}
            Ok(person) => found.push((person, permissions)),
            Err(error) => told.push(format!("{}: {error}", shown(word))),
        }
    }
    let (mut added, mut unsealed): (Vec<&Person>, Vec<Unsealed>) = (Vec::new(), Vec::new());
    for some in found.chunks(GROUP_CHANGES_MAX) {
        match groups.add(id, some).await {
            Ok(waits) => {
                added.extend(some.iter().map(|(person, _)| person));
                unsealed.extend(waits);
            }
            // One of them cannot be: who it is comes out one by one.
            Err(error) if error.kind() == Kind::Refused && some.len() > 1 => {
                for one in some {
                    match groups.add(id, std::slice::from_ref(one)).await {
                        Ok(waits) => {
                            added.push(&one.0);
                            unsealed.extend(waits);
                        }
                        Err(error) => told.push(format!("{}: {error}", one.0.name)),
                    }
                }
            }
            Err(error) if some.len() == 1 => {
                told.push(format!("{}: {error}", some.first().map(|(one, _)| one.name.to_string()).unwrap_or_default()))
            }
            Err(error) => return Err(error.into()),
        }
    }
    if added.is_empty() {
        // Nothing was done: the form stays, and says why.
        return Err(Trouble::invalid(told.join(" ")));
    }
    let names: Vec<String> = added.iter().map(|person| person.name.to_string()).collect();
    let toast = if names.len() > 5 { ui::count(names.len(), "person", "people") } else { heads::and(&names) };
    let notes = told.into_iter().map(Note::from).chain(first_contacts(added.into_iter())).chain(waits(&unsealed));
    Ok(Done { notes: notes.collect(), ..Done::page(format!("Added {toast}.")) })
}

/// The selected members of the group.
pub async fn selected(office: &Office, fields: &Fields) -> Result<(Group, Vec<Named>)> {
    let keys = table::selection(&office.sheets, fields).await?;
    let groups = office.vault.groups();
    let group = groups.load(id(fields)?).await?;
    let members = groups.members(&group).await?;
    let chosen: Vec<Named> = members.into_iter().filter(|member| keys.iter().any(|key| *key == member.user.to_string())).collect();
    if chosen.is_empty() { Err(Trouble::not_found("they are no members any more; load the page again")) } else { Ok((group, chosen)) }
}

/// `POST /groups/permit-dialog`.
pub async fn permit_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let (group, members) = selected(&office, &fields).await?;
    let who = match members.as_slice() {
        [one] => one.name.to_string(),
        several => ui::count(several.len(), "member", "members"),
    };
    let first = members.first().and_then(|member| group.chain.roster().permissions(member.user)).unwrap_or_default();
    ui::html(&PeopleDialog {
        title: format!("What {who} may do"),
        action: "/groups/permit",
        button: "Change",
        group: group.view.group.to_string(),
        keys: members.iter().map(|member| member.user.to_string()).collect(),
        choices: choices(first, group.view.permissions),
    })
}

/// `POST /groups/permit`: one permission of one member by a box in the list, or all of those selected by a form.
pub async fn permit(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let (group, members) = selected(&office, &fields).await?;
    let (chosen, own) = (chosen(&fields)?, group.view.permissions);
    // A box says whether the one permission is on; a form has all that one could give, and leaves the others alone.
    let after = |before: GroupPermissions| match fields.get("on") {
        Some("") => before.without(chosen),
        Some(_) => before.and(chosen),
        None => chosen.without(GroupPermissions::ALL.without(own)).and(before.without(own)),
    };
    let roster = group.chain.roster();
    let change = |member: &Named| {
        let before = roster.permissions(member.user)?;
        let permissions = after(before);
        (permissions != before).then_some(GroupChange { user: member.user, step: GroupStep::Permit(permissions) })
    };
    let changes: Vec<GroupChange> = members.iter().filter_map(change).collect();
    if changes.is_empty() {
        return Ok(Done::rows("Nothing to change."));
    }
    let told = match (changes.as_slice(), members.as_slice()) {
        ([GroupChange { step: GroupStep::Permit(now), .. }], [member]) => format!("{} may now: {}.", member.name, may(*now)),
        (several, _) => format!("Changed {}.", ui::count(several.len(), "member", "members")),
    };
    let unsealed = changed(&office, group.view.group, &changes).await?;
    let notes = waits(&unsealed).collect();
    // A box fetches the rows by itself, and keeps what is selected.
    let reload = if fields.get("on").is_some() { None } else { Some("rows") };
    Ok(Done { notes, reload, ..Done::said(told) })
}

/// As many changes at once as a head takes.
async fn changed(office: &Office, group: GroupId, changes: &[GroupChange]) -> Result<Vec<Unsealed>> {
    let mut unsealed = Vec::new();
    for some in changes.chunks(GROUP_CHANGES_MAX) {
        unsealed = office.vault.change_group(group, some.to_vec()).await?;
    }
    Ok(unsealed)
}

/// `POST /groups/remove`.
pub async fn remove(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let (group, members) = selected(&office, &fields).await?;
    let rules = Rules { me: office.session().user(), answers: Mutex::default(), group };
    let (mut changes, mut notes, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for member in &members {
        let refusal = match rules.refusal(member, Step::Remove) {
            None if member.user == rules.me => Some("you do not remove yourself; leave the group instead".to_owned()),
            other => other,
        };
        match refusal {
            Some(why) => notes.push(Note::from(format!("{}: {why}", member.name))),
            None => {
                changes.push(GroupChange { user: member.user, step: GroupStep::Remove });
                names.push(member.name.to_string());
            }
        }
    }
    if changes.is_empty() {
        return Ok(Done { notes, ..Done::default() });
    }
    let unsealed = changed(&office, rules.group.view.group, &changes).await?;
    notes.extend(waits(&unsealed));
    let who = if names.len() > 5 { ui::count(names.len(), "member", "members") } else { heads::and(&names) };
    Ok(Done { notes, ..Done::page(format!("Removed {who}; the group has a new key.")) })
}

/// `POST /groups/seal`: the key, to those who wait for it.
pub async fn seal(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let groups = office.vault.groups();
    let group = groups.load(id(&fields)?).await?;
    let unsealed = groups.fulfil(&group, &|_| ()).await?;
    let left = groups.load(group.view.group).await?.waiting.len();
    let sealed = group.waiting.len().saturating_sub(left);
    let told = match sealed {
        0 if unsealed.is_empty() => Some("Nobody waits for the key any more.".to_owned()),
        0 => None,
        sealed => Some(format!("Sealed the key to {}.", ui::count(sealed, "member", "members"))),
    };
    Ok(Done { toast: told, notes: waits(&unsealed).collect(), reload: Some("page"), ..Done::default() })
}
