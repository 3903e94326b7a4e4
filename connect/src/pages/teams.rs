//! Teams: those one sees, how one stands in each, and what its people may use together.

use std::cmp::Ordering;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::team::{TeamAbout, TeamView};
use ticrypt_api::user::UserView;
use ticrypt_client::team::{self, Teams};
use ticrypt_client::users::is_given;
use ticrypt_client::{clock, show};
use ticrypt_types::{Permission, Quotas, Rank, TeamId, Timestamp};

use super::vault::shown;
use super::{Inside, Visit};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Filter, Row};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look, Tally};

const MIB: u64 = 1 << 20;

/// What one may do with a team, for what the page offers; the server decides again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    pub assigned: bool,
    /// Name, description, and who is in it.
    pub runs: bool,
    pub sets_quotas: bool,
    pub deletes: bool,
    /// Puts it in a sub-admin's care.
    pub assigns: bool,
}

impl Rights {
    pub fn of(account: &UserView, view: &TeamView) -> Self {
        let given = |permission| is_given(account, permission);
        let in_time = |until: Timestamp| !until.is_expired(clock::now());
        let own = view.assigned.iter().find(|one| one.user == account.user);
        let assigned = account.rank == Rank::SubAdmin && own.is_some_and(|one| one.until_ms.is_none_or(in_time));
        Self {
            assigned,
            runs: assigned || view.manages == Some(true) || given(Permission::TeamMembers),
            sets_quotas: !assigned && given(Permission::TeamQuota),
            deletes: given(Permission::TeamDelete),
            assigns: account.rank >= Rank::Admin && given(Permission::TeamMembers),
        }
    }

    fn traits(self) -> String {
        let words = [(self.runs, "runs"), (self.sets_quotas, "quotas"), (self.deletes, "deletes")];
        words.into_iter().filter_map(|(has, word)| has.then_some(word)).collect::<Vec<_>>().join(" ")
    }
}

/// A row: a team and what one may do with it.
#[derive(Serialize)]
struct Team {
    #[serde(flatten)]
    view: TeamView,
    #[serde(skip)]
    rights: Rights,
}

/// How one stands in a team: a colour and a word.
pub fn standing(view: &TeamView, rights: Rights) -> (&'static str, &'static str) {
    match view.manages {
        _ if rights.assigned => ("blue", "in your care"),
        Some(true) => ("primary", "manager"),
        Some(false) => ("secondary", "member"),
        None => ("secondary", "not in it"),
    }
}

/// A quota as people read it.
pub fn bytes(quota: Option<u64>) -> String {
    quota.map_or_else(|| "unlimited".to_owned(), show::size)
}

fn number(quota: Option<u32>) -> String {
    quota.map_or_else(|| "unlimited".to_owned(), |number| number.to_string())
}

/// No limit is more than any.
fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Ordering {
    a.is_none().cmp(&b.is_none()).then(a.cmp(&b))
}

fn memory(quotas: &Quotas) -> Option<u64> {
    quotas.memory_mib.map(|mebibytes| mebibytes.saturating_mul(MIB))
}

impl Row for Team {
    const NOUN: &'static str = "teams";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Team"),
        Column::shown("members", "Members").number(),
        Column::shown("you", "You"),
        Column::shown("vault", "Vault quota").number(),
        Column::shown("description", "Description"),
        Column::hidden("cores", "Cores").number(),
        Column::hidden("memory", "Memory").number(),
        Column::hidden("devices", "Devices").number(),
        Column::hidden("drives", "Drives").number(),
        Column::hidden("assigned", "In the care of"),
        Column::hidden("created", "Made"),
        Column::hidden("id", "Id"),
    ];
    const FILTERS: &'static [Filter] = &[Filter {
        key: "you",
        title: "You",
        values: &[("manager", "Manager"), ("member", "Member"), ("in your care", "In your care"), ("not in it", "Not in it")],
    }];

    fn key(&self) -> String {
        self.view.team.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        let (view, quotas) = (&self.view, &self.view.quotas);
        match column {
            "name" => Cell::Name {
                icon: "home",
                text: shown(view.about.name.as_str()),
                href: Some(format!("/teams/members?{}", ui::field("team", &self.key()))),
                marks: Vec::new(),
                tags: Vec::new(),
            },
            "members" => Cell::Text(view.members.to_string()),
            "you" => {
                let (tone, text) = standing(view, self.rights);
                Cell::badge(tone, text)
            }
            "vault" => Cell::Text(bytes(quotas.vault_bytes)),
            "description" => Cell::Text(shown(&view.about.description)),
            "cores" => Cell::Text(number(quotas.cores)),
            "memory" => Cell::Text(bytes(memory(quotas))),
            "devices" => Cell::Text(number(quotas.devices)),
            "drives" => Cell::Text(bytes(quotas.drive_bytes)),
            "assigned" => Cell::Text(view.assigned.iter().map(|one| one.name.to_string()).collect::<Vec<_>>().join(", ")),
            "created" => Cell::Time(view.created_ms),
            _ => Cell::Code(self.key()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let (a, b) = (&self.view, &other.view);
        match column {
            "members" => a.members.cmp(&b.members),
            "you" => standing(a, self.rights).1.cmp(standing(b, other.rights).1),
            "vault" => least(a.quotas.vault_bytes, b.quotas.vault_bytes),
            "description" => a.about.description.cmp(&b.about.description),
            "cores" => least(a.quotas.cores, b.quotas.cores),
            "memory" => least(a.quotas.memory_mib, b.quotas.memory_mib),
            "devices" => least(a.quotas.devices, b.quotas.devices),
            "drives" => least(a.quotas.drive_bytes, b.quotas.drive_bytes),
            "assigned" => a.assigned.first().map(|one| &one.name).cmp(&b.assigned.first().map(|one| &one.name)),
            "created" => a.created_ms.cmp(&b.created_ms),
            _ => Ordering::Equal,
        }
        .then_with(|| a.about.name.cmp(&b.about.name))
    }

    fn has(&self, word: &str) -> bool {
        let about = &self.view.about;
        about.name.as_str().to_lowercase().contains(word) || about.description.to_lowercase().contains(word)
    }

    fn filtered(&self, _: &str) -> &'static str {
        standing(&self.view, self.rights).1
    }

    fn traits(&self) -> String {
        self.rights.traits()
    }
}

const ACTIONS: &[Action] = &[
    Action { title: "Change…", icon: "pencil", dialog: "/teams/change-dialog", one: true, needs: "runs", key: "F2", ..Action::NONE },
    Action { title: "Quotas…", icon: "settings", dialog: "/teams/quotas-dialog", one: true, needs: "quotas", ..Action::NONE },
    Action {
        title: "Delete",
        icon: "trash",
        act: "/teams/delete",
        confirm: "Delete {n}? Only a team that nobody is in is deleted.",
        needs: "deletes",
        key: "Delete",
        danger: true,
        ..Action::NONE
    },
];

#[derive(Template)]
#[template(path = "teams.html")]
struct Page {
    chrome: Chrome,
    makes: bool,
    table: String,
}

/// `GET /teams`.
pub async fn page(Visit(office): Visit) -> Result<Response> {
    let teams = Teams::load(office.session()).await?;
    let row = |view: &TeamView| Team { rights: Rights::of(&office.user, view), view: view.clone() };
    let makes = is_given(&office.user, Permission::TeamCreate);
    let look = Look {
        one: "team",
        many: "teams",
        sort: "name",
        empty_icon: "home",
        empty: "No teams",
        empty_hint: if makes { "Make one, then add people to it." } else { "An administrator makes teams and adds people to them." },
        actions: ACTIONS,
        ..Look::PLAIN
    };
    let table = ui::table(&office, teams.all().iter().map(row).collect(), &look)?;
    ui::html(&Page { chrome: Chrome::new(&office, "/teams"), makes, table })
}

pub fn gone() -> Trouble {
    Trouble::not_found("that team is not there any more; load the page again")
}

pub fn id(fields: &Fields) -> Result<TeamId> {
    fields.parsed("team", "a team")
}

async fn selected(office: &Office, fields: &Fields) -> Result<Vec<TeamId>> {
    let chosen = table::selection(&office.sheets, fields).await?;
    chosen.iter().map(|key| key.parse().map_err(|_| Trouble::invalid("this is not a team; load the page again"))).collect()
}

/// The one team that is selected.
async fn chosen(office: &Office, fields: &Fields) -> Result<TeamView> {
    let chosen = selected(office, fields).await?;
    let [team] = chosen.as_slice() else { return Err(Trouble::invalid("choose one team for this")) };
    Teams::load(office.session()).await?.get(*team).cloned().ok_or_else(gone)
}

/// The team that a form changes, of the revision the form was filled from: what somebody else said meanwhile is not overwritten.
async fn as_read(office: &Office, fields: &Fields) -> Result<TeamView> {
    let teams = Teams::load(office.session()).await?;
    let view = teams.get(id(fields)?).ok_or_else(gone)?;
    Ok(TeamView { revision: fields.parsed("revision", "a revision")?, ..view.clone() })
}

/// What is said of a team: of one to make, or of one that is there.
#[derive(Template)]
#[template(path = "team_form.html")]
struct Form {
    title: String,
    action: &'static str,
    button: &'static str,
    /// Id and revision.
    team: Option<(String, u64)>,
    name: String,
    description: String,
    hint: &'static str,
}

/// `POST /teams/new-dialog`.
pub async fn new_dialog(Inside(office): Inside) -> Result<Response> {
    ui::html(&Form {
        title: "New team".to_owned(),
        action: "/teams/new",
        button: "Make the team",
        team: None,
        name: String::new(),
        description: String::new(),
        hint: match office.user.rank {
            Rank::User => "You are its first member, and manage it.",
            Rank::SubAdmin => "It is in your care; add people to it next.",
            Rank::Admin | Rank::SuperAdmin => "It is empty until you add people to it.",
        },
    })
}

/// `POST /teams/change-dialog`.
pub async fn change_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let view = chosen(&office, &fields).await?;
    ui::html(&Form {
        title: format!("Change {}", shown(view.about.name.as_str())),
        action: "/teams/change",
        button: "Change",
        team: Some((view.team.to_string(), view.revision)),
        name: view.about.name.to_string(),
        description: view.about.description,
        hint: "",
    })
}

fn about(fields: &Fields) -> Result<TeamAbout> {
    let description = fields.get("description").unwrap_or_default().trim().to_owned();
    Ok(TeamAbout { name: fields.parsed("name", "a name")?, description })
}

/// `POST /teams/new`.
pub async fn new(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let team = team::create(office.session(), about(&fields)?).await?;
    Ok(Done::go(format!("/teams/members?{}", ui::field("team", &team.to_string()))))
}

/// `POST /teams/change`.
pub async fn change(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let view = as_read(&office, &fields).await?;
    team::change(office.session(), &view, about(&fields)?).await?;
    Ok(Done::page("Changed."))
}

/// What the people of a team may use together, as people write it; nothing is no limit.
#[derive(Template)]
#[template(path = "team_quotas.html")]
struct QuotaForm {
    title: String,
    team: String,
    revision: u64,
    /// Name of the field, what it is, its value, an example, and whether it is counted.
    quotas: [(&'static str, &'static str, String, &'static str, bool); 5],
}

/// `POST /teams/quotas-dialog`.
pub async fn quotas_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let view = chosen(&office, &fields).await?;
    let number = |quota: Option<u32>| quota.map(|number| number.to_string()).unwrap_or_default();
    let size = |quota: Option<u64>| quota.map(show::exact_size).unwrap_or_default();
    let quotas = &view.quotas;
    ui::html(&QuotaForm {
        title: format!("Quotas of {}", shown(view.about.name.as_str())),
        team: view.team.to_string(),
        revision: view.revision,
        quotas: [
            ("vault", "Vault", size(quotas.vault_bytes), "100 GiB", false),
            ("cores", "Cores", number(quotas.cores), "16", true),
            ("memory", "Memory", size(memory(quotas)), "64 GiB", false),
            ("devices", "Devices, such as graphics cards", number(quotas.devices), "2", true),
            ("drives", "Drives", size(quotas.drive_bytes), "1 TiB", false),
        ],
    })
}

/// A quota from a form; nothing is no limit.
fn quota<T>(fields: &Fields, name: &str, read: impl Fn(&str) -> Option<T>, like: &str) -> Result<Option<T>> {
    match fields.get(name).unwrap_or_default().trim() {
        "" => Ok(None),
        text => match read(text) {
            Some(quota) => Ok(Some(quota)),
            None => Err(Trouble::invalid(format!("`{}` is not {like}; leave it empty for no limit", shown(text)))),
        },
    }
}

fn quotas(fields: &Fields) -> Result<Quotas> {
    let size = |name| quota(fields, name, show::parse_size, "a size, like 100 GiB");
    let number = |name| quota(fields, name, |text| text.parse().ok(), "a number");
    Ok(Quotas {
        cores: number("cores")?,
        memory_mib: size("memory")?.map(|bytes| bytes.div_ceil(MIB)),
        devices: number("devices")?,
        drive_bytes: size("drives")?,
        vault_bytes: size("vault")?,
    })
}

/// `POST /teams/quotas`.
pub async fn set_quotas(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let quotas = quotas(&fields)?;
    let view = as_read(&office, &fields).await?;
    team::set_quotas(office.session(), &view, quotas).await?;
    Ok(Done::page("Changed. What is stored stays, even if it is more than that."))
}

/// `POST /teams/delete`: each by itself; what is not deleted says why.
pub async fn delete(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let teams = Teams::load(office.session()).await?;
    let mut tally = Tally::default();
    for team in selected(&office, &fields).await? {
        let name = teams.get(team).map_or_else(|| team.to_string(), |view| shown(view.about.name.as_str()));
        tally.take(&name, team::delete(office.session(), team).await);
    }
    Ok(tally.told("Deleted", "team", "teams"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quotas_as_people_write_them() {
        let read = |text: &str| quotas(&Fields::parse(text.as_bytes()));
        assert_eq!(read("").unwrap(), Quotas::default());
        let some = read("vault=100+GiB&cores=4&memory=1025K&devices=0&drives=+1T+").unwrap();
        let expected =
            Quotas { cores: Some(4), memory_mib: Some(2), devices: Some(0), drive_bytes: Some(1 << 40), vault_bytes: Some(100 << 30) };
        assert_eq!(some, expected);
        for text in ["vault=much", "cores=-1", "cores=4294967296", "memory=1.5G", "vault=4KB"] {
            assert!(read(text).unwrap_err().message().contains("leave it empty"), "{text}");
        }
    }

    #[test]
    fn no_limit_is_more_than_any() {
        assert_eq!(
            (least(Some(9), None), least(None::<u32>, None), least(Some(1), Some(2))),
            (Ordering::Less, Ordering::Equal, Ordering::Less)
        );
    }
}
