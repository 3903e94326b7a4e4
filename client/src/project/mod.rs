//! Projects, their members, and the projects one works in, as the server keeps them.

pub mod join;
mod members;
pub(crate) mod roster;

use ticrypt_api::node::PageQuery;
use ticrypt_api::project::{
    ProjectAbout, ProjectChangeRequest, ProjectCreateRequest, ProjectListReply, ProjectView, WorkingSetReply, WorkingSetRequest,
};
use ticrypt_api::session::{ChallengeReply, ChallengeRequest};
use ticrypt_crypto::working_set::WorkingSetPayload;
use ticrypt_types::name::Harmless;
use ticrypt_types::{Operation, ProjectId, Tag, Title, UserId};

pub use members::{
    ALREADY_MEMBER, Admission, Changes, Step, Terms, admit, admit_to_each, change_members, members, proven_members, take_out,
};
pub use roster::Rosters;

use crate::error::{ClientError, Kind, Result};
use crate::keys::Batch;
use crate::session::Session;
use crate::{clock, entropy};

const PAGE: u32 = 1_000;

/// The projects a person sees.
#[derive(Clone, Debug)]
pub struct Projects(Vec<ProjectView>);

impl Projects {
    pub async fn load(session: &Session) -> Result<Self> {
        let mut projects = Vec::new();
        let mut query = PageQuery { limit: Some(PAGE), page: None };
        loop {
            let mut reply: ProjectListReply = session.transport.call(Operation::ProjectList, &[], &query, &()).await?;
            projects.append(&mut reply.projects);
            match reply.next {
                Some(next) => query.page = Some(next),
                None => return Ok(Self(projects)),
            }
        }
    }

    /// Trees from their roots down, siblings by name, each with its depth.
    pub fn in_order(&self) -> Vec<(usize, &ProjectView)> {
        let mut order = Vec::with_capacity(self.0.len());
        // What hangs below a project that is not seen stands at the top.
        let is_top = |view: &&ProjectView| view.parent.is_none_or(|parent| self.get(parent).is_none());
        self.descend(self.sorted(is_top), 0, &mut order);
        order
    }

    fn descend<'a>(&'a self, level: Vec<&'a ProjectView>, depth: usize, order: &mut Vec<(usize, &'a ProjectView)>) {
        for view in level {
            order.push((depth, view));
            self.descend(self.sorted(|below| below.parent == Some(view.project)), depth + 1, order);
        }
    }

    fn sorted(&self, which: impl Fn(&&ProjectView) -> bool) -> Vec<&ProjectView> {
        let mut some: Vec<&ProjectView> = self.0.iter().filter(which).collect();
        some.sort_by(|a, b| (&a.about.name, a.project).cmp(&(&b.about.name, b.project)));
        some
    }

    pub fn get(&self, project: ProjectId) -> Option<&ProjectView> {
        self.0.iter().find(|view| view.project == project)
    }

    /// The names from the root down to the project, `Federal/Florida`.
    pub fn path(&self, view: &ProjectView) -> String {
        match view.parent.and_then(|parent| self.get(parent)) {
            Some(parent) => format!("{}/{}", self.path(parent), view.about.name),
            None => view.about.name.to_string(),
        }
    }

    /// By id, by path, by name or by tag; a name that several have is refused.
    pub fn find(&self, text: &str) -> Result<&ProjectView> {
        if let Some(view) = text.parse().ok().and_then(|id| self.get(id)) {
            return Ok(view);
        }
        let by_path: Vec<&ProjectView> = self.0.iter().filter(|view| self.path(view) == text).collect();
        let named = |view: &&ProjectView| view.about.name.as_str() == text || view.about.tag.as_str() == text;
        let found = if by_path.is_empty() { self.0.iter().filter(named).collect() } else { by_path };
        match found.as_slice() {
            [one] => Ok(one),
            [] => {
                Err(ClientError::not_found(format!("there is no project {} that you can see; run `ticrypt project list`", Harmless(text))))
            }
            several => {
                let ids: Vec<String> = several.iter().map(|view| format!("{} ({})", self.path(view), view.project)).collect();
                let which = ids.join(", ");
                Err(ClientError::new(
                    Kind::Invalid,
                    "ambiguous",
                    format!("several projects are called that: {which}; give the path or the id"),
                ))
            }
        }
    }

    /// Those in the working set.
    pub fn working(&self) -> impl Iterator<Item = &ProjectView> {
        self.0.iter().filter(|view| view.own.as_ref().is_some_and(|own| own.working))
    }
}

pub async fn create(session: &Session, parent: Option<ProjectId>, about: ProjectAbout) -> Result<ProjectId> {
    let project = ProjectId::from_random(entropy::bytes()?);
    let (head, entry) = members::found(session, project, parent).await?;
    let () = session.call(Operation::ProjectCreate, &[], &ProjectCreateRequest { project, parent, about, head, entry }).await?;
    Ok(project)
}

/// Changes what `view` was read as, and the principal investigator if one is given; if somebody else changed it since, this is refused.
pub async fn change(session: &Session, view: &ProjectView, about: ProjectAbout, pi: Option<UserId>) -> Result<()> {
    let mut revision = view.revision;
    // First what is refused more often, so that nothing is half done. The head changes the row as well.
    if pi.is_some() && pi != view.pi {
        change_members(session, view.project, Changes { pi, ..Changes::default() }, &|_| ()).await?;
        revision += 1;
    }
    if about == view.about {
        return Ok(());
    }
    let request = ProjectChangeRequest { revision, about };
    session.call(Operation::ProjectChange, &[&view.project.to_string()], &request).await
}

pub async fn delete(session: &Session, project: ProjectId) -> Result<()> {
    session.call(Operation::ProjectDelete, &[&project.to_string()], &()).await
}

/// As much of a project's name as fits into its tag, for who chooses none.
pub fn tag_of(name: &Title) -> Result<Tag> {
    let text: String = name.as_str().chars().take(ticrypt_types::limits::TAG_MAX_CHARS).collect();
    text.trim_end().parse().map_err(|_| ClientError::invalid("the name makes no tag; choose one"))
}

/// Works in these projects from now on, on every device. Signed over a fresh challenge, so that nobody else, the server included, moves a person.
pub async fn work_in(session: &Session, mut projects: Vec<ProjectId>) -> Result<()> {
    projects.sort_unstable();
    projects.dedup();
    let me = session.me();
    let asked = ChallengeRequest { name: me.name.clone() };
    let challenge: ChallengeReply = session.call(Operation::SessionChallenge, &[], &asked).await?;
    let now = clock::now();
    clock::check_skew(now, challenge.server_time_ms)?;
    let record = WorkingSetPayload {
        deployment: session.deployment_id(),
        user: me.user,
        bundle: me.hash(),
        session: session.transport.session().ok_or_else(|| ClientError::refused("not_logged_in", "log in first"))?.session,
        challenge: challenge.challenge.0,
        projects,
        at: now,
    };
    let signed = session.keys.sign(Batch::WorkingSet(Box::new(record))).await?.pop();
    let working_set = signed.ok_or_else(|| ClientError::broken("the working set was not signed"))?.into();
    let _: WorkingSetReply = session.call(Operation::WorkingSet, &[], &WorkingSetRequest { working_set }).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ticrypt_types::Timestamp;

    fn view(n: u8, parent: Option<u8>, name: &str) -> ProjectView {
        let id = |n: u8| ProjectId::from_random([n; 16]);
        let (title, tag) = (name.parse().unwrap(), name.parse().unwrap());
        ProjectView {
            project: id(n),
            parent: parent.map(id),
            about: ProjectAbout { name: title, tag, colour: "#1f77b4".parse().unwrap(), description: String::new(), level: None },
            pi: None,
            revision: 1,
            created_ms: Timestamp::ABSENT,
            own: None,
        }
    }

    #[test]
    fn trees_in_order_and_names_that_lead_to_one() {
        let all =
            Projects(vec![view(3, Some(1), "Texas"), view(1, None, "Federal"), view(2, Some(1), "Florida"), view(4, Some(9), "Care")]);
        let order: Vec<(usize, String)> = all.in_order().into_iter().map(|(depth, view)| (depth, view.about.name.to_string())).collect();
        assert_eq!(order, [(0, "Care".into()), (0, "Federal".into()), (1, "Florida".into()), (1, "Texas".into())]);
        assert_eq!(all.path(all.find("Texas").unwrap()), "Federal/Texas");
        assert_eq!(all.find("Federal/Florida").unwrap().project, all.find("Florida").unwrap().project);
        assert_eq!(all.find(&ProjectId::from_random([4; 16]).to_string()).unwrap().about.name.as_str(), "Care");
        assert_eq!(all.find("Ohio").unwrap_err().kind(), Kind::NotFound);
        let twice = Projects(vec![view(1, None, "A"), view(2, Some(1), "B"), view(3, None, "B")]);
        assert_eq!(twice.find("B").unwrap().project, ProjectId::from_random([3; 16]), "a path before a name");
        assert_eq!(Projects(vec![view(2, Some(1), "B"), view(3, Some(1), "B")]).find("B").unwrap_err().code(), "ambiguous");
    }
}
