//! Identity bundles: rotating one's own, reading anybody's by its hash.

use ticrypt_api::role::KeyEventKind;
use ticrypt_api::user::{BundleReply, BundleRotateRequest, KeyLeaf};
use ticrypt_api::{ApiError, Blob, ErrorKind, Hash};
use ticrypt_crypto::bundle::Reason;
use ticrypt_policy::user::may_rotate_bundle;

use super::Rest;
use super::call::{Answer, Call};
use super::user::read_bundle;
use crate::audited::{audited, refused};
use crate::refusal::{refuse, store_failed};

impl Rest {
    /// The next generation, signed by the new key and the one before.
    pub(super) async fn rotate_bundle(&self, call: &Call) -> Result<Answer, ApiError> {
        let request: BundleRotateRequest = call.body()?;
        let bundle = read_bundle(&request.bundle)?;
        let (actor, user) = self.actor(call.session()?, call.now).await?;
        let current = self.identities.of_account(&self.store, &user.bundle, call.now).await?;
        let event = call.event(&[user.id]);
        let unfit = |message: String| ApiError::new(ErrorKind::Invalid, "bundle_invalid", message);
        let reason = bundle.payload().reason;
        let checked = bundle
            .verify_successor(&current)
            .map_err(|error| unfit(error.to_string()))
            .and_then(|()| if reason.is_rotation() { Ok(()) } else { Err(unfit("only an administrator resets an identity".to_owned())) })
            .and_then(|()| {
                may_rotate_bundle(&actor, current.payload().generation.into(), call.now).map_err(|denial| refuse(denial, call.now))
            });
        let permit = match checked {
            Ok(permit) => permit,
            Err(error) => return Err(refused(self.audit.as_ref(), event, error).await),
        };
        let compromised = reason == Reason::RotationAfterCompromise;
        let reply = audited(self.audit.as_ref(), event, |_| async {
            let row = self.log_bundle(&bundle, KeyEventKind::Rotation, call.now).await?;
            let leaf = KeyLeaf { index: row.log_index, leaf: Blob(row.log_leaf.clone()) };
            self.store.rotate(permit, row, compromised).await.map_err(|error| store_failed(error, call.now))?;
            if compromised {
                self.presence.end_all(user.id);
            }
            Ok(BundleReply { bundle: request.bundle.clone(), leaf })
        });
        Answer::of_reply(call, &reply.await?)
    }

    /// Whoever knows a bundle's hash has seen it named in a grant, head or statement.
    pub(super) async fn read_bundle(&self, call: &Call) -> Result<Answer, ApiError> {
        let Hash(hash) = call.parameter(0)?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        actor.check(call.now).map_err(|denial| refuse(denial, call.now))?;
        let row = self.store.bundle(&hash).await.map_err(|error| store_failed(error, call.now))?.ok_or_else(ApiError::not_found)?;
        Answer::of(call, &BundleReply { bundle: Blob(row.bytes), leaf: KeyLeaf { index: row.log_index, leaf: Blob(row.log_leaf) } })
    }
}
