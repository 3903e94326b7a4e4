//! What the rest of the library may ask of a person's identity keys: typed requests, never a raw signature or an opened box.
//!
//! ```text
//!   vault, users, account ──▶ trait Keys ──┬─▶ Unlocked    the identity in this process
//!                                          └─▶ AgentKeys   the same requests over the agent's socket
//! ```
//!
//! There is no *sign these bytes*: a caller hands over parsed records, and whoever holds the identity encodes them itself after
//! checking that they are of this deployment and by this person ([`Batch::check`]). There is no *unseal*: a grant opens only with
//! its signed terms, to the person they name. Sealing to somebody needs no secret of ours, so it is not here. The key of the session
//! stays with the identity as well: it signs for a connection, and nobody is handed it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ticrypt_crypto::bundle::Bundle;
use ticrypt_crypto::bundle::KemPublicKey;
use ticrypt_crypto::compartment::CompartmentHeadPayload;
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::grant::{GrantPayload, Revocation};
use ticrypt_crypto::group::{GroupHeadPayload, GroupSealTerms};
use ticrypt_crypto::login::{LoginPayload, SessionBinding};
use ticrypt_crypto::manifest::ManifestPayload;
use ticrypt_crypto::project::ProjectHeadPayload;
use ticrypt_crypto::record::Record;
use ticrypt_crypto::signature::EnvelopeBytes;
use ticrypt_crypto::statement::StatementPayload;
use ticrypt_crypto::working_set::WorkingSetPayload;
use ticrypt_crypto::{Digest, Envelope, Namespace, PublicKey, Signed};
use ticrypt_keyring::SessionKey;
use ticrypt_keyring::group::GroupSeed;
use ticrypt_types::limits::BATCH_MAX_NODES;
use ticrypt_types::{DeploymentId, SessionId, UserId, UserName};

pub use ticrypt_keyring::NodeKeys;

use crate::error::{ClientError, Result};

/// Records one request may have signed: a full batch of nodes and the head above them.
pub const SIGN_MAX_RECORDS: usize = BATCH_MAX_NODES + 100;
/// Grants one request may have opened.
pub const OPEN_MAX_GRANTS: usize = 1_000;

/// The public half of an identity: who signs.
#[derive(Clone, Debug)]
pub struct PublicIdentity {
    pub deployment: DeploymentId,
    pub user: UserId,
    pub name: UserName,
    pub bundle: Bundle,
}

impl PublicIdentity {
    /// Takes it out of a bundle.
    pub fn of(bundle: Bundle) -> Self {
        let payload = bundle.payload();
        Self { deployment: payload.deployment, user: payload.user, name: payload.name.clone(), bundle }
    }

    /// Record hash of the bundle: the fingerprint.
    pub fn hash(&self) -> Digest {
        self.bundle.hash()
    }

    pub fn generation(&self) -> u32 {
        self.bundle.payload().generation
    }

    pub fn signing_key(&self) -> &PublicKey {
        &self.bundle.payload().signing_key
    }
}

/// Records to be signed under one signature: all of one kind, in one namespace.
#[derive(Clone, Debug)]
pub enum Batch {
    Directories(Vec<HeadPayload>),
    Manifests(Vec<ManifestPayload>),
    Grants(Vec<GrantPayload>),
    Revocations(Vec<Revocation>),
    Statements(Vec<StatementPayload>),
    Login(Box<LoginPayload>),
    WorkingSet(Box<WorkingSetPayload>),
    GroupHeads(Vec<GroupHeadPayload>),
    CompartmentHeads(Vec<CompartmentHeadPayload>),
    ProjectHeads(Vec<ProjectHeadPayload>),
}

impl Batch {
    pub const fn namespace(&self) -> Namespace {
        match self {
            Self::Directories(_) => Namespace::Directory,
            Self::Manifests(_) => Namespace::Manifest,
            Self::Grants(_) => Namespace::Grant,
            Self::Revocations(_) => Namespace::Revocation,
            Self::Statements(_) => Namespace::Statement,
            Self::Login(_) => Namespace::Login,
            Self::WorkingSet(_) => Namespace::WorkingSet,
            Self::GroupHeads(_) => Namespace::GroupHead,
            Self::CompartmentHeads(_) => Namespace::CompartmentHead,
            Self::ProjectHeads(_) => Namespace::ProjectHead,
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Directories(records) => records.len(),
            Self::Manifests(records) => records.len(),
            Self::Grants(records) => records.len(),
            Self::Revocations(records) => records.len(),
            Self::Statements(records) => records.len(),
            Self::GroupHeads(records) => records.len(),
            Self::CompartmentHeads(records) => records.len(),
            Self::ProjectHeads(records) => records.len(),
            Self::Login(_) | Self::WorkingSet(_) => 1,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What will be signed, each in its one encoding.
    pub fn payloads(&self) -> Vec<Vec<u8>> {
        fn all<T: Record>(records: &[T]) -> Vec<Vec<u8>> {
            records.iter().map(Record::to_bytes).collect()
        }
        match self {
            Self::Directories(records) => all(records),
            Self::Manifests(records) => all(records),
            Self::Grants(records) => all(records),
            Self::Revocations(records) => all(records),
            Self::Statements(records) => all(records),
            Self::GroupHeads(records) => all(records),
            Self::CompartmentHeads(records) => all(records),
            Self::ProjectHeads(records) => all(records),
            Self::Login(record) => vec![record.to_bytes()],
            Self::WorkingSet(record) => vec![record.to_bytes()],
        }
    }

    /// Reads what came over a socket, each record by the strict parser of its format.
    pub fn parse(namespace: Namespace, payloads: &[Vec<u8>]) -> Result<Self> {
        fn all<T: Record>(payloads: &[Vec<u8>]) -> Result<Vec<T>> {
            let read =
                |bytes: &Vec<u8>| T::parse(bytes).map_err(|e| ClientError::invalid("a record to be signed cannot be read").because(e));
            payloads.iter().map(read).collect()
        }
        match namespace {
            Namespace::Directory => all(payloads).map(Self::Directories),
            Namespace::Manifest => all(payloads).map(Self::Manifests),
            Namespace::Grant => all(payloads).map(Self::Grants),
            Namespace::Revocation => all(payloads).map(Self::Revocations),
            Namespace::Statement => all(payloads).map(Self::Statements),
            Namespace::GroupHead => all(payloads).map(Self::GroupHeads),
            Namespace::CompartmentHead => all(payloads).map(Self::CompartmentHeads),
            Namespace::ProjectHead => all(payloads).map(Self::ProjectHeads),
            Namespace::Login => match <[LoginPayload; 1]>::try_from(all(payloads)?) {
                Ok([login]) => Ok(Self::Login(Box::new(login))),
                Err(_) => Err(ClientError::invalid("a login is signed alone")),
            },
            Namespace::WorkingSet => match <[WorkingSetPayload; 1]>::try_from(all(payloads)?) {
                Ok([set]) => Ok(Self::WorkingSet(Box::new(set))),
                Err(_) => Err(ClientError::invalid("a working set is signed alone")),
            },
            Namespace::Bundle | Namespace::BundleRotation | Namespace::SessionBinding => {
                Err(ClientError::invalid(format!("a {} is not signed on request", namespace.word())))
            }
        }
    }

    /// Refuses what is not this person's to sign: another deployment, another writer, another bundle, or a record that breaks the
    /// rules of its own format.
    pub fn check(&self, identity: &PublicIdentity) -> Result<()> {
        if self.is_empty() || self.len() > SIGN_MAX_RECORDS {
            return Err(ClientError::invalid(format!("between 1 and {SIGN_MAX_RECORDS} records are signed at once, not {}", self.len())));
        }
        let me = (identity.deployment, identity.user, identity.hash());
        let signers: Vec<(DeploymentId, UserId, Digest)> = match self {
            Self::Directories(records) => signers(records, |r| (r.deployment, r.writer, r.writer_bundle))?,
            Self::Manifests(records) => signers(records, |r| (r.deployment, r.writer, r.writer_bundle))?,
            Self::Grants(records) => signers(records, |r| (r.deployment, r.sealer, r.sealer_bundle))?,
            Self::Revocations(records) => signers(records, |r| (r.deployment, r.issuer, r.issuer_bundle))?,
            Self::Statements(records) => signers(records, |r| (r.deployment, r.issuer, r.issuer_bundle))?,
            Self::GroupHeads(records) => signers(records, |r| (r.deployment, r.writer, r.writer_bundle))?,
            Self::CompartmentHeads(records) => signers(records, |r| (r.deployment, r.writer, r.writer_bundle))?,
            Self::ProjectHeads(records) => signers(records, |r| (r.deployment, r.writer, r.writer_bundle))?,
            Self::Login(record) => signers(std::slice::from_ref(&**record), |r| (r.deployment, r.user, r.bundle))?,
            Self::WorkingSet(record) => signers(std::slice::from_ref(&**record), |r| (r.deployment, r.user, r.bundle))?,
        };
        if signers.iter().all(|signer| *signer == me) {
            Ok(())
        } else {
            Err(ClientError::refused("not_mine", "a record names another deployment, person or key than the one unlocked; log in again"))
        }
    }
}

fn signers<T: Record>(records: &[T], of: impl Fn(&T) -> (DeploymentId, UserId, Digest)) -> Result<Vec<(DeploymentId, UserId, Digest)>> {
    for record in records {
        record.check().map_err(|e| ClientError::invalid("a record to be signed breaks the rules of its format").because(e))?;
    }
    Ok(records.iter().map(of).collect())
}

/// A grant as it came: its envelope, what is sealed beside it, and the key that must have signed it. Whose key that is, the caller has
/// found out; here it only has to fit.
#[derive(Clone, Debug)]
pub struct SealedGrant {
    pub envelope: EnvelopeBytes,
    pub sealed: Vec<u8>,
    pub sealer_key: PublicKey,
}

/// The seed of a group's key, sealed to this person; `key` is its public half, out of a verified head.
#[derive(Clone, Debug)]
pub struct SealedSeed {
    pub terms: GroupSealTerms,
    pub sealed: Vec<u8>,
    pub key: KemPublicKey,
}

/// The holder of an identity.
#[async_trait]
pub trait Keys: Send + Sync + fmt::Debug {
    /// Whose keys these are.
    fn identity(&self) -> &PublicIdentity;

    /// Signs all records of the batch under one signature; envelopes come in the same order.
    async fn sign(&self, batch: Batch) -> Result<Vec<EnvelopeBytes>>;

    /// Opens grants made to this person, under the present key or a retired one; keys come in the same order. A grant that does not
    /// open, or whose keys do not fit its commitments, fails on its own.
    async fn open(&self, grants: Vec<SealedGrant>) -> Result<Vec<Result<NodeKeys>>>;

    /// Opens the seed of a group's key; one that is not of the public key refuses to.
    async fn open_group_seal(&self, seal: SealedSeed) -> Result<GroupSeed>;

    /// Draws the key of a new session and returns its public half; the key before is forgotten.
    async fn new_session_key(&self) -> Result<PublicKey>;

    /// Binds a connection, by its channel value, to the session that was begun with the key drawn last.
    async fn bind(&self, session: SessionId, channel: [u8; 32]) -> Result<EnvelopeBytes>;
}

/// An identity in this process.
#[derive(Debug)]
pub struct Unlocked {
    public: PublicIdentity,
    /// Opening a thousand grants takes seconds, so it runs on a blocking thread.
    identity: Arc<ticrypt_keyring::Identity>,
    session: Mutex<Option<SessionKey>>,
}

impl Unlocked {
    /// Joins an unlocked key file and its bundle.
    pub fn new(identity: ticrypt_keyring::Identity, bundle: Bundle) -> Result<Self> {
        if !identity.is_of(&bundle) {
            return Err(ClientError::invalid(format!(
                "the bundle is not of this key file (generation {}); copy both files from the same device",
                identity.generation()
            )));
        }
        Ok(Self { public: PublicIdentity::of(bundle), identity: Arc::new(identity), session: Mutex::new(None) })
    }

    pub fn secret(&self) -> &ticrypt_keyring::Identity {
        &self.identity
    }

    fn session(&self) -> MutexGuard<'_, Option<SessionKey>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Keys for Unlocked {
    fn identity(&self) -> &PublicIdentity {
        &self.public
    }

    async fn sign(&self, batch: Batch) -> Result<Vec<EnvelopeBytes>> {
        batch.check(&self.public)?;
        self.identity
            .signing()
            .sign_batch(batch.namespace(), &batch.payloads())
            .map_err(|e| ClientError::broken("the records could not be signed").because(e))
    }

    async fn open(&self, grants: Vec<SealedGrant>) -> Result<Vec<Result<NodeKeys>>> {
        if grants.len() > OPEN_MAX_GRANTS {
            return Err(ClientError::invalid(format!("at most {OPEN_MAX_GRANTS} grants are opened at once")));
        }
        let identity = Arc::clone(&self.identity);
        let opened = tokio::task::spawn_blocking(move || grants.iter().map(|grant| open_one(&identity, grant)).collect());
        opened.await.map_err(|e| ClientError::broken("opening grants was cut off; try again").because(e))
    }

    async fn open_group_seal(&self, seal: SealedSeed) -> Result<GroupSeed> {
        ticrypt_keyring::group::open(&self.identity, &seal.terms, &seal.sealed, &seal.key)
            .map_err(|e| ClientError::untrusted(format!("the key of a group does not open: {e}")).because(e))
    }

    async fn new_session_key(&self) -> Result<PublicKey> {
        let key = SessionKey::generate().map_err(|e| ClientError::broken("a session key could not be made").because(e))?;
        let public = *key.public_key();
        *self.session() = Some(key);
        Ok(public)
    }

    async fn bind(&self, session: SessionId, channel: [u8; 32]) -> Result<EnvelopeBytes> {
        let binding = SessionBinding { deployment: self.public.deployment, session, channel };
        let key = self.session();
        let key = key.as_ref().ok_or_else(ClientError::logged_out)?;
        key.sign_binding(&binding).map_err(|e| ClientError::broken("a connection could not be bound to the session").because(e))
    }
}

fn open_one(identity: &ticrypt_keyring::Identity, grant: &SealedGrant) -> Result<NodeKeys> {
    let signed: Signed<GrantPayload> = Envelope::parse(&grant.envelope)
        .and_then(|envelope| envelope.verify_as(&grant.sealer_key))
        .map_err(|e| ClientError::untrusted("a grant is not signed by whoever is said to have sealed it").because(e))?;
    ticrypt_keyring::grant::open(identity, &signed, &grant.sealed)
        .map_err(|e| ClientError::untrusted(format!("the keys of a grant do not open: {e}")).because(e))
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::error::Kind;
    use ticrypt_crypto::grant::RecipientKind;
    use ticrypt_crypto::{
        Suite,
        statement::{Action, ActionCode},
    };
    use ticrypt_keyring::SystemRandom;
    use ticrypt_types::{GrantId, NodeId, NodeKind, Timestamp, Verbs};

    pub(crate) const DEPLOYMENT: [u8; 16] = [1; 16];

    pub(crate) fn unlocked(name: &str) -> Unlocked {
        let (deployment, user) = (DeploymentId::from_random(DEPLOYMENT), UserId::from_random(crate::entropy::bytes().unwrap()));
        let identity = ticrypt_keyring::Identity::generate(&SystemRandom::new(), deployment, user, name.parse().unwrap()).unwrap();
        let bundle = identity.bundle(Timestamp::from_millis(1)).unwrap();
        Unlocked::new(identity, bundle).unwrap()
    }

    pub(crate) fn statement(issuer: &PublicIdentity) -> StatementPayload {
        StatementPayload {
            deployment: issuer.deployment,
            user: UserId::from_random([7; 16]),
            bundle: Digest::ZERO,
            action: ActionCode::Activate,
            argument: Action::Activate.argument(),
            reason: String::new(),
            issuer: issuer.user,
            issuer_bundle: issuer.hash(),
            at: Timestamp::from_millis(5),
        }
    }

    pub(crate) fn grant_to(me: &Unlocked) -> (SealedGrant, NodeKeys) {
        let random = SystemRandom::new();
        let keys = NodeKeys::generate(&random).unwrap();
        let id = me.identity();
        let terms = GrantPayload {
            deployment: id.deployment,
            suite: Suite::CURRENT,
            grant: GrantId::from_random([3; 16]),
            node: NodeId::from_random([4; 16]),
            kind: NodeKind::Directory,
            epoch: 1,
            list_commitment: keys.list.commitment(),
            tree_commitment: keys.tree.as_ref().unwrap().commitment(),
            owner: id.user,
            sealer: id.user,
            sealer_bundle: id.hash(),
            recipient_kind: RecipientKind::Person,
            recipient: id.user,
            recipient_bundle: id.hash(),
            recipient_generation: 0,
            verbs: Verbs::ALL,
            expires: Timestamp::ABSENT,
            predecessor: None,
            authority: None,
            key_log_size: 0,
            key_log_root: None,
            issued: Timestamp::from_millis(5),
        };
        let issued = ticrypt_keyring::grant::issue(&random, me.secret().signing(), &id.bundle, &terms, &keys).unwrap();
        (SealedGrant { envelope: issued.envelope, sealed: issued.sealed, sealer_key: *id.signing_key() }, keys)
    }

    #[tokio::test]
    async fn signs_what_is_its_own_and_nothing_else() {
        let me = unlocked("me");
        let mine = statement(me.identity());
        let signed = me.sign(Batch::Statements(vec![mine.clone(), mine.clone()])).await.unwrap();
        for envelope in &signed {
            let read: Signed<StatementPayload> = Envelope::parse(envelope).unwrap().verify_as(me.identity().signing_key()).unwrap();
            assert_eq!(*read, mine);
        }
        let foreign = [
            StatementPayload { deployment: DeploymentId::from_random([9; 16]), ..mine.clone() },
            StatementPayload { issuer: UserId::from_random([9; 16]), ..mine.clone() },
            StatementPayload { issuer_bundle: Digest::of(b"another"), ..mine.clone() },
        ];
        for record in foreign {
            let error = me.sign(Batch::Statements(vec![mine.clone(), record])).await.unwrap_err();
            assert_eq!(error.code(), "not_mine");
        }
        let malformed = StatementPayload { argument: "x".to_owned(), ..mine };
        assert_eq!(me.sign(Batch::Statements(vec![malformed])).await.unwrap_err().kind(), Kind::Invalid);
        assert_eq!(me.sign(Batch::Grants(vec![])).await.unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn what_came_over_a_socket_is_read_strictly() {
        let me = unlocked("me");
        let batch = Batch::Statements(vec![statement(me.identity())]);
        let payloads = batch.payloads();
        assert_eq!(Batch::parse(Namespace::Statement, &payloads).unwrap().payloads(), payloads);
        assert!(Batch::parse(Namespace::Grant, &payloads).is_err());
        assert!(Batch::parse(Namespace::Statement, &[[&payloads[0][..], &[0]].concat()]).is_err());
        for namespace in [Namespace::Bundle, Namespace::BundleRotation, Namespace::SessionBinding] {
            assert!(Batch::parse(namespace, &payloads).unwrap_err().to_string().contains("not signed on request"));
        }
    }

    #[tokio::test]
    async fn opens_grants_that_are_signed_and_to_this_person() {
        let (me, other) = (unlocked("me"), unlocked("other"));
        let (grant, keys) = grant_to(&me);
        let forged = SealedGrant { sealer_key: *other.identity().signing_key(), ..grant.clone() };
        let mut altered = grant.clone();
        *altered.sealed.last_mut().unwrap() ^= 1;
        let opened = me.open(vec![grant.clone(), forged, altered]).await.unwrap();
        assert_eq!(opened[0].as_ref().unwrap().list.expose(), keys.list.expose());
        assert_eq!(opened[1].as_ref().unwrap_err().kind(), Kind::Untrusted);
        assert_eq!(opened[2].as_ref().unwrap_err().kind(), Kind::Untrusted);
        assert!(other.open(vec![grant]).await.unwrap()[0].is_err());
    }

    #[tokio::test]
    async fn a_binding_is_signed_with_the_sessions_key() {
        let me = unlocked("me");
        let session = SessionId::from_random([5; 16]);
        assert_eq!(me.bind(session, [6; 32]).await.unwrap_err().kind(), Kind::LoggedOut);
        let key = me.new_session_key().await.unwrap();
        let envelope = me.bind(session, [6; 32]).await.unwrap();
        let binding: Signed<SessionBinding> = Envelope::parse(&envelope).unwrap().verify_as(&key).unwrap();
        assert_eq!((binding.session, binding.channel), (session, [6; 32]));
    }
}
