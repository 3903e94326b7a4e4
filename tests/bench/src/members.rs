//! Thousands of people at once: activated in one bulk action, then taken into a project by signed heads, a row of the audit log for each; beside it,
//! the same person by person.
//!
//! People are registered first, not timed.

use std::time::Instant;

use anyhow::{Result, bail};
use futures::stream::{self, StreamExt, TryStreamExt};
use ticrypt_api::project::ProjectAbout;
use ticrypt_api::user::{RegisterReply, UserStateRequest};
use ticrypt_client::account::{self, Registration};
use ticrypt_client::bulk::{self, Item};
use ticrypt_client::keys::{Batch, SIGN_MAX_RECORDS, Unlocked};
use ticrypt_client::project::{self, Changes, Terms};
use ticrypt_client::transport::Options;
use ticrypt_client::{Deployment, Home, Session, Transport, clock, entropy};
use ticrypt_crypto::Digest;
use ticrypt_crypto::statement::{Action, StatementPayload};
use ticrypt_keyring::{Identity, SystemRandom};
use ticrypt_types::{MemberRole, Operation, ProjectId, Restrictions, UserId};

use crate::logins::{Place, administrator};

/// Registrations under way at once.
const AT_ONCE: usize = 16;
/// People who are taken in one by one, for comparison.
const ALONE: usize = 100;

const TERMS: Terms = Terms { role: MemberRole::User, restrictions: Restrictions::NONE, expires_ms: None, update: false };

pub(crate) fn run(place: &Place, people: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let [activated, added, alone] = runtime.block_on(timed(place, people))?;
    println!(
        "{}",
        serde_json::json!({
            "people": people, "activated_s": activated, "added_s": added, "added_per_s": people as f64 / added,
            "alone_per_s": ALONE as f64 / alone,
        })
    );
    Ok(())
}

/// Seconds for activating all, for taking all into a project, and for taking some into another one by one.
async fn timed(place: &Place, people: usize) -> Result<[f64; 3]> {
    let home = Home::open(&place.home)?;
    let deployment = Deployment::choose(&home, None)?;
    let session = administrator(&home, &deployment, &place.passphrase_file).await?;
    let transport = Transport::new(&deployment, Options { connections: AT_ONCE, ..Options::default() })?;
    let registered = (0..people).map(|number| register(number, &deployment, &transport));
    let registered: Vec<(UserId, Digest)> = stream::iter(registered).buffer_unordered(AT_ONCE).try_collect().await?;

    let start = Instant::now();
    activate(&session, &registered).await?;
    let activated = start.elapsed().as_secs_f64();

    let many = begun(&session, "Many").await?;
    let set = registered.iter().map(|(user, _)| (*user, TERMS)).collect();
    let start = Instant::now();
    let refused = project::change_members(&session, many, Changes { set, ..Changes::default() }, &|_| ()).await?;
    let added = start.elapsed().as_secs_f64();
    if let Some(one) = refused.first() {
        bail!("{} of {people} were refused, the first: {}", refused.len(), one.message);
    }

    let few = begun(&session, "Few").await?;
    let start = Instant::now();
    for (user, _) in registered.iter().take(ALONE) {
        project::change_members(&session, few, Changes { set: vec![(*user, TERMS)], ..Changes::default() }, &|_| ()).await?;
    }
    Ok([activated, added, start.elapsed().as_secs_f64()])
}

pub(crate) async fn begun(session: &Session, name: &str) -> Result<ProjectId> {
    let name = name.parse()?;
    let about = ProjectAbout { tag: project::tag_of(&name)?, name, colour: "#1f77b4".parse()?, description: String::new(), level: None };
    Ok(project::create(session, None, about).await?)
}

/// Somebody new, whose keys are never written down.
async fn register(number: usize, deployment: &Deployment, transport: &Transport) -> Result<(UserId, Digest)> {
    let (user, name) = (UserId::from_random(entropy::bytes()?), format!("member-{number}").parse()?);
    let identity = Identity::generate(&SystemRandom::new(), deployment.id(), user, name)?;
    let bundle = identity.bundle(clock::now())?;
    let hash = bundle.hash();
    let keys = Unlocked::new(identity, bundle)?;
    let _: RegisterReply = account::register(transport, deployment, &keys, Registration::default()).await?;
    Ok((user, hash))
}

/// As after comparing each fingerprint, which nobody does here.
async fn activate(session: &Session, people: &[(UserId, Digest)]) -> Result<()> {
    let me = session.me();
    let mut items = Vec::with_capacity(people.len());
    for some in people.chunks(SIGN_MAX_RECORDS) {
        let statement = |(user, bundle): &(UserId, Digest)| StatementPayload {
            deployment: session.deployment_id(),
            user: *user,
            bundle: *bundle,
            action: Action::Activate.code(),
            argument: Action::Activate.argument(),
            reason: String::new(),
            issuer: me.user,
            issuer_bundle: me.hash(),
            at: clock::now(),
        };
        let signed = session.keys.sign(Batch::Statements(some.iter().map(statement).collect())).await?;
        let item = |((user, _), statement): (&(UserId, Digest), Vec<u8>)| Item {
            parameters: vec![user.to_string()],
            request: UserStateRequest { statement: statement.into(), bundle: None },
        };
        items.extend(some.iter().zip(signed).map(item));
    }
    for result in bulk::run(session, Operation::UserState, &items, &|_| ()).await? {
        result?;
    }
    Ok(())
}
