//! What verbs share: the home, the deployment, the agent and the session.

use std::path::PathBuf;

use anyhow::Context as _;
use ticrypt_client::agent;
use ticrypt_client::transport::Options;
use ticrypt_client::{ClientError, Deployment, Home, Session, Transport};

use crate::args::Global;
use crate::output::Output;

/// One run of the program.
#[derive(Debug)]
pub struct Context {
    pub global: Global,
    pub output: Output,
    pub home: Home,
}

impl Context {
    pub fn new(global: Global, output: Output) -> anyhow::Result<Self> {
        let path = match &global.home {
            Some(path) => path.clone(),
            None => Home::default_path(path_variable("XDG_DATA_HOME"), path_variable("HOME"))
                .ok_or_else(|| ClientError::invalid("neither HOME nor XDG_DATA_HOME is set; name a directory with --home"))?,
        };
        let home = Home::open(path)?;
        Ok(Self { global, output, home })
    }

    /// The deployment named with `--deployment`, else the default one.
    pub fn deployment(&self) -> anyhow::Result<Deployment> {
        Ok(Deployment::choose(&self.home, self.global.deployment.as_deref())?)
    }

    /// Where the agent of this deployment listens.
    pub fn agent_socket(&self, deployment: &Deployment) -> anyhow::Result<PathBuf> {
        Ok(agent::socket_path(&self.home, deployment.id(), path_variable("XDG_RUNTIME_DIR"))?)
    }

    /// The way to the server, without a session.
    pub fn transport(&self, deployment: &Deployment) -> anyhow::Result<Transport> {
        Ok(Transport::new(deployment, Options::default())?)
    }

    /// The session that the agent holds.
    pub async fn session(&self) -> anyhow::Result<Session> {
        let deployment = self.deployment()?;
        let held = agent::connect(&self.agent_socket(&deployment)?).await?;
        let receipts = self.home.person_dir(deployment.id(), held.keys.identity().user)?;
        let transport = self.transport(&deployment)?.with_session(held.capability, Some(receipts))?;
        Session::assemble(self.home.clone(), deployment, transport, held.keys).context("the session cannot be taken up")
    }
}

fn path_variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
