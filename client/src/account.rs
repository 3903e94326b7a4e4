//! One's own account: key files, registration, login and logout, sessions, rotation (docs/formats.md §2, §4, §9).
//!
//! ```text
//!   key new ──▶ NAME.key (secret, under a passphrase) + NAME.bundle (public)
//!   register ─▶ bundle to the server ─▶ an administrator compares the fingerprint and activates
//!   login ────▶ challenge ─▶ signed over this very connection ─▶ token, useless without the session's key
//! ```
//!
//! A key file holds the keys and not the bundle they were published in, so the two files travel together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::IgnoredAny;
use ticrypt_api::session::{ChallengeReply, ChallengeRequest, LoginReply, LoginRequest, SessionListReply, SessionView};
use ticrypt_api::user::{BundleRotateRequest, RegisterReply, RegisterRequest, UserView};
use ticrypt_crypto::Digest;
use ticrypt_crypto::bundle::{BUNDLE_MAX_LEN, Bundle};
use ticrypt_crypto::keyfile::{KEY_FILE_MAX_LEN, KeyFileHeader};
use ticrypt_crypto::login::LoginPayload;
use ticrypt_crypto::statement::{Action, StatementPayload};
use ticrypt_keyring::keyfile::{self, DEFAULT_ROUNDS, KeyFileError};
use ticrypt_keyring::{Identity, SystemRandom};
use ticrypt_types::{Operation, Secret, SessionId, UserId, UserName};

use crate::clock;
use crate::deployment::Deployment;
use crate::entropy;
use crate::error::{ClientError, Result};
use crate::home::{self, Home};
use crate::keys::{Batch, Keys, Unlocked};
use crate::session::Capability;
use crate::transport::{Lease, Transport};

/// A passphrase shorter than this is refused for a new key file.
pub const PASSPHRASE_MIN_CHARS: usize = 10;
/// What a person sees in the list of sessions.
const CLIENT_LABEL_MAX_BYTES: usize = 100;

/// A key file and the bundle beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPaths {
    pub key: PathBuf,
    pub bundle: PathBuf,
}

impl KeyPaths {
    /// Where a person's keys are kept unless they say otherwise.
    pub fn in_home(home: &Home, deployment: &Deployment, name: &UserName) -> Result<Self> {
        let dir = home.directory(deployment.id(), "keys")?;
        Ok(Self { key: dir.join(format!("{name}.key")), bundle: dir.join(format!("{name}.bundle")) })
    }

    /// The bundle of `x.key` is `x.bundle`, of any other `x` it is `x.bundle` too.
    pub fn beside(key: &Path) -> Self {
        let bundle = if key.extension().is_some_and(|extension| extension == "key") {
            key.with_extension("bundle")
        } else {
            let mut name = key.as_os_str().to_owned();
            name.push(".bundle");
            name.into()
        };
        Self { key: key.to_owned(), bundle }
    }

    /// All in the home, by name.
    pub fn all(home: &Home, deployment: &Deployment) -> Result<Vec<Self>> {
        let dir = home.directory(deployment.id(), "keys")?;
        let entries = std::fs::read_dir(&dir).map_err(|e| home::io_error("list", &dir, e))?;
        let mut keys: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        keys.retain(|path| path.extension().is_some_and(|extension| extension == "key"));
        keys.sort();
        Ok(keys.iter().map(|key| Self::beside(key)).collect())
    }

    /// The key file named, else the only one in the home.
    pub fn choose(home: &Home, deployment: &Deployment, named: Option<&Path>) -> Result<Self> {
        if let Some(named) = named {
            return Ok(Self::beside(named));
        }
        match Self::all(home, deployment)?.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(ClientError::not_found("no key file is in this home; run `ticrypt key new NAME`, or name yours with --key FILE")),
            several => Err(ClientError::invalid(format!(
                "{} key files are in this home; choose one with --key FILE or --user NAME",
                several.len()
            ))),
        }
    }
}

/// A key file as it lies on disk, with its bundle; still locked.
#[derive(Clone, Debug)]
pub struct KeyFile {
    pub paths: KeyPaths,
    pub header: KeyFileHeader,
    pub text: String,
    pub bundle: Bundle,
}

impl KeyFile {
    pub fn read(paths: KeyPaths) -> Result<Self> {
        match Self::read_pair(paths.clone()) {
            // A rotation that ended between putting its two files in place.
            Err(error) if next_paths(&paths).bundle.exists() && !next_paths(&paths).key.exists() => {
                let next = KeyPaths { bundle: next_paths(&paths).bundle, ..paths.clone() };
                let Ok(_) = Self::read_pair(next.clone()) else { return Err(error) };
                std::fs::rename(&next.bundle, &paths.bundle).map_err(|e| home::io_error("put in place", &paths.bundle, e))?;
                Self::read_pair(paths)
            }
            other => other,
        }
    }

    /// The keys of a rotation that was not finished; the server may already count them as this person's.
    pub fn read_unfinished_rotation(paths: &KeyPaths) -> Result<Option<Self>> {
        let next = next_paths(paths);
        if next.key.exists() && next.bundle.exists() { Self::read_pair(next).map(Some) } else { Ok(None) }
    }

    /// Puts the files of an unfinished rotation in the place of the old ones, once the server counts them.
    pub fn finish_rotation(paths: &KeyPaths) -> Result<()> {
        let next = next_paths(paths);
        for (from, to) in [(&next.key, &paths.key), (&next.bundle, &paths.bundle)] {
            std::fs::rename(from, to).map_err(|e| home::io_error("put in place", to, e))?;
        }
        Ok(())
    }

    fn read_pair(paths: KeyPaths) -> Result<Self> {
        let (text, header) = read_key_text(&paths.key)?;
        let bundle = home::read_bounded(&paths.bundle, BUNDLE_MAX_LEN)?.ok_or_else(|| {
            ClientError::not_found(format!(
                "the key file's public half {} is missing; copy it from where the key file came from",
                paths.bundle.display()
            ))
        })?;
        let bundle = Bundle::parse_and_verify(&bundle)
            .map_err(|e| ClientError::invalid(format!("{} is not a bundle; copy it again", paths.bundle.display())).because(e))?;
        let payload = bundle.payload();
        if (payload.deployment, payload.user, payload.generation) != (header.deployment, header.user, header.generation) {
            return Err(ClientError::invalid(format!(
                "{} is not of the key file {} (generation {}); copy both from the same device",
                paths.bundle.display(),
                paths.key.display(),
                header.generation
            )));
        }
        Ok(Self { paths, header, text, bundle })
    }

    /// Unlocks; half a second by design.
    pub fn unlock(&self, passphrase: &Secret<String>) -> Result<Unlocked> {
        unlock(&self.text, &self.bundle, passphrase)
    }

    /// Writes the identity under another passphrase, in place.
    pub fn change_passphrase(&self, old: &Secret<String>, new: &Secret<String>) -> Result<()> {
        check_passphrase(new)?;
        let (old, new) = (old.expose().as_bytes(), new.expose().as_bytes());
        let text = keyfile::change_passphrase(&self.text, old, new, DEFAULT_ROUNDS, &SystemRandom::new()).map_err(key_file_error)?;
        home::write_atomic(&self.paths.key, text.as_bytes())
    }

    /// Writes key file and bundle elsewhere, for another device. Never over an existing file.
    pub fn export(&self, to: &Path) -> Result<KeyPaths> {
        let paths = KeyPaths::beside(to);
        home::write_new_atomic(&paths.bundle, self.bundle.as_bytes())?;
        home::write_new_atomic(&paths.key, self.text.as_bytes())?;
        Ok(paths)
    }
}

/// Joins a key file's text with its bundle.
pub fn unlock(text: &str, bundle: &Bundle, passphrase: &Secret<String>) -> Result<Unlocked> {
    let unlocked = keyfile::unlock(text, passphrase.expose().as_bytes()).map_err(key_file_error)?;
    Unlocked::new(unlocked.identity, bundle.clone())
}

/// Draws a new identity and writes its two files. The user id is drawn here and bound into everything.
pub fn create(deployment: &Deployment, name: UserName, paths: KeyPaths, passphrase: &Secret<String>) -> Result<KeyFile> {
    check_passphrase(passphrase)?;
    let random = SystemRandom::new();
    let user = UserId::from_random(entropy::bytes()?);
    let made = Identity::generate(&random, deployment.id(), user, name).and_then(|identity| {
        let bundle = identity.bundle(clock::now())?;
        Ok((identity, bundle))
    });
    let (identity, bundle) = made.map_err(|e| ClientError::broken(format!("the keys could not be made: {e}")).because(e))?;
    write_new(&identity, &bundle, &paths, passphrase)?;
    KeyFile::read(paths)
}

pub(crate) fn write_new(identity: &Identity, bundle: &Bundle, paths: &KeyPaths, passphrase: &Secret<String>) -> Result<()> {
    let text = keyfile::write(identity, passphrase.expose().as_bytes(), DEFAULT_ROUNDS, &SystemRandom::new()).map_err(key_file_error)?;
    // The key first: a bundle without its key is worthless, a key without its bundle can be told what is missing.
    home::write_new_atomic(&paths.key, text.as_bytes())?;
    home::write_new_atomic(&paths.bundle, bundle.as_bytes())
}

/// How an account is asked for.
#[derive(Debug, Default)]
pub struct Registration {
    /// Overrides the token of the deployment file.
    pub token: Option<String>,
    /// The code printed at the server's first start: makes the first super-admin.
    pub code: Option<String>,
}

/// Asks for an account with the identity's bundle.
pub async fn register(transport: &Transport, deployment: &Deployment, keys: &dyn Keys, how: Registration) -> Result<RegisterReply> {
    let me = keys.identity();
    let statement = match &how.code {
        Some(_) => {
            let statement = StatementPayload {
                deployment: me.deployment,
                user: me.user,
                bundle: me.hash(),
                action: Action::Bootstrap.code(),
                argument: Action::Bootstrap.argument(),
                reason: String::new(),
                issuer: me.user,
                issuer_bundle: me.hash(),
                at: clock::now(),
            };
            keys.sign(Batch::Statements(vec![statement])).await?.pop().map(Into::into)
        }
        None => None,
    };
    let request = RegisterRequest {
        bundle: me.bundle.as_bytes().to_vec().into(),
        token: how.token.or_else(|| deployment.file().registration_token.clone()),
        code: how.code,
        statement,
    };
    transport.call(Operation::UserRegister, &[], &(), &request).await
}

/// A login that succeeded.
#[derive(Debug)]
pub struct LoggedIn {
    pub capability: Arc<Capability>,
    pub user: UserView,
    /// Makes calls in the session; keeps no receipts yet.
    pub transport: Transport,
}

/// Logs in: everything on one connection, whose channel value is signed.
pub async fn login(home: &Home, transport: &Transport, deployment: &Deployment, keys: Arc<dyn Keys>, client: &str) -> Result<LoggedIn> {
    let mut lease = transport.lease().await?;
    let reply = authenticate(transport, &mut lease, deployment, &*keys, client).await?;
    let receipts = home.person_dir(deployment.id(), keys.identity().user)?;
    let capability = Arc::new(Capability::new(reply.session, Secret::new(reply.token), reply.expires_ms, keys));
    let in_session = transport.with_session(Arc::clone(&capability), Some(receipts))?;
    if let Some(connection) = lease.into_connection() {
        in_session.adopt(connection);
    }
    Ok(LoggedIn { capability, user: reply.user, transport: in_session })
}

/// Challenge and signed answer on one connection; nothing is kept of it.
pub async fn authenticate(
    transport: &Transport,
    lease: &mut Lease,
    deployment: &Deployment,
    keys: &dyn Keys,
    client: &str,
) -> Result<LoginReply> {
    let me = keys.identity();
    let asked = ChallengeRequest { name: me.name.clone() };
    let challenge: ChallengeReply = transport.call_on(lease, Operation::SessionChallenge, &[], &asked).await?;
    let now = clock::now();
    clock::check_skew(now, challenge.server_time_ms)?;
    let channel = lease.channel().ok_or_else(|| ClientError::unavailable("the connection was lost during login; try again"))?;
    let payload = LoginPayload {
        deployment: deployment.id(),
        user: me.user,
        bundle: me.hash(),
        challenge: challenge.challenge.0,
        session_key: keys.new_session_key().await?,
        channel,
        at: now,
    };
    let login = keys.sign(Batch::Login(Box::new(payload))).await?.pop().ok_or_else(|| ClientError::broken("the login was not signed"))?;
    let request = LoginRequest { login: login.into(), client: label(client) };
    let reply: LoginReply = transport.call_on(lease, Operation::SessionLogin, &[], &request).await?;
    if reply.user.user == me.user {
        Ok(reply)
    } else {
        Err(ClientError::untrusted("the server logged in somebody else; tell an administrator"))
    }
}

/// Ends the session on the server.
pub async fn logout(transport: &Transport) -> Result<()> {
    transport.call::<_, Option<IgnoredAny>>(Operation::SessionLogout, &[], &(), &()).await.map(|_| ())
}

/// How the server sees this person.
pub async fn whoami(transport: &Transport) -> Result<UserView> {
    transport.call(Operation::UserSelf, &[], &(), &()).await
}

pub async fn sessions(transport: &Transport) -> Result<Vec<SessionView>> {
    let reply: SessionListReply = transport.call(Operation::SessionList, &[], &(), &()).await?;
    Ok(reply.sessions)
}

pub async fn end_session(transport: &Transport, session: SessionId) -> Result<()> {
    transport.call::<_, Option<IgnoredAny>>(Operation::SessionEnd, &[&session.to_string()], &(), &()).await.map(|_| ())
}

/// Draws the keys of the next generation, writes them beside the old ones, publishes them, and only then puts them in place. In this
/// process and with a login of its own: keys that an agent holds are about to be old.
///
/// The server takes the new bundle before the old key file is replaced; if this is interrupted in between, `NAME.key.next` holds the keys
/// that count, and running it again finishes.
pub async fn rotate(
    home: &Home,
    deployment: &Deployment,
    transport: &Transport,
    file: &KeyFile,
    passphrase: &Secret<String>,
    compromised: bool,
) -> Result<Bundle> {
    let (held, secret) = (file.clone(), Secret::new(passphrase.expose().clone()));
    let unlocked = tokio::task::spawn_blocking(move || held.unlock(&secret)).await;
    let unlocked = Arc::new(unlocked.map_err(|e| ClientError::broken("unlocking was cut off; try again").because(e))??);
    let keys: Arc<dyn Keys> = Arc::clone(&unlocked) as _;
    let logged_in = login(home, transport, deployment, keys, &crate::login::label("key rotate")).await?;
    let published = match next_generation(file, &unlocked, passphrase, compromised) {
        Ok(bundle) => publish(&logged_in.transport, &bundle).await.map(|()| bundle),
        Err(error) => Err(error),
    };
    if let Err(error) = logout(&logged_in.transport).await {
        tracing::debug!(%error, "the session of the rotation was left to end by itself");
    }
    let bundle = published?;
    KeyFile::finish_rotation(&file.paths)?;
    Ok(bundle)
}

/// The keys that follow, in files beside the present ones.
fn next_generation(file: &KeyFile, unlocked: &Unlocked, passphrase: &Secret<String>, compromised: bool) -> Result<Bundle> {
    let next = next_paths(&file.paths);
    if let Some(bytes) = home::read_bounded(&next.bundle, BUNDLE_MAX_LEN)? {
        // Begun before; the same keys are published, because the server may have taken them.
        let begun = Bundle::parse_and_verify(&bytes).map_err(|e| {
            ClientError::broken(format!(
                "{} is damaged; remove it and {} if the server does not know it",
                next.bundle.display(),
                next.key.display()
            ))
            .because(e)
        })?;
        KeyFile::read(next)?.unlock(passphrase)?;
        return Ok(begun);
    }
    let (identity, bundle) = unlocked
        .secret()
        .rotate(&SystemRandom::new(), &file.bundle, compromised, clock::now())
        .map_err(|e| ClientError::broken(format!("the new keys could not be made: {e}")).because(e))?;
    // Left from an attempt that ended between the two files; its keys were published nowhere.
    let _ = std::fs::remove_file(&next.key);
    write_new(&identity, &bundle, &next, passphrase)?;
    Ok(bundle)
}

async fn publish(transport: &Transport, bundle: &Bundle) -> Result<()> {
    let request = BundleRotateRequest { bundle: bundle.as_bytes().to_vec().into() };
    let Err(error) = transport.call::<_, Option<IgnoredAny>>(Operation::BundleRotate, &[], &(), &request).await else { return Ok(()) };
    // It may have been taken by an attempt whose answer was lost.
    let now = whoami(transport).await;
    if now.is_ok_and(|view| Digest::new(view.fingerprint.0) == bundle.hash()) { Ok(()) } else { Err(error) }
}

pub(crate) fn next_paths(paths: &KeyPaths) -> KeyPaths {
    let next = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".next");
        PathBuf::from(name)
    };
    KeyPaths { key: next(&paths.key), bundle: next(&paths.bundle) }
}

/// Reads a key file without its bundle: whose it is.
pub fn read_key_text(path: &Path) -> Result<(String, KeyFileHeader)> {
    let bytes = home::read_named(path, KEY_FILE_MAX_LEN)?;
    let text = String::from_utf8(bytes).map_err(|e| ClientError::invalid(format!("{} is not a key file", path.display())).because(e))?;
    let header = keyfile::parse(&text).map_err(key_file_error)?.header;
    Ok((text, header))
}

pub(crate) fn check_passphrase(passphrase: &Secret<String>) -> Result<()> {
    if passphrase.expose().chars().count() < PASSPHRASE_MIN_CHARS {
        return Err(ClientError::invalid(format!(
            "a passphrase has at least {PASSPHRASE_MIN_CHARS} characters; several words are easiest to keep"
        )));
    }
    Ok(())
}

fn key_file_error(error: KeyFileError) -> ClientError {
    let hint = match &error {
        KeyFileError::WrongPassphrase => {
            return ClientError::refused("passphrase", "the passphrase is wrong, or the key file was altered; try again").because(error);
        }
        KeyFileError::NotAKeyFile(_) => "; name a file made by `ticrypt key new`",
        KeyFileError::SecondBlock => "; restore it from a copy",
        _ => "",
    };
    ClientError::invalid(format!("{error}{hint}")).because(error)
}

fn label(client: &str) -> String {
    let mut label = String::new();
    for c in client.chars().filter(|c| !c.is_control()) {
        if label.len() + c.len_utf8() > CLIENT_LABEL_MAX_BYTES {
            break;
        }
        label.push(c);
    }
    label
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::deployment::{Candidate, tests::sample};
    use crate::error::Kind;
    use ticrypt_crypto::bundle::Fingerprint;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_key_file_is_made_moved_and_given_another_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("home")).unwrap();
        let bytes = serde_json::to_vec(&sample()).unwrap();
        let deployment = Candidate::read(&home, bytes.clone()).unwrap().accept(&home, Fingerprint(Digest::of(&bytes))).unwrap();
        let name: UserName = "ann".parse().unwrap();
        let paths = KeyPaths::in_home(&home, &deployment, &name).unwrap();
        assert_eq!(create(&deployment, name.clone(), paths.clone(), &secret("short")).unwrap_err().kind(), Kind::Invalid);

        let file = create(&deployment, name.clone(), paths.clone(), &secret("correct horse")).unwrap();
        assert_eq!(create(&deployment, name, paths.clone(), &secret("correct horse")).unwrap_err().kind(), Kind::Invalid);
        assert_eq!(KeyPaths::choose(&home, &deployment, None).unwrap(), paths);
        assert_eq!(file.unlock(&secret("wrong horse")).unwrap_err().code(), "passphrase");
        assert_eq!(file.unlock(&secret("correct horse")).unwrap().identity().hash(), file.bundle.hash());

        let there = file.export(&dir.path().join("usb.key")).unwrap();
        assert_eq!(there.bundle, dir.path().join("usb.bundle"));
        file.change_passphrase(&secret("correct horse"), &secret("battery staple")).unwrap();
        KeyFile::read(paths).unwrap().unlock(&secret("battery staple")).unwrap();
        KeyFile::read(there.clone()).unwrap().unlock(&secret("correct horse")).unwrap();
        std::fs::remove_file(&there.bundle).unwrap();
        assert!(KeyFile::read(there).unwrap_err().to_string().contains("public half"));
    }
}
