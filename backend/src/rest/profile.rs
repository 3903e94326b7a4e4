//! Profiles: listing, writing, deleting; applying one to somebody.

use std::collections::BTreeMap;

use ticrypt_api::ApiError;
use ticrypt_api::profile::{ProfileAbout, ProfileApplyRequest, ProfileLabel, ProfileListReply, ProfileSetRequest, ProfileView};
use ticrypt_api::role::Event;
use ticrypt_policy::Denial;
use ticrypt_policy::profile::{Given, ProfileFacts, may_apply_profile, may_delete_profile, may_list_profiles, may_set_profile};
use ticrypt_store::profile::Profile;
use ticrypt_store::user::User;
use ticrypt_types::{Permissions, ProfileId, Timestamp, UserId};

use super::Rest;
use super::call::{Answer, Call};
use super::change::{description, event};
use super::permission::{changes, no_account};
use crate::refusal::{refuse, store_failed};

/// The profiles that people of a list may be called by.
pub(super) type Profiles = BTreeMap<ProfileId, Profile>;

/// How somebody is called by a profile.
pub(super) fn label(user: &User, profiles: &Profiles) -> Option<ProfileLabel> {
    let profile = profiles.get(&user.profile?)?;
    Some(ProfileLabel { profile: profile.id, name: profile.name.clone(), exact: profile.permissions == user.permissions })
}

impl Rest {
    pub(super) async fn list_profiles(&self, call: &Call) -> Result<Answer, ApiError> {
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        may_list_profiles(&actor, call.now).map_err(|denial| refuse(denial, call.now))?;
        let failed = |error| store_failed(error, call.now);
        let people: BTreeMap<ProfileId, u64> = self.store.profile_people().await.map_err(failed)?.into_iter().collect();
        let view = |Profile { id, name, description, permissions, revision }| ProfileView {
            profile: id,
            about: ProfileAbout { name, description, permissions },
            people: people.get(&id).copied().unwrap_or(0),
            revision,
        };
        let profiles = self.store.profiles().await.map_err(failed)?;
        Answer::of(call, &ProfileListReply { profiles: profiles.into_iter().map(view).collect() })
    }

    pub(super) async fn set_profile(&self, call: &Call) -> Result<Answer, ApiError> {
        let id: ProfileId = call.parameter(0)?;
        let ProfileSetRequest { revision, about: ProfileAbout { name, description: text, permissions } } = call.body()?;
        let wanted = Profile { id, name, description: description(text)?, permissions, revision };
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let before = self.store.profile(id).await.map_err(|error| store_failed(error, call.now))?;
        // Decided on what was read: whoever else changed it meanwhile is not overwritten.
        let facts = match (&before, revision) {
            (_, 0) => Ok(ProfileFacts { profile: id, revision: 0, permissions: Permissions::NONE }),
            (Some(before), _) => Ok(ProfileFacts { revision, ..before.facts() }),
            (None, _) => Err(Denial::NotFound),
        };
        let had = facts.map_or(Permissions::NONE, |facts| facts.permissions);
        let decided = facts.and_then(|facts| may_set_profile(&actor, &facts, permissions, call.now));
        let mut row = event(call, &[id.to_bytes()], &[("name", wanted.name.to_string())]);
        row.detail.extend(changes(had, permissions));
        self.change(call, row, decided, |permit| self.store.set_profile(permit, wanted, call.now)).await
    }

    pub(super) async fn delete_profile(&self, call: &Call) -> Result<Answer, ApiError> {
        let id: ProfileId = call.parameter(0)?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let found = self.store.profile(id).await.map_err(|error| store_failed(error, call.now))?;
        // Who may write none is told that, there or not.
        let none = ProfileFacts { profile: id, revision: 0, permissions: Permissions::NONE };
        let decided = may_delete_profile(&actor, &found.as_ref().map_or(none, Profile::facts), call.now);
        let decided = if found.is_none() { decided.and(Err(Denial::NotFound)) } else { decided };
        self.change(call, event(call, &[id.to_bytes()], &[]), decided, |permit| self.store.delete_profile(permit)).await
    }

    pub(super) async fn apply_profile(&self, call: &Call) -> Result<Answer, ApiError> {
        let target: UserId = call.parameter(0)?;
        let ProfileApplyRequest { profile, revision } = call.body()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let failed = |error| store_failed(error, call.now);
        let facts = self.account_facts(&actor, target, call.now).await?;
        let account = self.store.user(target).await.map_err(failed)?;
        let found = self.store.profile(profile).await.map_err(failed)?.map(|found| ProfileFacts { revision, ..found.facts() });
        let given = account.map(|account| Given { permissions: account.permissions, profile: account.profile });
        let decided = match (facts.zip(given), found) {
            (None, _) => Err(no_account(&actor)),
            (Some((facts, given)), Some(found)) => may_apply_profile(&actor, &facts, given, &found, call.now).map(|permit| (permit, found)),
            (Some(_), None) => may_list_profiles(&actor, call.now).and(Err(Denial::NotFound)),
        };
        let wanted = found.map_or(Permissions::NONE, |found| found.permissions);
        let detail = given.map_or_else(Vec::new, |given| changes(given.permissions, wanted));
        let row = Event { detail, ..event(call, &[target.to_bytes(), profile.to_bytes()], &[]) };
        self.change(call, row, decided, |(permit, found)| self.store.apply_profile(permit, found)).await
    }

    /// The one profile that somebody may be called by.
    pub(super) async fn profiles_of(&self, user: &User, now: Timestamp) -> Result<Profiles, ApiError> {
        let Some(id) = user.profile else { return Ok(Profiles::new()) };
        let found = self.store.profile(id).await.map_err(|error| store_failed(error, now))?;
        Ok(found.into_iter().map(|profile| (profile.id, profile)).collect())
    }

    pub(super) async fn all_profiles(&self, now: Timestamp) -> Result<Profiles, ApiError> {
        let profiles = self.store.profiles().await.map_err(|error| store_failed(error, now))?;
        Ok(profiles.into_iter().map(|profile| (profile.id, profile)).collect())
    }
}
