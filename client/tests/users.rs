//! Looking people up against a server that tells the truth, and against one that does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use minicbor::bytes::{ByteArray, ByteVec};
use support::{Act, Seen, Server, device, file, quick};
use ticrypt_api::ErrorKind;
use ticrypt_api::deployment::DeploymentFile;
use ticrypt_api::user::{BundleReply, KeyLeaf, UserCard};
use ticrypt_client::keys::Unlocked;
use ticrypt_client::users::Trust;
use ticrypt_client::{Batch, ClientError, Keys, Kind, Session, Transport};
use ticrypt_crypto::bundle::Bundle;
use ticrypt_crypto::statement::{Action, StatementPayload};
use ticrypt_keyring::{Identity, SystemRandom};
use ticrypt_log::event::keys::{KeyEvent, KeyEventKind};
use ticrypt_log::{Log, NoteSigner, Options, SignatureType};
use ticrypt_types::{DeploymentId, Timestamp, UserId, UserName};

/// A key log and what the server shows.
struct World {
    server: Server,
    shown: Arc<Shown>,
    file: DeploymentFile,
    admin: Arc<Unlocked>,
    _dir: tempfile::TempDir,
}

struct Shown {
    log: Mutex<Log>,
    cards: Mutex<HashMap<String, UserCard>>,
    bundles: Mutex<HashMap<String, BundleReply>>,
    pin_reports: Mutex<usize>,
}

fn person(name: &str) -> (Identity, Bundle) {
    let (deployment, user) =
        (DeploymentId::from_random(support::DEPLOYMENT), UserId::from_random(ticrypt_client::entropy::bytes().unwrap()));
    let identity = Identity::generate(&SystemRandom::new(), deployment, user, name.parse().unwrap()).unwrap();
    let bundle = identity.bundle(Timestamp::from_millis(1)).unwrap();
    (identity, bundle)
}

fn unlocked(name: &str) -> Arc<Unlocked> {
    let (identity, bundle) = person(name);
    Arc::new(Unlocked::new(identity, bundle).unwrap())
}

fn open_log(dir: &std::path::Path, signer: &NoteSigner) -> Log {
    let options = Options { checkpoint_interval: Duration::from_millis(20), ..Options::default() };
    Log::open(dir, "test.example/keys", signer.clone(), options).unwrap().0
}

fn signer() -> NoteSigner {
    NoteSigner::generate("test.example/keys", SignatureType::Ed25519, &aws_lc_rs::rand::SystemRandom::new()).unwrap()
}

impl World {
    async fn new() -> Self {
        Self::with(signer()).await
    }

    async fn with(signer: NoteSigner) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = open_log(&dir.path().join("log"), &signer);
        let shown =
            Arc::new(Shown { log: Mutex::new(log), cards: Mutex::default(), bundles: Mutex::default(), pin_reports: Mutex::new(0) });
        let server = Server::start({
            let shown = shown.clone();
            move |seen| shown.answer(seen)
        })
        .await;
        let file = DeploymentFile { key_log_key: signer.verifier().to_string(), ..file(vec![server.url.clone()], vec![server.pin]) };
        Self { server, shown, file, admin: unlocked("admin"), _dir: dir }
    }

    fn session(&self, device: &support::Device, me: &Arc<Unlocked>) -> Session {
        let transport = Transport::new(&device.deployment, quick()).unwrap();
        Session::assemble(device.home.clone(), device.deployment.clone(), transport, Arc::clone(me) as Arc<dyn Keys>).unwrap()
    }

    async fn append(&self, kind: KeyEventKind, user: UserId, body: Vec<u8>) -> KeyLeaf {
        let event = KeyEvent {
            version: 1,
            salt: ByteArray::from([7; 16]),
            time_ms: 1,
            kind,
            user: ByteArray::from(user.to_bytes()),
            body: ByteVec::from(body),
        };
        let leaf = event.to_leaf().unwrap();
        let log = self.shown.log.lock().unwrap().clone();
        let index = log.append(leaf.clone()).await.unwrap().index;
        log.flush().await.unwrap();
        KeyLeaf { index, leaf: leaf.into() }
    }

    async fn log_bundle(&self, kind: KeyEventKind, bundle: &Bundle) -> KeyLeaf {
        let leaf = self.append(kind, bundle.payload().user, bundle.as_bytes().to_vec()).await;
        let reply = BundleReply { bundle: bundle.as_bytes().to_vec().into(), leaf: leaf.clone() };
        self.shown.bundles.lock().unwrap().insert(bundle.hash().to_string(), reply);
        leaf
    }

    /// Registers somebody and has them activated by the administrator.
    async fn enrol(&self, bundle: &Bundle) {
        self.enrol_by(bundle, &self.admin).await;
    }

    async fn enrol_by(&self, bundle: &Bundle, signer: &Arc<Unlocked>) {
        let issuer = self.admin.identity().bundle.clone();
        let known = self.shown.bundles.lock().unwrap().contains_key(&issuer.hash().to_string());
        if !known {
            self.log_bundle(KeyEventKind::Bundle, &issuer).await;
        }
        let leaf = self.log_bundle(KeyEventKind::Bundle, bundle).await;
        let payload = bundle.payload();
        let statement = StatementPayload {
            deployment: payload.deployment,
            user: payload.user,
            bundle: bundle.hash(),
            action: Action::Activate.code(),
            argument: String::new(),
            reason: String::new(),
            issuer: signer.identity().user,
            issuer_bundle: signer.identity().hash(),
            at: Timestamp::from_millis(2),
        };
        let statement = signer.sign(Batch::Statements(vec![statement])).await.unwrap().remove(0);
        let activation = self.append(KeyEventKind::Activation, payload.user, statement).await;
        let card = UserCard {
            user: payload.user,
            name: payload.name.clone(),
            bundles: vec![bundle.as_bytes().to_vec().into()],
            bundle_leaves: vec![leaf],
            activation: Some(activation),
            activation_issuer: Some(issuer.as_bytes().to_vec().into()),
        };
        self.change(&payload.name, |_| card);
    }

    /// Adds a newer bundle to a person's card.
    async fn supersede(&self, kind: KeyEventKind, bundle: &Bundle) {
        let leaf = self.log_bundle(kind, bundle).await;
        self.change(&bundle.payload().name, |card| {
            let mut card = card.unwrap();
            card.bundles.insert(0, bundle.as_bytes().to_vec().into());
            card.bundle_leaves.insert(0, leaf);
            card
        });
    }

    fn change(&self, name: &UserName, with: impl FnOnce(Option<UserCard>) -> UserCard) {
        let mut cards = self.shown.cards.lock().unwrap();
        let old = cards.remove(name.as_str());
        cards.insert(name.to_string(), with(old));
    }

    fn pin_reports(&self) -> usize {
        *self.shown.pin_reports.lock().unwrap()
    }
}

impl Shown {
    fn answer(&self, seen: &Seen) -> Act {
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        let log = self.log.lock().unwrap().clone();
        let not_found = || Act::problem(ErrorKind::NotFound, "not_found");
        if let Some(name) = path.strip_prefix("/v1/users/by-name/") {
            return self.cards.lock().unwrap().get(name).map_or_else(not_found, Act::json);
        }
        if let Some(hash) = path.strip_prefix("/v1/bundles/") {
            return self.bundles.lock().unwrap().get(hash).map_or_else(not_found, Act::json);
        }
        match path {
            "/v1/self/pins" => {
                *self.pin_reports.lock().unwrap() += 1;
                Act::Reply(204, vec![], vec![])
            }
            "/v1/log/keys/checkpoint" => Act::ok(log.latest_checkpoint().unwrap().to_bytes()),
            "/v1/log/keys/tile" => {
                let tile = query.strip_prefix("path=").unwrap().replace("%2F", "/");
                log.tile_bytes(&tile).unwrap().map_or_else(not_found, Act::ok)
            }
            _ => not_found(),
        }
    }
}

fn name(text: &str) -> UserName {
    text.parse().unwrap()
}

fn untrusted(result: Result<ticrypt_client::users::Person, ClientError>, why: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), Kind::Untrusted, "{error}");
    assert!(error.to_string().contains(why), "`{error}` does not say `{why}`");
}

#[tokio::test]
async fn the_first_key_is_pinned_and_a_signed_rotation_is_followed() {
    let world = World::new().await;
    let (device, me) = (device(&world.file), unlocked("me"));
    let (ann, first) = person("ann");
    world.enrol(&first).await;
    let session = world.session(&device, &me);
    let met = session.users.lookup(&name("ann")).await.unwrap();
    assert_eq!((met.bundle.hash(), met.trust, met.first_contact), (first.hash(), Trust::FirstContact, true));
    assert!(!session.users.lookup(&name("ann")).await.unwrap().first_contact);

    // People compare, and the trust is kept over a rotation.
    session.users.verify(&name("ann"), first.fingerprint()).await.unwrap();
    let (_, second) = ann.rotate(&SystemRandom::new(), &first, false, Timestamp::from_millis(5)).unwrap();
    world.supersede(KeyEventKind::Rotation, &second).await;
    let met = session.users.lookup(&name("ann")).await.unwrap();
    assert_eq!((met.bundle.hash(), met.trust), (second.hash(), Trust::Compared));

    // What she signed before is still hers, on this device and on one that meets her now.
    for session in [session, world.session(&support::device(&world.file), &me)] {
        assert_eq!(session.users.bundle(&first.hash()).await.unwrap().hash(), first.hash());
        assert_eq!(session.users.bundle(&second.hash()).await.unwrap().hash(), second.hash());
    }
    assert_eq!(world.pin_reports(), 0);
}

#[tokio::test]
async fn another_key_blocks_until_people_compared_it() {
    let world = World::new().await;
    let (device, me) = (device(&world.file), unlocked("me"));
    let (ann, first) = person("ann");
    world.enrol(&first).await;
    let session = world.session(&device, &me);
    session.users.lookup(&name("ann")).await.unwrap();

    // A reset by an administrator is a change without the old key's signature, and is told as what it is.
    let (_, reset) = Identity::reset(&SystemRandom::new(), &first, Timestamp::from_millis(5)).unwrap();
    world.supersede(KeyEventKind::Reset, &reset).await;
    let error = session.users.lookup(&name("ann")).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (Kind::Untrusted, "key_reset"));
    for told in ["changed by a reset", "an administrator (admin)", "ticrypt users verify ann", &reset.fingerprint().to_string()] {
        assert!(error.to_string().contains(told), "{told}: {error}");
    }
    assert_eq!(session.users.bundle(&reset.hash()).await.unwrap_err().code(), "key_reset");
    assert_eq!(world.pin_reports(), 1, "reported once");
    // What the old key signed is still believed; it was its person's then.
    assert_eq!(session.users.bundle(&first.hash()).await.unwrap().hash(), first.hash());

    assert_eq!(
        session.users.verify(&name("ann"), ann.bundle(Timestamp::from_millis(9)).unwrap().fingerprint()).await.unwrap_err().kind(),
        Kind::Refused
    );
    session.users.verify(&name("ann"), reset.fingerprint()).await.unwrap();
    assert_eq!(session.users.lookup(&name("ann")).await.unwrap().bundle.hash(), reset.hash());
}

#[tokio::test]
async fn an_exchanged_person_is_noticed() {
    let world = World::new().await;
    let (device, me) = (device(&world.file), unlocked("me"));
    let (_, first) = person("ann");
    world.enrol(&first).await;
    let session = world.session(&device, &me);
    session.users.lookup(&name("ann")).await.unwrap();
    // The same name with another account and key, properly logged and activated by a colluding administrator.
    world.enrol(&person("ann").1).await;
    assert_eq!(session.users.lookup(&name("ann")).await.unwrap_err().code(), "pin_changed");
    // And the old state again after a rotation is no way back.
    assert_eq!(world.pin_reports(), 1);
}

#[tokio::test]
async fn an_older_generation_than_pinned_is_refused() {
    let world = World::new().await;
    let (device, me) = (device(&world.file), unlocked("me"));
    let (ann, first) = person("ann");
    world.enrol(&first).await;
    let old_card = world.shown.cards.lock().unwrap().get("ann").cloned().unwrap();
    let (_, second) = ann.rotate(&SystemRandom::new(), &first, true, Timestamp::from_millis(5)).unwrap();
    world.supersede(KeyEventKind::Rotation, &second).await;
    let session = world.session(&device, &me);
    session.users.lookup(&name("ann")).await.unwrap();
    world.change(&name("ann"), |_| old_card);
    assert_eq!(session.users.lookup(&name("ann")).await.unwrap_err().code(), "pin_changed");
}

#[tokio::test]
async fn cards_that_do_not_prove_what_they_say_are_refused() {
    let world = World::new().await;
    let (device, me) = (device(&world.file), unlocked("me"));
    let session = world.session(&device, &me);
    let (_, bundle) = person("ann");
    world.enrol(&bundle).await;
    let good = world.shown.cards.lock().unwrap().get("ann").cloned().unwrap();
    let lie = |change: &dyn Fn(&mut UserCard)| {
        let mut card = good.clone();
        change(&mut card);
        world.change(&name("ann"), |_| card);
    };
    lie(&|card| card.activation = None);
    untrusted(session.users.lookup(&name("ann")).await, "no administrator has activated");
    lie(&|card| card.bundles.clear());
    untrusted(session.users.lookup(&name("ann")).await, "do not match");
    lie(&|card| card.user = UserId::from_random([3; 16]));
    untrusted(session.users.lookup(&name("ann")).await, "another person");
    lie(&|card| card.name = name("bob"));
    untrusted(session.users.lookup(&name("ann")).await, "another person");
    lie(&|card| *card.bundles[0].0.last_mut().unwrap() ^= 1);
    untrusted(session.users.lookup(&name("ann")).await, "does not verify");
    // A leaf that is in the log, but another one.
    lie(&|card| card.bundle_leaves[0].index = 0);
    untrusted(session.users.lookup(&name("ann")).await, "log does not hold");
    lie(&|card| card.bundle_leaves[0] = card.activation.clone().unwrap());
    untrusted(session.users.lookup(&name("ann")).await, "not of its bundle");
    lie(&|card| card.activation_issuer = Some(me.identity().bundle.as_bytes().to_vec().into()));
    untrusted(session.users.lookup(&name("ann")).await, "not signed by whoever");
    // Nothing of all this was pinned.
    assert!(session.users.pins().all().unwrap().is_empty());
    world.change(&name("ann"), |_| good);
    session.users.lookup(&name("ann")).await.unwrap();
}

#[tokio::test]
async fn an_activation_by_somebody_else_than_it_says_is_refused() {
    let world = World::new().await;
    let session = world.session(&device(&world.file), &unlocked("me"));
    world.enrol_by(&person("ann").1, &unlocked("mallory")).await;
    untrusted(session.users.lookup(&name("ann")).await, "not signed by whoever");
}

#[tokio::test]
async fn a_log_that_forgets_or_forks_is_refused_and_the_evidence_kept() {
    let signer = signer();
    let world = World::with(signer.clone()).await;
    let (device, me) = (device(&world.file), unlocked("me"));
    let session = world.session(&device, &me);
    world.enrol(&person("ann").1).await;
    world.enrol(&person("bob").1).await;
    session.users.lookup(&name("bob")).await.unwrap();
    let seen = session.mirrors.keys.last().await.unwrap().size;

    // The same signer, another history: first shorter than what was seen, then longer.
    let other = tempfile::tempdir().unwrap();
    let log = open_log(&other.path().join("log"), &signer);
    log.append(b"rewritten".to_vec()).await.unwrap();
    log.flush().await.unwrap();
    *world.shown.log.lock().unwrap() = log.clone();
    // Also from what was stored, as after a restart.
    for session in [&session, &world.session(&device, &me)] {
        let error = session.mirrors.keys.update().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Untrusted);
        assert!(error.to_string().contains("rolled back"), "{error}");
    }
    log.append_many((0..10).map(|n: u8| vec![n]).collect()).await.unwrap();
    log.flush().await.unwrap();
    let error = session.mirrors.keys.update().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Untrusted);
    assert!(error.to_string().contains("contradict"), "{error}");
    assert_eq!(session.mirrors.keys.last().await.unwrap().size, seen);
    let kept = std::fs::read_dir(session.mirrors.keys.dir())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("refused-"));
    assert_eq!(kept.count(), 2);
}

#[tokio::test]
async fn ones_own_entry_is_checked() {
    let world = World::new().await;
    let (device, me) = (device(&world.file), unlocked("me"));
    let session = world.session(&device, &me);
    world.enrol(&me.identity().bundle).await;
    session.users.check_self().await.unwrap();
    world.enrol(&person("me").1).await;
    let error = session.users.check_self().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Untrusted);
    assert!(world.server.requests().len() > 2);
}
