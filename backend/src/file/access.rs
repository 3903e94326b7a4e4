//! Who reaches a thing, and why: facts of each person asked about, put to the very rules that would decide for them.

use std::collections::BTreeSet;

use ticrypt_api::ApiError;
use ticrypt_api::access::{AccessExplainReply, AccessExplainRequest, HeldBy, PersonAccess, SupposedLoss, TagAccess, Verdict, Why};
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

/// People in one answer.
const PEOPLE_MAX: usize = 200;

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
        let group_owner = match facts.group {
            Some(group) => self.store.group(group.group).await?.map(|group| group.owner),
            None => None,
        };
        let owner = group_owner.unwrap_or(facts.owner);
        // Nobody in particular: about all of them, which is for the owner.
        let permitted = if about.is_empty() { vec![owner] } else { about.clone() };
        for user in permitted {
            let _permit = may_explain(&actor, &facts, user, group_owner, caller.now)?;
        }
        let (asked, more) = if about.is_empty() { self.people_with_keys(&facts, caller.now).await? } else { (about.clone(), false) };
        let loss = without.map(|loss| match loss {
            SupposedLoss::Membership(project) => Loss::Membership(project),
            SupposedLoss::Certification(requirement) => Loss::Certification(requirement),
        });
        let mut people = Vec::with_capacity(asked.len());
        for user in asked {
            let account = self.store.user(user).await?.ok_or(Denial::NotFound)?;
            let explained = self.explain_to(&account, node, loss, caller.now).await?;
            people.push(view(account, explained));
        }
        if about.is_empty() {
            people.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(AccessExplainReply { tags: facts.label.lines().iter().filter_map(Line::project).collect(), people, more })
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
    async fn explain_to(&self, account: &User, node: NodeId, loss: Option<Loss>, now: Timestamp) -> Result<Explanation, FileError> {
        let mut person: Actor = self.store.actor(account, account.epoch, now).await?;
        let facts = self.store.node_fact(account.id, node).await?.ok_or(Denial::NotFound)?;
        let ends: Vec<_> = facts.label.lines().iter().filter_map(Line::project).collect();
        let mut lines: Vec<StandingLine> = self.store.standing(account.id, &ends).await?.into_values().collect();
        if let Some(loss) = loss {
            lines = lines.iter().map(|line| without(line, loss)).collect();
            person.active = person.active.without(loss).into();
        }
        Ok(explain(&person, &facts, &lines, now))
    }
}

fn why(denial: Denial) -> Why {
    Why { code: denial.code().to_owned(), advice: denial.to_string() }
}

fn view(account: User, explained: Explanation) -> PersonAccess {
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
    PersonAccess { user: account.id, name: account.name, held_by, tags: tags.collect(), verdicts: verdicts.collect() }
}
