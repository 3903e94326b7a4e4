//! From a key file and a passphrase to a session whose keys the agent holds; the same for every program of this device.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ticrypt_api::user::UserView;
use ticrypt_crypto::bundle::Reason;
use ticrypt_types::Secret;

use crate::account::{self, KeyFile, LoggedIn};
use crate::agent;
use crate::deployment::Deployment;
use crate::error::{ClientError, Kind, Result};
use crate::home::Home;
use crate::session::Session;
use crate::transport::{Options, Transport};

/// Where and as whom.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    pub home: &'a Home,
    pub deployment: &'a Deployment,
    /// A running agent's.
    pub socket: &'a Path,
    pub file: &'a KeyFile,
    /// How long the agent keeps the keys without a request.
    pub ttl: Duration,
    /// What the person will recognise in the list of sessions.
    pub label: &'a str,
}

/// What a person sees in the list of their sessions.
pub fn label(program: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "this device" } else { host.trim() };
    format!("{program} on {host} (ticrypt {})", env!("CARGO_PKG_VERSION"))
}

impl Login<'_> {
    /// Unlocks the keys in the agent and begins a session. After a failure the agent holds nothing.
    pub async fn enter(&self, passphrase: &Secret<String>) -> Result<(Session, UserView)> {
        let transport = Transport::new(self.deployment, Options::default())?;
        let entered = match self.with(self.file, passphrase, &transport).await {
            // A rotation was cut off after the server took the new keys and before they were put in place here.
            Err(error) if matches!(error.kind(), Kind::Refused | Kind::LoggedOut) => self.with_rotated(passphrase, &transport, error).await,
            other => other,
        };
        match entered {
            Ok(logged_in) => {
                let keys = logged_in.keys;
                let session = Session::assemble(self.home.clone(), self.deployment.clone(), logged_in.session.transport, keys)?;
                Ok((session, logged_in.session.user))
            }
            Err(error) => {
                // Keys without a session are of no use to any program.
                agent::lock(self.socket).await?;
                Err(self.explain(error))
            }
        }
    }

    async fn with(&self, file: &KeyFile, passphrase: &Secret<String>, transport: &Transport) -> Result<Entered> {
        let keys = agent::unlock(self.socket, &file.text, &file.bundle, passphrase, self.ttl).await?;
        let session = account::login(self.home, transport, self.deployment, Arc::clone(&keys), self.label).await?;
        agent::set_session(self.socket, &session.capability).await?;
        Ok(Entered { keys, session })
    }

    async fn with_rotated(&self, passphrase: &Secret<String>, transport: &Transport, error: ClientError) -> Result<Entered> {
        let Some(next) = KeyFile::read_unfinished_rotation(&self.file.paths)? else { return Err(error) };
        let entered = self.with(&next, passphrase, transport).await.map_err(|_| error)?;
        KeyFile::finish_rotation(&self.file.paths)?;
        Ok(entered)
    }

    fn explain(&self, error: ClientError) -> ClientError {
        if error.code() != "login_failed" || self.file.bundle.payload().reason != Reason::Reset {
            return error;
        }
        ClientError::new(
            error.kind(),
            error.code(),
            format!(
                "{error}; these keys were made by a reset and count when an administrator has accepted them: give them {} and read them the \
                 fingerprint {}",
                self.file.paths.bundle.display(),
                self.file.bundle.fingerprint()
            ),
        )
    }
}

struct Entered {
    keys: Arc<dyn crate::keys::Keys>,
    session: LoggedIn,
}
