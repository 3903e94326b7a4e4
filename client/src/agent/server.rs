//! The far side: waits for requests, keeps the identity, forgets it in time.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use serde_bytes::ByteBuf;
use ticrypt_crypto::PublicKey;
use ticrypt_crypto::bundle::{Bundle, KemPublicKey};
use ticrypt_crypto::group::GroupSealTerms;
use ticrypt_crypto::record::Record;
use ticrypt_keyring::NodeKeys;
use ticrypt_types::{DeploymentId, Secret};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use zeroize::Zeroize;

use super::protocol::{self, Reply, Request, Status, WireGrant, WireKeys, WireSeed, WireSession};
use super::{DEFAULT_TTL, TTL_MAX};
use crate::account;
use crate::error::{ClientError, Result};
use crate::home::{self, Lock};
use crate::keys::{Batch, Keys, SealedGrant, SealedSeed, Unlocked};

/// Commands that talk to the agent at once; more wait.
const CONNECTIONS_MAX: usize = 64;
/// A command that connected and says nothing.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Below this, locking future memory would make allocations fail.
const LOCKABLE_MIN_BYTES: u64 = 512 * 1024 * 1024;

/// Keeps this process from being dumped or traced and, if the limits allow, from being swapped. Returns whether memory is locked.
pub fn harden() -> bool {
    // A core file would hold the keys.
    let no_core = Rlimit { current: Some(0), maximum: Some(0) };
    if setrlimit(Resource::Core, no_core).is_err() || set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err() {
        tracing::warn!("this process can be dumped: the system refused to change that");
    }
    let limit = getrlimit(Resource::Memlock).current;
    if limit.is_some_and(|limit| limit < LOCKABLE_MIN_BYTES) {
        return false;
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE).is_ok()
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    socket: PathBuf,
    listener: UnixListener,
    shared: Arc<Shared>,
    /// Held as long as the agent lives: one for each socket.
    _lock: Lock,
}

#[derive(Debug)]
struct Shared {
    deployment: DeploymentId,
    memory_locked: bool,
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Debug)]
struct State {
    held: Option<Held>,
    ttl: Duration,
    forget_at: Instant,
}

struct Held {
    keys: Arc<Unlocked>,
    session: Option<WireSession>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("keys", &self.keys.identity().name).finish_non_exhaustive()
    }
}

impl Agent {
    /// Listens. Refused if another agent does already.
    pub fn bind(socket: &Path, deployment: DeploymentId, memory_locked: bool) -> Result<Self> {
        let dir = socket.parent().unwrap_or(Path::new("."));
        let name = socket.file_name().map(|name| format!("{}.lock", name.to_string_lossy())).unwrap_or_default();
        let lock = Lock::try_acquire(dir, &name)?.ok_or_else(|| {
            ClientError::new(crate::error::Kind::Taken, "agent_running", "an agent is running already; run `ticrypt lock` to end it")
        })?;
        // Whoever left it is gone, for we hold the lock.
        match std::fs::remove_file(socket) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(home::io_error("remove", socket, e)),
            _ => {}
        }
        let listener = UnixListener::bind(socket).map_err(|e| home::io_error("listen at", socket, e))?;
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600)).map_err(|e| home::io_error("protect", socket, e))?;
        let state = State { held: None, ttl: DEFAULT_TTL, forget_at: Instant::now() + DEFAULT_TTL };
        let shared = Arc::new(Shared { deployment, memory_locked, state: Mutex::new(state), ended: Notify::new() });
        Ok(Self { socket: socket.to_owned(), listener, shared, _lock: lock })
    }

    /// Serves until told to lock, or until nobody has asked for a while.
    pub async fn run(self) -> Result<()> {
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut tasks = JoinSet::new();
        loop {
            let forget_at = self.shared.state().forget_at;
            tokio::select! {
                () = self.shared.ended.notified() => break,
                () = tokio::time::sleep_until(forget_at) => {
                    if Instant::now() >= self.shared.state().forget_at {
                        break;
                    }
                }
                Some(_) = tasks.join_next() => {}
                accepted = self.listener.accept() => {
                    let (stream, _) = accepted.map_err(|e| home::io_error("listen at", &self.socket, e))?;
                    let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
                    let shared = Arc::clone(&self.shared);
                    tasks.spawn(async move {
                        let _slot = slot;
                        if let Err(error) = serve(&shared, stream).await {
                            tracing::debug!(%error, "a request to the agent ended");
                        }
                    });
                }
            }
        }
        self.shared.state().held = None;
        // Replies under way are finished, above all the one to `lock`.
        let _ = tokio::time::timeout(Duration::from_millis(200), async { while tasks.join_next().await.is_some() {} }).await;
        std::fs::remove_file(&self.socket).map_err(|e| home::io_error("remove", &self.socket, e))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The identity; asking for it begins the idle time anew.
    fn keys(&self) -> Result<Arc<Unlocked>> {
        let mut state = self.state();
        state.forget_at = Instant::now() + state.ttl;
        state.held.as_ref().map(|held| Arc::clone(&held.keys)).ok_or_else(ClientError::logged_out)
    }

    fn status(&self) -> Status {
        let state = self.state();
        let held = state.held.as_ref();
        let identity = held.map(|held| held.keys.identity());
        let session = held.and_then(|held| held.session.as_ref());
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            user: identity.map(|identity| identity.user),
            name: identity.map(|identity| identity.name.clone()),
            session: session.map(|session| session.session),
            session_expires: session.map(|session| session.expires),
            forgets_in_ms: u64::try_from(state.forget_at.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(u64::MAX),
            memory_locked: self.memory_locked,
        }
    }
}

async fn serve(shared: &Shared, mut stream: UnixStream) -> Result<()> {
    let peer = stream.peer_cred().map_err(|e| ClientError::broken("the other end of the socket is unknown").because(e))?;
    if peer.uid() != rustix::process::getuid().as_raw() {
        return Err(ClientError::refused("other_user", "another user asked"));
    }
    loop {
        let request = tokio::time::timeout(READ_TIMEOUT, protocol::read(&mut stream)).await;
        let Ok(Some(request)) = request.map_err(|_| ClientError::unavailable("nothing was asked"))? else { return Ok(()) };
        let locking = matches!(request, Request::Lock);
        let reply = answer(shared, request).await.unwrap_or_else(|error| Reply::Failed(error.into()));
        protocol::write(&mut stream, &reply).await?;
        if locking {
            shared.ended.notify_one();
        }
    }
}

async fn answer(shared: &Shared, request: Request) -> Result<Reply> {
    match request {
        Request::Status => Ok(Reply::Status(shared.status())),
        Request::Unlock { key_file, bundle, passphrase, ttl_ms } => {
            let ttl = Duration::from_millis(ttl_ms).clamp(Duration::from_secs(1), TTL_MAX);
            let keys = take_identity(shared.deployment, key_file, bundle, passphrase).await?;
            let mut state = shared.state();
            (state.ttl, state.forget_at) = (ttl, Instant::now() + ttl);
            state.held = Some(Held { keys: Arc::new(keys), session: None });
            Ok(Reply::Done)
        }
        Request::Identity => Ok(Reply::Identity(ByteBuf::from(shared.keys()?.identity().bundle.as_bytes()))),
        Request::NewSessionKey => {
            let keys = shared.keys()?;
            // The session begun with the key before could no longer bind a connection.
            if let Some(held) = &mut shared.state().held {
                held.session = None;
            }
            Ok(Reply::PublicKey(ByteBuf::from(keys.new_session_key().await?.as_bytes().to_vec())))
        }
        Request::Bind { session, channel } => {
            let channel: [u8; 32] = channel.as_slice().try_into().map_err(|_| ClientError::invalid("a channel value has 32 bytes"))?;
            Ok(Reply::Envelopes(vec![ByteBuf::from(shared.keys()?.bind(session, channel).await?)]))
        }
        Request::Sign { namespace, payloads } => {
            let keys = shared.keys()?;
            let payloads: Vec<Vec<u8>> = payloads.into_iter().map(ByteBuf::into_vec).collect();
            let batch = Batch::parse(protocol::namespace_of(&namespace)?, &payloads)?;
            let envelopes = keys.sign(batch).await?;
            Ok(Reply::Envelopes(envelopes.into_iter().map(ByteBuf::from).collect()))
        }
        Request::Open { grants } => {
            let keys = shared.keys()?;
            let grants = grants.into_iter().map(sealed_grant).collect::<Result<Vec<_>>>()?;
            let opened = keys.open(grants).await?;
            Ok(Reply::Keys(opened.into_iter().map(|one| one.map(wire_keys).map_err(Into::into)).collect()))
        }
        Request::OpenGroupSeal { terms, sealed, key } => {
            let keys = shared.keys()?;
            let bad = "the seal of a group's key cannot be read";
            let terms = GroupSealTerms::parse(&terms).map_err(|e| ClientError::invalid(bad).because(e))?;
            let key = KemPublicKey::from_bytes(&key).map_err(|e| ClientError::invalid(bad).because(e))?;
            let seed = keys.open_group_seal(SealedSeed { terms, sealed: sealed.into_vec(), key }).await?;
            Ok(Reply::Seed(WireSeed(ByteBuf::from(seed.expose().to_vec()))))
        }
        Request::SetSession(session) => {
            shared.keys()?;
            match &mut shared.state().held {
                Some(held) => held.session = Some(session),
                None => return Err(ClientError::logged_out()),
            }
            Ok(Reply::Done)
        }
        Request::Session => {
            shared.keys()?;
            let session = shared.state().held.as_ref().and_then(|held| held.session.clone());
            session.map(Reply::Session).ok_or_else(ClientError::logged_out)
        }
        Request::Lock => {
            shared.state().held = None;
            Ok(Reply::Done)
        }
    }
}

async fn take_identity(deployment: DeploymentId, mut key_file: String, bundle: ByteBuf, passphrase: String) -> Result<Unlocked> {
    let passphrase = Secret::new(passphrase);
    let bundle =
        Bundle::parse_and_verify(&bundle).map_err(|e| ClientError::invalid("the bundle of the key file does not verify").because(e))?;
    if bundle.payload().deployment != deployment {
        return Err(ClientError::refused("not_mine", "the key file is of another deployment than this agent"));
    }
    let unlocking = tokio::task::spawn_blocking(move || {
        let unlocked = account::unlock(&key_file, &bundle, &passphrase);
        key_file.zeroize();
        unlocked
    });
    unlocking.await.map_err(|e| ClientError::broken("unlocking was cut off; try again").because(e))?
}

fn sealed_grant(wire: WireGrant) -> Result<SealedGrant> {
    let sealer_key =
        PublicKey::from_bytes(&wire.sealer_key).map_err(|e| ClientError::invalid("the sealer's key is not a key").because(e))?;
    Ok(SealedGrant { envelope: wire.envelope.into_vec(), sealed: wire.sealed.into_vec(), sealer_key })
}

fn wire_keys(keys: NodeKeys) -> WireKeys {
    WireKeys {
        list: ByteBuf::from(keys.list.expose().to_vec()),
        tree: keys.tree.as_ref().map(|tree| ByteBuf::from(tree.expose().to_vec())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::client;
    use super::*;
    use crate::error::Kind;
    use crate::keys::tests::{DEPLOYMENT, grant_to, statement, unlocked};
    use crate::session::Capability;
    use ticrypt_keyring::{SystemRandom, keyfile};
    use ticrypt_types::{SessionId, Timestamp};

    const PASSPHRASE: &str = "correct horse";

    struct Running {
        socket: PathBuf,
        task: tokio::task::JoinHandle<Result<()>>,
        _dir: tempfile::TempDir,
    }

    fn start() -> Running {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("agent.sock");
        let agent = Agent::bind(&socket, DeploymentId::from_random(DEPLOYMENT), false).unwrap();
        Running { task: tokio::spawn(agent.run()), socket, _dir: dir }
    }

    fn key_file(me: &Unlocked) -> String {
        keyfile::write(me.secret(), PASSPHRASE.as_bytes(), keyfile::DEFAULT_ROUNDS, &SystemRandom::new()).unwrap()
    }

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn holds_an_identity_and_a_session_until_locked() {
        let running = start();
        let socket = &running.socket;
        let me = unlocked("me");
        let (text, bundle) = (key_file(&me), me.identity().bundle.clone());
        assert_eq!(client::connect(socket).await.unwrap_err().kind(), Kind::LoggedOut);
        assert_eq!(client::unlock(socket, &text, &bundle, &secret("wrong horse"), DEFAULT_TTL).await.unwrap_err().code(), "passphrase");
        let keys = client::unlock(socket, &text, &bundle, &secret(PASSPHRASE), DEFAULT_TTL).await.unwrap();

        // The same answers as from keys in this process.
        let signed = keys.sign(Batch::Statements(vec![statement(me.identity())])).await.unwrap();
        let envelope = ticrypt_crypto::Envelope::parse(&signed[0]).unwrap();
        envelope.verify(ticrypt_crypto::Namespace::Statement, me.identity().signing_key()).unwrap();
        let (grant, node) = grant_to(&me);
        let mut altered = grant.clone();
        *altered.sealed.last_mut().unwrap() ^= 1;
        let opened = keys.open(vec![grant, altered]).await.unwrap();
        assert_eq!(opened[0].as_ref().unwrap().list.expose(), node.list.expose());
        assert_eq!(opened[1].as_ref().unwrap_err().kind(), Kind::Untrusted);

        let session = SessionId::from_random([5; 16]);
        let public = keys.new_session_key().await.unwrap();
        let capability = Capability::new(session, secret("token"), Timestamp::from_millis(9), Arc::clone(&keys));
        client::set_session(socket, &capability).await.unwrap();
        let again = client::connect(socket).await.unwrap();
        assert_eq!((again.capability.session, again.capability.token().expose().as_str()), (session, "token"));
        let binding = again.keys.bind(session, [6; 32]).await.unwrap();
        ticrypt_crypto::Envelope::parse(&binding).unwrap().verify(ticrypt_crypto::Namespace::SessionBinding, &public).unwrap();
        let status = client::status(socket).await.unwrap().unwrap();
        assert_eq!((status.user, status.session), (Some(me.identity().user), Some(session)));

        assert!(client::lock(socket).await.unwrap());
        running.task.await.unwrap().unwrap();
        assert!(!socket.exists());
        assert!(!client::lock(socket).await.unwrap());
    }

    #[tokio::test]
    async fn signs_nothing_raw_and_nothing_of_others() {
        let running = start();
        let me = unlocked("me");
        let (text, bundle) = (key_file(&me), me.identity().bundle.clone());
        client::unlock(&running.socket, &text, &bundle, &secret(PASSPHRASE), DEFAULT_TTL).await.unwrap();
        let shared = start_shared(&me);
        let ask = |namespace: &str, payload: Vec<u8>| {
            answer(&shared, Request::Sign { namespace: namespace.to_owned(), payloads: vec![ByteBuf::from(payload)] })
        };
        let other = unlocked("other");
        let foreign = Batch::Statements(vec![statement(other.identity())]).payloads().remove(0);
        let mine = Batch::Statements(vec![statement(me.identity())]).payloads().remove(0);
        assert!(ask("statement", mine.clone()).await.is_ok());
        assert!(ask("statement", foreign).await.is_err());
        assert!(ask("statement", b"anything".to_vec()).await.is_err());
        for namespace in ["bundle", "bundle-rotation", "session-binding", "anything", "grant"] {
            assert!(ask(namespace, mine.clone()).await.is_err(), "{namespace}");
        }
    }

    fn start_shared(me: &Unlocked) -> Shared {
        let text = key_file(me);
        let keys = account::unlock(&text, &me.identity().bundle, &secret(PASSPHRASE)).unwrap();
        let state =
            State { held: Some(Held { keys: Arc::new(keys), session: None }), ttl: DEFAULT_TTL, forget_at: Instant::now() + DEFAULT_TTL };
        Shared { deployment: DeploymentId::from_random(DEPLOYMENT), memory_locked: false, state: Mutex::new(state), ended: Notify::new() }
    }

    #[tokio::test]
    async fn forgets_when_nobody_asks_and_status_does_not_keep_it_awake() {
        let running = start();
        let me = unlocked("me");
        let (text, bundle) = (key_file(&me), me.identity().bundle.clone());
        client::unlock(&running.socket, &text, &bundle, &secret(PASSPHRASE), Duration::from_millis(1_000)).await.unwrap();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(700) {
            client::status(&running.socket).await.unwrap().unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::timeout(Duration::from_secs(5), running.task).await.unwrap().unwrap().unwrap();
        assert!(client::status(&running.socket).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn one_agent_for_each_socket_and_a_stale_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("agent.sock");
        std::fs::write(&socket, b"left over").unwrap();
        let deployment = DeploymentId::from_random(DEPLOYMENT);
        let first = Agent::bind(&socket, deployment, false).unwrap();
        assert_eq!(Agent::bind(&socket, deployment, false).unwrap_err().code(), "agent_running");
        drop(first);
        Agent::bind(&socket, deployment, false).unwrap();
    }

    #[tokio::test]
    async fn keys_of_another_deployment_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("agent.sock");
        let agent = Agent::bind(&socket, DeploymentId::from_random([9; 16]), false).unwrap();
        let task = tokio::spawn(agent.run());
        let me = unlocked("me");
        let (text, bundle) = (key_file(&me), me.identity().bundle.clone());
        assert_eq!(client::unlock(&socket, &text, &bundle, &secret(PASSPHRASE), DEFAULT_TTL).await.unwrap_err().code(), "not_mine");
        task.abort();
    }
}
