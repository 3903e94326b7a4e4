//! Profiles: sets of permissions with names. They are few, so a list of them is whole.

use sea_orm::{EntityTrait, FromQueryResult};
use ticrypt_policy::Permit;
use ticrypt_policy::permit::{ProfileApply, ProfileDelete, ProfileSet};
use ticrypt_policy::profile::ProfileFacts;
use ticrypt_types::{Permissions, ProfileId, Timestamp, Title};

use crate::column::{bytes, count, id, number};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::insert_all;
use crate::table::profile::profiles;
use crate::user::permissions;
use crate::writer::Tx;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub id: ProfileId,
    pub name: Title,
    pub description: String,
    pub permissions: Permissions,
    pub revision: u64,
}

impl Profile {
    /// What the rules about it need.
    pub fn facts(&self) -> ProfileFacts {
        ProfileFacts { profile: self.id, revision: self.revision, permissions: self.permissions }
    }
}

impl TryFrom<profiles::Model> for Profile {
    type Error = StoreError;
    fn try_from(row: profiles::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: id("profiles.id", &row.id)?,
            name: row.name.parse().map_err(|_| StoreError::Corrupt("profiles.name"))?,
            description: row.description,
            permissions: permissions("profiles.permissions", row.permissions)?,
            revision: count("profiles.revision", row.revision)?,
        })
    }
}

#[derive(FromQueryResult)]
struct People {
    profile_id: Vec<u8>,
    n: i64,
}

impl Store {
    pub async fn profile(&self, profile: ProfileId) -> Result<Option<Profile>, StoreError> {
        profiles::Entity::find_by_id(profile.as_bytes().to_vec()).one(&self.readers).await?.map(Profile::try_from).transpose()
    }

    /// All of them, by name.
    pub async fn profiles(&self) -> Result<Vec<Profile>, StoreError> {
        let sql = "SELECT * FROM profiles ORDER BY name, id";
        self.rows::<profiles::Model>(sql, vec![]).await?.into_iter().map(Profile::try_from).collect()
    }

    /// How many people each was applied to last; of those not named, nobody.
    pub async fn profile_people(&self) -> Result<Vec<(ProfileId, u64)>, StoreError> {
        let sql = "SELECT profile_id, COUNT(*) AS n FROM users WHERE profile_id IS NOT NULL GROUP BY profile_id";
        let row = |row: People| Ok((id("users.profile_id", &row.profile_id)?, count("count", row.n)?));
        self.rows::<People>(sql, vec![]).await?.into_iter().map(row).collect()
    }

    /// Makes the profile, or changes it; nobody it was applied to is changed by that.
    pub async fn set_profile(&self, permit: Permit<ProfileSet>, profile: Profile, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.set_profile(permit, profile, at).await })).await
    }

    /// Those it was applied to keep what they have, and are called by no profile any more.
    pub async fn delete_profile(&self, permit: Permit<ProfileDelete>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.delete_profile(permit).await })).await
    }

    /// The permissions of the profile as it was decided on, and its name beside them.
    pub async fn apply_profile(&self, permit: Permit<ProfileApply>, profile: ProfileFacts) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.apply_profile(permit, profile).await })).await
    }
}

impl Tx {
    async fn set_profile(&self, permit: Permit<ProfileSet>, profile: Profile, at: Timestamp) -> Result<(), StoreError> {
        let bits = number(profile.permissions.bits())?;
        if permit.revision() == 0 {
            let row = profiles::Model {
                id: permit.on().as_bytes().to_vec(),
                name: profile.name.to_string(),
                description: profile.description,
                permissions: bits,
                revision: 1,
                created_ms: at.to_i64(),
            };
            return insert_all::<profiles::Entity, profiles::ActiveModel>(&self.conn, vec![row]).await;
        }
        let sql =
            "UPDATE profiles SET name = $3, description = $4, permissions = $5, revision = revision + 1 WHERE id = $1 AND revision = $2";
        let values = vec![
            bytes(permit.on().as_bytes()),
            number(permit.revision())?.into(),
            profile.name.as_str().into(),
            profile.description.into(),
            bits.into(),
        ];
        self.run_or_stale("profile", sql, values).await
    }

    async fn delete_profile(&self, permit: Permit<ProfileDelete>) -> Result<(), StoreError> {
        let profile = bytes(permit.on().as_bytes());
        let sql = "DELETE FROM profiles WHERE id = $1 AND revision = $2";
        self.run_or_stale("profile", sql, vec![profile.clone(), number(permit.revision())?.into()]).await?;
        // Their revision stays: nothing that a decision about them rests on has changed.
        self.run("UPDATE users SET profile_id = NULL WHERE profile_id = $1", vec![profile]).await.map(drop)
    }

    async fn apply_profile(&self, permit: Permit<ProfileApply>, profile: ProfileFacts) -> Result<(), StoreError> {
        let found = profiles::Entity::find_by_id(profile.profile.as_bytes().to_vec()).one(&self.conn).await?;
        if found.map(Profile::try_from).transpose()?.is_none_or(|found| found.facts() != profile) {
            return Err(StoreError::Stale("profile"));
        }
        let set = "permissions = $3, profile_id = $4";
        let values = vec![number(profile.permissions.bits())?.into(), bytes(profile.profile.as_bytes())];
        self.change_user(permit.on(), permit.revision(), set, values).await
    }
}
