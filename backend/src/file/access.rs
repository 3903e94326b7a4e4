//! Who reaches a thing, and why: facts of each person asked about, put to the very rules that would decide for them.

use std::collections::BTreeSet;

use ticrypt_api::ApiError;
use ticrypt_api::access::{
    AccessExplainReply, AccessExplainRequest, AccessLossesReply, AccessLossesRequest, HeldBy, PersonAccess, PersonLosses, SupposedLoss,
    TagAccess, ThingLosses, Verdict, Why,
};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::active::StandingLine;
use ticrypt_policy::explain::{self, Explanation, Loss, explain, may_explain, without};
use ticrypt_policy::node::NodeFacts;
use ticrypt_policy::{Actor, Denial, Line};
use ticrypt_store::user::User;
use ticrypt_types::{GroupId, NodeId, Operation, Timestamp, UserId};

use super::FileRole;
use super::audited::event;
use super::error::FileError;
use super::page;

/// People in one answer.
const PEOPLE_MAX: usize = 200;
/// Things that a page of losses looks at, and people after whom it ends.
const THINGS_MAX: u64 = 1_000;
const ASKED_MAX: usize = 1_000;

impl FileRole {
    pub(super) async fn access_explain(
        &self,
        caller: &Caller,
        request: AccessExplainRequest,
    ) -> Result<Reply<AccessExplainReply>, ApiError> {
        let mut row = event(caller, Operation::AccessExplain, [request.node]);
        row.subjects.extend(request.about.iter().take(PEOPLE_MAX).map(|user| user.to_bytes()));
        let answer = self.explained(caller, request).await;
        self.hand_out(row, answer).await
    }

    async fn explained(&self, caller: &Caller, request: AccessExplainRequest) -> Result<AccessExplainReply, FileError> {
        let AccessExplainRequest { node, about, without } = request;
        if about.len() > PEOPLE_MAX {
            return Err(FileError::Bound("a request asks about at most 200 people; ask for the others after it"));
        }
        let actor = self.actor(caller).await?;
        let facts = self.facts_of(&actor, node).await?;
        let group_owner = self.group_owner(&facts).await?;
        let owner = group_owner.unwrap_or(facts.owner);
        // Nobody in particular: about all of them, which is for the owner.
        let permitted = if about.is_empty() { vec![owner] } else { about.clone() };
        for user in permitted {
            let _permit = may_explain(&actor, &facts, user, group_owner, caller.now)?;
        }
        let (asked, more) = self.asked(&about, &facts, caller.now).await?;
        let loss = without.map(supposed);
        let mut people = Vec::with_capacity(asked.len());
        for user in asked {
            let account = self.store.user(user).await?.ok_or(Denial::NotFound)?;
            let stands = self.stands(&account, node, caller.now).await?;
            people.push(view(&account, stands.explained(loss, caller.now)));
        }
        if about.is_empty() {
            people.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(AccessExplainReply { tags: facts.label.lines().iter().filter_map(Line::project).collect(), people, more })
    }

    /// Who owns the group that it is in.
    async fn group_owner(&self, facts: &NodeFacts) -> Result<Option<UserId>, FileError> {
        let Some(group) = facts.group else { return Ok(None) };
        Ok(self.store.group(group.group).await?.map(|group| group.owner))
    }

    /// Those who are named, or everybody with a key, and whether there are more of these.
    async fn asked(&self, about: &[UserId], facts: &NodeFacts, now: Timestamp) -> Result<(Vec<UserId>, bool), FileError> {
        if about.is_empty() { self.people_with_keys(facts, now).await } else { Ok((about.to_vec(), false)) }
    }

    /// The owner, the members of its group, and whoever holds a living share of it or above.
    async fn people_with_keys(&self, facts: &NodeFacts, now: Timestamp) -> Result<(Vec<UserId>, bool), FileError> {
        let mut people = BTreeSet::new();
        match facts.group {
            Some(group) => people.extend(self.members(group.group).await?),
            None => {
                let path: Vec<NodeId> = facts.path.iter().map(|step| step.node).collect();
                let grants = self.store.grants_on(&path).await?;
                people.insert(facts.owner);
                people.extend(grants.iter().filter(|grant| grant.is_living(now)).map(|grant| grant.recipient));
            }
        }
        let more = people.len() > PEOPLE_MAX;
        Ok((people.into_iter().take(PEOPLE_MAX).collect(), more))
    }

    async fn members(&self, group: GroupId) -> Result<Vec<UserId>, FileError> {
        let facts = self.store.group_facts(group).await?.ok_or(FileError::Stale)?;
        Ok(facts.roster.members().keys().copied().collect())
    }

    /// One person, as they would stand if they logged in now.
    async fn stands(&self, account: &User, node: NodeId, now: Timestamp) -> Result<Stands, FileError> {
        let person = self.store.actor(account, account.epoch, now).await?;
        let facts = self.store.node_fact(account.id, node).await?.ok_or(Denial::NotFound)?;
        let ends: Vec<_> = facts.label.lines().iter().filter_map(Line::project).collect();
        let lines = self.store.standing(account.id, &ends).await?.into_values().collect();
        Ok(Stands { person, facts, lines })
    }

    pub(super) async fn losses_over_all(
        &self,
        caller: &Caller,
        request: AccessLossesRequest,
    ) -> Result<Reply<AccessLossesReply>, ApiError> {
        let mut row = event(caller, Operation::AccessLosses, []);
        row.subjects.extend(request.about.iter().take(PEOPLE_MAX).map(|user| user.to_bytes()));
        let answer = self.losses_in_page(caller, request).await;
        self.hand_out(row, answer).await
    }

    /// A page ends where enough people were asked about, or enough things.
    async fn losses_in_page(&self, caller: &Caller, request: AccessLossesRequest) -> Result<AccessLossesReply, FileError> {
        let AccessLossesRequest { without, about, page } = request;
        if about.len() > PEOPLE_MAX {
            return Err(FileError::Bound("a request asks about at most 200 people; ask for the others after it"));
        }
        let actor = self.actor(caller).await?;
        actor.check(caller.now)?;
        let after: Option<NodeId> = page::after_id(page.as_deref())?;
        let nodes = self.store.judged_apart(actor.user, after, THINGS_MAX).await?;
        let mut last = nodes.last().copied().filter(|_| nodes.len() as u64 == THINGS_MAX);
        let (mut things, mut asked) = (Vec::new(), 0);
        for facts in self.store.node_facts(actor.user, &nodes).await?.into_iter().filter(|facts| !facts.label.is_unlocked()) {
            let node = facts.node;
            let (thing, people) = self.losses_of(&actor, facts, supposed(without), &about, caller.now).await?;
            things.extend(thing);
            asked += people;
            if asked >= ASKED_MAX {
                last = Some(node);
                break;
            }
        }
        Ok(AccessLossesReply { things, next: last.map(|node| page::after(node.as_bytes())) })
    }

    /// What a loss takes of one thing, if it takes anything, and how many people were asked about.
    async fn losses_of(
        &self,
        actor: &Actor,
        facts: NodeFacts,
        loss: Loss,
        about: &[UserId],
        now: Timestamp,
    ) -> Result<(Option<ThingLosses>, usize), FileError> {
        let group_owner = self.group_owner(&facts).await?;
        // The list is of one's own; what changed hands since is left out.
        if may_explain(actor, &facts, group_owner.unwrap_or(facts.owner), group_owner, now).is_err() {
            return Ok((None, 0));
        }
        let (asked, more) = self.asked(about, &facts, now).await?;
        let mut people = Vec::new();
        for user in &asked {
            let account = self.store.user(*user).await?.ok_or(Denial::NotFound)?;
            let stands = self.stands(&account, facts.node, now).await?;
            let (is, would_be) = (view(&account, stands.explained(None, now)), view(&account, stands.explained(Some(loss), now)));
            if would_be.differs(&is) {
                people.push(PersonLosses { now: is, without: would_be });
            }
        }
        people.sort_by(|a, b| a.now.name.cmp(&b.now.name));
        let thing = ThingLosses { node: facts.node, kind: facts.kind, group: facts.group.map(|group| group.group), people, more };
        Ok(((!thing.people.is_empty()).then_some(thing), asked.len()))
    }
}

/// Somebody, and what the rules are asked for them about one thing.
struct Stands {
    person: Actor,
    facts: NodeFacts,
    lines: Vec<StandingLine>,
}

impl Stands {
    fn explained(&self, loss: Option<Loss>, now: Timestamp) -> Explanation {
        let Some(loss) = loss else { return explain(&self.person, &self.facts, &self.lines, now) };
        let person = Actor { active: self.person.active.without(loss).into(), ..self.person.clone() };
        let lines: Vec<StandingLine> = self.lines.iter().map(|line| without(line, loss)).collect();
        explain(&person, &self.facts, &lines, now)
    }
}

fn supposed(loss: SupposedLoss) -> Loss {
    match loss {
        SupposedLoss::Membership(project) => Loss::Membership(project),
        SupposedLoss::Certification(requirement) => Loss::Certification(requirement),
    }
}

fn why(denial: Denial) -> Why {
    Why { code: denial.code().to_owned(), advice: denial.to_string() }
}

fn view(account: &User, explained: Explanation) -> PersonAccess {
    let held_by = match explained.held_by {
        explain::HeldBy::Owner => HeldBy::Owner,
        explain::HeldBy::Share(verbs) => HeldBy::Share(verbs),
        explain::HeldBy::Member(permissions) => HeldBy::Member(permissions),
        explain::HeldBy::NameOnly => HeldBy::NameOnly,
        explain::HeldBy::Nothing => HeldBy::Nothing,
    };
    let tags =
        explained.tags.into_iter().map(|tag| TagAccess { project: tag.project, is_active: tag.is_active, why_not: tag.why_not.map(why) });
    let verdicts = explained.verdicts.into_iter().map(|verdict| Verdict {
        asked: verdict.asked.word().to_owned(),
        now: verdict.now.map(why),
        then: verdict.then.map(why),
    });
    PersonAccess { user: account.id, name: account.name.clone(), held_by, tags: tags.collect(), verdicts: verdicts.collect() }
}
