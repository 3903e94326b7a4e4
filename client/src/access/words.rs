//! What an explanation says, in words: the same on a terminal and in the page.

use ticrypt_api::access::{AccessExplainReply, HeldBy, PersonAccess, SupposedLoss, Verdict, Why};
use ticrypt_types::{ProjectId, RequirementId};

use crate::certification;
use crate::error::Result;
use crate::project::Projects;
use crate::session::Session;

/// What people call the things that reasons name by their ids.
#[derive(Debug)]
pub struct Names<'a> {
    projects: &'a Projects,
    requirements: Vec<(RequirementId, String)>,
}

impl<'a> Names<'a> {
    /// Requirements are asked for if a reason names any, or if one is supposed to be lost.
    pub async fn load(session: &Session, projects: &'a Projects, people: &[&PersonAccess], lost: Option<SupposedLoss>) -> Result<Self> {
        let named = people.iter().any(|person| reasons(person).any(|why| why.code == "uncertified"));
        let requirements = if named || matches!(lost, Some(SupposedLoss::Certification(_))) {
            let all = certification::requirements(session).await?;
            all.into_iter().map(|one| (one.requirement, one.about.name.to_string())).collect()
        } else {
            Vec::new()
        };
        Ok(Self { projects, requirements })
    }

    pub fn project(&self, project: ProjectId) -> String {
        self.projects.get(project).map_or_else(|| "a project that you do not see".to_owned(), |view| self.projects.path(view))
    }

    /// A reason as it would be told to who is refused.
    pub fn advice(&self, why: &Why) -> String {
        self.requirements.iter().fold(why.advice.clone(), |text, (id, name)| text.replace(&id.to_string(), name))
    }

    /// What keeps somebody out of the project of a tag.
    pub fn missing(&self, person: &PersonAccess) -> Option<String> {
        person.tags.iter().find_map(|tag| tag.why_not.as_ref().map(|why| self.advice(why)))
    }

    /// The same; of who may be in all of them, why they do not read it.
    pub fn refusal(&self, person: &PersonAccess) -> Option<String> {
        let read = || verdict(person, READ).and_then(|verdict| verdict.now.as_ref().map(|now| verdict.then.as_ref().unwrap_or(now)));
        self.missing(person).or_else(|| read().map(|why| self.advice(why)))
    }

    /// `membership of Federal`, `the certification Training`.
    pub fn loss(&self, lost: SupposedLoss) -> String {
        match lost {
            SupposedLoss::Membership(project) => format!("membership of {}", self.project(project)),
            SupposedLoss::Certification(requirement) => {
                let named = self.requirements.iter().find(|(id, _)| *id == requirement);
                named.map_or_else(|| "that certification".to_owned(), |(_, name)| format!("the certification {name}"))
            }
        }
    }
}

fn reasons(person: &PersonAccess) -> impl Iterator<Item = &Why> {
    let tags = person.tags.iter().filter_map(|tag| tag.why_not.as_ref());
    tags.chain(person.verdicts.iter().flat_map(|verdict| [&verdict.now, &verdict.then]).flatten())
}

pub fn held_by(held_by: HeldBy) -> String {
    match held_by {
        HeldBy::Owner => "as its owner".to_owned(),
        HeldBy::Share(verbs) => format!("by a share: {}", verbs.words().join(" ")),
        HeldBy::Member(permissions) if permissions.words().is_empty() => "as a member of its group: read-only".to_owned(),
        HeldBy::Member(permissions) => format!("as a member of its group: {}", permissions.words().join(" ")),
        HeldBy::NameOnly => "to its name only: what is shared is above a tag; share the tagged thing itself".to_owned(),
        HeldBy::Nothing => "none: it is neither theirs nor shared with them, and they are in no group that has it".to_owned(),
    }
}

/// The question that everybody asks first.
const READ: &str = "read";

fn verdict<'a>(person: &'a PersonAccess, asked: &str) -> Option<&'a Verdict> {
    person.verdicts.iter().find(|verdict| verdict.asked == asked)
}

/// Whether something is so now, after what they do themselves, or only after somebody else did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    Yes,
    NotNow,
    No,
}

impl Answer {
    pub fn of(verdict: &Verdict) -> Self {
        match (&verdict.now, &verdict.then) {
            (None, _) => Self::Yes,
            (Some(_), None) => Self::NotNow,
            (Some(_), Some(_)) => Self::No,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::NotNow => "not now",
            Self::No => "no",
        }
    }
}

/// Whether they read it.
pub fn reads(person: &PersonAccess) -> Answer {
    verdict(person, READ).map_or(Answer::No, Answer::of)
}

/// The same as a sentence.
pub fn reading(person: &PersonAccess) -> String {
    match reads(person) {
        Answer::Yes => format!("yes: {} reads it", person.name),
        Answer::NotNow => format!("not now: {} logs in again where that is new, and works on its tags", person.name),
        Answer::No => format!("no: {} does not read it, whatever they do themselves", person.name),
    }
}

fn can(person: &PersonAccess, why_not: impl Fn(&Verdict) -> bool) -> String {
    let words: Vec<&str> = person.verdicts.iter().filter(|verdict| !why_not(verdict)).map(|verdict| verdict.asked.as_str()).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(" ") }
}

/// What they can do now.
pub fn can_now(person: &PersonAccess) -> String {
    can(person, |verdict| verdict.now.is_some())
}

/// What they can do when at work on its tags.
pub fn can_then(person: &PersonAccess) -> String {
    can(person, |verdict| verdict.then.is_some())
}

/// Those of whom a loss takes anything: how it is, and how it would be.
pub fn losing<'a>(now: &'a AccessExplainReply, without: &'a AccessExplainReply) -> Vec<(&'a PersonAccess, &'a PersonAccess)> {
    let before = |person: &PersonAccess| now.people.iter().find(|before| before.user == person.user);
    let pairs = without.people.iter().filter_map(|person| Some((before(person)?, person)));
    pairs.filter(|(before, person)| person.differs(before)).collect()
}

#[cfg(test)]
mod tests {
    use ticrypt_types::{UserId, Verbs};

    use super::*;

    fn person(verdicts: &[(&str, bool, bool)]) -> PersonAccess {
        let why = |code: &str| Why { code: code.to_owned(), advice: format!("{code}; ask") };
        let verdict = |(asked, now, then): &(&str, bool, bool)| Verdict {
            asked: (*asked).to_owned(),
            now: (!now).then(|| why("locked")),
            then: (!then).then(|| why("no_edit")),
        };
        PersonAccess {
            user: UserId::from_random([1; 16]),
            name: "ada".parse().unwrap(),
            held_by: HeldBy::Share(Verbs::VIEW),
            tags: Vec::new(),
            verdicts: verdicts.iter().map(verdict).collect(),
        }
    }

    #[test]
    fn what_is_refused_for_now_is_told_from_what_others_have_to_change() {
        for (now, then, answer, says) in [
            (true, true, Answer::Yes, "yes: ada reads it"),
            (false, true, Answer::NotNow, "not now: ada logs in again"),
            (false, false, Answer::No, "no: ada does not read it"),
        ] {
            let ada = person(&[("see", true, true), ("read", now, then)]);
            assert_eq!(reads(&ada), answer);
            assert!(reading(&ada).starts_with(says), "{}", reading(&ada));
        }
        assert_eq!(reads(&person(&[])), Answer::No);
    }

    #[test]
    fn only_who_loses_something_is_told() {
        let reply = |people: Vec<PersonAccess>| AccessExplainReply { tags: Vec::new(), people, more: false };
        let (same, fewer) = (person(&[("see", true, true), ("read", true, true)]), person(&[("see", true, true), ("read", false, false)]));
        assert!(losing(&reply(vec![same.clone()]), &reply(vec![same.clone()])).is_empty());
        let (now, then) = (reply(vec![same]), reply(vec![fewer]));
        let lost = losing(&now, &then);
        let [(before, after)] = lost.as_slice() else { panic!("{lost:?}") };
        assert_eq!((can_then(before).as_str(), can_then(after).as_str(), can_now(after).as_str()), ("see read", "see", "see"));
    }
}
