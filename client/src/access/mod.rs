//! Who reaches a thing in the vault, and why, as the server decides it; and what ends soon.

pub mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use ticrypt_api::access::{
    AccessExplainReply, AccessExplainRequest, AccessLossesReply, AccessLossesRequest, PersonAccess, PersonLosses, SupposedLoss,
};
use ticrypt_api::group::GroupView;
use ticrypt_api::project::ProjectView;
use ticrypt_types::{GroupId, NodeId, NodeKind, Operation, ProjectId, RequirementId, Timestamp, UserId, UserName};

use crate::certification;
use crate::clock;
use crate::error::{ClientError, Kind, Result};
use crate::group;
use crate::project::{self, Projects};
use crate::session::Session;
use crate::vault::{Found, LOCKED, Vault, VaultPath};

/// Who asks about others is not the owner.
pub const OWNERS_EXPLAIN: &str = "owners_explain";

/// About these people, or about everybody who has a key to it; `without`: as if they had lost that.
pub async fn explain(session: &Session, node: NodeId, about: Vec<UserId>, without: Option<SupposedLoss>) -> Result<AccessExplainReply> {
    session.call(Operation::AccessExplain, &[], &AccessExplainRequest { node, about, without }).await
}

/// Who is meant by a name: oneself too.
pub async fn subject(session: &Session, name: &UserName) -> Result<UserId> {
    if *name == session.me().name { Ok(session.user()) } else { Ok(session.users.lookup(name).await?.user) }
}

/// What one could lose that decides over these tags: membership of their projects and of those above, and what their levels ask for.
pub async fn losable(session: &Session, projects: &Projects, tags: &[ProjectId]) -> Result<Vec<(SupposedLoss, String)>> {
    let mut lines: Vec<&ProjectView> = Vec::new();
    for tag in tags {
        let mut at = projects.get(*tag);
        while let Some(view) = at.filter(|view| lines.iter().all(|known| known.project != view.project)) {
            lines.push(view);
            at = view.parent.and_then(|parent| projects.get(parent));
        }
    }
    let mut losses: Vec<(SupposedLoss, String)> =
        lines.iter().map(|view| (SupposedLoss::Membership(view.project), projects.path(view))).collect();
    losses.sort_by(|(_, a), (_, b)| a.cmp(b));
    if lines.iter().any(|view| view.about.level.is_some()) {
        let levels = certification::levels(session).await?;
        let asking = levels.iter().filter(|level| lines.iter().any(|view| view.about.level == Some(level.level)));
        let asked: BTreeSet<RequirementId> = asking.flat_map(|level| level.about.requirements.iter().copied()).collect();
        let requirements = certification::requirements(session).await?.into_iter().filter(|one| asked.contains(&one.requirement));
        losses.extend(requirements.map(|one| (SupposedLoss::Certification(one.requirement), one.about.name.to_string())));
    }
    Ok(losses)
}

/// Something of one's own that somebody has a key to, and what they can do with it.
#[derive(Clone, Debug, Serialize)]
pub struct Reached {
    pub path: String,
    pub kind: NodeKind,
    #[serde(flatten)]
    pub access: PersonAccess,
}

/// What somebody has a key to, of what one shares and of the groups one owns; what lies inside goes with it, unless it is tagged itself.
pub async fn reach(vault: &Vault, user: UserId, name: &UserName) -> Result<Vec<Reached>> {
    let mut things: BTreeMap<NodeId, (String, NodeKind)> = BTreeMap::new();
    for share in vault.shares_by_me().await?.into_iter().filter(|share| share.recipient == *name && !share.dead) {
        things.insert(share.node, (share.path.unwrap_or_else(|| share.node.to_string()), share.kind));
    }
    let me = vault.session().user();
    for view in vault.groups().list().await?.into_iter().filter(|view| view.owner == me && !view.locked) {
        let group = vault.groups().load(view.group).await?;
        if group.chain.roster().permissions(user).is_some() {
            things.insert(group.root.entry.node.node, (format!("/@groups/{}", group::label(&view)), NodeKind::Directory));
        }
    }
    let mut reached = Vec::with_capacity(things.len());
    for (node, (path, kind)) in things {
        let reply = match explain(vault.session(), node, vec![user], None).await {
            // Shared on in somebody else's tree, which is for its owner to see; or deleted meanwhile.
            Err(error) if error.code() == OWNERS_EXPLAIN || error.kind() == Kind::NotFound => continue,
            reply => reply?,
        };
        reached.extend(reply.people.into_iter().map(|access| Reached { path: path.clone(), kind, access }));
    }
    reached.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(reached)
}

/// A thing of one's own of which somebody would lose something.
#[derive(Clone, Debug, Serialize)]
pub struct Lost {
    /// Its id where it stands in a place that one cannot open now.
    pub path: String,
    pub kind: NodeKind,
    pub people: Vec<PersonLosses>,
    /// More people than were asked about have a key to it.
    pub more: bool,
}

/// What people would lose without this, of all that is in one's own tree and in those of the groups one owns; about nobody: everybody with a key.
pub async fn losses(vault: &Vault, about: Vec<UserId>, without: SupposedLoss) -> Result<Vec<Lost>> {
    let session = vault.session();
    let mut things = Vec::new();
    let mut page = None;
    loop {
        let request = AccessLossesRequest { without, about: about.clone(), page };
        let mut reply: AccessLossesReply = session.call(Operation::AccessLosses, &[], &request).await?;
        things.append(&mut reply.things);
        page = reply.next;
        if page.is_none() {
            break;
        }
    }
    let mut tops: BTreeMap<Option<GroupId>, Option<Found>> = BTreeMap::new();
    let groups = if things.iter().any(|thing| thing.group.is_some()) { vault.groups().list().await? } else { Vec::new() };
    let mut lost = Vec::with_capacity(things.len());
    for thing in things {
        let top = match tops.remove(&thing.group) {
            Some(top) => top,
            None => top(vault, thing.group, &groups).await?,
        };
        let path = match &top {
            None => None,
            Some(top) => match vault.place_of(&top.path, &top.held, thing.node).await {
                // A tag above it is not of the working set.
                Err(error) if error.code() == LOCKED => None,
                place => Some(place?.to_string()),
            },
        };
        let path = path.unwrap_or_else(|| thing.node.to_string());
        tops.insert(thing.group, top);
        lost.push(Lost { path, kind: thing.kind, people: thing.people, more: thing.more });
    }
    lost.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(lost)
}

/// The tree in which things stand, if it can be opened now.
async fn top(vault: &Vault, group: Option<GroupId>, groups: &[GroupView]) -> Result<Option<Found>> {
    let path = match group {
        None => VaultPath::home(),
        Some(group) => {
            let Some(view) = groups.iter().find(|view| view.group == group) else { return Ok(None) };
            VaultPath::parse(&format!("/@groups/{}", group::label(view))).map_err(|e| ClientError::broken(e.to_string()))?
        }
    };
    match vault.resolve(&path).await {
        Err(error) if error.code() == LOCKED => Ok(None),
        found => Ok(Some(found?)),
    }
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
    /// Of a membership.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
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
        let mut add = |person: &UserName, ends_ms| {
            let project = Some(view.project);
            endings.push(Ending { ends_ms, person: person.clone(), what: "membership", of: of.clone(), project });
        };
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
        endings.push(Ending { ends_ms, person: view.name, what: "certification", of, project: None });
    }
    for share in vault.shares_by_me().await? {
        let Some(ends_ms) = share.expires_ms.filter(ends) else { continue };
        let of = share.path.unwrap_or_else(|| share.node.to_string());
        endings.push(Ending { ends_ms, person: share.recipient, what: "share", of, project: None });
    }
    endings.sort_by(|a, b| (a.ends_ms, &a.person, &a.of).cmp(&(b.ends_ms, &b.person, &b.of)));
    Ok(endings)
}
