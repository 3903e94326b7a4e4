//! Signed heads as the server shows them, of groups, their compartments and projects: each by the key of who wrote it, and in the key log, so that
//! it can be neither made up nor taken back.

use ticrypt_api::user::KeyLeaf;
use ticrypt_crypto::compartment::CompartmentHeadPayload;
use ticrypt_crypto::group::GroupHeadPayload;
use ticrypt_crypto::project::ProjectHeadPayload;
use ticrypt_crypto::signature::{Payload, SignatureError};
use ticrypt_crypto::{Digest, Envelope, Signed};
use ticrypt_log::event::keys::{KeyEvent, KeyEventKind};
use ticrypt_types::{DeploymentId, UserId};

use crate::error::{ClientError, Result};
use crate::keys::Batch;
use crate::session::Session;

/// A record that begins a new state of something that several people change.
pub(crate) trait Head: Payload {
    /// What it is of, for the refusal of one that does not verify.
    const OF: &'static str;
    const KIND: KeyEventKind;
    /// What it is about in the key log.
    fn subject(&self) -> [u8; 16];
    fn origin(&self) -> (DeploymentId, UserId, Digest);
    /// To be signed alone.
    fn into_batch(self) -> Batch;
}

macro_rules! heads {
    ($($payload:ty: $of:literal $kind:ident $batch:ident $subject:ident;)+) => {$(
        impl Head for $payload {
            const OF: &'static str = $of;
            const KIND: KeyEventKind = KeyEventKind::$kind;

            fn subject(&self) -> [u8; 16] {
                self.$subject.to_bytes()
            }

            fn origin(&self) -> (DeploymentId, UserId, Digest) {
                (self.deployment, self.writer, self.writer_bundle)
            }

            fn into_batch(self) -> Batch {
                Batch::$batch(vec![self])
            }
        }
    )+};
}

heads! {
    GroupHeadPayload: "the group" GroupHead GroupHeads group;
    CompartmentHeadPayload: "the key of a tag in a group" CompartmentHead CompartmentHeads group;
    ProjectHeadPayload: "the project" ProjectHead ProjectHeads project;
}

/// What the server shows of something cannot be.
pub(crate) fn lie(of: &str, what: &str) -> ClientError {
    ClientError::untrusted(format!("{of} is refused: {what}; nothing of it was used: the server lies or is damaged, tell an administrator"))
}

impl Session {
    /// One's own next head: what is sent, and the same read back.
    pub(crate) async fn sign_head<T: Head>(&self, payload: T) -> Result<(Vec<u8>, Signed<T>)> {
        let signed = self.keys.sign(payload.into_batch()).await?.pop();
        let envelope = signed.ok_or_else(|| ClientError::broken(format!("a head of {} was not signed; nothing was sent", T::OF)))?;
        let head = Envelope::parse(&envelope).and_then(|read| read.verify_as(self.me().signing_key()));
        let head = head.map_err(|e| ClientError::broken("what was just signed does not verify; nothing was sent").because(e))?;
        Ok((envelope, head))
    }

    pub(crate) async fn verified_head<T: Head>(&self, bytes: &[u8], leaf: &KeyLeaf) -> Result<Signed<T>> {
        let bad = |e: SignatureError| lie(T::OF, "one of its heads does not verify").because(e);
        let envelope = Envelope::parse(bytes).map_err(bad)?;
        let (_, _, claimed) = envelope.claimed::<T>().map_err(bad)?.origin();
        let bundle = self.users.bundle(&claimed).await?;
        let head: Signed<T> = envelope.verify_as(&bundle.payload().signing_key).map_err(bad)?;
        if head.origin() != (self.deployment_id(), bundle.payload().user, claimed) {
            return Err(lie(T::OF, "one of its heads names another writer than its key's, or another deployment"));
        }
        let event = KeyEvent::from_leaf(&leaf.leaf.0).map_err(|e| lie(T::OF, "a leaf of the key log cannot be read").because(e))?;
        if event.kind != T::KIND || *event.user != head.subject() || event.body.as_slice() != head.record_hash().as_bytes() {
            return Err(lie(T::OF, "a leaf of the key log is not of its head"));
        }
        self.mirrors.keys.verify_inclusion(leaf.index, &leaf.leaf.0).await?;
        Ok(head)
    }
}
