//! One's own account: the key file, its passphrase, new keys, and the fingerprints of people this device has pinned.

use std::cmp::Ordering;
use std::path::PathBuf;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use ticrypt_client::Transport;
use ticrypt_client::account::{self, KeyFile, KeyPaths};
use ticrypt_client::transport::Options;
use ticrypt_client::users::{Change, Trust};
use ticrypt_crypto::bundle::Fingerprint;
use ticrypt_types::{Secret, UserName};

use super::entry::blocking;
use super::{Inside, Visit};
use crate::Shared;
use crate::desk::{Office, Why};
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Filter, Row};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look};

#[derive(Serialize)]
struct Pinned {
    name: String,
    fingerprint: String,
    compared: bool,
}

impl Row for Pinned {
    const NOUN: &'static str = "pins";
    const COLUMNS: &'static [Column] =
        &[Column::shown("name", "Person"), Column::shown("trust", "Compared"), Column::shown("fingerprint", "Fingerprint")];
    const FILTERS: &'static [Filter] =
        &[Filter { key: "trust", title: "Fingerprint", values: &[("yes", "Compared"), ("no", "Not compared")] }];

    fn key(&self) -> String {
        self.name.clone()
    }

    fn cell(&self, column: &str) -> Cell {
        match column {
            "name" => Cell::name("user", self.name.clone()),
            "trust" if self.compared => Cell::badge("green", "compared"),
            "trust" => Cell::badge("yellow", "not compared"),
            _ => Cell::Code(self.fingerprint.clone()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        if column == "trust" { self.compared.cmp(&other.compared) } else { self.name.cmp(&other.name) }
    }

    fn has(&self, word: &str) -> bool {
        self.name.to_lowercase().contains(word) || self.fingerprint.contains(word)
    }

    fn filtered(&self, _: &str) -> &'static str {
        if self.compared { "yes" } else { "no" }
    }
}

#[derive(Template)]
#[template(path = "account.html")]
struct Page {
    chrome: Chrome,
    name: String,
    rank: String,
    fingerprint: String,
    generation: u32,
    key_file: String,
    folder: String,
    table: String,
    idle: String,
}

/// `GET /account`.
pub async fn page(State(app): State<Shared>, Visit(office): Visit) -> Result<Response> {
    let session = office.session();
    let pins = session.users.pins().all()?.into_values().map(|pin| Pinned {
        name: pin.name.to_string(),
        fingerprint: Fingerprint(pin.fingerprint).to_string(),
        compared: pin.trust == Trust::Compared,
    });
    let rows: Vec<_> = pins.collect();
    const ACTIONS: &[Action] = &[
        Action { title: "Compare…", icon: "fingerprint", dialog: "/account/compare-dialog", one: true, first: true, ..Action::NONE },
        Action {
            title: "Forget",
            icon: "x",
            act: "/account/unpin",
            confirm: "The next time you deal with {n} of these people counts as the first.",
            key: "Delete",
            danger: true,
            ..Action::NONE
        },
    ];
    let look = Look {
        one: "person",
        many: "people",
        sort: "name",
        empty_icon: "fingerprint",
        empty: "No fingerprints yet",
        empty_hint: "The keys of people you share with are remembered here; a changed key is refused.",
        actions: ACTIONS,
        ..Look::PLAIN
    };
    let me = session.me();
    let paths = KeyPaths::in_home(&app.desk.home, &session.deployment, &me.name)?;
    ui::html(&Page {
        chrome: Chrome::new(&office, "/account"),
        name: me.name.to_string(),
        rank: office.user.rank.to_string(),
        fingerprint: me.bundle.fingerprint().to_string(),
        generation: me.generation(),
        key_file: paths.key.display().to_string(),
        folder: super::local::start().display().to_string(),
        table: ui::table(&office, rows, &look)?,
        idle: format!("{} minutes", app.desk.idle.as_secs().div_ceil(60)),
    })
}

fn own_file(app: &Shared, office: &Office) -> Result<KeyFile> {
    let session = office.session();
    Ok(KeyFile::read(KeyPaths::in_home(&app.desk.home, &session.deployment, &session.me().name)?)?)
}

fn secret(fields: &Fields, name: &str) -> Result<Secret<String>> {
    Ok(Secret::new(fields.need(name)?.to_owned()))
}

/// `POST /account/passphrase`.
pub async fn passphrase(State(app): State<Shared>, Inside(office): Inside, fields: Fields) -> Result<Done> {
    let (old, new) = (secret(&fields, "old")?, secret(&fields, "passphrase")?);
    if new.expose() != fields.get("again").unwrap_or_default() {
        return Err(Trouble::invalid("the two new passphrases differ; type them again"));
    }
    let file = own_file(&app, &office)?;
    blocking(move || file.change_passphrase(&old, &new)).await?;
    Ok(Done::page("The passphrase is changed. Copies of the key file made before still open with the old one."))
}

/// `POST /account/export`: key file and bundle, written into a folder.
pub async fn export(State(app): State<Shared>, Inside(office): Inside, fields: Fields) -> Result<Done> {
    let folder = PathBuf::from(fields.need("folder")?);
    if !folder.is_absolute() || !folder.is_dir() {
        return Err(Trouble::invalid(format!("{} is not a folder of this machine; choose one", folder.display())));
    }
    let file = own_file(&app, &office)?;
    let to = folder.join(format!("{}.key", office.user.name));
    let written = blocking(move || file.export(&to)).await?;
    Ok(Done::said(format!("Saved {} and {}. Keep them where nobody else can take them.", written.key.display(), written.bundle.display())))
}

/// `POST /account/rotate`: new keys; afterwards one logs in with them.
pub async fn rotate(State(app): State<Shared>, Inside(office): Inside, fields: Fields) -> Result<Done> {
    let passphrase = secret(&fields, "passphrase")?;
    let file = own_file(&app, &office)?;
    let deployment = office.session().deployment.clone();
    let transport = Transport::new(&deployment, Options::default())?;
    let compromised = fields.is_set("compromised");
    let bundle = account::rotate(&app.desk.home, &deployment, &transport, &file, &passphrase, compromised).await?;
    app.desk.lock(deployment.id(), Why::Asked).await?;
    app.desk.unlock(&deployment, &own_file_of(&app, &deployment, &office.user.name)?, &passphrase).await?;
    Ok(Done::page(format!("New keys, generation {}. Save a copy of the key file again.", bundle.payload().generation)))
}

fn own_file_of(app: &Shared, deployment: &ticrypt_client::Deployment, name: &UserName) -> Result<KeyFile> {
    Ok(KeyFile::read(KeyPaths::in_home(&app.desk.home, deployment, name)?)?)
}

#[derive(Template)]
#[template(path = "account_compare.html")]
struct CompareDialog {
    name: String,
    shown: String,
    pinned: Option<String>,
    compared: bool,
    change: Change,
}

/// `POST /account/compare-dialog`: the fingerprint of a person's present key, to be compared by people.
pub async fn compare_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let chosen = table::selection(&office.sheets, &fields).await?;
    let [name] = chosen.as_slice() else { return Err(Trouble::invalid("choose one person: each fingerprint is compared by itself")) };
    let name: UserName = name.parse().map_err(|_| Trouble::invalid("this is not a user name"))?;
    let comparison = office.session().users.comparison(&name).await?;
    ui::html(&CompareDialog {
        name: name.to_string(),
        shown: comparison.shown.to_string(),
        compared: comparison.change != Change::Reset && comparison.pinned.as_ref().is_some_and(|pin| pin.trust == Trust::Compared),
        pinned: comparison.pinned.map(|pin| Fingerprint(pin.fingerprint).to_string()),
        change: comparison.change,
    })
}

/// `POST /account/compare`: people have compared it.
pub async fn compare(Inside(office): Inside, fields: Fields) -> Result<Done> {
    if !fields.is_set("compared") {
        return Err(Trouble::invalid("compare the fingerprint with the person first, then say so"));
    }
    let name: UserName = fields.parsed("name", "a user name")?;
    office.session().users.verify(&name, fields.fingerprint("fingerprint")?).await?;
    Ok(Done::rows(format!("The key of {name} is pinned as compared.")))
}

/// `POST /account/unpin`.
pub async fn unpin(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let names = table::selection(&office.sheets, &fields).await?;
    for name in &names {
        let name: UserName = name.parse().map_err(|_| Trouble::invalid("this is not a user name"))?;
        office.session().users.unpin(&name)?;
    }
    Ok(Done::rows(format!("Forgotten: {}.", names.join(", "))))
}
