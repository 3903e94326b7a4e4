//! People: registering, finding one another, the list of those one sees.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use ticrypt_api::profile::ProfileLabel;
use ticrypt_api::role::{Event, KeyEventKind};
use ticrypt_api::user::{KeyLeaf, RegisterReply, RegisterRequest, UserCard, UserListQuery, UserListReply, UserLookupQuery, UserView};
use ticrypt_api::{ApiError, Blob, ErrorKind, Hash};
use ticrypt_crypto::bundle::Bundle;
use ticrypt_crypto::signature::SignatureError;
use ticrypt_crypto::statement::{Action, ActionCode, StatementPayload};
use ticrypt_crypto::{Envelope, Signed};
use ticrypt_policy::user::{
    Found, Registration, RegistrationFacts, may_bootstrap, may_list_users, may_look_up, may_register, sees_accounts,
};
use ticrypt_store::user::{Bundle as BundleRow, Statement, User, UserNew};
use ticrypt_types::{Permissions, Timestamp, UserName, UserState};

use super::Rest;
use super::call::{Answer, Call};
use super::change::present;
use super::identify::token_hash;
use super::page;
use super::profile::{Profiles, label};
use crate::audited::{audited, refused};
use crate::config::RegistrationMode;
use crate::deployment::BOOTSTRAP_CODE;
use crate::refusal::{refuse, store_failed};

/// What a registration brings, read and verified.
struct Newcomer {
    bundle: Bundle,
    token: Option<String>,
    code: Option<String>,
    /// The bootstrap statement of the first super-admin.
    statement: Option<(StatementPayload, Vec<u8>)>,
}

impl Rest {
    pub(super) async fn register(&self, call: &Call) -> Result<Answer, ApiError> {
        let newcomer = self.read_newcomer(call)?;
        let payload = newcomer.bundle.payload();
        let mut event = call.event(&[payload.user]);
        event.detail = vec![("name".to_owned(), payload.name.to_string())];
        match &newcomer.code {
            Some(_) => self.register_first(call, &newcomer, event).await,
            None => self.register_another(call, &newcomer, event).await,
        }
    }

    fn read_newcomer(&self, call: &Call) -> Result<Newcomer, ApiError> {
        let request: RegisterRequest = call.body()?;
        let bundle = read_bundle(&request.bundle)?;
        let payload = bundle.payload();
        if payload.deployment != self.deployment.id {
            return Err(ApiError::new(
                ErrorKind::Invalid,
                "wrong_deployment",
                "the bundle is for another deployment; import the right deployment file",
            ));
        }
        if payload.generation != 0 {
            return Err(ApiError::invalid("a registration brings a bundle of generation 0"));
        }
        let statement = match request.statement {
            Some(Blob(bytes)) => {
                let invalid = |error: SignatureError| ApiError::invalid(error.to_string());
                let signed: Signed<StatementPayload> =
                    Envelope::parse(&bytes).and_then(|envelope| envelope.verify_as(&payload.signing_key)).map_err(invalid)?;
                Some((signed.into_record(), bytes))
            }
            None => None,
        };
        Ok(Newcomer { statement, token: request.token, code: request.code, bundle })
    }

    /// Anybody's registration: an account that waits for an administrator.
    async fn register_another(&self, call: &Call, newcomer: &Newcomer, event: Event) -> Result<Answer, ApiError> {
        let payload = newcomer.bundle.payload();
        let registration = match self.registration {
            RegistrationMode::Open => Registration::Open,
            RegistrationMode::Closed => Registration::Closed,
            RegistrationMode::Token => Registration::Token { matches: self.token_matches(newcomer.token.as_deref()) },
        };
        let facts = RegistrationFacts { user: payload.user, registration, name_taken: self.name_taken(&payload.name, call.now).await? };
        let permit = match may_register(&facts, call.now) {
            Ok(permit) => permit,
            Err(denial) => return Err(refused(self.audit.as_ref(), event, refuse(denial, call.now)).await),
        };
        let reply = audited(self.audit.as_ref(), event, |_| async {
            let bundle = self.log_bundle(&newcomer.bundle, KeyEventKind::Bundle, call.now).await?;
            let bundle_index = bundle.log_index;
            let user = UserNew { id: payload.user, name: payload.name.clone(), created: call.now };
            self.store.register(permit, user, bundle).await.map_err(|error| store_failed(error, call.now))?;
            Ok(RegisterReply { user: payload.user, state: UserState::Pending, bundle_index })
        });
        Answer::of_reply(call, &reply.await?)
    }

    /// The first super-admin's, with the code printed at first start; they vouch for themselves.
    async fn register_first(&self, call: &Call, newcomer: &Newcomer, event: Event) -> Result<Answer, ApiError> {
        let payload = newcomer.bundle.payload();
        let (statement, envelope) =
            newcomer.statement.as_ref().ok_or_else(|| ApiError::invalid("a one-time code needs a bootstrap statement"))?;
        let fits = statement.deployment == self.deployment.id
            && statement.user == payload.user
            && statement.bundle == newcomer.bundle.hash()
            && statement.action().is_ok_and(|action| action == Action::Bootstrap);
        if !fits {
            return Err(ApiError::invalid("the bootstrap statement is not about this bundle"));
        }
        let stored = self.store.setting(BOOTSTRAP_CODE).await.map_err(|error| store_failed(error, call.now))?;
        let given = token_hash(newcomer.code.as_deref().unwrap_or_default().as_bytes());
        let matches = stored.as_ref().is_some_and(|hash| verify_slices_are_equal(hash, &given).is_ok());
        let registration = Registration::Code { matches, used: stored.is_none(), expires: Timestamp::ABSENT };
        let facts = RegistrationFacts { user: payload.user, registration, name_taken: self.name_taken(&payload.name, call.now).await? };
        let has_accounts = self.store.has_users().await.map_err(|error| store_failed(error, call.now))?;
        let decided = may_register(&facts, call.now).and_then(|_| may_bootstrap(payload.user, has_accounts));
        let permit = match decided {
            Ok(permit) => permit,
            Err(denial) => return Err(refused(self.audit.as_ref(), event, refuse(denial, call.now)).await),
        };
        let reply = audited(self.audit.as_ref(), event, |_| async {
            let bundle = self.log_bundle(&newcomer.bundle, KeyEventKind::Bundle, call.now).await?;
            let bundle_index = bundle.log_index;
            let leaf = self.audit.key_event(KeyEventKind::Activation, payload.user.to_bytes(), envelope.clone(), call.now).await?;
            let user = UserNew { id: payload.user, name: payload.name.clone(), created: call.now };
            let statement = statement_row(statement, envelope.clone(), leaf, call.now);
            let failed = |error| store_failed(error, call.now);
            self.store.bootstrap(permit, user, bundle, statement).await.map_err(failed)?;
            self.store.remove_setting(BOOTSTRAP_CODE.to_owned()).await.map_err(failed)?;
            Ok(RegisterReply { user: payload.user, state: UserState::Active, bundle_index })
        });
        Answer::of_reply(call, &reply.await?)
    }

    fn token_matches(&self, given: Option<&str>) -> bool {
        match (&self.deployment.registration_token, given) {
            (Some(token), Some(given)) => verify_slices_are_equal(token.as_bytes(), given.as_bytes()).is_ok(),
            _ => false,
        }
    }

    async fn name_taken(&self, name: &UserName, now: Timestamp) -> Result<bool, ApiError> {
        Ok(self.store.user_by_name(name).await.map_err(|error| store_failed(error, now))?.is_some())
    }

    /// A bundle's leaf in the key log, durable, and the row that names it.
    pub(super) async fn log_bundle(&self, bundle: &Bundle, kind: KeyEventKind, now: Timestamp) -> Result<BundleRow, ApiError> {
        let payload = bundle.payload();
        let leaf = self.audit.key_event(kind, payload.user.to_bytes(), bundle.as_bytes().to_vec(), now).await?;
        Ok(BundleRow {
            hash: bundle.hash().to_bytes(),
            user: payload.user,
            generation: payload.generation.into(),
            bytes: bundle.as_bytes().to_vec(),
            log_index: leaf.index,
            log_leaf: leaf.leaf.0,
            created: now,
        })
    }

    pub(super) async fn read_self(&self, call: &Call) -> Result<Answer, ApiError> {
        let (_, user) = self.actor(call.session()?, call.now).await?;
        Answer::of(call, &self.view_of(&user, call.now).await?)
    }

    pub(super) async fn look_up(&self, call: &Call) -> Result<Answer, ApiError> {
        let name: UserName = call.parameter(0)?;
        let UserLookupQuery { bundle } = call.query()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let failed = |error| store_failed(error, call.now);
        let denied = |denial| refuse(denial, call.now);
        let scope = may_list_users(&actor, call.now).map_err(denied)?;
        let user = self.store.user_by_name(&name).await.map_err(failed)?;
        let found = match &user {
            Some(User { id, state, .. }) => {
                let shown = match bundle {
                    Some(Hash(hash)) => self.store.bundle(&hash).await.map_err(failed)?,
                    None => None,
                };
                let seen = self.store.sees(scope, *id).await.map_err(failed)?;
                Some(Found { user: *id, state: *state, seen, met: shown.is_some_and(|shown| shown.user == *id) })
            }
            None => None,
        };
        let _permit = may_look_up(&actor, found, call.now).map_err(denied)?;
        let user = user.ok_or_else(ApiError::not_found)?;
        Answer::of(call, &self.card(&user, call.now).await?)
    }

    /// A person's keys with the proof that they are logged and activated.
    async fn card(&self, user: &User, now: Timestamp) -> Result<UserCard, ApiError> {
        let failed = |error| store_failed(error, now);
        let mut rows = self.store.bundles_of(user.id).await.map_err(failed)?;
        rows.reverse();
        let statements = self.store.statements_of(user.id).await.map_err(failed)?;
        let vouches = [ActionCode::Bootstrap, ActionCode::Activate, ActionCode::Reset].map(ActionCode::code);
        let activation = statements.into_iter().rev().find(|statement| vouches.contains(&statement.action));
        let mut issuer = None;
        if let Some(statement) = &activation {
            let envelope = Envelope::parse(&statement.envelope).map_err(|error| stored_badly(&error))?;
            let record: StatementPayload = envelope.claimed().map_err(|error| stored_badly(&error))?;
            issuer = self.identities.get(&self.store, record.issuer_bundle.as_bytes(), now).await?;
        }
        Ok(UserCard {
            user: user.id,
            name: user.name.clone(),
            bundle_leaves: rows.iter().map(|row| KeyLeaf { index: row.log_index, leaf: Blob(row.log_leaf.clone()) }).collect(),
            bundles: rows.into_iter().map(|row| Blob(row.bytes)).collect(),
            activation: activation.map(|statement| KeyLeaf { index: statement.log_index, leaf: Blob(statement.log_leaf) }),
            activation_issuer: issuer.map(|bundle| Blob(bundle.as_bytes().to_vec())),
        })
    }

    pub(super) async fn list_users(&self, call: &Call) -> Result<Answer, ApiError> {
        let query: UserListQuery = call.query()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let scope = may_list_users(&actor, call.now).map_err(|denial| refuse(denial, call.now))?;
        let wanted = page::limit(query.limit);
        let mut after = page::start(query.page.as_deref())?.map(|place| page::name(&place)).transpose()?;
        let mut users = Vec::new();
        let mut more = true;
        while more && users.len() <= wanted {
            let rows =
                self.store.users(scope, after.as_ref(), u64::from(page::MAX)).await.map_err(|error| store_failed(error, call.now))?;
            more = rows.len() == page::MAX as usize;
            after = rows.last().map(|user| user.name.clone()).or(after);
            users.extend(rows.into_iter().filter(|user| query.state.is_none_or(|state| user.state == state)));
        }
        let next = page::cut(&mut users, wanted, |user| user.name.as_str().as_bytes().to_vec());
        let profiles = self.all_profiles(call.now).await?;
        let mut views = Vec::with_capacity(users.len());
        for user in &users {
            let view = self.view_with(user, &profiles, call.now).await?;
            views.push(if sees_accounts(&actor) || user.id == actor.user { view } else { as_mates_see(view) });
        }
        Answer::of(call, &UserListReply { users: views, next })
    }

    pub(super) async fn view_of(&self, user: &User, now: Timestamp) -> Result<UserView, ApiError> {
        let profiles = self.profiles_of(user, now).await?;
        self.view_with(user, &profiles, now).await
    }

    async fn view_with(&self, user: &User, profiles: &Profiles, now: Timestamp) -> Result<UserView, ApiError> {
        let bundle = self.identities.of_account(&self.store, &user.bundle, now).await?;
        Ok(view(user, bundle.payload().generation, label(user, profiles)))
    }
}

/// Who somebody is, without what is said for those who look after accounts.
fn as_mates_see(view: UserView) -> UserView {
    UserView {
        reason: None,
        cause: None,
        disabled_until_ms: None,
        last_login_ms: None,
        permissions: Permissions::NONE,
        profile: None,
        ..view
    }
}

fn view(user: &User, generation: u32, profile: Option<ProfileLabel>) -> UserView {
    UserView {
        user: user.id,
        name: user.name.clone(),
        rank: user.rank,
        state: user.state,
        reason: user.reason.clone(),
        cause: user.cause.map(|cause| cause.word().to_owned()),
        disabled_until_ms: present(user.disabled_until),
        created_ms: user.created,
        last_login_ms: present(user.last_login),
        fingerprint: Hash(user.bundle),
        generation,
        permissions: user.permissions,
        profile,
    }
}

/// A bundle signed by itself; who it belongs to is for others to say.
pub(super) fn read_bundle(bytes: &Blob) -> Result<Bundle, ApiError> {
    Bundle::parse_and_verify(bytes.as_ref()).map_err(|error| ApiError::new(ErrorKind::Invalid, "bundle_invalid", error.to_string()))
}

pub(super) fn statement_row(statement: &StatementPayload, envelope: Vec<u8>, leaf: KeyLeaf, now: Timestamp) -> Statement {
    Statement {
        user: statement.user,
        bundle: statement.bundle.to_bytes(),
        action: statement.action.code(),
        envelope,
        log_index: leaf.index,
        log_leaf: leaf.leaf.0,
        at: now,
    }
}

fn stored_badly(error: &SignatureError) -> ApiError {
    tracing::error!(error = error as &dyn std::error::Error, "a stored statement cannot be read; run check");
    ApiError::broken()
}
