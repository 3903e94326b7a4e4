//! Requirements, levels, and who is certified.

use ticrypt_api::ApiError;
use ticrypt_api::certification::{
    CertificationExpireRequest, CertificationListQuery, CertificationListReply, CertificationSetReply, CertificationSetRequest,
    CertificationView, LevelAbout, LevelListReply, LevelSetRequest, LevelView, RequirementAbout, RequirementListReply,
    RequirementSetRequest, RequirementView,
};
use ticrypt_policy::certification::{
    HolderFacts, LevelFacts, Lifespan, RequirementFacts, may_certify, may_delete_level, may_delete_requirement, may_expire_certification,
    may_list_certifications, may_set_level, may_set_requirement,
};
use ticrypt_policy::{Actor, Denial};
use ticrypt_store::StoreError;
use ticrypt_store::certification::{Certification, Level, Requirement};
use ticrypt_types::{LevelId, RequirementId, Timestamp, UserId, UserName, UserState};

use super::Rest;
use super::call::{Answer, Call};
use super::change::{Reaches, description, event, present};
use super::page;
use crate::refusal::{refuse, store_failed};

impl Rest {
    /// Everybody sees what can be asked of them.
    pub(super) async fn list_requirements(&self, call: &Call) -> Result<Answer, ApiError> {
        self.acting(call).await?;
        let rows = self.store.requirements().await.map_err(|error| store_failed(error, call.now))?;
        Answer::of(call, &RequirementListReply { requirements: rows.into_iter().map(requirement_view).collect() })
    }

    pub(super) async fn list_levels(&self, call: &Call) -> Result<Answer, ApiError> {
        self.acting(call).await?;
        let rows = self.store.levels().await.map_err(|error| store_failed(error, call.now))?;
        let view = |level: Level| LevelView {
            level: level.id,
            about: LevelAbout { name: level.name, description: level.description, requirements: level.requirements },
            revision: level.revision,
        };
        Answer::of(call, &LevelListReply { levels: rows.into_iter().map(view).collect() })
    }

    pub(super) async fn set_requirement(&self, call: &Call) -> Result<Answer, ApiError> {
        let id: RequirementId = call.parameter(0)?;
        let request: RequirementSetRequest = call.body()?;
        let RequirementAbout { name, description: text, must_expire, default_lifespan_ms, maximum_lifespan_ms } = request.about;
        let lifespan = Lifespan { must_expire, default_ms: default_lifespan_ms, maximum_ms: maximum_lifespan_ms };
        let wanted = Requirement { id, name, description: description(text)?, lifespan, revision: request.revision };
        let actor = self.acting(call).await?;
        let facts = RequirementFacts { requirement: id, revision: request.revision, lifespan, manages_asking: false, in_use: false };
        let decided = may_set_requirement(&actor, &facts, call.now);
        let row = event(call, &[id.to_bytes()], &[("name", wanted.name.to_string())]);
        self.change(call, row, decided, |permit| self.store.set_requirement(permit, wanted)).await
    }

    pub(super) async fn delete_requirement(&self, call: &Call) -> Result<Answer, ApiError> {
        let id: RequirementId = call.parameter(0)?;
        let actor = self.acting(call).await?;
        let facts = self.requirement_facts(&actor, id, call.now).await?;
        let decided = facts.and_then(|facts| may_delete_requirement(&actor, &facts, call.now));
        self.change(call, event(call, &[id.to_bytes()], &[]), decided, |permit| self.store.delete_requirement(permit)).await
    }

    pub(super) async fn set_level(&self, call: &Call) -> Result<Answer, ApiError> {
        let id: LevelId = call.parameter(0)?;
        let request: LevelSetRequest = call.body()?;
        let LevelAbout { name, description: text, requirements } = request.about;
        let level = Level { id, name, description: description(text)?, requirements, revision: request.revision };
        let actor = self.acting(call).await?;
        let facts = LevelFacts { level: id, revision: request.revision, in_use: false };
        let decided = may_set_level(&actor, &facts, call.now);
        let subjects: Vec<_> = std::iter::once(id.to_bytes()).chain(level.requirements.iter().map(|id| id.to_bytes())).collect();
        let row = event(call, &subjects, &[("name", level.name.to_string())]);
        self.change_of_reach(call, row, decided, Reaches::Everybody, |permit| self.store.set_level(permit, level, call.now)).await
    }

    pub(super) async fn delete_level(&self, call: &Call) -> Result<Answer, ApiError> {
        let id: LevelId = call.parameter(0)?;
        let actor = self.acting(call).await?;
        let facts = self.store.level_facts(id).await.map_err(|error| store_failed(error, call.now))?;
        let decided = facts.ok_or(Denial::NotFound).and_then(|facts| may_delete_level(&actor, &facts, call.now));
        self.change(call, event(call, &[id.to_bytes()], &[]), decided, |permit| self.store.delete_level(permit, call.now)).await
    }

    /// One's own; everybody's for who certifies.
    pub(super) async fn list_certifications(&self, call: &Call) -> Result<Answer, ApiError> {
        let query: CertificationListQuery = call.query()?;
        let actor = self.acting(call).await?;
        let scope = may_list_certifications(&actor, query.all, call.now).map_err(|denial| refuse(denial, call.now))?;
        let after = page::start(query.page.as_deref())?.map(page_place).transpose()?;
        let limit = page::limit(query.limit);
        let rows = self.store.certifications(scope, after, limit as u64 + 1).await;
        let mut rows = rows.map_err(|error| store_failed(error, call.now))?;
        let next = page::cut(&mut rows, limit, |row| [row.requirement.as_bytes(), row.name.as_str().as_bytes()].concat());
        Answer::of(call, &CertificationListReply { certifications: rows.into_iter().map(certification_view).collect(), next })
    }

    pub(super) async fn certify(&self, call: &Call) -> Result<Answer, ApiError> {
        let CertificationSetRequest { requirement, user, expires_ms } = call.body()?;
        let actor = self.acting(call).await?;
        let wanted = expires_ms.unwrap_or(Timestamp::ABSENT);
        let decided = self
            .certification(&actor, requirement, user, call.now)
            .await?
            .and_then(|(facts, holder)| may_certify(&actor, &facts, &holder, wanted, call.now));
        let row = event(call, &[requirement.to_bytes(), user.to_bytes()], &[]);
        self.change_of_reach(call, row, decided, Reaches::One(user), |(permit, until)| async move {
            self.store.certify(permit, until, call.now).await?;
            Ok::<_, StoreError>(CertificationSetReply { expires_ms: present(until) })
        })
        .await
    }

    pub(super) async fn expire_certification(&self, call: &Call) -> Result<Answer, ApiError> {
        let CertificationExpireRequest { requirement, user } = call.body()?;
        let actor = self.acting(call).await?;
        let decided = self
            .certification(&actor, requirement, user, call.now)
            .await?
            .and_then(|(facts, holder)| may_expire_certification(&actor, &facts, &holder, call.now));
        let row = event(call, &[requirement.to_bytes(), user.to_bytes()], &[]);
        self.change_of_reach(call, row, decided, Reaches::One(user), |permit| self.store.expire_certification(permit, call.now)).await
    }

    /// Who asks, with an account in use.
    async fn acting(&self, call: &Call) -> Result<Actor, ApiError> {
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        actor.check(call.now).map_err(|denial| refuse(denial, call.now))?;
        Ok(actor)
    }

    async fn requirement_facts(
        &self,
        actor: &Actor,
        requirement: RequirementId,
        now: Timestamp,
    ) -> Result<Result<RequirementFacts, Denial>, ApiError> {
        let facts = self.store.requirement_facts(actor.user, requirement, now).await.map_err(|error| store_failed(error, now))?;
        Ok(facts.ok_or(Denial::NotFound))
    }

    async fn certification(
        &self,
        actor: &Actor,
        requirement: RequirementId,
        user: UserId,
        now: Timestamp,
    ) -> Result<Result<(RequirementFacts, HolderFacts), Denial>, ApiError> {
        let failed = |error| store_failed(error, now);
        let facts = match self.requirement_facts(actor, requirement, now).await? {
            Ok(facts) => facts,
            Err(denial) => return Ok(Err(denial)),
        };
        let Some(account) = self.store.user(user).await.map_err(failed)? else { return Ok(Err(Denial::NotFound)) };
        let held = self.store.certification(requirement, user).await.map_err(failed)?;
        let is_certified = held.is_some_and(|(_, expires)| !expires.is_expired(now));
        Ok(Ok((facts, HolderFacts { user, is_active: account.state == UserState::Active, is_certified })))
    }
}

fn requirement_view(requirement: Requirement) -> RequirementView {
    let Requirement { id, name, description, lifespan, revision } = requirement;
    RequirementView {
        requirement: id,
        about: RequirementAbout {
            name,
            description,
            must_expire: lifespan.must_expire,
            default_lifespan_ms: lifespan.default_ms,
            maximum_lifespan_ms: lifespan.maximum_ms,
        },
        revision,
    }
}

fn certification_view(row: Certification) -> CertificationView {
    CertificationView {
        requirement: row.requirement,
        user: row.user,
        name: row.name,
        since_ms: row.since,
        expires_ms: present(row.expires),
        given_by: row.given_by,
        given_ms: row.given,
    }
}

/// A requirement and a name.
fn page_place(bytes: Vec<u8>) -> Result<(RequirementId, UserName), ApiError> {
    let (requirement, name) = bytes.split_at_checked(16).ok_or_else(page::unknown)?;
    Ok((RequirementId::try_from(requirement).map_err(|_| page::unknown())?, page::name(name)?))
}
