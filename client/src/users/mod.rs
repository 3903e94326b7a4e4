//! Other people's keys: looked up, proven by the key log, pinned (security C18, docs/formats.md §2, §3, §11).
//!
//! ```text
//!   card ─▶ bundles chain to generation 0 ─▶ each in the mirrored key log ─▶ activated by a signed, logged statement ─▶ pins
//!                                                                        first contact: pinned
//!                                                                        signed rotation: the pin follows
//!                                                                        anything else: blocked, reported, compared by hand;
//!                                                                        a reset says so, since the log proves that it was one
//! ```
//!
//! What this cannot know: whether whoever issued an activation was an administrator at the time is the server's word; an invented person
//! with an invented key is caught only by comparing fingerprints.

mod admin;
mod card;
mod compare;
mod pins;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ticrypt_api::Hash;
use ticrypt_api::user::{BundleReply, PinReportRequest, UserCard, UserLookupQuery, UserView};
use ticrypt_crypto::Digest;
use ticrypt_crypto::bundle::{Bundle, Fingerprint};
use ticrypt_types::{DeploymentId, Operation, Permission, UserId, UserName};

use crate::clock;
use crate::deployment::Deployment;
use crate::error::{ClientError, Kind, Result};
use crate::home::{self, Home};
use crate::keys::PublicIdentity;
use crate::mirror::Mirrors;
use crate::transport::Transport;

pub use admin::{StateChange, change_states, set_permissions};
pub use card::Chain;
pub use compare::{Change, Comparison};
pub use pins::{Pin, Pins, Trust};

/// Whether the system lets this account do something, as the server will decide: for what a program offers.
pub fn is_given(account: &UserView, permission: Permission) -> bool {
    ticrypt_policy::actor::is_given(account.rank, account.permissions, permission)
}

/// Another key than the pinned one, for no reason that the log proves.
pub const PIN_CHANGED: &str = "pin_changed";
/// Another key than the pinned one, by a reset that stands in the key log.
pub const KEY_RESET: &str = "key_reset";

const BUNDLE_MAX_BYTES: usize = ticrypt_crypto::bundle::BUNDLE_MAX_LEN;

/// A person whose keys verified and fit what was pinned.
#[derive(Clone, Debug)]
pub struct Person {
    pub user: UserId,
    pub name: UserName,
    /// The present one.
    pub bundle: Arc<Bundle>,
    pub trust: Trust,
    /// Seen for the first time just now: worth comparing fingerprints.
    pub first_contact: bool,
}

impl Person {
    pub fn fingerprint(&self) -> Fingerprint {
        self.bundle.fingerprint()
    }
}

/// The people this person deals with.
#[derive(Debug)]
pub struct Users {
    deployment: DeploymentId,
    minimum_suite: u16,
    transport: Transport,
    mirrors: Arc<Mirrors>,
    pins: Pins,
    bundles_dir: PathBuf,
    me: PublicIdentity,
    cache: Mutex<HashMap<Digest, Arc<Bundle>>>,
    /// Changed keys that were reported already: once tells all there is to tell.
    reported: Mutex<HashSet<Digest>>,
}

impl Users {
    pub fn open(home: &Home, deployment: &Deployment, me: &PublicIdentity, transport: Transport, mirrors: Arc<Mirrors>) -> Result<Self> {
        Ok(Self {
            deployment: deployment.id(),
            minimum_suite: deployment.file().minimum_suite,
            transport,
            mirrors,
            pins: Pins::open(home.person_dir(deployment.id(), me.user)?),
            bundles_dir: home.directory(deployment.id(), "bundles")?,
            me: me.clone(),
            cache: Mutex::default(),
            reported: Mutex::default(),
        })
    }

    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Finds a person by name and verifies everything; refuses a key that is not the pinned one or its signed successor.
    pub async fn lookup(&self, name: &UserName) -> Result<Person> {
        let chain = self.fetch(name).await?;
        self.admit(chain).await
    }

    /// The same for somebody of whom a bundle was seen, in a grant say: they are found in whichever team they are by now.
    pub async fn lookup_met(&self, name: &UserName, bundle: &Digest) -> Result<Person> {
        let chain = self.fetch_met(name, Some(*bundle)).await?;
        self.admit(chain).await
    }

    /// Forgets the pinned key: the next look-up is a first contact.
    pub fn unpin(&self, name: &UserName) -> Result<Pin> {
        self.pins.remove(name)?.ok_or_else(|| ClientError::not_found(format!("no key of {name} is pinned on this device")))
    }

    /// A bundle by its record hash, as grants, heads and manifests name their signers. It is in the key log and belongs to a person whose
    /// pin it fits; retired generations are found too.
    pub async fn bundle(&self, hash: &Digest) -> Result<Arc<Bundle>> {
        if *hash == self.me.hash() {
            return Ok(Arc::new(self.me.bundle.clone()));
        }
        if let Some(bundle) = self.cache().get(hash).cloned() {
            return Ok(bundle);
        }
        let bundle = match self.stored_bundle(hash)? {
            Some(bundle) => bundle,
            None => self.fetch_bundle(hash).await?,
        };
        self.check_pinned(&bundle).await?;
        let bundle = Arc::new(bundle);
        self.cache().insert(*hash, Arc::clone(&bundle));
        Ok(bundle)
    }

    /// Checks that the key log shows one's own keys as they are: a server that hands others another key is found out here.
    pub async fn check_self(&self) -> Result<()> {
        let chain = self.fetch(&self.me.name).await?;
        if chain.user() == self.me.user && chain.newest().hash() == self.me.hash() {
            return Ok(());
        }
        Err(ClientError::untrusted(format!(
            "the server shows another key for you than yours ({}): if you rotated it on another device, copy the new key file here; otherwise tell an administrator at once",
            chain.newest().fingerprint()
        )))
    }

    async fn fetch(&self, name: &UserName) -> Result<Chain> {
        self.fetch_met(name, None).await
    }

    /// Only who is not found without is asked for with the hash of a key of theirs, the pinned one at least: a server need not learn whose keys are known here.
    async fn fetch_met(&self, name: &UserName, met: Option<Digest>) -> Result<Chain> {
        let card = match self.card(name, None).await {
            Err(error) if error.kind() == Kind::NotFound => {
                let met = met.or(self.pins.by_name(name)?.map(|(_, pin)| pin.fingerprint)).ok_or(error)?;
                self.card(name, Some(met)).await?
            }
            card => card?,
        };
        let chain = Chain::verify(card, name, self.deployment, self.minimum_suite)?;
        chain.verify_logged(&self.mirrors.keys).await?;
        if let Some(issuer) = chain.issuer() {
            // Whoever activated the account must be in the log and fit their own pin.
            if issuer.payload().user != chain.user() {
                self.verify_issuer(issuer).await?;
            }
        }
        Ok(chain)
    }

    async fn card(&self, name: &UserName, met: Option<Digest>) -> Result<UserCard> {
        let query = UserLookupQuery { bundle: met.map(|hash| Hash(hash.to_bytes())) };
        self.transport.call(Operation::UserLookup, &[name.as_str()], &query, &()).await
    }

    async fn verify_issuer(&self, issuer: &Bundle) -> Result<()> {
        let hash = issuer.hash();
        if hash == self.me.hash() {
            return Ok(());
        }
        let known = match self.stored_bundle(&hash)? {
            Some(known) => known,
            None => self.fetch_bundle(&hash).await?,
        };
        match self.pins.get(known.payload().user)? {
            Some(pin) if pin.contradicts(&known) => {
                Err(self.changed((known.payload().user, &pin), &known, Change::Unexplained, None).await)
            }
            _ => Ok(()),
        }
    }

    /// Compares with the pin: pins at first contact, follows signed rotations, blocks everything else.
    async fn admit(&self, chain: Chain) -> Result<Person> {
        // Under its name, so that nobody takes over the name of somebody known.
        let pinned = match self.pins.by_name(chain.name())? {
            None => self.pins.get(chain.user())?.map(|pin| (chain.user(), pin)),
            found => found,
        };
        let change = pinned.as_ref().map_or(Change::None, |(user, pin)| chain.since(*user, pin));
        let is_me = chain.user() == self.me.user;
        // One's own keys are at hand; after a reset no signature leads from what was pinned to them.
        let at_hand = is_me && chain.newest().hash() == self.me.hash();
        if let Some((user, pin)) = &pinned
            && change.is_blocked()
            && !(at_hand && *user == chain.user())
        {
            return Err(self.changed((*user, pin), chain.newest(), change, chain.issuer()).await);
        }
        let trust = match &pinned {
            Some((_, pin)) if !at_hand => pin.trust,
            None if !is_me => Trust::FirstContact,
            _ => Trust::Compared,
        };
        if pinned.is_none() || change != Change::None {
            let since = pinned.as_ref().map_or_else(clock::now, |(_, pin)| pin.since);
            self.pins.put(chain.user(), chain.pin(trust, since))?;
        }
        self.remember_chain(&chain)?;
        Ok(chain.person(trust, pinned.is_none() && !is_me))
    }

    /// A signer's bundle against the pin of its person; a generation not seen yet asks for the whole chain.
    async fn check_pinned(&self, bundle: &Bundle) -> Result<()> {
        let payload = bundle.payload();
        let pin = self.pins.get(payload.user)?;
        if let Some(pin) = &pin {
            if pin.knows(bundle) {
                return Ok(());
            }
            if pin.contradicts(bundle) {
                return Err(self.changed((payload.user, pin), bundle, Change::Unexplained, None).await);
            }
        }
        match self.lookup_met(&payload.name, &bundle.hash()).await {
            Ok(_) => match self.pins.get(payload.user)? {
                Some(pin) if pin.knows(bundle) => Ok(()),
                Some(pin) => Err(self.changed((payload.user, &pin), bundle, Change::Unexplained, None).await),
                None => Err(ClientError::untrusted(format!("the server shows two people called {}; tell an administrator", payload.name))),
            },
            // Inactive people are not found any more, but what they wrote is still theirs.
            Err(error) if error.kind() == Kind::NotFound && pin.is_none() => self.pins.put(payload.user, Pin::first(bundle, clock::now())),
            Err(error) => Err(error),
        }
    }

    async fn fetch_bundle(&self, hash: &Digest) -> Result<Bundle> {
        let reply: BundleReply = self.transport.call(Operation::BundleRead, &[&hash.to_string()], &(), &()).await?;
        let bundle = card::parse_bundle(&reply.bundle.0, self.deployment, self.minimum_suite)?;
        if bundle.hash() != *hash {
            return Err(ClientError::untrusted("the server answered with another bundle than was asked for; tell an administrator"));
        }
        card::verify_leaf(&self.mirrors.keys, &bundle, &reply.leaf).await?;
        home::write_atomic(&self.bundles_dir.join(hash.to_string()), bundle.as_bytes())?;
        Ok(bundle)
    }

    /// One that was found in the log before. Its own signature and hash are checked again.
    fn stored_bundle(&self, hash: &Digest) -> Result<Option<Bundle>> {
        let Some(bytes) = home::read_bounded(&self.bundles_dir.join(hash.to_string()), BUNDLE_MAX_BYTES)? else { return Ok(None) };
        let bundle = card::parse_bundle(&bytes, self.deployment, self.minimum_suite)?;
        Ok((bundle.hash() == *hash).then_some(bundle))
    }

    fn remember_chain(&self, chain: &Chain) -> Result<()> {
        for bundle in chain.bundles() {
            let path = self.bundles_dir.join(bundle.hash().to_string());
            if !path.exists() {
                home::write_atomic(&path, bundle.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Tells the server's log and the person that a pinned key does not fit any more. `issuer` is who accepted it, if there was a reset.
    async fn changed(&self, (user, pin): (UserId, &Pin), shown: &Bundle, change: Change, issuer: Option<&Bundle>) -> ClientError {
        if self.reported.lock().unwrap_or_else(PoisonError::into_inner).insert(shown.hash()) {
            let report = PinReportRequest { user, pinned: Hash(pin.fingerprint.to_bytes()), shown: Hash(shown.hash().to_bytes()) };
            let reported = self.transport.call::<_, Option<serde::de::IgnoredAny>>(Operation::PinReport, &[], &(), &report).await;
            if let Err(error) = reported {
                tracing::warn!(%error, "the changed key could not be reported");
            }
        }
        let (name, pinned, shown) = (&shown.payload().name, Fingerprint(pin.fingerprint), shown.fingerprint());
        if change == Change::Reset {
            let by = issuer.map_or_else(String::new, |issuer| format!(" ({})", issuer.payload().name));
            return ClientError::new(
                Kind::Untrusted,
                KEY_RESET,
                format!(
                    "the key of {name} was changed by a reset: an administrator{by} accepted new keys because the old ones were lost, so \
                     nothing but people can say that they are {name}'s. Ask {name} in person or by telephone for the fingerprint; if it \
                     is {shown}, confirm it (`ticrypt users verify {name} FINGERPRINT`, or Compare on the page My account), then share \
                     again, because shares with the old key are dead; if {name} knows of no reset, tell another administrator. Pinned was {pinned}"
                ),
            );
        }
        ClientError::new(
            Kind::Untrusted,
            PIN_CHANGED,
            format!(
                "the key of {name} is not the one this device has pinned, and no signed rotation leads to it. Pinned: {pinned}. Shown: {shown}. \
                 Ask {name} in person or by telephone for the fingerprint; if it is the one shown, confirm it (`ticrypt users verify \
                 {name} FINGERPRINT`, or Compare on the page My account), otherwise tell an administrator"
            ),
        )
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Bundle>>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
