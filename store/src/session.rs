//! Logins. Tokens are stored hashed; a session counts only in the epoch of the account it was begun in.

use sea_orm::EntityTrait;
use ticrypt_policy::permit::{SessionEnd, SessionLogin};
use ticrypt_policy::session::LoginFacts;
use ticrypt_policy::{Permit, Scope};
use ticrypt_types::{SessionId, Timestamp, UserId};

use crate::column::{Digest, bytes, count, digest, id, number, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::insert_all;
use crate::table::session::sessions;
use crate::user::User;
use crate::writer::Tx;

/// What a client may say about itself, in characters.
pub const CLIENT_MAX_CHARS: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub user: UserId,
    pub token_hash: Digest,
    /// Public key of the session, SEC 1 uncompressed.
    pub session_key: Vec<u8>,
    /// The account's epoch when it began.
    pub epoch: u64,
    pub created: Timestamp,
    pub last_seen: Timestamp,
    pub expires: Timestamp,
    pub ended: Option<Timestamp>,
    /// What the client said it is; cut to [`CLIENT_MAX_CHARS`].
    pub client: String,
}

/// A session to begin. Its epoch is the account's.
#[derive(Clone, Debug)]
pub struct SessionNew {
    pub id: SessionId,
    pub token_hash: Digest,
    pub session_key: Vec<u8>,
    pub created: Timestamp,
    pub expires: Timestamp,
    pub client: String,
}

impl TryFrom<sessions::Model> for Session {
    type Error = StoreError;
    fn try_from(row: sessions::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: id("sessions.id", &row.id)?,
            user: id("sessions.user_id", &row.user_id)?,
            token_hash: digest("sessions.token_hash", &row.token_hash)?,
            session_key: row.session_key,
            epoch: count("sessions.epoch", row.epoch)?,
            created: time(row.created_ms),
            last_seen: time(row.last_seen_ms),
            expires: time(row.expires_ms),
            ended: row.ended_ms.map(time),
            client: row.client,
        })
    }
}

impl Session {
    /// Neither ended nor past its time. Whether its epoch still counts is for [`ticrypt_policy::Actor::check`].
    pub fn is_living(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.expires
    }
}

impl Store {
    pub async fn session(&self, session: SessionId) -> Result<Option<Session>, StoreError> {
        sessions::Entity::find_by_id(session.as_bytes().to_vec()).one(&self.readers).await?.map(Session::try_from).transpose()
    }

    /// The session of a token and its account; ended and expired ones included.
    pub async fn session_by_token(&self, token_hash: &Digest) -> Result<Option<(Session, User)>, StoreError> {
        let rows = self.rows::<sessions::Model>("SELECT * FROM sessions WHERE token_hash = $1", vec![bytes(token_hash)]).await?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let session = Session::try_from(row)?;
        Ok(self.user(session.user).await?.map(|user| (session, user)))
    }

    /// Sessions that are living at `now`, newest first.
    pub async fn sessions(&self, scope: Scope, now: Timestamp, limit: u64) -> Result<Vec<Session>, StoreError> {
        let mut values = vec![now.to_i64().into(), number(limit)?.into()];
        let mut sql = String::from("SELECT * FROM sessions WHERE ended_ms IS NULL AND expires_ms > $1");
        if let Scope::Own(user) = scope {
            values.push(bytes(user.as_bytes()));
            sql.push_str(" AND user_id = $3");
        }
        sql.push_str(" ORDER BY created_ms DESC, id LIMIT $2");
        self.rows::<sessions::Model>(&sql, values).await?.into_iter().map(Session::try_from).collect()
    }

    /// What the rule about logging in needs.
    pub async fn login_facts(&self, user: UserId) -> Result<Option<LoginFacts>, StoreError> {
        Ok(self.user(user).await?.map(|user| LoginFacts {
            user: user.id,
            state: user.state,
            disabled_until: user.disabled_until,
            epoch: user.epoch,
            failed_logins: user.failed_logins,
            last_failure: user.last_failure,
        }))
    }

    /// Begins a session and forgets earlier failures.
    pub async fn begin_session(&self, permit: Permit<SessionLogin>, session: SessionNew) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.begin_session(permit, session).await })).await
    }

    /// Counts a failed challenge.
    pub async fn fail_login(&self, user: UserId, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.fail_login(user, at).await })).await
    }

    /// Remembers that the session was used.
    pub async fn touch_session(&self, session: SessionId, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.touch_session(session, at).await })).await
    }

    /// Ends a session; ending it again changes nothing.
    pub async fn end_session(&self, permit: Permit<SessionEnd>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.end_session(permit, at).await })).await
    }
}

impl Tx {
    pub async fn begin_session(&self, permit: Permit<SessionLogin>, session: SessionNew) -> Result<(), StoreError> {
        // Conditional on the epoch: an account deactivated since the decision begins no session.
        let sql = "UPDATE users SET failed_logins = 0, last_login_ms = $3 WHERE id = $1 AND epoch = $2";
        let epoch = number(permit.revision())?;
        self.run_or_stale("user", sql, vec![bytes(permit.on().as_bytes()), epoch.into(), session.created.to_i64().into()]).await?;
        let row = sessions::Model {
            id: session.id.as_bytes().to_vec(),
            user_id: permit.on().as_bytes().to_vec(),
            token_hash: session.token_hash.to_vec(),
            session_key: session.session_key,
            epoch,
            created_ms: session.created.to_i64(),
            last_seen_ms: session.created.to_i64(),
            expires_ms: session.expires.to_i64(),
            ended_ms: None,
            client: session.client.chars().take(CLIENT_MAX_CHARS).collect(),
        };
        insert_all::<sessions::Entity, sessions::ActiveModel>(&self.conn, vec![row]).await
    }

    pub async fn fail_login(&self, user: UserId, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE users SET failed_logins = failed_logins + 1, last_failure_ms = $2 WHERE id = $1";
        self.run(sql, vec![bytes(user.as_bytes()), at.to_i64().into()]).await.map(drop)
    }

    pub async fn touch_session(&self, session: SessionId, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET last_seen_ms = $2 WHERE id = $1 AND last_seen_ms < $2";
        self.run(sql, vec![bytes(session.as_bytes()), at.to_i64().into()]).await.map(drop)
    }

    pub async fn end_session(&self, permit: Permit<SessionEnd>, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET ended_ms = $2 WHERE id = $1 AND ended_ms IS NULL";
        self.run(sql, vec![bytes(permit.on().as_bytes()), at.to_i64().into()]).await.map(drop)
    }

    pub(crate) async fn end_all_sessions(&self, user: UserId, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET ended_ms = $2 WHERE user_id = $1 AND ended_ms IS NULL";
        self.run(sql, vec![bytes(user.as_bytes()), at.to_i64().into()]).await.map(drop)
    }
}
