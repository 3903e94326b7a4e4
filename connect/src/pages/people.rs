//! People, for administrators: activate, deactivate, disable for a time, rank, what the system lets them do. They see accounts, never data.

use std::cmp::Ordering;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::profile::ProfileLabel;
use ticrypt_api::user::UserView;
use ticrypt_client::clock;
use ticrypt_client::users::{StateChange, change_states, is_given, set_permissions};
use ticrypt_crypto::Digest;
use ticrypt_crypto::bundle::Fingerprint;
use ticrypt_crypto::statement::Action as Statement;
use ticrypt_types::{Permission, Rank, Timestamp, UserName, UserState};

use super::permissions::{self, Heading};
use super::vault::{day, shown};
use super::{Inside, Visit, profiles};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Filter, Row};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look, Tally, is_administrator};

#[derive(Serialize)]
#[serde(transparent)]
struct Person(UserView);

impl Person {
    fn disabled_until(&self) -> Option<Timestamp> {
        self.0.disabled_until_ms.filter(|until| *until != Timestamp::ABSENT && !until.is_expired(clock::now()))
    }

    fn state(&self) -> (&'static str, &'static str) {
        match self.0.state {
            UserState::Pending => ("yellow", "pending"),
            UserState::Active if self.disabled_until().is_some() => ("orange", "disabled"),
            UserState::Active => ("green", "active"),
            UserState::Inactive => ("secondary", "inactive"),
        }
    }

    /// Whoever has other permissions by now than the profile gives is not just like it.
    fn profile(&self) -> String {
        let word = |label: &ProfileLabel| {
            let name = shown(label.name.as_str());
            if label.exact { name } else { format!("{name}, changed") }
        };
        self.0.profile.as_ref().map(word).unwrap_or_default()
    }

    fn fingerprint(&self) -> String {
        Fingerprint(Digest::new(self.0.fingerprint.0)).to_string()
    }
}

impl Row for Person {
    const NOUN: &'static str = "people";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Name"),
        Column::shown("state", "State"),
        Column::shown("rank", "Rank"),
        Column::shown("profile", "Profile"),
        Column::shown("login", "Last login"),
        Column::shown("created", "Registered"),
        Column::shown("reason", "Reason"),
        Column::hidden("until", "Disabled until"),
        Column::hidden("generation", "Keys").number(),
        Column::hidden("fingerprint", "Fingerprint"),
        Column::hidden("id", "Id"),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter {
            key: "state",
            title: "State",
            values: &[("pending", "Pending"), ("active", "Active"), ("disabled", "Disabled for a time"), ("inactive", "Inactive")],
        },
        Filter {
            key: "rank",
            title: "Rank",
            values: &[("user", "User"), ("sub-admin", "Sub-admin"), ("admin", "Admin"), ("super-admin", "Super-admin")],
        },
    ];

    fn key(&self) -> String {
        self.0.name.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        let view = &self.0;
        match column {
            "name" => Cell::name("user", view.name.to_string()),
            "state" => {
                let (tone, text) = self.state();
                Cell::badge(tone, text)
            }
            "rank" => Cell::Text(view.rank.to_string()),
            "profile" => Cell::Text(self.profile()),
            "login" => Cell::Time(view.last_login_ms.unwrap_or(Timestamp::ABSENT)),
            "created" => Cell::Time(view.created_ms),
            "reason" => Cell::Text(view.reason.as_deref().map(shown).unwrap_or_default()),
            "until" => Cell::Time(self.disabled_until().unwrap_or(Timestamp::ABSENT)),
            "generation" => Cell::Text(view.generation.to_string()),
            "id" => Cell::Code(view.user.to_string()),
            _ => Cell::Code(self.fingerprint()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let (a, b) = (&self.0, &other.0);
        match column {
            "state" => self.state().1.cmp(other.state().1),
            "rank" => a.rank.cmp(&b.rank),
            "profile" => self.profile().cmp(&other.profile()),
            "login" => a.last_login_ms.cmp(&b.last_login_ms),
            "created" => a.created_ms.cmp(&b.created_ms),
            "reason" => a.reason.cmp(&b.reason),
            "until" => self.disabled_until().cmp(&other.disabled_until()),
            "generation" => a.generation.cmp(&b.generation),
            "fingerprint" => a.fingerprint.0.cmp(&b.fingerprint.0),
            "id" => a.user.cmp(&b.user),
            _ => Ordering::Equal,
        }
        .then_with(|| a.name.cmp(&b.name))
    }

    fn has(&self, word: &str) -> bool {
        self.0.name.as_str().to_lowercase().contains(word) || self.fingerprint().contains(word)
    }

    fn filtered(&self, filter: &str) -> &'static str {
        if filter == "rank" { self.0.rank.word() } else { self.state().1 }
    }

    fn traits(&self) -> String {
        self.state().1.to_owned()
    }
}

/// What is done to accounts, by whom: a rank brings no permission.
const ACTIONS: &[(Option<Permission>, Action)] = &[
    (
        Some(Permission::UserActivate),
        Action {
            title: "Activate…",
            icon: "user-check",
            dialog: "/people/activate-dialog",
            one: true,
            needs: "pending",
            first: true,
            ..Action::NONE
        },
    ),
    (
        Some(Permission::UserActivate),
        Action {
            title: "Activate again…",
            icon: "user-check",
            dialog: "/people/activate-dialog",
            one: true,
            needs: "inactive",
            ..Action::NONE
        },
    ),
    (Some(Permission::UserRank), Action { title: "Change rank…", icon: "shield-check", dialog: "/people/role-dialog", ..Action::NONE }),
    (
        Some(Permission::UserPermissions),
        Action { title: "Apply a profile…", icon: "lock-open", dialog: "/people/profile-dialog", ..Action::NONE },
    ),
    (
        Some(Permission::UserPermissions),
        Action { title: "Permissions…", icon: "settings", dialog: "/people/permissions-dialog", one: true, ..Action::NONE },
    ),
    (
        Some(Permission::UserDisable),
        Action { title: "Disable for a time…", icon: "clock", dialog: "/people/disable-dialog", needs: "active", ..Action::NONE },
    ),
    (
        Some(Permission::UserDisable),
        Action { title: "Enable again", icon: "user-check", act: "/people/enable", needs: "disabled", ..Action::NONE },
    ),
    (
        Some(Permission::UserReset),
        Action { title: "Accept new keys…", icon: "key", dialog: "/people/reset-dialog", one: true, needs: "active", ..Action::NONE },
    ),
    (None, Action { title: "What they reach", icon: "list-tree", act: "/reach/open", one: true, ..Action::NONE }),
    (
        Some(Permission::UserDeactivate),
        Action { title: "Deactivate…", icon: "user-off", dialog: "/people/deactivate-dialog", danger: true, ..Action::NONE },
    ),
];

#[derive(Template)]
#[template(path = "plain.html")]
pub struct Page {
    pub chrome: Chrome,
    pub title: &'static str,
    pub lede: &'static str,
    pub table: String,
}

/// `GET /people`.
pub async fn page(Visit(office): Visit) -> Result<Response> {
    administrator(&office)?;
    let people = office.session().users.list(None).await?;
    let rows: Vec<_> = people.into_iter().map(Person).collect();
    let offered = |(permission, action): &(Option<Permission>, Action)| {
        permission.is_none_or(|permission| is_given(&office.user, permission)).then_some(*action)
    };
    let actions: Vec<Action> = ACTIONS.iter().filter_map(offered).collect();
    let look = Look {
        one: "person",
        many: "people",
        sort: "name",
        empty_icon: "users-group",
        empty: "Nobody",
        empty_hint: "No account fits.",
        actions: &actions,
        ..Look::PLAIN
    };
    ui::html(&Page {
        chrome: Chrome::new(&office, "/people"),
        title: "People",
        lede: "An account is activated after its fingerprint was compared with the person, in person or by telephone. You never see what they store.",
        table: ui::table(&office, rows, &look)?,
    })
}

pub fn administrator(office: &Office) -> Result<()> {
    if is_administrator(office.user.rank) {
        return Ok(());
    }
    Err(ticrypt_client::ClientError::refused("needs_administrator", "this page is for administrators").into())
}

async fn chosen(office: &Office, fields: &Fields) -> Result<Vec<UserView>> {
    let keys = table::selection(&office.sheets, fields).await?;
    let people = office.session().users.list(None).await?;
    let chosen: Vec<UserView> = people.into_iter().filter(|view| keys.iter().any(|key| *key == view.name.as_str())).collect();
    if chosen.is_empty() {
        return Err(Trouble::not_found("these accounts are not there any more; load the page again"));
    }
    Ok(chosen)
}

#[derive(Template)]
#[template(path = "people_activate.html")]
struct ActivateDialog {
    name: String,
    fingerprint: String,
    registered: String,
    /// To apply at once: marks and names.
    profiles: Vec<(String, String)>,
}

/// `POST /people/activate-dialog`.
pub async fn activate_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let chosen = chosen(&office, &fields).await?;
    let [view] = chosen.as_slice() else { return Err(Trouble::invalid("choose one person: each fingerprint is compared by itself")) };
    ui::html(&ActivateDialog {
        name: view.name.to_string(),
        fingerprint: Fingerprint(Digest::new(view.fingerprint.0)).to_string(),
        registered: ticrypt_client::show::time(view.created_ms),
        profiles: profiles::choices(&office).await?,
    })
}

/// `POST /people/activate`.
pub async fn activate(Inside(office): Inside, fields: Fields) -> Result<Done> {
    if !fields.is_set("compared") {
        return Err(Trouble::invalid("compare the fingerprint with the person first, then say so"));
    }
    let name: UserName = fields.parsed("name", "a user name")?;
    let compared = fields.fingerprint("fingerprint")?;
    let session = office.session();
    let view = session.users.find(&name).await?;
    let profile = match fields.get("profile").filter(|mark| !mark.is_empty()) {
        Some(mark) => Some(profiles::as_read(session, mark).await?),
        None => None,
    };
    let change = StateChange { view: view.clone(), action: Statement::Activate, reason: String::new(), new_bundle: None };
    session.users.change_state(&*session.keys, change, Some(compared)).await?;
    let mut tally = Tally::default();
    if let Some(profile) = profile
        && let Err(trouble) = profiles::give(session, &profile, &[&view], &mut tally).await
    {
        // The account is active all the same.
        tally.notes.push(format!("{name}: {}", trouble.message()).into());
    }
    Ok(Done { notes: tally.notes, ..Done::rows(format!("{name} is active.")) })
}

#[derive(Template)]
#[template(path = "people_reset.html")]
struct ResetDialog {
    name: String,
    fingerprint: String,
}

/// `POST /people/reset-dialog`: for somebody who lost their keys and made new ones.
pub async fn reset_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let chosen = chosen(&office, &fields).await?;
    let [view] = chosen.as_slice() else { return Err(Trouble::invalid("choose one person: each fingerprint is compared by itself")) };
    ui::html(&ResetDialog { name: view.name.to_string(), fingerprint: Fingerprint(Digest::new(view.fingerprint.0)).to_string() })
}

/// `POST /people/reset`.
pub async fn reset(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let name: UserName = fields.parsed("name", "a user name")?;
    let (bundle, compared) = (fields.binary("bundle")?, fields.fingerprint("fingerprint")?);
    let session = office.session();
    session.users.accept_reset(&*session.keys, &name, bundle, compared).await?;
    Ok(Done::rows(format!("{name} has new keys. Whoever shares with them compares the new fingerprint and shares again.")))
}

/// What is asked of several people at once.
#[derive(Template)]
#[template(path = "people_change.html")]
struct ChangeDialog {
    title: String,
    action: &'static str,
    button: &'static str,
    danger: bool,
    names: Vec<String>,
    kind: Kind,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Reason,
    Until,
    Rank,
    /// Marks and names of those to choose from.
    Profile(Vec<(String, String)>),
}

async fn change_dialog(
    office: &Office,
    fields: &Fields,
    title: &str,
    action: &'static str,
    button: &'static str,
    kind: Kind,
) -> Result<Response> {
    let names: Vec<String> = chosen(office, fields).await?.iter().map(|view| view.name.to_string()).collect();
    let who = match names.as_slice() {
        [one] => one.clone(),
        several => ui::count(several.len(), "person", "people"),
    };
    ui::html(&ChangeDialog { title: format!("{title} {who}"), action, button, danger: kind == Kind::Reason, names, kind })
}

/// `POST /people/deactivate-dialog`.
pub async fn deactivate_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    change_dialog(&office, &fields, "Deactivate", "/people/deactivate", "Deactivate", Kind::Reason).await
}

/// `POST /people/disable-dialog`.
pub async fn disable_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    change_dialog(&office, &fields, "Disable", "/people/disable", "Disable", Kind::Until).await
}

/// `POST /people/role-dialog`.
pub async fn role_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    change_dialog(&office, &fields, "Change the rank of", "/people/role", "Change", Kind::Rank).await
}

/// `POST /people/profile-dialog`.
pub async fn profile_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let kind = Kind::Profile(profiles::choices(&office).await?);
    change_dialog(&office, &fields, "Apply a profile to", "/people/profile", "Apply", kind).await
}

/// Who could not be changed is told.
async fn change(office: &Office, fields: &Fields, action: Statement, reason: &str, done: &str) -> Result<Done> {
    let chosen = chosen(office, fields).await?;
    let names: Vec<String> = chosen.iter().map(|view| view.name.to_string()).collect();
    let made = |view| StateChange { view, action, reason: reason.to_owned(), new_bundle: None };
    let changes: Vec<StateChange> = chosen.into_iter().map(made).collect();
    let mut tally = Tally::default();
    tally.take_all(&names, change_states(office.session(), &changes, &|_| ()).await?);
    let toast = (tally.done > 0).then(|| format!("{} {done}.", ui::count(tally.done, "account is", "accounts are")));
    Ok(Done { toast, notes: tally.notes, reload: Some("rows"), ..Done::default() })
}

/// `POST /people/deactivate`.
pub async fn deactivate(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let reason = fields.need("reason")?.to_owned();
    change(&office, &fields, Statement::Deactivate, &reason, "inactive").await
}

/// `POST /people/disable`.
pub async fn disable(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let until = day(fields.need("until")?)?;
    change(&office, &fields, Statement::DisableUntil(until), "", "disabled").await
}

/// `POST /people/enable`.
pub async fn enable(Inside(office): Inside, fields: Fields) -> Result<Done> {
    change(&office, &fields, Statement::DisableUntil(Timestamp::ABSENT), "", "enabled again").await
}

/// `POST /people/role`.
pub async fn role(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let rank = Rank::from_word(fields.need("rank")?).ok_or_else(|| Trouble::invalid("choose a rank"))?;
    change(&office, &fields, Statement::Role(rank), "", &format!("{rank} now")).await
}

/// `POST /people/profile`.
pub async fn profile(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let chosen = chosen(&office, &fields).await?;
    let profile = profiles::as_read(office.session(), fields.need("profile")?).await?;
    let mut tally = Tally::default();
    profiles::give(office.session(), &profile, &chosen.iter().collect::<Vec<_>>(), &mut tally).await?;
    Ok(tally.told("Applied to", "person", "people"))
}

/// What the system lets one person do.
#[derive(Template)]
#[template(path = "people_permissions.html")]
struct PermissionsDialog {
    name: String,
    /// As they were read.
    had: u64,
    headings: Vec<Heading>,
}

/// `POST /people/permissions-dialog`.
pub async fn permissions_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let chosen = chosen(&office, &fields).await?;
    let [view] = chosen.as_slice() else { return Err(Trouble::invalid("choose one person; several are given a profile")) };
    let headings = permissions::headings(&office.user, view.permissions);
    ui::html(&PermissionsDialog { name: view.name.to_string(), had: view.permissions.bits(), headings })
}

/// `POST /people/permissions`.
pub async fn permissions(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let chosen = chosen(&office, &fields).await?;
    let [view] = chosen.as_slice() else { return Err(Trouble::invalid("choose one person; several are given a profile")) };
    // All of them are sent: what somebody else gave or took meanwhile would be undone.
    if view.permissions.bits() != fields.parsed::<u64>("had", "a set of permissions")? {
        return Err(Trouble::invalid(format!("the permissions of {} were changed meanwhile; open this again", view.name)));
    }
    let wanted = permissions::chosen(&fields)?;
    if wanted == view.permissions {
        return Ok(Done::said("Nothing was changed."));
    }
    for result in set_permissions(office.session(), &[(view.user, wanted)], &|_| ()).await? {
        result?;
    }
    Ok(Done::rows(format!("The permissions of {} are changed.", view.name)))
}
