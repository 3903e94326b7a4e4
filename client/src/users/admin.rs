//! What administrators do: list, and sign statements about accounts (docs/formats.md §3).

use ticrypt_api::user::{PermissionsRequest, UserListQuery, UserListReply, UserStateRequest, UserView};
use ticrypt_crypto::Digest;
use ticrypt_crypto::bundle::{Bundle, Fingerprint};
use ticrypt_crypto::statement::{Action, StatementPayload};
use ticrypt_types::{Operation, Permissions, UserId, UserName, UserState};

use super::Users;
use crate::bulk::{self, Item, Step};
use crate::clock;
use crate::error::{ClientError, Kind, Result};
use crate::keys::{Batch, Keys, SIGN_MAX_RECORDS};
use crate::session::Session;

const PAGE: u32 = 1_000;

/// A statement about one account, to be signed.
#[derive(Clone, Debug)]
pub struct StateChange {
    /// The row the administrator looked at.
    pub view: UserView,
    pub action: Action,
    pub reason: String,
    /// For a reset: the new bundle, whose fingerprint the statement names.
    pub new_bundle: Option<Vec<u8>>,
}

impl Users {
    /// The accounts one sees: people of one's teams, those in a sub-admin's care, all for administrators.
    pub async fn list(&self, state: Option<UserState>) -> Result<Vec<UserView>> {
        let mut users = Vec::new();
        let mut page = None;
        loop {
            let query = UserListQuery { limit: Some(PAGE), page, state };
            let mut reply: UserListReply = self.transport.call(Operation::UserList, &[], &query, &()).await?;
            users.append(&mut reply.users);
            match reply.next {
                Some(next) => page = Some(next),
                None => return Ok(users),
            }
        }
    }

    /// One row of the list, in any state.
    pub async fn find(&self, name: &UserName) -> Result<UserView> {
        let found = self.list(None).await?.into_iter().find(|view| view.name == *name);
        found.ok_or_else(|| ClientError::not_found(format!("there is no account {name}; run `ticrypt users list`")))
    }

    /// Accepts the keys that a person made by a reset (docs/formats.md §2, reason 3), after their fingerprint was compared with the person.
    pub async fn accept_reset(&self, keys: &dyn Keys, name: &UserName, bundle: Vec<u8>, compared: Fingerprint) -> Result<()> {
        let made = Bundle::parse_and_verify(&bundle)
            .map_err(|e| ClientError::invalid("the bundle does not verify; ask the person for it again").because(e))?;
        if made.fingerprint() != compared || made.payload().name != *name {
            // Which it is, is not told: what counts was read out by the person.
            return Err(ClientError::refused(
                "fingerprint",
                format!("this is not the bundle of {name} with that fingerprint; accept only what the person has read to you"),
            ));
        }
        let view = self.find(name).await?;
        if made.payload().predecessor.is_none_or(|before| before.to_bytes() != view.fingerprint.0) {
            return Err(ClientError::new(
                Kind::Invalid,
                "other_predecessor",
                format!(
                    "the bundle does not follow the keys that {name} has now ({now}): write those to a file with `ticrypt users bundle {name} \
                     FILE`, and ask {name} to run `ticrypt key reset {name} --from FILE` with it",
                    now = Fingerprint(Digest::new(view.fingerprint.0)),
                ),
            ));
        }
        let view = UserView { fingerprint: ticrypt_api::Hash(made.hash().to_bytes()), ..view };
        self.change_state(keys, StateChange { view, action: Action::Reset, reason: String::new(), new_bundle: Some(bundle) }, None).await
    }

    /// Signs and sends a statement. To activate, `compared` must be the fingerprint somebody compared out of band with the person.
    pub async fn change_state(&self, keys: &dyn Keys, change: StateChange, compared: Option<Fingerprint>) -> Result<()> {
        let shown = Fingerprint(Digest::new(change.view.fingerprint.0));
        if change.action == Action::Activate && compared != Some(shown) {
            return Err(ClientError::refused(
                "fingerprint",
                format!("the fingerprint of {} is {shown}; compare it with the person and give it as it was compared", change.view.name),
            ));
        }
        let mut signed = keys.sign(Batch::Statements(vec![self.statement(keys, &change)])).await?;
        let statement = signed.pop().ok_or_else(|| ClientError::broken("the statement was not signed"))?;
        let request = UserStateRequest { statement: statement.into(), bundle: change.new_bundle.map(Into::into) };
        let user = change.view.user.to_string();
        self.transport.call::<_, Option<serde::de::IgnoredAny>>(Operation::UserState, &[&user], &(), &request).await?;
        Ok(())
    }

    fn statement(&self, keys: &dyn Keys, change: &StateChange) -> StatementPayload {
        let me = keys.identity();
        StatementPayload {
            deployment: self.deployment,
            user: change.view.user,
            bundle: Digest::new(change.view.fingerprint.0),
            action: change.action.code(),
            argument: change.action.argument(),
            reason: change.reason.clone(),
            issuer: me.user,
            issuer_bundle: me.hash(),
            at: clock::now(),
        }
    }
}

/// Signs and sends a statement about each of several accounts, under as few signatures as it takes; nobody is activated so, since that takes a
/// comparison with each person. Gives what came of each, in order.
pub async fn change_states(session: &Session, changes: &[StateChange], step: Step<'_>) -> Result<Vec<Result<()>>> {
    if changes.iter().any(|change| matches!(change.action, Action::Activate | Action::Reset)) {
        return Err(ClientError::invalid("people are activated one by one, each after their fingerprint was compared with them"));
    }
    let mut results = Vec::with_capacity(changes.len());
    for some in changes.chunks(SIGN_MAX_RECORDS) {
        let statements = some.iter().map(|change| session.users.statement(&*session.keys, change)).collect();
        let signed = session.keys.sign(Batch::Statements(statements)).await?;
        let item = |(change, statement): (&StateChange, Vec<u8>)| {
            let request = UserStateRequest { statement: statement.into(), bundle: None };
            Item { parameters: vec![change.view.user.to_string()], request }
        };
        let before = results.len() as u64;
        let items: Vec<Item<UserStateRequest>> = some.iter().zip(signed).map(item).collect();
        results.append(&mut bulk::run(session, Operation::UserState, &items, &|done| step(before + done)).await?);
    }
    Ok(results)
}

/// What the system lets each of several people do, whole. Gives what came of each, in order.
pub async fn set_permissions(session: &Session, whom: &[(UserId, Permissions)], step: Step<'_>) -> Result<Vec<Result<()>>> {
    let item = |(user, permissions): &(UserId, Permissions)| {
        let request = PermissionsRequest { permissions: *permissions };
        Item { parameters: vec![user.to_string()], request }
    };
    bulk::run(session, Operation::UserPermissions, &whom.iter().map(item).collect::<Vec<_>>(), step).await
}
