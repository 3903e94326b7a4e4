//! Who reaches a thing in the vault, and why, as the server decides it; and what ends soon.

use std::collections::BTreeMap;

use serde::Serialize;
use ticrypt_api::access::{AccessExplainReply, AccessExplainRequest, PersonAccess, SupposedLoss};
use ticrypt_types::{NodeId, Operation, Timestamp, UserId, UserName};

use crate::certification;
use crate::clock;
use crate::error::{Kind, Result};
use crate::group;
use crate::project::{self, Projects};
use crate::session::Session;
use crate::vault::Vault;

/// About these people, or about everybody who has a key to it; `without`: as if they had lost that.
pub async fn explain(session: &Session, node: NodeId, about: Vec<UserId>, without: Option<SupposedLoss>) -> Result<AccessExplainReply> {
    session.call(Operation::AccessExplain, &[], &AccessExplainRequest { node, about, without }).await
}

/// Something of one's own that somebody has a key to, and what they can do with it.
#[derive(Clone, Debug, Serialize)]
pub struct Reached {
    pub path: String,
    #[serde(flatten)]
    pub access: PersonAccess,
}

/// What somebody has a key to, of what one shares and of the groups one owns; what lies inside goes with it, unless it is tagged itself.
pub async fn reach(vault: &Vault, user: UserId, name: &UserName) -> Result<Vec<Reached>> {
    let mut things: BTreeMap<NodeId, String> = BTreeMap::new();
    for share in vault.shares_by_me().await?.into_iter().filter(|share| share.recipient == *name && !share.dead) {
        things.insert(share.node, share.path.unwrap_or_else(|| share.node.to_string()));
    }
    let me = vault.session().user();
    for view in vault.groups().list().await?.into_iter().filter(|view| view.owner == me && !view.locked) {
        let group = vault.groups().load(view.group).await?;
        if group.chain.roster().permissions(user).is_some() {
            things.insert(group.root.entry.node.node, format!("/@groups/{}", group::label(&view)));
        }
    }
    let mut reached = Vec::with_capacity(things.len());
    for (node, path) in things {
        let reply = explain(vault.session(), node, vec![user], None).await?;
        reached.extend(reply.people.into_iter().map(|access| Reached { path: path.clone(), access }));
    }
    reached.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(reached)
}

/// Something that ends by the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ending {
    pub ends_ms: Timestamp,
    pub person: UserName,
    /// `membership`, `certification` or `share`.
    pub what: &'static str,
    /// The project, the requirement or the shared thing.
    pub of: String,
}

/// What ends by the clock until then, the soonest first: of one's own, of members of the projects one manages, of everybody's certifications for who
/// certifies, and of what one shares.
pub async fn ending(vault: &Vault, until: Timestamp) -> Result<Vec<Ending>> {
    let (session, now) = (vault.session(), clock::now());
    let me = &session.me().name;
    let ends = |at: &Timestamp| !at.is_expired(now) && *at <= until;
    let mut endings = Vec::new();
    let projects = Projects::load(session).await?;
    for (_, view) in projects.in_order() {
        let Some(own) = &view.own else { continue };
        let of = projects.path(view);
        let mut add =
            |person: &UserName, ends_ms| endings.push(Ending { ends_ms, person: person.clone(), what: "membership", of: of.clone() });
        if own.manages {
            let members = project::members(session, view.project).await?;
            let living = members.iter().filter(|member| !member.withdrawn);
            living.filter_map(|member| Some((&member.name, member.expires_ms.filter(ends)?))).for_each(|(name, at)| add(name, at));
        } else if let Some(at) = own.expires_ms.filter(ends) {
            add(me, at);
        }
    }
    let requirements = certification::requirements(session).await?;
    let certifications = match certification::certifications(session, true).await {
        Err(error) if error.kind() == Kind::Refused => certification::certifications(session, false).await?,
        all => all?,
    };
    for view in certifications {
        let Some(ends_ms) = view.expires_ms.filter(ends) else { continue };
        let named = requirements.iter().find(|one| one.requirement == view.requirement);
        let of = named.map_or_else(|| view.requirement.to_string(), |one| one.about.name.to_string());
        endings.push(Ending { ends_ms, person: view.name, what: "certification", of });
    }
    for share in vault.shares_by_me().await? {
        let Some(ends_ms) = share.expires_ms.filter(ends) else { continue };
        let of = share.path.unwrap_or_else(|| share.node.to_string());
        endings.push(Ending { ends_ms, person: share.recipient, what: "share", of });
    }
    endings.sort_by(|a, b| (a.ends_ms, &a.person, &a.of).cmp(&(b.ends_ms, &b.person, &b.of)));
    Ok(endings)
}
