//! The share dialog: who has access to one thing, and giving it to others.

use askama::Template;
use axum::response::Response;
use ticrypt_client::project::Projects;
use ticrypt_client::vault::progress::{Cancel, Quiet};
use ticrypt_client::vault::share::{NewKeys, Standing};
use ticrypt_types::{ProjectId, UserName, Verbs};

use super::Inside;
use super::vault::{day, one, shown};
use crate::desk::Office;
use crate::fields::Fields;
use crate::transfer::upload::path;
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Done, Note, Offer, Offered};

#[derive(Template)]
#[template(path = "share.html")]
struct Dialog {
    name: String,
    at: String,
    shares: Vec<Access>,
    may_share: bool,
    /// Ids and paths of those one is in.
    projects: Vec<(String, String)>,
}

/// One person who has access.
pub struct Access {
    pub person: String,
    pub may: String,
    pub expires: String,
    pub dead: bool,
    pub by: Option<String>,
}

/// What a person may do, in words.
pub fn may(verbs: Verbs) -> String {
    if verbs == Verbs::NONE {
        return "see names only".to_owned();
    }
    let mut words = vec!["view"];
    for (verb, word) in [(Verbs::DOWNLOAD, "download"), (Verbs::EDIT, "edit"), (Verbs::SHARE, "share on")] {
        if verbs.contains(verb) {
            words.push(word);
        }
    }
    words.join(", ")
}

pub fn access(standing: &Standing, me: &UserName) -> Access {
    Access {
        person: standing.recipient.to_string(),
        may: may(standing.verbs),
        expires: standing.expires_ms.map(ticrypt_client::show::time).unwrap_or_default(),
        dead: standing.dead,
        by: (standing.sealer != *me).then(|| standing.sealer.to_string()),
    }
}

async fn dialog_of(office: &Office, at: &ticrypt_client::vault::VaultPath) -> Result<Response> {
    let found = office.vault.resolve(at).await?;
    let may_share = found.held.root.verbs().contains(Verbs::SHARE);
    let standing = office.vault.shares_of(at).await?;
    let name = at.names().last().map_or_else(|| shown(&at.text()), |name| name.harmless().to_string());
    let shares = standing.iter().map(|one| access(one, &office.user.name)).collect();
    let all = Projects::load(office.session()).await?;
    let own = all.in_order().into_iter().filter(|(_, view)| view.own.is_some());
    let projects = own.map(|(_, view)| (view.project.to_string(), shown(&all.path(view)))).collect();
    ui::html(&Dialog { name, at: at.text(), shares, may_share, projects })
}

/// `POST /share/dialog`.
pub async fn dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let at = match fields.get("at") {
        Some(at) => path(at)?,
        None => one(&office, &fields).await?,
    };
    dialog_of(&office, &at).await
}

/// `POST /share`.
pub async fn share(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let at = path(fields.need("at")?)?;
    let names = fields.get("people").unwrap_or_default().split([',', ' ', ';', '\n']).map(str::trim).filter(|name| !name.is_empty());
    let mut people = names
        .map(|name| name.parse::<UserName>().map_err(|_| Trouble::invalid(format!("`{}` is not a user name", shown(name)))))
        .collect::<Result<Vec<_>>>()?;
    if let Some(project) = fields.get("members_of").filter(|project| !project.is_empty()) {
        let project: ProjectId = project.parse().map_err(|_| Trouble::invalid("that is no project; load the page again"))?;
        people.extend(office.vault.members_to_share_with(&at, project).await?);
        people.sort_unstable();
        people.dedup();
    }
    if people.is_empty() {
        return Err(Trouble::invalid("name somebody, or choose a project whose members it is for"));
    }
    let mut verbs = Verbs::NONE;
    if fields.is_set("view") {
        verbs = Verbs::VIEW;
        for (field, verb) in [("download", Verbs::DOWNLOAD), ("edit", Verbs::EDIT), ("share", Verbs::SHARE)] {
            if fields.is_set(field) {
                verbs = verbs.and(verb);
            }
        }
    }
    let expires = day(fields.get("expires").unwrap_or_default())?;
    let shared = office.vault.share(&at, &people, verbs, expires).await?;
    let first = shared.iter().filter(|one| one.first_contact && !one.compared);
    let notes = first.map(|one| Note {
        text: format!("First contact with {}: compare the fingerprint with them, in person or by telephone.", one.recipient),
        offer: Some(Offer {
            label: "Compare",
            what: Offered::Dialog("/account/compare-dialog"),
            fields: ui::field("key", one.recipient.as_str()),
        }),
    });
    let who: Vec<String> = shared.iter().map(|one| one.recipient.to_string()).collect();
    Ok(Done { notes: notes.collect(), ..Done::rows(format!("Shared with {}.", who.join(", "))) })
}

/// `POST /share/end`: one person's access to one thing.
pub async fn end(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let at = path(fields.need("at")?)?;
    let person: UserName = fields.parsed("person", "a user name")?;
    office.vault.unshare(&at, std::slice::from_ref(&person), NewKeys::NodeOnly, &Quiet, &Cancel::new()).await?;
    Ok(Done::rows(format!("{person} has no access any more. New keys are made when something is next written.")))
}
