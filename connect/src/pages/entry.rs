//! Before the vault is open: which deployment, a new account, the key file and its passphrase.

use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Redirect, Response};
use data_encoding::BASE64;
use ticrypt_client::account::{self, KeyFile, KeyPaths, Registration};
use ticrypt_client::deployment::{self, Candidate};
use ticrypt_client::transport::Options;
use ticrypt_client::{ClientError, Deployment, Keys, Kind, Transport, home, reset};
use ticrypt_types::{DeploymentId, Secret, UserName};

use super::Visit;
use crate::Shared;
use crate::desk::Why;
use crate::fields::Fields;
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Done};

/// What a closed vault shows.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// No deployment is known.
    Welcome,
    /// No key file, or a new one is wanted.
    Create,
    Unlock,
    /// Take in a key file from elsewhere.
    Import,
    /// New keys in place of lost ones.
    Lost,
}

#[derive(Template)]
#[template(path = "entry.html")]
struct Entry {
    step: Step,
    deployment: String,
    deployments: usize,
    /// Names of key files in the home, and their fingerprints.
    keys: Vec<KeyRow>,
    chosen: String,
    /// The account was just asked for.
    waiting: bool,
}

struct KeyRow {
    name: String,
    fingerprint: String,
}

#[derive(Template)]
#[template(path = "deployments.html")]
struct Deployments {
    rows: Vec<DeploymentRow>,
}

struct DeploymentRow {
    id: DeploymentId,
    name: String,
    fingerprint: String,
    addresses: String,
    witnesses: usize,
    quorum: usize,
    current: bool,
    open: bool,
}

#[derive(Template)]
#[template(path = "deployment_look.html")]
struct Look {
    name: String,
    fingerprint: String,
    replaces: Option<String>,
    addresses: String,
    /// Base64, for a form would change its line ends.
    bytes: String,
}

/// `GET /`: where to.
pub async fn home(Visit(_): Visit) -> Response {
    Redirect::to("/vault").into_response()
}

/// What is shown under any address as long as the vault is closed.
pub fn closed(app: &Shared, here: &str) -> Result<Response> {
    let Some(deployment) = app.desk.deployment()? else {
        let entry = Entry {
            step: Step::Welcome,
            deployment: String::new(),
            deployments: 0,
            keys: Vec::new(),
            chosen: String::new(),
            waiting: false,
        };
        return ui::html(&entry);
    };
    let mut keys = Vec::new();
    for paths in KeyPaths::all(&app.desk.home, &deployment)? {
        // One that cannot be read says so when it is chosen.
        let fingerprint = KeyFile::read(paths.clone()).map(|file| file.bundle.fingerprint().to_string()).unwrap_or_default();
        keys.push(KeyRow { name: stem(&paths), fingerprint });
    }
    let asked = here.split_once('?').map_or("", |(_, query)| query);
    let asked = Fields::parse(asked.as_bytes());
    let step = match asked.get("step") {
        Some("create") => Step::Create,
        Some("import") => Step::Import,
        Some("lost") => Step::Lost,
        _ if keys.is_empty() => Step::Create,
        _ => Step::Unlock,
    };
    let chosen = asked.get("key").map_or_else(|| keys.first().map(|key| key.name.clone()).unwrap_or_default(), str::to_owned);
    ui::html(&Entry {
        step,
        deployment: deployment.display_name(),
        deployments: Deployment::list(&app.desk.home)?.len(),
        keys,
        chosen,
        waiting: asked.is_set("key"),
    })
}

fn stem(paths: &KeyPaths) -> String {
    paths.key.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// `GET /deployments`: shown whether or not one is open.
pub async fn deployments(State(app): State<Shared>, OriginalUri(_): OriginalUri) -> Result<Response> {
    let current = app.desk.deployment()?.map(|deployment| deployment.id());
    let row = |deployment: Deployment| DeploymentRow {
        id: deployment.id(),
        name: deployment.display_name(),
        fingerprint: deployment.fingerprint().to_string(),
        addresses: addresses(&deployment),
        witnesses: deployment.witnesses().len(),
        quorum: deployment.quorum(),
        current: Some(deployment.id()) == current,
        open: app.desk.is_open(deployment.id()),
    };
    ui::html(&Deployments { rows: Deployment::list(&app.desk.home)?.into_iter().map(row).collect() })
}

fn addresses(deployment: &Deployment) -> String {
    let all = deployment.addresses().iter().map(|address| format!("{}:{}", address.host, address.port));
    all.collect::<Vec<_>>().join(", ")
}

fn candidate(app: &Shared, bytes: Vec<u8>) -> Result<Candidate> {
    if bytes.is_empty() {
        return Err(Trouble::invalid("choose the deployment file your administrator gave you"));
    }
    Ok(Candidate::read(&app.desk.home, bytes)?)
}

/// `POST /deployments/look`: what a file says, before it is believed.
pub async fn look(State(app): State<Shared>, fields: Fields) -> Result<Response> {
    let text = fields.get("file").unwrap_or_default();
    let candidate = candidate(&app, text.as_bytes().to_vec())?;
    let deployment = candidate.deployment();
    ui::html(&Look {
        name: deployment.display_name(),
        fingerprint: deployment.fingerprint().to_string(),
        replaces: candidate.replaces.map(|fingerprint| fingerprint.to_string()),
        addresses: addresses(deployment),
        bytes: BASE64.encode(text.as_bytes()),
    })
}

/// `POST /deployments/add`: after the fingerprint was compared.
pub async fn add(State(app): State<Shared>, fields: Fields) -> Result<Done> {
    if !fields.is_set("compared") {
        return Err(Trouble::invalid("compare the fingerprint first, then say so"));
    }
    let compared = fields.fingerprint("fingerprint")?;
    let deployment = candidate(&app, fields.binary("file")?)?.accept(&app.desk.home, compared)?;
    app.desk.choose(deployment.id())?;
    Ok(Done { toast: Some(format!("{} is known to this device now.", deployment.display_name())), ..Done::go("/") })
}

/// `POST /deployments/use`.
pub async fn use_deployment(State(app): State<Shared>, fields: Fields) -> Result<Done> {
    let id: DeploymentId = fields.parsed("id", "a deployment")?;
    app.desk.choose(id)?;
    deployment::set_default(&app.desk.home, id)?;
    Ok(Done::go("/vault"))
}

/// `POST /deployments/remove`.
pub async fn remove(State(app): State<Shared>, fields: Fields) -> Result<Done> {
    let id: DeploymentId = fields.parsed("id", "a deployment")?;
    let deployment = Deployment::load(&app.desk.home, id)?.ok_or_else(|| Trouble::not_found("this deployment is not known here"))?;
    if !KeyPaths::all(&app.desk.home, &deployment)?.is_empty() {
        return Err(Trouble::invalid(format!(
            "key files of this deployment are in {}; move them to a safe place first: without them what is stored there is lost",
            deployment.dir().join("keys").display()
        )));
    }
    app.desk.lock(id, Why::Asked).await?;
    deployment.remove(&app.desk.home)?;
    Ok(Done::page("Forgotten on this device."))
}

/// `POST /create`: keys, their file, and the request for an account.
pub async fn create(State(app): State<Shared>, fields: Fields) -> Result<Done> {
    let deployment = app.desk.chosen()?;
    let name: UserName = fields.parsed("name", "a user name: 2 to 32 letters, digits, dots, dashes")?;
    let passphrase = new_passphrase(&fields)?;
    if !fields.is_set("understood") {
        return Err(Trouble::invalid("say that you understand what losing the key file means"));
    }
    let paths = KeyPaths::in_home(&app.desk.home, &deployment, &name)?;
    if paths.key.exists() {
        return Err(Trouble::invalid("a key file of this name is here already; unlock it, or choose another name"));
    }
    let (of, made, secret) = (deployment.clone(), paths.clone(), Secret::new(passphrase.expose().clone()));
    let file = blocking(move || account::create(&of, name, made, &secret)).await?;
    match ask_for_account(&deployment, &file, &passphrase, &fields).await {
        Ok(()) => {}
        // The server has said no to these very keys: the file is worth nothing, and the name may be tried anew.
        Err(error) if matches!(error.kind(), Kind::Invalid | Kind::Refused | Kind::Taken | Kind::LoggedOut | Kind::NotFound) => {
            for path in [&paths.key, &paths.bundle] {
                std::fs::remove_file(path).map_err(|e| home::io_error("remove", path, e))?;
            }
            return Err(error.into());
        }
        // Nobody knows whether it arrived: keep the file, and ask again from where it is unlocked.
        Err(error) => {
            let done = Done::go(format!("/?key={}", stem(&paths)));
            return Ok(Done {
                toast: Some(format!("The keys are made and kept. The server was not asked: {error}")),
                tone: Some("warning"),
                ..done
            });
        }
    }
    enter(&app, &deployment, &file, &passphrase).await
}

/// Opens the vault if the account is active already: the first administrator's is.
async fn enter(app: &Shared, deployment: &Deployment, file: &KeyFile, passphrase: &Secret<String>) -> Result<Done> {
    match app.desk.unlock(deployment, file, passphrase).await {
        Ok(_) => Ok(Done {
            toast: Some("Welcome. Save a copy of your key file now: without it what you store is lost.".into()),
            ..Done::go("/account")
        }),
        Err(trouble) if trouble.code() == "account_pending" => Ok(Done::go(format!("/?key={}", stem(&file.paths)))),
        Err(trouble) => Err(trouble),
    }
}

async fn ask_for_account(deployment: &Deployment, file: &KeyFile, passphrase: &Secret<String>, fields: &Fields) -> Result<(), ClientError> {
    let (text, bundle, secret) = (file.text.clone(), file.bundle.clone(), Secret::new(passphrase.expose().clone()));
    let unlocked = tokio::task::spawn_blocking(move || account::unlock(&text, &bundle, &secret));
    let keys = unlocked.await.map_err(|e| ClientError::broken("unlocking was cut off; try again").because(e))??;
    let given = |name: &str| fields.get(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let how = Registration { token: given("token"), code: given("code") };
    let keys: &dyn Keys = &keys;
    account::register(&Transport::new(deployment, Options::default())?, deployment, keys, how).await.map(|_| ())
}

/// `POST /register`: asks for the account once more, with the keys that are there.
pub async fn register(State(app): State<Shared>, fields: Fields) -> Result<Done> {
    let deployment = app.desk.chosen()?;
    let file = chosen_file(&app, &deployment, &fields)?;
    let passphrase = Secret::new(fields.need("passphrase")?.to_owned());
    ask_for_account(&deployment, &file, &passphrase, &fields).await?;
    enter(&app, &deployment, &file, &passphrase).await
}

fn chosen_file(app: &Shared, deployment: &Deployment, fields: &Fields) -> Result<KeyFile> {
    let name: UserName = fields.parsed("key", "the name of a key file")?;
    Ok(KeyFile::read(KeyPaths::in_home(&app.desk.home, deployment, &name)?)?)
}

/// `POST /unlock`.
pub async fn unlock(State(app): State<Shared>, fields: Fields) -> Result<Done> {
    let deployment = app.desk.chosen()?;
    let file = chosen_file(&app, &deployment, &fields)?;
    let passphrase = Secret::new(fields.need("passphrase")?.to_owned());
    match app.desk.unlock(&deployment, &file, &passphrase).await {
        Ok(_) => Ok(Done { reload: Some("page"), ..Done::default() }),
        Err(trouble) if trouble.code() == "account_pending" => Err(Trouble::invalid(
            "your account waits for an administrator; read them the fingerprint below, in person or by telephone, and try again when they have activated it",
        )),
        Err(trouble) => Err(trouble),
    }
}

/// `POST /key-file`: takes in a key file and its bundle from elsewhere.
pub async fn key_file(State(app): State<Shared>, fields: Fields) -> Result<Done> {
    let deployment = app.desk.chosen()?;
    let (key, bundle) = (fields.need("key")?, fields.binary("bundle")?);
    // Tried in a folder of its own, so that nothing of a wrong pair stays.
    let folder = app.desk.home.path().join("connect").join("import");
    home::make_private(&folder)?;
    let tried = KeyPaths { key: folder.join("tried.key"), bundle: folder.join("tried.bundle") };
    let read = home::write_atomic(&tried.key, key.as_bytes())
        .and_then(|()| home::write_atomic(&tried.bundle, &bundle))
        .and_then(|()| KeyFile::read(tried.clone()));
    let _ = std::fs::remove_dir_all(&folder);
    let file = read.map_err(|error| Trouble::invalid(format!("this is not a key file with its bundle: {}", error.message())))?;
    if file.header.deployment != deployment.id() {
        return Err(Trouble::invalid("this key file is of another deployment; choose that one first"));
    }
    let name = file.bundle.payload().name.clone();
    let paths = KeyPaths::in_home(&app.desk.home, &deployment, &name)?;
    home::write_new_atomic(&paths.key, key.as_bytes())?;
    home::write_new_atomic(&paths.bundle, &bundle)?;
    Ok(Done { toast: Some(format!("The key file of {name} is on this device now.")), ..Done::go(format!("/?key={name}")) })
}

/// `POST /lost`: new keys for a person whose key file or passphrase is gone; an administrator accepts them.
pub async fn lost(State(app): State<Shared>, fields: Fields) -> Result<Done> {
    let deployment = app.desk.chosen()?;
    let name: UserName = fields.parsed("name", "a user name")?;
    let passphrase = new_passphrase(&fields)?;
    if !fields.is_set("understood") {
        return Err(Trouble::invalid("say that you understand what is lost"));
    }
    let previous = match fields.is_set("bundle") {
        true => reset::given(&deployment, &name, &fields.binary("bundle")?)?,
        false => reset::known(&app.desk.home, &deployment, &name)?,
    };
    let paths = KeyPaths::in_home(&app.desk.home, &deployment, &name)?;
    app.desk.lock(deployment.id(), Why::Asked).await?;
    let made = blocking(move || reset::prepare(&previous, paths, &passphrase)).await?;
    let note = format!(
        "New keys are made. Give the file {} to an administrator by any way, and read them the fingerprint below, in person or by telephone. \
         When they have accepted it, unlock with the new passphrase.",
        made.file.paths.bundle.display()
    );
    Ok(Done { notes: vec![note.into()], ..Done::go(format!("/?key={name}")) })
}

fn new_passphrase(fields: &Fields) -> Result<Secret<String>> {
    let passphrase = Secret::new(fields.need("passphrase")?.to_owned());
    if passphrase.expose() != fields.get("again").unwrap_or_default() {
        return Err(Trouble::invalid("the two passphrases differ; type them again"));
    }
    Ok(passphrase)
}

/// Work that keeps a core busy.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::result::Result<T, ClientError> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Trouble::broken(format!("a task of this program ended early: {e}")))?.map_err(Into::into)
}
