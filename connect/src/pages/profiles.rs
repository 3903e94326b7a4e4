//! Profiles: sets of permissions with names, and giving them to people like a stamp.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::profile::{ProfileAbout, ProfileView};
use ticrypt_api::user::UserView;
use ticrypt_client::team::{self, Teams};
use ticrypt_client::users::is_given;
use ticrypt_client::{Session, profile};
use ticrypt_types::{Permission, Permissions, UserId};

use super::levels::Page;
use super::permissions::{self, Heading};
use super::vault::shown;
use super::{Inside, Visit, members, teams};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Row};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look, Tally};

#[derive(Serialize)]
#[serde(transparent)]
struct Profile(ProfileView);

impl Profile {
    fn gives(&self) -> usize {
        self.0.about.permissions.iter().count()
    }
}

impl Row for Profile {
    const NOUN: &'static str = "profiles";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Profile"),
        Column::shown("gives", "Gives").number(),
        Column::shown("people", "People").number(),
        Column::shown("description", "Description"),
        Column::hidden("id", "Id"),
    ];

    fn key(&self) -> String {
        self.0.profile.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        let about = &self.0.about;
        match column {
            "name" => Cell::name("lock-open", shown(about.name.as_str())),
            "gives" => Cell::Text(self.gives().to_string()),
            "people" => Cell::Text(self.0.people.to_string()),
            "description" => Cell::Text(shown(&about.description)),
            _ => Cell::Code(self.key()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let (a, b) = (&self.0, &other.0);
        match column {
            "gives" => self.gives().cmp(&other.gives()),
            "people" => a.people.cmp(&b.people),
            "description" => a.about.description.cmp(&b.about.description),
            _ => Ordering::Equal,
        }
        .then_with(|| a.about.name.cmp(&b.about.name))
    }

    fn has(&self, word: &str) -> bool {
        let about = &self.0.about;
        about.name.as_str().to_lowercase().contains(word)
            || about.description.to_lowercase().contains(word)
            || about.permissions.iter().any(|permission| permission.word().contains(word))
    }
}

const ACTIONS: &[(Permission, Action)] = &[
    (
        Permission::ProfileEdit,
        Action { title: "Change…", icon: "pencil", dialog: "/profiles/dialog", one: true, key: "F2", first: true, ..Action::NONE },
    ),
    (
        Permission::UserPermissions,
        Action { title: "Apply to people…", icon: "user-check", dialog: "/profiles/apply-dialog", one: true, ..Action::NONE },
    ),
    (
        Permission::ProfileEdit,
        Action {
            title: "Delete",
            icon: "trash",
            act: "/profiles/delete",
            confirm: "Delete {n}? Whoever it was applied to keeps what they have.",
            key: "Delete",
            danger: true,
            ..Action::NONE
        },
    ),
];

/// `GET /profiles`.
pub async fn page(Visit(office): Visit) -> Result<Response> {
    let rows: Vec<_> = profile::list(office.session()).await?.into_iter().map(Profile).collect();
    let edits = is_given(&office.user, Permission::ProfileEdit);
    let offered = |(permission, action): &(Permission, Action)| is_given(&office.user, *permission).then_some(*action);
    let actions: Vec<Action> = ACTIONS.iter().filter_map(offered).collect();
    let look = Look {
        one: "profile",
        many: "profiles",
        sort: "name",
        empty_icon: "lock-open",
        empty: "No profiles",
        empty_hint: "A profile is a set of permissions that people are given together.",
        actions: &actions,
        ..Look::PLAIN
    };
    ui::html(&Page {
        chrome: Chrome::new(&office, "/profiles"),
        title: "Profiles",
        lede: "Whoever a profile is applied to has its permissions, and no others. If it is changed later, they keep what they have until it is applied again.",
        new: edits.then_some("/profiles/dialog"),
        table: ui::table(&office, rows, &look)?,
    })
}

/// A profile as forms name it: with its revision, so that what somebody else wrote into it meanwhile is neither applied nor overwritten.
fn mark(view: &ProfileView) -> String {
    format!("{} {}", view.profile, view.revision)
}

/// The profile of a mark, of the revision that was read.
pub async fn as_read(session: &Session, mark: &str) -> Result<ProfileView> {
    let read = mark.split_once(' ').and_then(|(id, revision)| Some((id, revision.parse().ok()?)));
    let (id, revision) = read.ok_or_else(|| Trouble::invalid("this is not a profile; load the page again"))?;
    Ok(ProfileView { revision, ..profile::find(session, id).await? })
}

/// Marks and names of those to choose from, for who applies profiles.
pub async fn choices(office: &Office) -> Result<Vec<(String, String)>> {
    if !is_given(&office.user, Permission::UserPermissions) {
        return Ok(Vec::new());
    }
    let all = profile::list(office.session()).await?;
    Ok(all.iter().map(|view| (mark(view), shown(view.about.name.as_str()))).collect())
}

/// A profile to make or to change.
#[derive(Template)]
#[template(path = "profile_form.html")]
struct Form {
    mark: Option<String>,
    name: String,
    description: String,
    headings: Vec<Heading>,
}

/// `POST /profiles/dialog`: of the selected one, or of a new one.
pub async fn dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let before = match fields.get("key") {
        Some(id) => Some(profile::find(office.session(), id).await?),
        None => None,
    };
    // A new one begins with what a new account has: whoever gets a profile without that could do nothing any more.
    let basic = || Permissions::basic().iter().filter(|one| is_given(&office.user, *one)).collect();
    let given = before.as_ref().map_or_else(basic, |view| view.about.permissions);
    ui::html(&Form {
        mark: before.as_ref().map(mark),
        name: before.as_ref().map(|view| view.about.name.to_string()).unwrap_or_default(),
        headings: permissions::headings(&office.user, given),
        description: before.map(|view| view.about.description).unwrap_or_default(),
    })
}

/// `POST /profiles/set`.
pub async fn set(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let session = office.session();
    let before = match fields.get("profile") {
        Some(mark) => Some(as_read(session, mark).await?),
        None => None,
    };
    let about = ProfileAbout {
        name: fields.parsed("name", "a name")?,
        description: fields.get("description").unwrap_or_default().trim().to_owned(),
        permissions: permissions::chosen(&fields)?,
    };
    profile::set(session, before.as_ref(), about).await?;
    Ok(Done::page(match before {
        Some(view) if view.people > 0 => "Changed. Whoever it was applied to keeps what they have until it is applied again.",
        Some(_) => "Changed.",
        None => "Made.",
    }))
}

/// `POST /profiles/delete`.
pub async fn delete(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let session = office.session();
    let mut tally = Tally::default();
    for key in table::selection(&office.sheets, &fields).await? {
        let ProfileView { profile, about, .. } = profile::find(session, &key).await?;
        tally.take(&shown(about.name.as_str()), profile::delete(session, profile).await);
    }
    Ok(tally.told("Deleted", "profile", "profiles"))
}

/// Whom to apply it to.
#[derive(Template)]
#[template(path = "profile_apply.html")]
struct ApplyDialog {
    name: String,
    mark: String,
    /// Ids and names.
    teams: Vec<(String, String)>,
}

/// `POST /profiles/apply-dialog`.
pub async fn apply_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let session = office.session();
    let view = profile::find(session, fields.need("key")?).await?;
    let teams = Teams::load(session).await?;
    let teams = teams.all().iter().map(|team| (team.team.to_string(), shown(team.about.name.as_str()))).collect();
    ui::html(&ApplyDialog { name: shown(view.about.name.as_str()), mark: mark(&view), teams })
}

/// `POST /profiles/apply`: each by itself; who did not get it is told.
pub async fn apply(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let session = office.session();
    let view = as_read(session, fields.need("profile")?).await?;
    let mut names: Vec<String> = members::people(fields.get("people").unwrap_or_default()).map(str::to_owned).collect();
    for id in fields.each("team") {
        let team = id.parse().map_err(|_| teams::gone())?;
        let roll = team::members(session, team).await?;
        // Nobody changes their own account, and whoever says "everybody in the team" does not mean that.
        names.extend(roll.members.iter().filter(|member| member.user != office.user.user).map(|member| member.name.to_string()));
    }
    if names.is_empty() {
        return Err(Trouble::invalid("that is nobody; name people, or choose a team with people in it"));
    }
    let all = session.users.list(None).await?;
    let all: BTreeMap<&str, &UserView> = all.iter().map(|view| (view.name.as_str(), view)).collect();
    let mut tally = Tally::default();
    let mut people = Vec::new();
    for name in names.iter().collect::<BTreeSet<_>>() {
        match all.get(name.as_str()) {
            Some(person) => people.push(*person),
            None => tally.notes.push(format!("{}: there is no account of that name", shown(name)).into()),
        }
    }
    give(session, &view, &people, &mut tally).await?;
    Ok(tally.told("Applied to", "person", "people"))
}

/// Gives people the permissions of the profile; whoever has just these is done.
pub async fn give(session: &Session, view: &ProfileView, people: &[&UserView], tally: &mut Tally) -> Result<()> {
    let (there, needing): (Vec<&UserView>, Vec<&UserView>) = people.iter().partition(|person| profile::is_applied(view, person));
    tally.done += there.len();
    let (names, users): (Vec<String>, Vec<UserId>) = needing.iter().map(|person| (person.name.to_string(), person.user)).unzip();
    tally.take_all(&names, profile::apply(session, view, &users, &|_| ()).await?);
    Ok(())
}
