//! A person's card, verified: the chain of bundles, their leaves in the key log, the activation.

use ticrypt_api::user::{KeyLeaf, UserCard};
use ticrypt_crypto::bundle::{Bundle, Reason};
use ticrypt_crypto::statement::{Action, StatementPayload};
use ticrypt_crypto::{Envelope, Signed};
use ticrypt_log::event::keys::{KeyEvent, KeyEventKind};
use ticrypt_types::{DeploymentId, Timestamp, UserId, UserName};

use super::pins::{Pin, Trust};
use super::{Arc, Person};
use crate::error::{ClientError, Result};
use crate::mirror::LogMirror;

/// More generations than a person rotates in a lifetime.
const CHAIN_MAX: usize = 1024;

/// All bundles of a person, each following the one before.
#[derive(Debug)]
pub struct Chain {
    user: UserId,
    name: UserName,
    newest: Arc<Bundle>,
    /// Newest first, the newest included, with their leaves.
    bundles: Vec<(Arc<Bundle>, KeyLeaf)>,
    activation: Option<Activation>,
}

#[derive(Debug)]
struct Activation {
    leaf: KeyLeaf,
    issuer: Bundle,
}

impl Chain {
    /// Verifies everything in a card that needs no log.
    pub(super) fn verify(card: UserCard, asked: &UserName, deployment: DeploymentId, minimum_suite: u16) -> Result<Self> {
        if card.name != *asked {
            return Err(wrong("it is of another person"));
        }
        if card.bundles.len() > CHAIN_MAX || card.bundles.len() != card.bundle_leaves.len() {
            return Err(wrong("its bundles and their places in the key log do not match"));
        }
        let bundles = card.bundles.iter().map(|bytes| parse_bundle(&bytes.0, deployment, minimum_suite).map(Arc::new));
        let bundles = bundles.collect::<Result<Vec<_>>>()?;
        for bundle in &bundles {
            if bundle.payload().user != card.user || bundle.payload().name != card.name {
                return Err(wrong("a bundle in it is of another person"));
            }
        }
        for pair in bundles.windows(2) {
            if let [newer, older] = pair {
                newer.verify_successor(older).map_err(|e| wrong("its bundles do not follow one another").because(e))?;
            }
        }
        let (Some(newest), Some(oldest)) = (bundles.first().cloned(), bundles.last()) else {
            return Err(wrong("it has no bundle"));
        };
        if oldest.payload().generation != 0 {
            return Err(wrong("its first bundle is missing"));
        }
        let activation = match (card.activation, card.activation_issuer) {
            (Some(leaf), Some(issuer)) => Some(verify_activation(leaf, &issuer.0, &bundles, deployment, minimum_suite)?),
            (None, _) => None,
            (Some(_), None) => return Err(wrong("it does not say who activated the account")),
        };
        if activation.is_none() {
            return Err(wrong("no administrator has activated the account"));
        }
        let bundles = bundles.into_iter().zip(card.bundle_leaves).collect();
        Ok(Self { user: card.user, name: card.name, newest, bundles, activation })
    }

    /// Checks that every bundle and the activation are in the key log.
    pub(super) async fn verify_logged(&self, log: &LogMirror) -> Result<()> {
        for (bundle, leaf) in &self.bundles {
            verify_leaf(log, bundle, leaf).await?;
        }
        if let Some(Activation { leaf, .. }) = &self.activation {
            log.verify_inclusion(leaf.index, &leaf.leaf.0).await?;
        }
        Ok(())
    }

    pub fn user(&self) -> UserId {
        self.user
    }

    pub fn name(&self) -> &UserName {
        &self.name
    }

    pub fn newest(&self) -> &Bundle {
        &self.newest
    }

    pub fn bundles(&self) -> impl Iterator<Item = &Bundle> {
        self.bundles.iter().map(|(bundle, _)| &**bundle)
    }

    /// The bundle of whoever activated the account.
    pub(super) fn issuer(&self) -> Option<&Bundle> {
        self.activation.as_ref().map(|activation| &activation.issuer)
    }

    /// Whether signed rotations, and nothing else, lead from what was pinned to the newest.
    pub(super) fn follows(&self, pin: &Pin) -> bool {
        if pin.name != self.name || self.bundles().any(|bundle| pin.contradicts(bundle)) {
            return false;
        }
        let mut later = self.bundles().take_while(|bundle| bundle.payload().generation > pin.generation);
        let rotations_only = later.all(|bundle| bundle.payload().reason.is_rotation());
        rotations_only && self.bundles().any(|bundle| bundle.hash() == pin.fingerprint)
    }

    /// Whether what was pinned is in the chain, and an administrator's reset came after it.
    pub(super) fn was_reset_since(&self, pin: &Pin) -> bool {
        let mut later = self.bundles().take_while(|bundle| bundle.payload().generation > pin.generation);
        let known = pin.name == self.name && self.bundles().any(|bundle| bundle.hash() == pin.fingerprint);
        known && !self.bundles().any(|bundle| pin.contradicts(bundle)) && later.any(|bundle| bundle.payload().reason == Reason::Reset)
    }

    pub(super) fn pin(&self, trust: Trust, since: Timestamp) -> Pin {
        Pin {
            known: self.bundles().map(|bundle| (bundle.payload().generation, bundle.hash())).collect(),
            ..Pin { trust, ..Pin::first(&self.newest, since) }
        }
    }

    pub(super) fn person(&self, trust: Trust, first_contact: bool) -> Person {
        Person { user: self.user, name: self.name.clone(), bundle: Arc::clone(&self.newest), trust, first_contact }
    }
}

/// A bundle of this deployment, of an accepted suite, signed by the key in it.
pub(super) fn parse_bundle(bytes: &[u8], deployment: DeploymentId, minimum_suite: u16) -> Result<Bundle> {
    let bundle = Bundle::parse_and_verify(bytes).map_err(|e| wrong("a bundle in it does not verify").because(e))?;
    if bundle.payload().deployment != deployment {
        return Err(wrong("a bundle in it is of another deployment"));
    }
    if u16::from(bundle.payload().suite.id()) < minimum_suite {
        return Err(wrong("a bundle in it is of a suite below the minimum of the deployment"));
    }
    Ok(bundle)
}

/// Checks that a leaf is of this bundle and stands in the key log.
pub(super) async fn verify_leaf(log: &LogMirror, bundle: &Bundle, leaf: &KeyLeaf) -> Result<()> {
    let event = KeyEvent::from_leaf(&leaf.leaf.0).map_err(|e| wrong("a leaf of the key log cannot be read").because(e))?;
    let kind = match bundle.payload().reason {
        Reason::First => KeyEventKind::Bundle,
        Reason::Rotation | Reason::RotationAfterCompromise => KeyEventKind::Rotation,
        Reason::Reset => KeyEventKind::Reset,
    };
    let fits = event.kind == kind && *event.user == bundle.payload().user.to_bytes() && event.body.as_slice() == bundle.as_bytes();
    if !fits {
        return Err(wrong("a leaf of the key log is not of its bundle"));
    }
    log.verify_inclusion(leaf.index, &leaf.leaf.0).await
}

fn verify_activation(
    leaf: KeyLeaf,
    issuer: &[u8],
    bundles: &[Arc<Bundle>],
    deployment: DeploymentId,
    minimum_suite: u16,
) -> Result<Activation> {
    let issuer = parse_bundle(issuer, deployment, minimum_suite)?;
    let event = KeyEvent::from_leaf(&leaf.leaf.0).map_err(|e| wrong("the leaf of its activation cannot be read").because(e))?;
    let statement: Signed<StatementPayload> = Envelope::parse(&event.body)
        .and_then(|envelope| envelope.verify_as(&issuer.payload().signing_key))
        .map_err(|e| wrong("its activation is not signed by whoever is said to have issued it").because(e))?;
    let user = bundles.first().map(|bundle| bundle.payload().user);
    let activates = matches!(statement.action(), Ok(Action::Bootstrap | Action::Activate | Action::Reset));
    let about = statement.deployment == deployment
        && Some(statement.user) == user
        && user.is_some_and(|user| *event.user == user.to_bytes())
        && bundles.iter().any(|bundle| bundle.hash() == statement.bundle);
    let by = statement.issuer == issuer.payload().user && statement.issuer_bundle == issuer.hash();
    if !(activates && about && by) {
        return Err(wrong("its activation is not about this person, or not by whoever is said to have issued it"));
    }
    Ok(Activation { leaf, issuer })
}

fn wrong(what: &str) -> ClientError {
    ClientError::untrusted(format!("the server's card of a person is refused: {what}; tell an administrator"))
}
