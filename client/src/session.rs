//! A person logged in on this device: everything an operation needs, in one place.

use std::fmt;
use std::sync::Arc;

use hyper::header::HeaderValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ticrypt_crypto::signature::EnvelopeBytes;
use ticrypt_types::{DeploymentId, Operation, Secret, SessionId, Timestamp, UserId};

use crate::deployment::Deployment;
use crate::error::{ClientError, Result};
use crate::home::Home;
use crate::keys::{Keys, PublicIdentity};
use crate::mirror::Mirrors;
use crate::project::Rosters;
use crate::state::Seen;
use crate::transport::Transport;
use crate::users::Users;

/// What lets this process act in a session: its token, and somebody who signs for each new connection.
pub struct Capability {
    pub session: SessionId,
    token: Secret<String>,
    pub expires: Timestamp,
    keys: Arc<dyn Keys>,
}

impl Capability {
    pub fn new(session: SessionId, token: Secret<String>, expires: Timestamp, keys: Arc<dyn Keys>) -> Self {
        Self { session, token, expires, keys }
    }

    pub fn token(&self) -> &Secret<String> {
        &self.token
    }

    /// The header `authorization`.
    pub(crate) fn bearer(&self) -> Result<HeaderValue> {
        let text = zeroize::Zeroizing::new(format!("Bearer {}", self.token.expose()));
        let mut value =
            HeaderValue::from_str(&text).map_err(|e| ClientError::untrusted("the server gave a token that is no token").because(e))?;
        value.set_sensitive(true);
        Ok(value)
    }

    pub(crate) async fn bind(&self, channel: [u8; 32]) -> Result<EnvelopeBytes> {
        self.keys.bind(self.session, channel).await
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capability").field("session", &self.session).field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// A session in one deployment.
#[derive(Debug)]
pub struct Session {
    pub home: Home,
    pub deployment: Deployment,
    /// Calls are made in the session.
    pub transport: Transport,
    pub keys: Arc<dyn Keys>,
    /// The highest counters seen.
    pub seen: Arc<Seen>,
    /// Other people's keys.
    pub users: Users,
    /// The two logs as last seen.
    pub mirrors: Arc<Mirrors>,
    /// Who is in projects, as far as it was verified in this run.
    pub rosters: Rosters,
}

impl Session {
    /// Puts a session together from what a login or the agent gave. `transport` already carries the capability.
    pub fn assemble(home: Home, deployment: Deployment, transport: Transport, keys: Arc<dyn Keys>) -> Result<Self> {
        let identity = keys.identity();
        if identity.deployment != deployment.id() {
            return Err(ClientError::invalid(format!(
                "the keys are of the deployment {}, not of {}; choose the other with --deployment",
                identity.deployment,
                deployment.id()
            )));
        }
        let person = home.person_dir(deployment.id(), identity.user)?;
        let seen = Arc::new(Seen::open(&person)?);
        let mirrors = Arc::new(Mirrors::open(&home, &deployment, transport.clone())?);
        let users = Users::open(&home, &deployment, identity, transport.clone(), Arc::clone(&mirrors))?;
        Ok(Self { home, deployment, transport, keys, seen, users, mirrors, rosters: Rosters::default() })
    }

    pub fn deployment_id(&self) -> DeploymentId {
        self.deployment.id()
    }

    /// Who is logged in.
    pub fn me(&self) -> &PublicIdentity {
        self.keys.identity()
    }

    pub fn user(&self) -> UserId {
        self.me().user
    }

    /// A call without a query; see [`Transport::call`].
    pub async fn call<Q: Serialize, A: DeserializeOwned>(&self, operation: Operation, parameters: &[&str], request: &Q) -> Result<A> {
        self.transport.call(operation, parameters, &(), request).await
    }

    /// The directory of what this person on this device has seen and is about to do.
    pub fn person_dir(&self) -> Result<std::path::PathBuf> {
        self.home.person_dir(self.deployment.id(), self.user())
    }
}
