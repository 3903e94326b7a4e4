//! People: accounts, the bundles of their identities, what administrators stated.
//!
//! Every loss of rights raises the account's epoch and ends its sessions in the same transaction.

use sea_orm::{EntityTrait, FromQueryResult, Value};
use ticrypt_policy::permit::{
    Bootstrap, BundleRotate, UserActivate, UserDeactivate, UserDisable, UserPermissions, UserRank, UserRegister, UserReset,
};
use ticrypt_policy::user::UserFacts;
use ticrypt_policy::{PeopleScope, Permit};
use ticrypt_types::user::InactiveCause;
use ticrypt_types::{NotificationKind, Permissions, ProfileId, Rank, Timestamp, UserId, UserName, UserState};

use crate::column::{Digest, bytes, count, digest, id, id_or_none, number, time};
use crate::connect::Store;
use crate::error::{StoreError, Taken};
use crate::notification::Notice;
use crate::sight;
use crate::table::insert_all;
use crate::table::user::{bundles, statements, users};
use crate::writer::Tx;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub name: UserName,
    pub rank: Rank,
    pub state: UserState,
    pub cause: Option<InactiveCause>,
    pub reason: Option<String>,
    pub disabled_until: Timestamp,
    /// Rises with every loss of rights.
    pub epoch: u64,
    /// Rises with every change an administrator makes.
    pub revision: u64,
    /// Record hash of the current identity bundle.
    pub bundle: Digest,
    pub created: Timestamp,
    pub failed_logins: u32,
    pub last_failure: Timestamp,
    pub last_login: Timestamp,
    /// What the system lets them do.
    pub permissions: Permissions,
    /// Counts changes of the working set.
    pub working_revision: u64,
    /// The profile that was applied to them last.
    pub profile: Option<ProfileId>,
}

/// An account to be made.
#[derive(Clone, Debug)]
pub struct UserNew {
    pub id: UserId,
    pub name: UserName,
    pub created: Timestamp,
}

/// An identity bundle as it was signed (docs/formats.md §2), with its place in the key log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    pub hash: Digest,
    pub user: UserId,
    pub generation: u64,
    pub bytes: Vec<u8>,
    pub log_index: u64,
    pub log_leaf: Vec<u8>,
    pub created: Timestamp,
}

/// An administrator's statement as it was signed (docs/formats.md §3), with its place in the key log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub user: UserId,
    pub bundle: Digest,
    pub action: u8,
    pub envelope: Vec<u8>,
    pub log_index: u64,
    pub log_leaf: Vec<u8>,
    pub at: Timestamp,
}

/// A set of permissions out of this column.
pub(crate) fn permissions(column: &'static str, bits: i64) -> Result<Permissions, StoreError> {
    Permissions::from_bits(count(column, bits)?).ok_or(StoreError::Corrupt(column))
}

impl TryFrom<users::Model> for User {
    type Error = StoreError;
    fn try_from(row: users::Model) -> Result<Self, StoreError> {
        let cause = row.cause.as_deref().map(|word| InactiveCause::from_word(word).ok_or(StoreError::Corrupt("users.cause")));
        Ok(Self {
            id: id("users.id", &row.id)?,
            name: row.name.parse().map_err(|_| StoreError::Corrupt("users.name"))?,
            rank: Rank::from_word(&row.rank).ok_or(StoreError::Corrupt("users.rank"))?,
            state: UserState::from_word(&row.state).ok_or(StoreError::Corrupt("users.state"))?,
            cause: cause.transpose()?,
            reason: row.reason,
            disabled_until: time(row.disabled_until_ms),
            epoch: count("users.epoch", row.epoch)?,
            revision: count("users.revision", row.revision)?,
            bundle: digest("users.bundle_hash", &row.bundle_hash)?,
            created: time(row.created_ms),
            failed_logins: u32::try_from(row.failed_logins).map_err(|_| StoreError::Corrupt("users.failed_logins"))?,
            last_failure: time(row.last_failure_ms),
            last_login: time(row.last_login_ms),
            permissions: permissions("users.permissions", row.permissions)?,
            working_revision: count("users.working_revision", row.working_revision)?,
            profile: id_or_none("users.profile_id", row.profile_id.as_ref())?,
        })
    }
}

impl TryFrom<bundles::Model> for Bundle {
    type Error = StoreError;
    fn try_from(row: bundles::Model) -> Result<Self, StoreError> {
        Ok(Self {
            hash: digest("bundles.hash", &row.hash)?,
            user: id("bundles.user_id", &row.user_id)?,
            generation: count("bundles.generation", row.generation)?,
            bytes: row.bundle,
            log_index: count("bundles.log_index", row.log_index)?,
            log_leaf: row.log_leaf,
            created: time(row.created_ms),
        })
    }
}

impl TryFrom<statements::Model> for Statement {
    type Error = StoreError;
    fn try_from(row: statements::Model) -> Result<Self, StoreError> {
        Ok(Self {
            user: id("statements.user_id", &row.user_id)?,
            bundle: digest("statements.bundle_hash", &row.bundle_hash)?,
            action: u8::try_from(row.action).map_err(|_| StoreError::Corrupt("statements.action"))?,
            envelope: row.envelope,
            log_index: count("statements.log_index", row.log_index)?,
            log_leaf: row.log_leaf,
            at: time(row.at_ms),
        })
    }
}

#[derive(FromQueryResult)]
struct Count {
    n: i64,
}

const ANY_USER: &str = "SELECT COUNT(*) AS n FROM (SELECT id FROM users LIMIT 1) some_user";

const SUPER_ADMINS: &str = "SELECT COUNT(*) AS n FROM users WHERE rank = 'super-admin' AND state = 'active' AND disabled_until_ms <= $1";

impl Store {
    pub async fn user(&self, user: UserId) -> Result<Option<User>, StoreError> {
        users::Entity::find_by_id(user.as_bytes().to_vec()).one(&self.readers).await?.map(User::try_from).transpose()
    }

    pub async fn user_by_name(&self, name: &UserName) -> Result<Option<User>, StoreError> {
        let rows = self.rows::<users::Model>("SELECT * FROM users WHERE name = $1", vec![name.as_str().into()]).await?;
        rows.into_iter().next().map(User::try_from).transpose()
    }

    /// Accounts in the order of their names, those after `after`.
    pub async fn users(&self, scope: PeopleScope, after: Option<&UserName>, limit: u64) -> Result<Vec<User>, StoreError> {
        let (which, mut values) = sight::filter(scope);
        let (name, most) = (values.len() + 1, values.len() + 2);
        values.extend([after.map_or("", UserName::as_str).into(), number(limit)?.into()]);
        let sql = format!("SELECT * FROM users WHERE {which} AND name > ${name} ORDER BY name LIMIT ${most}");
        self.rows::<users::Model>(&sql, values).await?.into_iter().map(User::try_from).collect()
    }

    pub async fn has_users(&self) -> Result<bool, StoreError> {
        Ok(self.rows::<Count>(ANY_USER, vec![]).await?.iter().any(|row| row.n > 0))
    }

    /// What the rules about changing an account need; whether it is in the care of a sub-admin who asks is for [`Store::is_in_care`] to say.
    pub async fn user_facts(&self, user: UserId, now: Timestamp) -> Result<Option<UserFacts>, StoreError> {
        let Some(user) = self.user(user).await? else { return Ok(None) };
        let admins = self.rows::<Count>(SUPER_ADMINS, vec![now.to_i64().into()]).await?;
        Ok(Some(UserFacts {
            user: user.id,
            rank: user.rank,
            state: user.state,
            disabled_until: user.disabled_until,
            revision: user.revision,
            active_super_admins: count("count", admins.first().map_or(0, |row| row.n))?,
            in_care: false,
        }))
    }

    pub async fn bundle(&self, hash: &Digest) -> Result<Option<Bundle>, StoreError> {
        bundles::Entity::find_by_id(hash.to_vec()).one(&self.readers).await?.map(Bundle::try_from).transpose()
    }

    /// Every generation, oldest first.
    pub async fn bundles_of(&self, user: UserId) -> Result<Vec<Bundle>, StoreError> {
        let sql = "SELECT * FROM bundles WHERE user_id = $1 ORDER BY generation";
        self.rows::<bundles::Model>(sql, vec![bytes(user.as_bytes())]).await?.into_iter().map(Bundle::try_from).collect()
    }

    /// The newest generation; that of a reset counts although it waits for nothing more.
    pub async fn newest_bundle(&self, user: UserId) -> Result<Option<Bundle>, StoreError> {
        let sql = "SELECT * FROM bundles WHERE user_id = $1 ORDER BY generation DESC LIMIT 1";
        self.rows::<bundles::Model>(sql, vec![bytes(user.as_bytes())]).await?.into_iter().next().map(Bundle::try_from).transpose()
    }

    /// What administrators stated about an account, oldest first.
    pub async fn statements_of(&self, user: UserId) -> Result<Vec<Statement>, StoreError> {
        let sql = "SELECT * FROM statements WHERE user_id = $1 ORDER BY seq";
        self.rows::<statements::Model>(sql, vec![bytes(user.as_bytes())]).await?.into_iter().map(Statement::try_from).collect()
    }

    /// The first account: an active super-admin who vouches for themselves.
    pub async fn bootstrap(
        &self,
        permit: Permit<Bootstrap>,
        user: UserNew,
        bundle: Bundle,
        statement: Statement,
    ) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.bootstrap(permit, user, bundle, statement).await })).await
    }

    /// A new account, pending.
    pub async fn register(&self, permit: Permit<UserRegister>, user: UserNew, bundle: Bundle) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.register(permit, user, bundle).await })).await
    }

    pub async fn activate(&self, permit: Permit<UserActivate>, statement: Statement) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.activate(permit, statement).await })).await
    }

    /// Ends every session of the account.
    pub async fn deactivate(
        &self,
        permit: Permit<UserDeactivate>,
        cause: InactiveCause,
        reason: String,
        statement: Statement,
    ) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.deactivate(permit, cause, reason, statement).await })).await
    }

    /// Ends every session of the account, unless `until` is absent.
    pub async fn disable(&self, permit: Permit<UserDisable>, until: Timestamp, statement: Statement) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.disable(permit, until, statement).await })).await
    }

    /// A demotion raises the epoch, so that every session logs in again.
    pub async fn set_rank(&self, permit: Permit<UserRank>, rank: Rank, statement: Statement) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.set_rank(permit, rank, statement).await })).await
    }

    pub async fn set_permissions(&self, permit: Permit<UserPermissions>, permissions: Permissions) -> Result<(), StoreError> {
        let set = "permissions = $3";
        let bits = number(permissions.bits())?;
        self.write(move |tx| Box::pin(async move { tx.change_user(permit.on(), permit.revision(), set, vec![bits.into()]).await })).await
    }

    /// A new identity after the old one was lost: the account's grants are dead, its sessions end.
    pub async fn reset(&self, permit: Permit<UserReset>, bundle: Bundle, statement: Statement) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.reset(permit, bundle, statement).await })).await
    }

    /// The next generation of one's identity. After a compromise every node the account reaches is closed as well (security B12).
    pub async fn rotate(&self, permit: Permit<BundleRotate>, bundle: Bundle, compromised: bool) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.rotate(permit, bundle, compromised).await })).await
    }
}

impl Tx {
    pub async fn bootstrap(
        &self,
        permit: Permit<Bootstrap>,
        user: UserNew,
        bundle: Bundle,
        statement: Statement,
    ) -> Result<(), StoreError> {
        if self.rows::<Count>(ANY_USER, vec![]).await?.iter().any(|row| row.n > 0) {
            return Err(StoreError::Stale("list of users"));
        }
        self.insert_user(permit.on(), user, bundle, Rank::SuperAdmin, UserState::Active).await?;
        self.insert_statement(permit.on(), statement).await
    }

    pub async fn register(&self, permit: Permit<UserRegister>, user: UserNew, bundle: Bundle) -> Result<(), StoreError> {
        let (waits, at) = (user.id, user.created);
        self.insert_user(permit.on(), user, bundle, Rank::User, UserState::Pending).await?;
        let activating = self.who_activates().await?.into_iter();
        self.notify(activating.map(|to| Notice::about_account(to, NotificationKind::RegistrationWaiting, waits, at))).await
    }

    pub async fn activate(&self, permit: Permit<UserActivate>, statement: Statement) -> Result<(), StoreError> {
        let set = "state = 'active', cause = NULL, reason = NULL";
        self.change_user(permit.on(), permit.revision(), set, vec![]).await?;
        self.notify([Notice::about_account(permit.on(), NotificationKind::AccountActivated, permit.actor(), statement.at)]).await?;
        self.insert_statement(permit.on(), statement).await
    }

    pub async fn deactivate(
        &self,
        permit: Permit<UserDeactivate>,
        cause: InactiveCause,
        reason: String,
        statement: Statement,
    ) -> Result<(), StoreError> {
        self.end_access(permit.on(), permit.revision(), cause, Some(reason), statement.at).await?;
        self.insert_statement(permit.on(), statement).await
    }

    /// Active becomes inactive: sessions end, and the keys of groups are held by somebody who lost access.
    pub(crate) async fn end_access(
        &self,
        user: UserId,
        revision: u64,
        cause: InactiveCause,
        reason: Option<String>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let set = "state = 'inactive', cause = $3, reason = $4, epoch = epoch + 1";
        self.change_user(user, revision, set, vec![cause.word().into(), reason.into()]).await?;
        self.end_all_sessions(user, at).await?;
        self.lose_group_keys(user).await?;
        self.keep_a_super_admin(at).await
    }

    pub async fn disable(&self, permit: Permit<UserDisable>, until: Timestamp, statement: Statement) -> Result<(), StoreError> {
        let loses = until != Timestamp::ABSENT;
        let set = if loses { "disabled_until_ms = $3, epoch = epoch + 1" } else { "disabled_until_ms = $3" };
        self.change_user(permit.on(), permit.revision(), set, vec![until.to_i64().into()]).await?;
        if loses {
            self.end_all_sessions(permit.on(), statement.at).await?;
            self.keep_a_super_admin(statement.at).await?;
        }
        self.insert_statement(permit.on(), statement).await
    }

    pub async fn set_rank(&self, permit: Permit<UserRank>, rank: Rank, statement: Statement) -> Result<(), StoreError> {
        let before = self.user(permit.on()).await?.ok_or(StoreError::NotFound("user"))?;
        let demoted = rank < before.rank;
        let set = if demoted { "rank = $3, epoch = epoch + 1" } else { "rank = $3" };
        self.change_user(permit.on(), permit.revision(), set, vec![rank.word().into()]).await?;
        self.notify([Notice::about_account(permit.on(), NotificationKind::RankChanged, permit.actor(), statement.at)]).await?;
        // What was assigned to a sub-admin does not come back with the rank.
        self.forget_assignments(permit.on()).await?;
        if demoted {
            self.end_all_sessions(permit.on(), statement.at).await?;
            self.keep_a_super_admin(statement.at).await?;
        }
        self.insert_statement(permit.on(), statement).await
    }

    pub async fn reset(&self, permit: Permit<UserReset>, bundle: Bundle, statement: Statement) -> Result<(), StoreError> {
        let set = "bundle_hash = $3, epoch = epoch + 1, failed_logins = 0";
        self.change_user(permit.on(), permit.revision(), set, vec![bytes(bundle.hash)]).await?;
        self.end_all_sessions(permit.on(), statement.at).await?;
        self.end_lost(permit.on(), statement.at).await?;
        self.lose_group_keys(permit.on()).await?;
        self.forget_group_seals(permit.on()).await?;
        self.insert_bundle(permit.on(), bundle).await?;
        self.insert_statement(permit.on(), statement).await
    }

    pub async fn rotate(&self, permit: Permit<BundleRotate>, bundle: Bundle, compromised: bool) -> Result<(), StoreError> {
        if bundle.generation != permit.revision() + 1 {
            return Err(StoreError::Stale("identity"));
        }
        let (user, at) = (permit.on(), bundle.created);
        let set = if compromised { "bundle_hash = $2, epoch = epoch + 1" } else { "bundle_hash = $2" };
        let sql = format!("UPDATE users SET {set} WHERE id = $1");
        self.run_or_stale("user", &sql, vec![bytes(user.as_bytes()), bytes(bundle.hash)]).await?;
        // A generation that exists already means that another device rotated first.
        self.insert_bundle(user, bundle).await.map_err(|error| match error {
            StoreError::Taken(Taken::Bundle) => StoreError::Stale("identity"),
            error => error,
        })?;
        if compromised {
            self.end_all_sessions(user, at).await?;
            self.close_reachable(user).await?;
        }
        Ok(())
    }

    /// Closes every node shared with the account, its groups' roots too: whoever writes there next makes new keys first. Its own tree
    /// included, since whoever took the identity took those keys too.
    pub async fn close_reachable(&self, user: UserId) -> Result<(), StoreError> {
        let closure = number(self.next_closure_seq().await?)?;
        let sql = "UPDATE nodes SET closure_seq = $2 \
                   WHERE id IN (SELECT node_id FROM grants WHERE recipient_id = $1 AND ended_ms IS NULL)";
        self.run(sql, vec![bytes(user.as_bytes()), closure.into()]).await?;
        self.lose_group_keys(user).await
    }

    pub(crate) async fn user(&self, user: UserId) -> Result<Option<User>, StoreError> {
        users::Entity::find_by_id(user.as_bytes().to_vec()).one(&self.conn).await?.map(User::try_from).transpose()
    }

    async fn insert_user(&self, permitted: UserId, user: UserNew, bundle: Bundle, rank: Rank, state: UserState) -> Result<(), StoreError> {
        if user.id != permitted || bundle.generation != 0 {
            return Err(StoreError::Invalid("the account and its first identity do not belong together; register again"));
        }
        let row = users::Model {
            id: user.id.as_bytes().to_vec(),
            name: user.name.as_str().to_owned(),
            rank: rank.word().to_owned(),
            state: state.word().to_owned(),
            cause: None,
            reason: None,
            disabled_until_ms: 0,
            epoch: 1,
            revision: 1,
            bundle_hash: bundle.hash.to_vec(),
            created_ms: user.created.to_i64(),
            failed_logins: 0,
            last_failure_ms: 0,
            last_login_ms: 0,
            permissions: number(Permissions::basic().bits())?,
            working_revision: 0,
            profile_id: None,
        };
        // An account under a group's id would own the group's tree.
        if self.is_group(permitted).await? {
            return Err(StoreError::Taken(Taken::UserId));
        }
        self.never_used([&row.id], Taken::UserId).await?;
        insert_all::<users::Entity, users::ActiveModel>(&self.conn, vec![row]).await?;
        self.insert_bundle(permitted, bundle).await
    }

    async fn insert_bundle(&self, user: UserId, bundle: Bundle) -> Result<(), StoreError> {
        if bundle.user != user {
            return Err(StoreError::Invalid("the identity is somebody else's; send your own"));
        }
        let row = bundles::Model {
            hash: bundle.hash.to_vec(),
            user_id: bundle.user.as_bytes().to_vec(),
            generation: number(bundle.generation)?,
            bundle: bundle.bytes,
            log_index: number(bundle.log_index)?,
            log_leaf: bundle.log_leaf,
            created_ms: bundle.created.to_i64(),
        };
        insert_all::<bundles::Entity, bundles::ActiveModel>(&self.conn, vec![row]).await
    }

    async fn insert_statement(&self, user: UserId, statement: Statement) -> Result<(), StoreError> {
        if statement.user != user {
            return Err(StoreError::Invalid("the statement is about somebody else; sign one about this account"));
        }
        let sql = "INSERT INTO statements (user_id, bundle_hash, action, envelope, log_index, log_leaf, at_ms) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let values = vec![
            bytes(statement.user.as_bytes()),
            bytes(statement.bundle),
            i64::from(statement.action).into(),
            statement.envelope.into(),
            number(statement.log_index)?.into(),
            statement.log_leaf.into(),
            statement.at.to_i64().into(),
        ];
        self.run(sql, values).await.map(drop)
    }

    /// `set` may use `$3` and later.
    pub(crate) async fn change_user(&self, user: UserId, revision: u64, set: &str, more: Vec<Value>) -> Result<(), StoreError> {
        let sql = format!("UPDATE users SET {set}, revision = revision + 1 WHERE id = $1 AND revision = $2");
        let mut values: Vec<Value> = vec![bytes(user.as_bytes()), number(revision)?.into()];
        values.extend(more);
        self.run_or_stale("user", &sql, values).await
    }

    /// Two administrators may have decided on each other at once; the second of them is undone.
    async fn keep_a_super_admin(&self, now: Timestamp) -> Result<(), StoreError> {
        match self.row::<Count>(SUPER_ADMINS, vec![now.to_i64().into()]).await? {
            Some(row) if row.n > 0 => Ok(()),
            _ => Err(StoreError::LastSuperAdmin),
        }
    }
}
