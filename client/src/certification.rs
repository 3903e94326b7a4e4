//! Requirements, levels and certifications, as the server keeps them.

use ticrypt_api::certification::{
    CertificationExpireRequest, CertificationListQuery, CertificationListReply, CertificationSetRequest, CertificationView, LevelAbout,
    LevelListReply, LevelSetRequest, LevelView, RequirementAbout, RequirementListReply, RequirementSetRequest, RequirementView,
};
use ticrypt_types::name::Harmless;
use ticrypt_types::{LevelId, Operation, RequirementId, Timestamp, UserId};

use crate::bulk::{self, Item, Step};
use crate::entropy;
use crate::error::{ClientError, Kind, Result};
use crate::session::Session;

const PAGE: u32 = 1_000;

/// A certification: for what, and whose.
pub type Whose = (RequirementId, UserId);

pub async fn requirements(session: &Session) -> Result<Vec<RequirementView>> {
    let reply: RequirementListReply = session.call(Operation::RequirementList, &[], &()).await?;
    Ok(reply.requirements)
}

pub async fn levels(session: &Session) -> Result<Vec<LevelView>> {
    let reply: LevelListReply = session.call(Operation::LevelList, &[], &()).await?;
    Ok(reply.levels)
}

/// The one that is called this, or has this id.
pub fn named<'a, T>(all: &'a [T], text: &str, what: &str, of: impl Fn(&T) -> (String, String)) -> Result<&'a T> {
    let fits = |one: &&T| {
        let (id, name) = of(one);
        id == text || name == text
    };
    let mut found = all.iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(ClientError::not_found(format!("there is no {what} {}; run `ticrypt {what} list`", Harmless(text)))),
        _ => {
            Err(ClientError::new(Kind::Invalid, "ambiguous", format!("several have that name; give the id (`ticrypt {what} list --json`)")))
        }
    }
}

pub async fn requirement(session: &Session, text: &str) -> Result<RequirementView> {
    let all = requirements(session).await?;
    named(&all, text, "requirement", |one| (one.requirement.to_string(), one.about.name.to_string())).cloned()
}

pub async fn level(session: &Session, text: &str) -> Result<LevelView> {
    let all = levels(session).await?;
    named(&all, text, "level", |one| (one.level.to_string(), one.about.name.to_string())).cloned()
}

/// Makes a requirement, or changes the one that was read.
pub async fn set_requirement(session: &Session, before: Option<&RequirementView>, about: RequirementAbout) -> Result<RequirementId> {
    let id = match before {
        Some(view) => view.requirement,
        None => RequirementId::from_random(entropy::bytes()?),
    };
    let request = RequirementSetRequest { revision: before.map_or(0, |view| view.revision), about };
    let () = session.call(Operation::RequirementSet, &[&id.to_string()], &request).await?;
    Ok(id)
}

pub async fn delete_requirement(session: &Session, requirement: RequirementId) -> Result<()> {
    session.call(Operation::RequirementDelete, &[&requirement.to_string()], &()).await
}

/// Makes a level, or changes the one that was read.
pub async fn set_level(session: &Session, before: Option<&LevelView>, about: LevelAbout) -> Result<LevelId> {
    let id = match before {
        Some(view) => view.level,
        None => LevelId::from_random(entropy::bytes()?),
    };
    let request = LevelSetRequest { revision: before.map_or(0, |view| view.revision), about };
    let () = session.call(Operation::LevelSet, &[&id.to_string()], &request).await?;
    Ok(id)
}

pub async fn delete_level(session: &Session, level: LevelId) -> Result<()> {
    session.call(Operation::LevelDelete, &[&level.to_string()], &()).await
}

/// One's own, or everybody's.
pub async fn certifications(session: &Session, all: bool) -> Result<Vec<CertificationView>> {
    let mut found = Vec::new();
    let mut query = CertificationListQuery { all, limit: Some(PAGE), page: None };
    loop {
        let mut reply: CertificationListReply = session.transport.call(Operation::CertificationList, &[], &query, &()).await?;
        found.append(&mut reply.certifications);
        match reply.next {
            Some(next) => query.page = Some(next),
            None => return Ok(found),
        }
    }
}

/// Certifies for a requirement, or renews, each of these people. Gives what came of each, in order.
pub async fn certify(session: &Session, whom: &[Whose], expires_ms: Option<Timestamp>, step: Step<'_>) -> Result<Vec<Result<()>>> {
    let item = |(requirement, user): &Whose| {
        let request = CertificationSetRequest { requirement: *requirement, user: *user, expires_ms };
        Item { parameters: Vec::new(), request }
    };
    bulk::run(session, Operation::CertificationSet, &whom.iter().map(item).collect::<Vec<_>>(), step).await
}

/// Ends certifications now. Gives what came of each, in order.
pub async fn expire(session: &Session, whose: &[Whose], step: Step<'_>) -> Result<Vec<Result<()>>> {
    let item = |(requirement, user): &Whose| {
        let request = CertificationExpireRequest { requirement: *requirement, user: *user };
        Item { parameters: Vec::new(), request }
    };
    bulk::run(session, Operation::CertificationExpire, &whose.iter().map(item).collect::<Vec<_>>(), step).await
}
