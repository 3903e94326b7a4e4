//! Records as they come from a client: read strictly, held to the caller's own current bundle, never half trusted.
//!
//! What signs is checked here, once; what the record says is checked against the stored state in `fit.rs`. A batch signed with
//! one signature costs one ECDSA operation, because the reader remembers the roots it has verified.

use ticrypt_api::Blob;
use ticrypt_crypto::compartment::CompartmentHeadPayload;
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::entry::{Entry, WRAP_LEN, leaf_hash};
use ticrypt_crypto::grant::{GrantPayload, Revocation};
use ticrypt_crypto::group::GroupHeadPayload;
use ticrypt_crypto::manifest::ManifestPayload;
use ticrypt_crypto::record::Record;
use ticrypt_crypto::signature::{Payload, VerifyCache};
use ticrypt_crypto::{Digest, Envelope, PublicKey, Signed};
use ticrypt_types::limits::CLOCK_SKEW_MAX_MS;
use ticrypt_types::{DeploymentId, Timestamp, UserId};

use super::error::FileError;

/// The key a person signs with now.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub(crate) user: UserId,
    pub(crate) bundle: Digest,
    pub(crate) generation: u32,
    pub(crate) key: PublicKey,
}

/// An entry with the leaf its directory's head commits to.
#[derive(Clone, Debug)]
pub(crate) struct ReadEntry {
    pub(crate) entry: Entry,
    pub(crate) leaf: Digest,
    pub(crate) bytes: Vec<u8>,
}

/// Reads the records of one request, all signed by one person.
pub(crate) struct Reader<'a> {
    deployment: DeploymentId,
    signer: &'a Signer,
    now: Timestamp,
    cache: VerifyCache,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(deployment: DeploymentId, signer: &'a Signer, now: Timestamp) -> Self {
        Self { deployment, signer, now, cache: VerifyCache::default() }
    }

    pub(crate) fn head(&mut self, bytes: &Blob) -> Result<Signed<HeadPayload>, FileError> {
        let head: Signed<HeadPayload> = self.signed("directory head", bytes)?;
        self.origin(head.deployment, head.writer, head.writer_bundle, head.at)?;
        Ok(head)
    }

    pub(crate) fn manifest(&mut self, bytes: &Blob) -> Result<Signed<ManifestPayload>, FileError> {
        let manifest: Signed<ManifestPayload> = self.signed("manifest", bytes)?;
        self.origin(manifest.deployment, manifest.writer, manifest.writer_bundle, manifest.at)?;
        Ok(manifest)
    }

    pub(crate) fn grant(&mut self, bytes: &Blob) -> Result<Signed<GrantPayload>, FileError> {
        let grant: Signed<GrantPayload> = self.signed("grant", bytes)?;
        self.origin(grant.deployment, grant.sealer, grant.sealer_bundle, grant.issued)?;
        Ok(grant)
    }

    pub(crate) fn revocation(&mut self, bytes: &Blob) -> Result<Signed<Revocation>, FileError> {
        let revocation: Signed<Revocation> = self.signed("revocation", bytes)?;
        self.origin(revocation.deployment, revocation.issuer, revocation.issuer_bundle, revocation.at)?;
        Ok(revocation)
    }

    pub(crate) fn group_head(&mut self, bytes: &Blob) -> Result<Signed<GroupHeadPayload>, FileError> {
        let head: Signed<GroupHeadPayload> = self.signed("head of a group", bytes)?;
        self.origin(head.deployment, head.writer, head.writer_bundle, head.at)?;
        Ok(head)
    }

    pub(crate) fn compartment_head(&mut self, bytes: &Blob) -> Result<Signed<CompartmentHeadPayload>, FileError> {
        let head: Signed<CompartmentHeadPayload> = self.signed("head of a compartment", bytes)?;
        self.origin(head.deployment, head.writer, head.writer_bundle, head.at)?;
        Ok(head)
    }

    fn signed<T: Payload>(&mut self, what: &'static str, bytes: &Blob) -> Result<Signed<T>, FileError> {
        Envelope::parse(&bytes.0)
            .and_then(|envelope| envelope.verify_as_cached(&self.signer.key, &mut self.cache))
            .map_err(|source| FileError::Signature { what, source })
    }

    /// Deployment, signer and time, which every signed record names.
    fn origin(&self, deployment: DeploymentId, signer: UserId, bundle: Digest, at: Timestamp) -> Result<(), FileError> {
        if deployment != self.deployment {
            return Err(FileError::unfit("other_deployment", "the record was signed for another deployment; check which server this is"));
        }
        if signer != self.signer.user {
            return Err(FileError::unfit("other_signer", "the record names somebody else as its signer; sign it as yourself"));
        }
        if bundle != self.signer.bundle {
            return Err(FileError::unfit(
                "other_bundle",
                "the record names another bundle than your current one; sign it with your present key",
            ));
        }
        // What was signed earlier may have waited for a slow line; what claims to be from the future has a wrong clock.
        if at.millis_since(self.now) > CLOCK_SKEW_MAX_MS {
            return Err(FileError::unfit("clock_ahead", "the record's time lies in the future; set this device's clock"));
        }
        Ok(())
    }
}

/// Reads an entry; entries are not signed one by one, the head over them is.
pub(crate) fn entry(bytes: Blob) -> Result<ReadEntry, FileError> {
    let Blob(bytes) = bytes;
    let entry = Entry::parse(&bytes).map_err(|source| FileError::Record { what: "entry", source })?;
    Ok(ReadEntry { leaf: leaf_hash(&bytes), entry, bytes })
}

/// A wrapped key has one length.
pub(crate) fn wrap(bytes: &Blob) -> Result<(), FileError> {
    if bytes.0.len() == WRAP_LEN { Ok(()) } else { Err(FileError::Bound("a wrapped key has 60 bytes; update this program")) }
}
