//! Projects: listing, making, changing, deleting.

use ticrypt_api::node::PageQuery;
use ticrypt_api::project::{OwnStanding, ProjectAbout, ProjectChangeRequest, ProjectCreateRequest, ProjectListReply, ProjectView};
use ticrypt_api::{ApiError, ErrorKind};
use ticrypt_crypto::project::{ProjectHeadPayload, RosterEntry};
use ticrypt_crypto::record::Record;
use ticrypt_policy::active::StandingLine;
use ticrypt_policy::project::{ProjectFacts, may_change_project, may_create_project, may_delete_project, may_list_projects};
use ticrypt_policy::{Actor, Denial};
use ticrypt_store::project::{MemberNew, Project, ProjectAbout as Stored, ProjectNew};
use ticrypt_types::{MemberRole, ProjectId, Restrictions, Timestamp};

use super::Rest;
use super::call::{Answer, Call};
use super::change::{Reaches, description, event, present};
use super::page;
use crate::audited::{audited, refused};
use crate::refusal::{refuse, store_failed};
use crate::roster::Proven;

impl Rest {
    /// One's own projects; all of them for who sees all.
    pub(super) async fn list_projects(&self, call: &Call) -> Result<Answer, ApiError> {
        let query: PageQuery = call.query()?;
        let session = call.session()?;
        let (actor, user) = self.actor(session, call.now).await?;
        let scope = may_list_projects(&actor, call.now).map_err(|denial| refuse(denial, call.now))?;
        let failed = |error| store_failed(error, call.now);
        let after = page::start(query.page.as_deref())?.map(|id| ProjectId::try_from(id.as_slice()).map_err(|_| page::unknown()));
        let limit = page::limit(query.limit);
        let mut rows = self.store.projects(scope, after.transpose()?, limit as u64 + 1).await.map_err(failed)?;
        let next = page::cut(&mut rows, limit, |project| project.id.to_bytes().to_vec());
        let ids: Vec<ProjectId> = rows.iter().map(|project| project.id).collect();
        let standing = self.store.standing(user.id, &ids).await.map_err(failed)?;
        let projects = rows.into_iter().map(|project| view(&actor, standing.get(&project.id), project, session.login, call.now)).collect();
        Answer::of(call, &ProjectListReply { projects, next })
    }

    pub(super) async fn create_project(&self, call: &Call) -> Result<Answer, ApiError> {
        let request: ProjectCreateRequest = call.body()?;
        let about = stored(request.about.clone())?;
        let (actor, user) = self.actor(call.session()?, call.now).await?;
        let head = self.project_head(call, &user, &request.head).await?;
        let founder = founder(&request, &head)?;
        let parent = match request.parent {
            Some(parent) => self.project_facts(&actor, parent, call.now).await?.map(Some),
            None => Ok(None),
        };
        let decided = parent.and_then(|parent| may_create_project(&actor, request.project, parent.as_ref(), call.now));
        let parent_bytes = request.parent.map(|parent| parent.to_bytes());
        let subjects: Vec<[u8; 16]> = std::iter::once(request.project.to_bytes()).chain(parent_bytes).collect();
        let row = event(call, &subjects, &[("name", about.name.to_string())]);
        let permit = match decided {
            Ok(permit) => permit,
            Err(denial) => return Err(refused(self.audit.as_ref(), row, refuse(denial, call.now)).await),
        };
        let (parent, at) = (request.parent, call.now);
        let work = |_| async {
            let head = self.logged(&head, request.head, &founder, at).await?;
            let RosterEntry { role, restrictions, expires, salt, .. } = founder.entry;
            let new = ProjectNew { parent, about, head, founder: MemberNew { role, restrictions, expires, salt }, at };
            self.store.create_project(permit, new).await.map_err(|error| store_failed(error, at))
        };
        Answer::of_reply(call, &audited(self.audit.as_ref(), row, work).await?)
    }

    pub(super) async fn change_project(&self, call: &Call) -> Result<Answer, ApiError> {
        let project: ProjectId = call.parameter(0)?;
        let request: ProjectChangeRequest = call.body()?;
        let about = stored(request.about)?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let facts = self.project_facts(&actor, project, call.now).await?;
        // Decided on what was read: whoever else changed it meanwhile is not overwritten.
        let decided = facts.and_then(|facts| may_change_project(&actor, &ProjectFacts { revision: request.revision, ..facts }, call.now));
        let row = event(call, &[project.to_bytes()], &[("name", about.name.to_string())]);
        let act = |permit| self.store.change_project(permit, about, call.now);
        self.change_of_reach(call, row, decided, Reaches::Everybody, act).await
    }

    pub(super) async fn delete_project(&self, call: &Call) -> Result<Answer, ApiError> {
        let project: ProjectId = call.parameter(0)?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let facts = self.project_facts(&actor, project, call.now).await?;
        let decided = facts.and_then(|facts| may_delete_project(&actor, &facts, call.now));
        let row = event(call, &[project.to_bytes()], &[]);
        self.change(call, row, decided, |permit| self.store.delete_project(permit)).await
    }

    /// What the rules need of a project; one that does not exist is refused like one that is hidden.
    pub(super) async fn project_facts(
        &self,
        actor: &Actor,
        project: ProjectId,
        now: Timestamp,
    ) -> Result<Result<ProjectFacts, Denial>, ApiError> {
        let facts = self.store.project_facts(actor.user, project).await.map_err(|error| store_failed(error, now))?;
        Ok(facts.ok_or(Denial::NotFound))
    }
}

/// The founder's entry, who alone is under a project's first head.
fn founder(request: &ProjectCreateRequest, head: &ProjectHeadPayload) -> Result<Proven, ApiError> {
    let unfit = |message: &str| Err(ApiError::new(ErrorKind::Invalid, "project_head_unfit", message));
    let entry = RosterEntry::parse(&request.entry.0).map_err(|_| ApiError::invalid("the founder's entry is no entry of a project"))?;
    if (head.project, head.parent, head.counter, head.members) != (request.project, request.parent, 1, 1) {
        return unfit("the head is not the first of this project; sign one for it");
    }
    let plain = (entry.user, entry.role, entry.restrictions, entry.expires);
    if plain != (head.writer, MemberRole::Manager, Restrictions::NONE, Timestamp::ABSENT) || head.pi != Some(head.writer) {
        return unfit(
            "a project begins with its founder, a manager without restrictions or end, and its principal investigator; sign it so",
        );
    }
    if head.verify_entry(&entry, &[]).is_err() {
        return unfit("the head is over another entry than the founder's; sign it again");
    }
    Ok(Proven { entry, beside: Vec::new() })
}

fn stored(about: ProjectAbout) -> Result<Stored, ApiError> {
    let ProjectAbout { name, tag, colour, description: text, level } = about;
    Ok(Stored { name, tag, colour, description: description(text)?, level })
}

fn view(actor: &Actor, line: Option<&StandingLine>, project: Project, login: Timestamp, now: Timestamp) -> ProjectView {
    let own = line.and_then(|line| Some((line, line.steps().last()?.membership?)));
    let own = own.map(|(line, membership)| {
        let missing = line.holds(login, now).err();
        OwnStanding {
            role: membership.role,
            restrictions: membership.restrictions,
            expires_ms: present(membership.span.until),
            manages: line.manages(now, now),
            missing: missing.map(|denial| denial.code().to_owned()),
            advice: missing.map(|denial| denial.to_string()),
            working: actor.active.working().names(project.id),
        }
    });
    let parent = project.parent();
    let Stored { name, tag, colour, description, level } = project.about;
    ProjectView {
        project: project.id,
        parent,
        about: ProjectAbout { name, tag, colour, description, level },
        pi: project.pi,
        revision: project.revision,
        created_ms: project.created,
        own,
    }
}
