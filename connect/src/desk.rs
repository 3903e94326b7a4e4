//! What is unlocked, and how it is locked again: on demand, after idle time, and when the machine was asleep.
//!
//! ```text
//!   locked ──passphrase──▶ agent (in this process unless one runs) ──▶ session, vault ──▶ pages
//!      ▲                                                                   │
//!      └── on demand · idle · suspend · the agent forgot · session ended ◀─┘   everything opened is dropped, transfers end
//! ```
//!
//! The agent is the one the command line uses: who unlocks here has logged in there, and the other way round.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use serde::Serialize;
use ticrypt_api::user::UserView;
use ticrypt_client::account::{self, KeyFile};
use ticrypt_client::agent::{self, Agent};
use ticrypt_client::login::{Login, label};
use ticrypt_client::transport::Options;
use ticrypt_client::vault::Vault;
use ticrypt_client::{ClientError, Deployment, Home, Kind, Session, Transport};
use ticrypt_types::{DeploymentId, Secret};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clocks::{self, Clocks};
use crate::hub::Hub;
use crate::notice;
use crate::table::Sheets;
use crate::ticket::Tickets;
use crate::transfer::Transfers;
use crate::trouble::{Result, Trouble};

/// A gap between the clocks that is a sleep and no rounding.
const SLEPT: Duration = Duration::from_secs(2);
/// How often idle time and sleep are looked at.
const TICK: Duration = Duration::from_millis(500);
/// While pages are used, the agent is told so this often.
const TOUCH: Duration = Duration::from_secs(20);

/// An unlocked deployment.
pub struct Office {
    pub vault: Vault,
    pub user: UserView,
    /// Ends when it is locked; what works for it ends with it.
    pub open: CancellationToken,
    /// Tables of open pages, and addresses given out: names and sizes are not for whoever comes after a lock.
    pub sheets: Sheets,
    pub tickets: Tickets,
    pub transfers: Transfers,
    /// Notifications nobody has looked at.
    pub unread: Arc<AtomicU64>,
    /// What the bar showed last of the projects one works in, until it is asked again.
    work: Mutex<String>,
}

impl Office {
    pub fn session(&self) -> &Arc<Session> {
        self.vault.session()
    }

    /// What the bar shows of the projects one works in, as it was last.
    pub fn work(&self) -> String {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn remember_work(&self, html: String) {
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = html;
    }
}

/// How the desk is kept.
pub struct Desk {
    pub home: Home,
    runtime_dir: Option<PathBuf>,
    pub idle: Duration,
    clocks: Arc<dyn Clocks>,
    hub: Arc<Hub>,
    state: Mutex<State>,
    tasks: TaskTracker,
    memory_locked: bool,
}

struct State {
    current: Option<DeploymentId>,
    offices: HashMap<DeploymentId, Arc<Office>>,
    /// By the clock that counts sleep.
    active: Duration,
    touched: Duration,
    slept: Duration,
    /// Work that keeps the desk from being idle.
    busy: usize,
}

/// Why it was locked, told to open pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    Asked,
    Idle,
    Slept,
    /// The agent has forgotten the keys: `ticrypt lock`, or its time was up.
    AgentLocked,
    /// The server has ended the session.
    SessionEnded,
}

/// Keeps the desk from being idle while it is held.
pub struct Busy(Arc<Desk>);

impl Drop for Busy {
    fn drop(&mut self) {
        let now = self.0.clocks.since_boot();
        let mut state = self.0.state();
        state.busy = state.busy.saturating_sub(1);
        state.active = now;
    }
}

impl Desk {
    pub fn new(
        home: Home,
        runtime_dir: Option<PathBuf>,
        idle: Duration,
        clocks: Arc<dyn Clocks>,
        hub: Arc<Hub>,
        memory_locked: bool,
    ) -> Self {
        let (now, slept) = (clocks.since_boot(), clocks::slept(&*clocks));
        let state = State { current: None, offices: HashMap::new(), active: now, touched: now, slept, busy: 0 };
        Self { home, runtime_dir, idle, clocks, hub, state: Mutex::new(state), tasks: TaskTracker::new(), memory_locked }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The deployment the pages show; absent if none was imported.
    pub fn deployment(&self) -> Result<Option<Deployment>> {
        if let Some(id) = self.state().current
            && let Some(deployment) = Deployment::load(&self.home, id)?
        {
            return Ok(Some(deployment));
        }
        if Deployment::list(&self.home)?.is_empty() {
            return Ok(None);
        }
        Ok(Some(Deployment::choose(&self.home, None)?))
    }

    /// The same, where there must be one.
    pub fn chosen(&self) -> Result<Deployment> {
        self.deployment()?.ok_or_else(|| Trouble::not_found("no deployment is known yet; add the file your administrator gave you"))
    }

    pub fn choose(&self, id: DeploymentId) -> Result<()> {
        Deployment::load(&self.home, id)?.ok_or_else(|| Trouble::not_found("this deployment is not known here"))?;
        self.state().current = Some(id);
        Ok(())
    }

    /// The unlocked vault of the deployment shown. Who asks is there: idle time begins anew.
    pub async fn office(self: &Arc<Self>) -> Result<Arc<Office>> {
        let deployment = self.deployment()?.ok_or_else(Trouble::locked)?;
        let now = self.clocks.since_boot();
        let (office, touch) = {
            let mut state = self.state();
            state.active = now;
            let touch = now.saturating_sub(state.touched) >= TOUCH;
            if touch {
                state.touched = now;
            }
            (state.offices.get(&deployment.id()).cloned(), touch)
        };
        match office {
            Some(office) if touch => match agent::connect(&self.socket(&deployment)?).await {
                Ok(_) => Ok(office),
                Err(error) if error.kind() == Kind::LoggedOut => {
                    self.lock(deployment.id(), Why::AgentLocked).await?;
                    Err(Trouble::locked())
                }
                Err(error) => Err(error.into()),
            },
            Some(office) => Ok(office),
            None => self.take_up(&deployment).await,
        }
    }

    /// The same for what a page asks by itself: nobody is there because of it, and nothing is unlocked by it.
    pub fn office_unattended(&self) -> Result<Arc<Office>> {
        let deployment = self.deployment()?.ok_or_else(Trouble::locked)?;
        self.state().offices.get(&deployment.id()).cloned().ok_or_else(Trouble::locked)
    }

    /// All that are unlocked, without anybody being active.
    pub fn running(&self) -> Vec<Arc<Office>> {
        self.state().offices.values().cloned().collect()
    }

    /// Whether it is unlocked, without being active.
    pub fn is_open(&self, deployment: DeploymentId) -> bool {
        self.state().offices.contains_key(&deployment)
    }

    /// A session that the agent holds already: somebody logged in by the command line.
    async fn take_up(self: &Arc<Self>, deployment: &Deployment) -> Result<Arc<Office>> {
        let held = agent::connect(&self.socket(deployment)?).await?;
        let receipts = self.home.person_dir(deployment.id(), held.keys.identity().user)?;
        let transport = Transport::new(deployment, Options::default())?.with_session(held.capability, Some(receipts))?;
        let session = Session::assemble(self.home.clone(), deployment.clone(), transport, held.keys)?;
        let user = match account::whoami(&session.transport).await {
            Ok(user) => user,
            // The server has ended it; whoever wants in gives the passphrase again.
            Err(error) if error.kind() == Kind::LoggedOut => return Err(Trouble::locked()),
            Err(error) => return Err(error.into()),
        };
        Ok(self.open(deployment.id(), session, user))
    }

    /// Unlocks with a key file. Afterwards the command line is logged in as well.
    pub async fn unlock(self: &Arc<Self>, deployment: &Deployment, file: &KeyFile, passphrase: &Secret<String>) -> Result<Arc<Office>> {
        let socket = self.socket(deployment)?;
        self.ensure_agent(&socket, deployment).await?;
        let label = label("browser");
        let login = Login { home: &self.home, deployment, socket: &socket, file, ttl: self.idle, label: &label };
        let (session, user) = login.enter(passphrase).await.map_err(not_let_in)?;
        match session.users.check_self().await {
            Err(error) if error.kind() == Kind::Untrusted => {
                agent::lock(&socket).await?;
                return Err(error.into());
            }
            // The key log may be out of reach for the moment; it is looked at again whenever something is shared.
            Err(error) => tracing::warn!(%error, "one's own entry in the key log could not be checked"),
            Ok(()) => {}
        }
        Ok(self.open(deployment.id(), session, user))
    }

    fn open(self: &Arc<Self>, id: DeploymentId, session: Session, user: UserView) -> Arc<Office> {
        let open = CancellationToken::new();
        let office = Arc::new(Office {
            vault: Vault::new(Arc::new(session)),
            user,
            sheets: Sheets::default(),
            tickets: Tickets::default(),
            transfers: Transfers::new(Arc::clone(&self.hub), open.clone()),
            unread: Arc::default(),
            work: Mutex::default(),
            open,
        });
        let (desk, session, unread) = (Arc::clone(self), Arc::clone(office.session()), Arc::clone(&office.unread));
        let (hub, open) = (Arc::clone(&self.hub), office.open.clone());
        self.tasks.spawn(async move {
            if notice::follow(session, unread, hub, open).await
                && let Err(trouble) = desk.lock(id, Why::SessionEnded).await
            {
                tracing::warn!(message = trouble.message(), "a deployment could not be locked in the agent");
            }
        });
        let now = self.clocks.since_boot();
        let mut state = self.state();
        (state.active, state.touched) = (now, now);
        state.current = Some(id);
        if let Some(before) = state.offices.insert(id, Arc::clone(&office)) {
            before.open.cancel();
        }
        office
    }

    /// Locks one deployment: the agent forgets the identity, everything that was opened with it is dropped.
    pub async fn lock(&self, id: DeploymentId, why: Why) -> Result<()> {
        let office = self.state().offices.remove(&id);
        if let Some(office) = office {
            office.open.cancel();
        }
        self.hub.tell("locked", &why);
        if let Some(deployment) = Deployment::load(&self.home, id)? {
            agent::lock(&self.socket(&deployment)?).await?;
        }
        Ok(())
    }

    /// Locks all that is open.
    pub async fn lock_all(&self, why: Why) {
        let ids: Vec<DeploymentId> = self.state().offices.keys().copied().collect();
        for id in ids {
            if let Err(error) = self.lock(id, why).await {
                tracing::warn!(error = error.message(), "a deployment could not be locked in the agent");
            }
        }
    }

    /// Work under way, such as a transfer, counts as somebody being there.
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.state().busy += 1;
        Busy(Arc::clone(self))
    }

    /// How long until it locks by itself.
    pub fn locks_in(&self) -> Duration {
        let state = self.state();
        self.idle.saturating_sub(self.clocks.since_boot().saturating_sub(state.active))
    }

    /// Looks at the clocks until the program ends.
    pub async fn watch(self: Arc<Self>, end: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = end.cancelled() => break,
                _ = tick.tick() => {}
            }
            if let Some(why) = self.due() {
                self.lock_all(why).await;
            }
            self.keep_awake().await;
        }
        self.lock_all(Why::Asked).await;
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Whether it is time to lock, by the clocks alone.
    fn due(&self) -> Option<Why> {
        let (now, slept) = (self.clocks.since_boot(), clocks::slept(&*self.clocks));
        let mut state = self.state();
        let was_asleep = slept.saturating_sub(state.slept) >= SLEPT;
        state.slept = slept;
        if state.offices.is_empty() {
            return None;
        }
        if was_asleep {
            return Some(Why::Slept);
        }
        if state.busy > 0 {
            state.active = now;
        }
        (now.saturating_sub(state.active) >= self.idle).then_some(Why::Idle)
    }

    /// While something runs, the agent must not forget what it needs.
    async fn keep_awake(&self) {
        let now = self.clocks.since_boot();
        let ids: Vec<DeploymentId> = {
            let mut state = self.state();
            if state.busy == 0 || now.saturating_sub(state.touched) < TOUCH {
                return;
            }
            state.touched = now;
            state.offices.keys().copied().collect()
        };
        for id in ids {
            let touched = async {
                let deployment = Deployment::load(&self.home, id)?.ok_or_else(ClientError::logged_out)?;
                agent::connect(&self.socket(&deployment).map_err(|_| ClientError::logged_out())?).await.map(|_| ())
            };
            if let Err(error) = touched.await {
                tracing::debug!(%error, "the agent was not told of work under way");
            }
        }
    }

    fn socket(&self, deployment: &Deployment) -> Result<PathBuf> {
        Ok(agent::socket_path(&self.home, deployment.id(), self.runtime_dir.clone())?)
    }

    /// Listens as the agent of a deployment, unless one does already.
    async fn ensure_agent(&self, socket: &std::path::Path, deployment: &Deployment) -> Result<()> {
        if agent::status(socket).await?.is_some() {
            return Ok(());
        }
        match Agent::bind(socket, deployment.id(), self.memory_locked) {
            Ok(agent) => {
                self.tasks.spawn(async move {
                    if let Err(error) = agent.run().await {
                        tracing::warn!(%error, "the agent ended");
                    }
                });
                Ok(())
            }
            // Somebody was faster.
            Err(error) if error.code() == "agent_running" => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Why a login failed is told where it was tried; elsewhere the same kind of error means that the vault is locked.
fn not_let_in(error: ClientError) -> Trouble {
    match error.kind() {
        Kind::LoggedOut => Trouble::new(StatusCode::FORBIDDEN, error.code(), error.to_string()),
        _ => error.into(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A desk that knows nothing.
    pub fn desk() -> Arc<Desk> {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("home")).unwrap();
        Arc::new(Desk::new(home, None, Duration::from_secs(60), Arc::new(Set::default()), Arc::default(), false))
    }

    #[derive(Debug, Default)]
    struct Set {
        boot_ms: AtomicU64,
        awake_ms: AtomicU64,
    }

    impl Set {
        fn pass(&self, awake_ms: u64, asleep_ms: u64) {
            self.awake_ms.fetch_add(awake_ms, Ordering::SeqCst);
            self.boot_ms.fetch_add(awake_ms + asleep_ms, Ordering::SeqCst);
        }
    }

    impl Clocks for Set {
        fn since_boot(&self) -> Duration {
            Duration::from_millis(self.boot_ms.load(Ordering::SeqCst))
        }

        fn awake(&self) -> Duration {
            Duration::from_millis(self.awake_ms.load(Ordering::SeqCst))
        }
    }

    #[test]
    fn nothing_open_is_never_due_and_sleep_is_seen_once() {
        let dir = tempfile::tempdir().unwrap();
        let clocks = Arc::new(Set::default());
        let home = Home::open(dir.path().join("home")).unwrap();
        let desk = Desk::new(home, None, Duration::from_secs(60), Arc::clone(&clocks) as _, Arc::default(), false);
        clocks.pass(1_000, 10_000);
        assert_eq!(desk.due(), None);
        assert!(desk.locks_in() < Duration::from_secs(60));
        assert!(matches!(desk.deployment(), Ok(None)));
    }
}
