//! The projects a person works in: changed by their own signature over a fresh challenge (rules §2, docs/formats.md §4).
//!
//! ```text
//!   challenge ─▶ signed set ─▶ spend challenge ─▶ signature, session, time ─▶ rule ─▶ row ─▶ stored, for all sessions
//! ```

use ticrypt_api::project::{WorkingSetReply, WorkingSetRequest};
use ticrypt_api::{ApiError, ErrorKind};
use ticrypt_crypto::Envelope;
use ticrypt_crypto::working_set::WorkingSetPayload;
use ticrypt_policy::active::StandingLine;
use ticrypt_policy::project::may_set_working;
use ticrypt_store::user::User;

use super::Rest;
use super::call::{Answer, Call};
use super::change::{Reaches, event};
use crate::refusal::store_failed;

fn unfit(message: &str) -> ApiError {
    ApiError::new(ErrorKind::Invalid, "working_set_unfit", message)
}

impl Rest {
    pub(super) async fn set_working_set(&self, call: &Call) -> Result<Answer, ApiError> {
        // parse
        let request: WorkingSetRequest = call.body()?;
        let malformed = |_| ApiError::invalid("the working set is not a signed record of one");
        let envelope = Envelope::parse(request.working_set.as_ref()).map_err(malformed)?;
        let claimed: WorkingSetPayload = envelope.claimed().map_err(malformed)?;

        // load facts
        let session = call.session()?;
        let (actor, user) = self.actor(session, call.now).await?;
        let name = self.challenges.spend(&claimed.challenge, call.now);
        if name.is_none_or(|name| name != user.name) {
            let message = "the challenge is unknown, used, too old or somebody else's; ask for a new one";
            return Err(ApiError::new(ErrorKind::Invalid, "challenge_unknown", message));
        }
        self.check_working_set(&claimed, &user, call)?;
        let bundle = self.identities.of_account(&self.store, &user.bundle, call.now).await?;
        let signed = envelope.verify_as::<WorkingSetPayload>(&bundle.payload().signing_key);
        let projects = signed.map_err(|_| unfit("the working set is not signed by your current key"))?.into_record().projects;
        let standing = self.store.standing(user.id, &projects).await.map_err(|error| store_failed(error, call.now))?;
        let unknown = || StandingLine::new(Vec::new());
        let lines = projects.iter().map(|project| standing.get(project).cloned().unwrap_or_else(unknown)).collect();

        // decide, act
        let decided = may_set_working(&actor, lines, user.working_revision, session.login, call.now);
        let subjects: Vec<[u8; 16]> = projects.iter().map(|project| project.to_bytes()).collect();
        let row = event(call, &subjects, &[("projects", subjects.len().to_string())]);
        self.change_of_reach(call, row, decided, Reaches::One(user.id), |(permit, _)| async move {
            self.store.set_working_set(permit, projects.clone()).await?;
            Ok(WorkingSetReply { projects })
        })
        .await
    }

    /// What was signed must be about this deployment, this person's key, this session and this moment.
    fn check_working_set(&self, set: &WorkingSetPayload, user: &User, call: &Call) -> Result<(), ApiError> {
        if set.deployment != self.deployment.id || set.user != user.id {
            return Err(unfit("the working set is of another person or deployment"));
        }
        if set.bundle.as_bytes() != &user.bundle {
            return Err(unfit("the working set names another key than your current one; copy the newest key file to this device"));
        }
        if set.session != call.session()?.id {
            return Err(unfit("the working set is for another session; sign it for this one"));
        }
        if call.skew_ms(set.at).is_some() {
            return Err(unfit("the working set was not signed just now; check the device's clock and sign again"));
        }
        Ok(())
    }
}
