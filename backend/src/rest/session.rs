//! Logging in and out, and looking after one's own sessions (docs/formats.md §4, security C15).
//!
//! ```text
//! challenge ─▶ login: spend challenge ─▶ account ─▶ back-off ─▶ signature ─▶ channel, time ─▶ rule ─▶ row durable ─▶ session
//! ```

use aws_lc_rs::rand;
use data_encoding::BASE64URL_NOPAD;
use ticrypt_api::role::Outcome;
use ticrypt_api::session::{ChallengeReply, ChallengeRequest, LoginReply, LoginRequest, SessionListReply, SessionView};
use ticrypt_api::{ApiError, ErrorKind, Hash};
use ticrypt_crypto::Envelope;
use ticrypt_crypto::login::LoginPayload;
use ticrypt_policy::Denial;
use ticrypt_policy::session::{LoginFacts, SessionFacts, may_end_session, may_list_sessions, may_login};
use ticrypt_store::session::SessionNew;
use ticrypt_store::user::User;
use ticrypt_types::{SessionId, Timestamp};

use super::Rest;
use super::call::{Answer, Call};
use super::identify::{TOKEN_BYTES, token_hash};
use crate::audited::{audited, outcome_of, refused};
use crate::presence::Session;
use crate::refusal::{refuse, store_failed};

/// What the person reads in the list of sessions, in bytes.
const CLIENT_MAX_BYTES: usize = 100;
/// Sessions shown at once.
const LIST_MAX: u64 = 1_000;

/// One answer for every login that proves nothing, so that it tells nothing.
fn login_failed() -> ApiError {
    ApiError::new(
        ErrorKind::Unidentified,
        "login_failed",
        "the login was not signed by the current key of this account; check the name and the key file",
    )
}

fn unidentified(code: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::Unidentified, code, message)
}

impl Rest {
    pub(super) fn challenge(&self, call: &Call) -> Result<Answer, ApiError> {
        let request: ChallengeRequest = call.body()?;
        let (challenge, expires_ms) = self.challenges.issue(request.name, call.now)?;
        Answer::of(call, &ChallengeReply { challenge: Hash(challenge), expires_ms, server_time_ms: call.now })
    }

    pub(super) async fn login(&self, call: &Call) -> Result<Answer, ApiError> {
        // parse
        let request: LoginRequest = call.body()?;
        if request.client.len() > CLIENT_MAX_BYTES {
            return Err(ApiError::invalid("the name of the client has at most 100 bytes"));
        }
        let malformed = |_| ApiError::invalid("the login is not a signed login record");
        let envelope = Envelope::parse(request.login.as_ref()).map_err(malformed)?;
        let claimed: LoginPayload = envelope.claimed().map_err(malformed)?;

        // load facts
        let name = self.challenges.spend(&claimed.challenge, call.now);
        let name = name.ok_or_else(|| unidentified("challenge_unknown", "the challenge is unknown, used or too old; ask for a new one"))?;
        let Some(user) = self.store.user_by_name(&name).await.map_err(|error| store_failed(error, call.now))? else {
            let waited = self.guesses.fail(&name, call.now);
            return Err(waited.err().map_or_else(login_failed, |until| refuse(Denial::TooManyFailures { until }, call.now)));
        };
        let event = call.event(&[user.id]);

        // identify: who made too many mistakes waits before another signature is looked at
        let rule = may_login(&login_facts(&user), call.now);
        if let Err(denial @ Denial::TooManyFailures { .. }) = rule {
            return Err(refused(self.audit.as_ref(), event, refuse(denial, call.now)).await);
        }
        let bundle = self.identities.of_account(&self.store, &user.bundle, call.now).await?;
        let proven = claimed.user == user.id && envelope.verify_as::<LoginPayload>(&bundle.payload().signing_key).is_ok();
        if !proven {
            self.store.fail_login(user.id, call.now).await.map_err(|error| store_failed(error, call.now))?;
            return Err(refused(self.audit.as_ref(), event, login_failed()).await);
        }

        // decide: signed by the right key; for us, here and now?
        let decided = self.check_login(&claimed, &user, call).and_then(|()| rule.map_err(|denial| refuse(denial, call.now)));
        let permit = match decided {
            Ok(permit) => permit,
            Err(error) => return Err(refused(self.audit.as_ref(), event, error).await),
        };

        // act
        let (mut token, mut id) = ([0; TOKEN_BYTES], [0; 16]);
        rand::fill(&mut token).and_then(|()| rand::fill(&mut id)).map_err(|_| ApiError::broken())?;
        let (id, hash) = (SessionId::from_random(id), token_hash(&token));
        let expires = call.now.plus_millis(self.config.session.absolute_ms);
        let generation = self.presence.generation();
        let mut row = event.clone();
        row.session = Some(id);
        row.actor = Some(user.id);
        let opened = self.audit.fact(row, Outcome::Done).await?;
        let session = SessionNew {
            id,
            token_hash: hash,
            session_key: claimed.session_key.as_bytes().to_vec(),
            created: call.now,
            expires,
            client: request.client,
        };
        if let Err(error) = self.store.begin_session(permit, session).await {
            let error = store_failed(error, call.now);
            self.audit.fact(event, outcome_of(&error)).await?;
            return Err(error);
        }
        let session = Session::new(id, user.id, user.rank, user.epoch, hash, claimed.session_key, call.now, expires, call.now);
        // Not admitted when somebody lost something meanwhile: the next request loads it, or finds it ended.
        self.presence.admit(session, generation);
        if let Some(before) = call.connection.rebind_by_login(id) {
            self.presence.detach(before, &call.connection);
        }
        if self.presence.by_id(id).is_some() {
            self.presence.attach(id, &call.connection);
        }
        let user = User { last_login: call.now, failed_logins: 0, ..user };
        let reply = LoginReply {
            session: id,
            token: BASE64URL_NOPAD.encode(&token),
            expires_ms: expires,
            user: self.view_of(&user, call.now).await?,
        };
        Ok(Answer::of(call, &reply)?.with_row(opened))
    }

    /// What was signed must be about this deployment, this key, this connection and this moment.
    fn check_login(&self, login: &LoginPayload, user: &User, call: &Call) -> Result<(), ApiError> {
        if login.deployment != self.deployment.id {
            return Err(unidentified("wrong_deployment", "the login is for another deployment; import the right deployment file"));
        }
        if login.bundle.as_bytes() != &user.bundle {
            return Err(unidentified(
                "bundle_outdated",
                "the login names another key than the account's current one; copy the newest key file to this device",
            ));
        }
        if login.channel != call.connection.channel {
            return Err(unidentified(
                "wrong_channel",
                "the login was made for another connection; something stands between you and the server, or the client is broken",
            ));
        }
        if let Some(off) = call.skew_ms(login.at) {
            let seconds = off / 1_000;
            return Err(unidentified(
                "clock_off",
                format!("the device's clock is {seconds} seconds off the server's ({}); set it", call.now),
            ));
        }
        Ok(())
    }

    pub(super) async fn logout(&self, call: &Call) -> Result<Answer, ApiError> {
        let id = call.session()?.id;
        self.end(call, id).await
    }

    pub(super) async fn end_session(&self, call: &Call) -> Result<Answer, ApiError> {
        self.end(call, call.parameter(0)?).await
    }

    async fn end(&self, call: &Call, id: SessionId) -> Result<Answer, ApiError> {
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let found = self.store.session(id).await.map_err(|error| store_failed(error, call.now))?;
        let decided = match found {
            Some(found) => {
                let facts = SessionFacts { session: id, user: found.user, ended: !found.is_living(call.now) };
                may_end_session(&actor, &facts, call.now)
            }
            None => Err(Denial::NotFound),
        };
        let mut event = call.event(&[]);
        event.subjects = vec![id.to_bytes()];
        let permit = match decided {
            Ok(permit) => permit,
            Err(denial) => return Err(refused(self.audit.as_ref(), event, refuse(denial, call.now)).await),
        };
        let reply = audited(self.audit.as_ref(), event, |_| async {
            self.store.end_session(permit, call.now).await.map_err(|error| store_failed(error, call.now))?;
            self.presence.end(id);
            Ok(())
        });
        Answer::of_reply(call, &reply.await?)
    }

    pub(super) async fn list_sessions(&self, call: &Call) -> Result<Answer, ApiError> {
        let session = call.session()?;
        let (actor, _) = self.actor(session, call.now).await?;
        let scope = may_list_sessions(&actor, call.now).map_err(|denial| refuse(denial, call.now))?;
        let rows = self.store.sessions(scope, call.now, LIST_MAX).await.map_err(|error| store_failed(error, call.now))?;
        let seen = |id: SessionId, stored: Timestamp| self.presence.by_id(id).map_or(stored, |live| live.last_seen());
        let sessions = rows
            .into_iter()
            .map(|row| SessionView {
                session: row.id,
                created_ms: row.created,
                last_seen_ms: seen(row.id, row.last_seen),
                expires_ms: row.expires,
                client: row.client,
                current: row.id == session.id,
            })
            .filter(|view| call.now.millis_since(view.last_seen_ms) < self.idle_ms())
            .collect();
        Answer::of(call, &SessionListReply { sessions })
    }
}

fn login_facts(user: &User) -> LoginFacts {
    LoginFacts {
        user: user.id,
        state: user.state,
        disabled_until: user.disabled_until,
        epoch: user.epoch,
        failed_logins: user.failed_logins,
        last_failure: user.last_failure,
    }
}
