//! What administrators do to accounts: a signed statement, decided by the rules, kept in the key log (docs/formats.md §3).
//!
//! ```text
//!   statement ─▶ signed by the caller's current key, about the account's current key ─▶ rule ─▶ row ─▶ key log ─▶ account
//!                                                             a loss: sessions end, transfers are cut, at once ◀──┘
//! ```

use ticrypt_api::role::{KeyEventKind, Opened};
use ticrypt_api::user::UserStateRequest;
use ticrypt_api::{ApiError, ErrorKind};
use ticrypt_crypto::Envelope;
use ticrypt_crypto::bundle::{Bundle, Reason};
use ticrypt_crypto::statement::{Action, StatementPayload};
use ticrypt_policy::permit::{UserActivate, UserDeactivate, UserDisable, UserRank, UserReset};
use ticrypt_policy::user::{UserFacts, may_activate, may_deactivate, may_disable, may_list_users, may_reset, may_set_rank};
use ticrypt_policy::{Actor, Denial, PeopleScope, Permit};
use ticrypt_store::user::User;
use ticrypt_types::user::InactiveCause;
use ticrypt_types::{Rank, Timestamp, UserId};

use super::Rest;
use super::call::{Answer, Call};
use super::user::{read_bundle, statement_row};
use crate::audited::{audited, refused};
use crate::refusal::{refuse, store_failed};

/// What was decided, with what the write needs.
enum Decided {
    Activate(Permit<UserActivate>),
    Deactivate(Permit<UserDeactivate>),
    Disable(Permit<UserDisable>, Timestamp),
    Rank(Permit<UserRank>, Rank),
    Reset(Permit<UserReset>, Box<Bundle>),
}

impl Rest {
    pub(super) async fn change_user(&self, call: &Call) -> Result<Answer, ApiError> {
        // parse
        let target: UserId = call.parameter(0)?;
        let request: UserStateRequest = call.body()?;
        let envelope = Envelope::parse(request.statement.as_ref()).map_err(|error| ApiError::invalid(error.to_string()))?;
        let new_bundle = request.bundle.as_ref().map(read_bundle).transpose()?;

        // load facts
        let (actor, issuer) = self.actor(call.session()?, call.now).await?;
        let failed = |error| store_failed(error, call.now);
        let key = self.identities.of_account(&self.store, &issuer.bundle, call.now).await?;
        let statement = envelope
            .verify_as::<StatementPayload>(&key.payload().signing_key)
            .map_err(|error| ApiError::new(ErrorKind::Invalid, "statement_not_signed", error.to_string()))?
            .into_record();
        let facts = self.account_facts(&actor, target, call.now).await?;
        let account = self.store.user(target).await.map_err(failed)?;
        let mut event = call.event(&[target]);
        event.detail = vec![
            ("action".to_owned(), format!("{:?}", statement.action).to_lowercase()),
            ("argument".to_owned(), statement.argument.clone()),
        ];

        // decide: the rank first, so that nobody else learns which accounts there are
        let decided = match (&facts, &account) {
            (Some(facts), Some(account)) => self
                .decide(&actor, facts, &statement, new_bundle, call.now)
                .and_then(|decided| self.check_statement(&statement, &issuer, account, &decided, call).map(|()| decided)),
            _ if actor.rank < Rank::SubAdmin => Err(refuse(Denial::NeedsAdministrator, call.now)),
            _ => Err(ApiError::not_found()),
        };
        let decided = match decided {
            Ok(decided) => decided,
            Err(error) => return Err(refused(self.audit.as_ref(), event, error).await),
        };

        // act
        let envelope = request.statement.0;
        let reply = audited(self.audit.as_ref(), event, |_: Opened| async {
            self.carry_out(target, decided, &statement, envelope, call.now).await?;
            let user = self.store.user(target).await.map_err(failed)?.ok_or_else(ApiError::not_found)?;
            self.view_of(&user, call.now).await
        });
        Answer::of_reply(call, &reply.await?)
    }

    /// What the rules about changing an account need, for who asks. One that a sub-admin does not see is like none.
    pub(super) async fn account_facts(&self, actor: &Actor, target: UserId, now: Timestamp) -> Result<Option<UserFacts>, ApiError> {
        let failed = |error| store_failed(error, now);
        let facts = self.store.user_facts(target, now).await.map_err(failed)?;
        let Some(facts) = facts.filter(|_| actor.rank == Rank::SubAdmin) else { return Ok(facts) };
        // Who may see nobody is refused by the rule that comes next.
        let scope = may_list_users(actor, now).unwrap_or(PeopleScope::Own(actor.user));
        let sees = self.store.sees(scope, target).await.map_err(failed)?;
        let in_care = sees && self.store.is_in_care(actor.user, target, now).await.map_err(failed)?;
        Ok(sees.then_some(UserFacts { in_care, ..facts }))
    }

    fn decide(
        &self,
        actor: &Actor,
        facts: &UserFacts,
        statement: &StatementPayload,
        new_bundle: Option<Bundle>,
        now: Timestamp,
    ) -> Result<Decided, ApiError> {
        let action = statement.action().map_err(|error| ApiError::invalid(error.to_string()))?;
        let decided = match action {
            Action::Bootstrap => Err(Denial::NotFirst),
            Action::Activate => may_activate(actor, facts, now).map(Decided::Activate),
            Action::Deactivate => may_deactivate(actor, facts, &statement.reason, now).map(Decided::Deactivate),
            Action::DisableUntil(until) => may_disable(actor, facts, until, now).map(|permit| Decided::Disable(permit, until)),
            Action::Role(rank) => may_set_rank(actor, facts, rank, now).map(|permit| Decided::Rank(permit, rank)),
            Action::Reset => {
                let permit = may_reset(actor, facts, now).map_err(|denial| refuse(denial, now))?;
                let bundle = new_bundle.ok_or_else(|| ApiError::invalid("a reset brings the person's new bundle"))?;
                return Ok(Decided::Reset(permit, Box::new(bundle)));
            }
        };
        decided.map_err(|denial| refuse(denial, now))
    }

    /// What was signed must be about this deployment, by this administrator, about this account's key, and of now.
    fn check_statement(
        &self,
        statement: &StatementPayload,
        issuer: &User,
        account: &User,
        decided: &Decided,
        call: &Call,
    ) -> Result<(), ApiError> {
        let unfit = |message: &str| Err(ApiError::new(ErrorKind::Invalid, "statement_unfit", message));
        if statement.deployment != self.deployment.id || statement.user != account.id {
            return unfit("the statement is about another account or deployment");
        }
        if statement.issuer != issuer.id || statement.issuer_bundle.as_bytes() != &issuer.bundle {
            return unfit("the statement names another issuer than the one who sends it");
        }
        let about = match decided {
            Decided::Reset(_, bundle) => bundle.hash().to_bytes(),
            _ => account.bundle,
        };
        if statement.bundle.as_bytes() != &about {
            return unfit("the statement is about another key of this person; compare the fingerprint again");
        }
        if call.skew_ms(statement.at).is_some() {
            return unfit("the statement was not signed just now; check the device's clock and sign again");
        }
        Ok(())
    }

    /// The key log first, so that nothing takes effect that is not in it; then the account; then whoever lost something is cut off.
    async fn carry_out(
        &self,
        target: UserId,
        decided: Decided,
        statement: &StatementPayload,
        envelope: Vec<u8>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let failed = |error| store_failed(error, now);
        let kind = match &decided {
            Decided::Activate(_) => KeyEventKind::Activation,
            Decided::Reset(..) => KeyEventKind::Reset,
            _ => KeyEventKind::State,
        };
        if let Decided::Reset(permit, bundle) = decided {
            let before = self.store.newest_bundle(target).await.map_err(failed)?.ok_or_else(ApiError::not_found)?;
            let before = Bundle::parse_and_verify(&before.bytes).map_err(|_| ApiError::broken())?;
            bundle.verify_successor(&before).map_err(|error| ApiError::new(ErrorKind::Invalid, "bundle_invalid", error.to_string()))?;
            if bundle.payload().reason != Reason::Reset {
                return Err(ApiError::invalid("the bundle of a reset says so"));
            }
            let row = self.log_bundle(&bundle, KeyEventKind::Reset, now).await?;
            let leaf = self.audit.key_event(kind, target.to_bytes(), envelope.clone(), now).await?;
            self.store.reset(permit, row, statement_row(statement, envelope, leaf, now)).await.map_err(failed)?;
            self.presence.end_all(target);
            return Ok(());
        }
        let leaf = self.audit.key_event(kind, target.to_bytes(), envelope.clone(), now).await?;
        let row = statement_row(statement, envelope, leaf, now);
        match decided {
            Decided::Activate(permit) => self.store.activate(permit, row).await.map_err(failed)?,
            Decided::Deactivate(permit) => {
                let reason = statement.reason.clone();
                self.store.deactivate(permit, InactiveCause::Administrator, reason, row).await.map_err(failed)?;
                self.presence.end_all(target);
            }
            Decided::Disable(permit, until) => {
                self.store.disable(permit, until, row).await.map_err(failed)?;
                if until != Timestamp::ABSENT {
                    self.presence.end_all(target);
                }
            }
            Decided::Rank(permit, rank) => {
                let before = self.store.user(target).await.map_err(failed)?.map(|user| user.rank);
                self.store.set_rank(permit, rank, row).await.map_err(failed)?;
                // A gain counts from the next request on, a loss ends what there is.
                if before.is_some_and(|before| before <= rank) {
                    self.presence.set_rank(target, rank);
                } else {
                    self.presence.end_all(target);
                }
            }
            Decided::Reset(..) => return Err(ApiError::broken()),
        }
        Ok(())
    }
}
