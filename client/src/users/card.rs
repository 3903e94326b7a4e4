//! A person's card, verified: the chain of bundles, their leaves in the key log, the activation.

use ticrypt_api::user::{KeyLeaf, UserCard};
use ticrypt_crypto::bundle::{Bundle, Reason};
use ticrypt_crypto::statement::{Action, StatementPayload};
use ticrypt_crypto::{Envelope, Signed};
use ticrypt_log::event::keys::{KeyEvent, KeyEventKind};
use ticrypt_types::{DeploymentId, Timestamp, UserId, UserName};

use super::compare::Change;
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

    /// How the newest key comes from what was pinned for `user`. The chain verified: each bundle in it is signed by, or names, the one before.
    pub(super) fn since(&self, user: UserId, pin: &Pin) -> Change {
        let contradicted = self.bundles().any(|bundle| pin.contradicts(bundle));
        let known = self.bundles().any(|bundle| bundle.hash() == pin.fingerprint);
        if (user, &pin.name) != (self.user, &self.name) || contradicted || !known {
            return Change::Unexplained;
        }
        let later = self.bundles().take_while(|bundle| bundle.payload().generation > pin.generation);
        let later: Vec<Reason> = later.map(|bundle| bundle.payload().reason).collect();
        match later.as_slice() {
            [] => Change::None,
            // Only generation 0 is neither a rotation nor a reset.
            _ if later.iter().all(|reason| reason.is_rotation()) => Change::Rotation,
            _ => Change::Reset,
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ticrypt_keyring::{Identity, SystemRandom};

    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1);

    fn chain_of(bundles: &[&Bundle]) -> Chain {
        let leaf = || KeyLeaf { index: 0, leaf: Vec::new().into() };
        let bundles: Vec<(Arc<Bundle>, KeyLeaf)> = bundles.iter().rev().map(|bundle| (Arc::new((*bundle).clone()), leaf())).collect();
        let newest = Arc::clone(&bundles.first().unwrap().0);
        Chain { user: newest.payload().user, name: newest.payload().name.clone(), newest, bundles, activation: None }
    }

    #[test]
    fn how_a_key_comes_from_the_pinned_one() {
        let random = SystemRandom::new();
        let (deployment, user) = (DeploymentId::from_random([2; 16]), UserId::from_random([1; 16]));
        let person = |name: &str| {
            let identity = Identity::generate(&random, deployment, user, name.parse().unwrap()).unwrap();
            let bundle = identity.bundle(AT).unwrap();
            (identity, bundle)
        };
        let (first_keys, first) = person("a-pi");
        let (rotated_keys, rotated) = first_keys.rotate(&random, &first, false, AT).unwrap();
        let (_, compromised) = rotated_keys.rotate(&random, &rotated, true, AT).unwrap();
        let (reset_keys, reset) = Identity::reset(&random, &first, AT).unwrap();
        let (_, after_reset) = reset_keys.rotate(&random, &reset, false, AT).unwrap();
        let (_, renamed) = person("another-pi");
        let (_, foreign) = person("a-pi");
        let pin = |bundles: &[&Bundle]| chain_of(bundles).pin(Trust::Compared, AT);

        let table: [(&str, UserId, Pin, &[&Bundle], Change); 11] = [
            ("the same key", user, pin(&[&first]), &[&first], Change::None),
            ("the same, after a rotation", user, pin(&[&first, &rotated]), &[&first, &rotated], Change::None),
            ("one rotation", user, pin(&[&first]), &[&first, &rotated], Change::Rotation),
            ("two, one after a compromise", user, pin(&[&first]), &[&first, &rotated, &compromised], Change::Rotation),
            ("a reset", user, pin(&[&first]), &[&first, &reset], Change::Reset),
            ("a reset, then a rotation", user, pin(&[&first]), &[&first, &reset, &after_reset], Change::Reset),
            (
                "a rotation of what was pinned after a reset",
                user,
                pin(&[&first, &reset]),
                &[&first, &reset, &after_reset],
                Change::Rotation,
            ),
            ("a reset in place of a known rotation", user, pin(&[&first, &rotated]), &[&first, &reset], Change::Unexplained),
            ("a chain that ends before the pin", user, pin(&[&first, &rotated]), &[&first], Change::Unexplained),
            ("another key, same person", user, pin(&[&first]), &[&foreign], Change::Unexplained),
            ("another name", user, pin(&[&first]), &[&renamed], Change::Unexplained),
        ];
        for (what, user, pin, shown, wanted) in table {
            assert_eq!(chain_of(shown).since(user, &pin), wanted, "{what}");
        }
        let other = UserId::from_random([3; 16]);
        assert_eq!(chain_of(&[&first]).since(other, &pin(&[&first])), Change::Unexplained, "the name was pinned for somebody else");
    }
}
