//! Logins on kept-alive connections to a running server: challenge, signature, session, each with its audit row durable.
//!
//! People are registered and activated first, not timed. Each connection then logs one person in over and over; both sides' cryptography
//! runs on this machine, so the figure is of client and server together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use ticrypt_api::user::RegisterReply;
use ticrypt_client::account::{self, KeyFile, KeyPaths, Registration};
use ticrypt_client::keys::Unlocked;
use ticrypt_client::transport::Options;
use ticrypt_client::users::StateChange;
use ticrypt_client::{Deployment, Home, Keys, Session, Transport, clock, entropy};
use ticrypt_crypto::bundle::Fingerprint;
use ticrypt_crypto::statement::Action;
use ticrypt_keyring::{Identity, SystemRandom};
use ticrypt_types::{Secret, UserId};

const CLIENT: &str = "make bench";

/// Where the administrator is found, who activates the people.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// A home with one deployment and the key file of an administrator.
    #[arg(long)]
    pub(crate) home: PathBuf,
    #[arg(long)]
    pub(crate) passphrase_file: PathBuf,
}

pub(crate) fn run(place: &Place, connections: usize, seconds: u64) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mut waits, took) = runtime.block_on(log_in(place, connections, Duration::from_secs(seconds)))?;
    waits.sort_unstable();
    let at = |percent: usize| waits.get(waits.len() * percent / 100).map_or(0.0, |wait| wait.as_secs_f64() * 1e3);
    println!(
        "{}",
        serde_json::json!({
            "connections": connections, "logins": waits.len(), "logins_per_s": waits.len() as f64 / took.as_secs_f64(),
            "median_ms": at(50), "p99_ms": at(99),
        })
    );
    Ok(())
}

/// How long each login took, and all of them together.
async fn log_in(place: &Place, connections: usize, during: Duration) -> Result<(Vec<Duration>, Duration)> {
    let home = Home::open(&place.home)?;
    let deployment = Deployment::choose(&home, None)?;
    let administrator = administrator(&home, &deployment, &place.passphrase_file).await?;
    let mut people = Vec::new();
    for number in 0..connections {
        people.push(person("bench", number, &deployment, &administrator).await?);
    }

    let (start, mut tasks) = (Instant::now(), tokio::task::JoinSet::new());
    for keys in people {
        let deployment = deployment.clone();
        let transport = Transport::new(&deployment, Options { connections: 1, ..Options::default() })?;
        tasks.spawn(async move {
            let mut waits = Vec::new();
            while start.elapsed() < during {
                let before = Instant::now();
                account::authenticate(&transport, &mut transport.lease().await?, &deployment, &keys, CLIENT).await?;
                waits.push(before.elapsed());
            }
            anyhow::Ok(waits)
        });
    }
    let mut all = Vec::new();
    while let Some(waits) = tasks.join_next().await {
        all.extend(waits??);
    }
    Ok((all, start.elapsed()))
}

pub(crate) async fn administrator(home: &Home, deployment: &Deployment, passphrase_file: &Path) -> Result<Session> {
    let passphrase = std::fs::read_to_string(passphrase_file)?;
    let file = KeyFile::read(KeyPaths::choose(home, deployment, None)?)?;
    let keys: Arc<dyn Keys> = Arc::new(file.unlock(&Secret::new(passphrase.trim_end().to_owned()))?);
    let transport = Transport::new(deployment, Options::default())?;
    let logged_in = account::login(home, &transport, deployment, Arc::clone(&keys), CLIENT).await?;
    Ok(Session::assemble(home.clone(), deployment.clone(), logged_in.transport, keys)?)
}

/// Somebody new, registered and active, whose keys are never written down.
pub(crate) async fn person(called: &str, number: usize, deployment: &Deployment, administrator: &Session) -> Result<Unlocked> {
    let name = format!("{called}-{number}").parse()?;
    let identity = Identity::generate(&SystemRandom::new(), deployment.id(), UserId::from_random(entropy::bytes()?), name)?;
    let bundle = identity.bundle(clock::now())?;
    let fingerprint = Fingerprint(bundle.hash());
    let keys = Unlocked::new(identity, bundle)?;
    let transport = Transport::new(deployment, Options::default())?;
    let _: RegisterReply = account::register(&transport, deployment, &keys, Registration::default()).await?;
    let view = administrator.users.find(&keys.identity().name).await?;
    let change = StateChange { view, action: Action::Activate, reason: String::new(), new_bundle: None };
    administrator.users.change_state(&*administrator.keys, change, Some(fingerprint)).await?;
    Ok(keys)
}
