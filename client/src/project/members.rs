//! Changing who is in a project: the next head, over the members that the changes lead to.
//!
//! ```text
//!   changes ─▶ who would be refused? (server) ─▶ members as listed, held to the newest head ─▶ changed ─▶ head signed ─▶ taken, or again if somebody was faster
//! ```

use std::collections::{BTreeMap, BTreeSet};

use ticrypt_api::Blob;
use ticrypt_api::node::PageQuery;
use ticrypt_api::project::{MemberListReply, MemberRefused, MemberSetReply, MemberSetRequest, MemberView, NewMember, ProjectView};
use ticrypt_crypto::project::{ProjectHeadPayload, RosterEntry, roster};
use ticrypt_crypto::record::Record;
use ticrypt_policy::Denial;
use ticrypt_types::limits::ROSTER_CHANGES_MAX;
use ticrypt_types::{MemberRole, Operation, ProjectId, Restrictions, Timestamp, UserId};

use super::Projects;
use super::roster::{Verified, entry, keep, lie, newest, unsigned};
use crate::error::{ClientError, Kind, Result};
use crate::races::Races;
use crate::session::Session;
use crate::{clock, entropy};

const PAGE: u32 = 1_000;

/// The terms of a membership.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub role: MemberRole,
    pub restrictions: Restrictions,
    /// Absent: never.
    pub expires_ms: Option<Timestamp>,
    /// Who is a member already gets these terms; otherwise they are refused as such.
    pub update: bool,
}

/// What a head is to change.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub set: Vec<(UserId, Terms)>,
    pub remove: Vec<UserId>,
    /// The principal investigator from then on; absent: as before.
    pub pi: Option<UserId>,
}

/// On which terms people come into a project.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    pub project: ProjectId,
    pub terms: Terms,
    /// They come into the projects above as well, as users, where they are no members.
    pub above: bool,
}

/// Is told how many people were done.
pub type Step<'a> = &'a (dyn Fn(usize) + Send + Sync);

/// The members as they stand, with the head over them.
struct State {
    project: ProjectId,
    parent: Option<ProjectId>,
    pi: Option<UserId>,
    head: Option<Verified>,
    entries: BTreeMap<UserId, RosterEntry>,
    /// Out since that head.
    withdrawn: BTreeSet<UserId>,
}

/// Its members as far as one may see them.
pub async fn members(session: &Session, project: ProjectId) -> Result<Vec<MemberView>> {
    let mut members = Vec::new();
    let mut query = PageQuery { limit: Some(PAGE), page: None };
    loop {
        let mut reply: MemberListReply = session.transport.call(Operation::MemberList, &[&project.to_string()], &query, &()).await?;
        members.append(&mut reply.members);
        match reply.next {
            Some(next) => query.page = Some(next),
            None => return Ok(members),
        }
    }
}

/// The members, whole and held to the newest head, for who sees them all.
async fn listed(session: &Session, project: ProjectId) -> Result<(Option<Verified>, Vec<MemberView>)> {
    let listed = members(session, project).await?;
    let Some(head) = newest(session, project).await? else { return Ok((None, listed)) };
    if let [one] = &listed[..]
        && (one.user == session.user() && head.members > 1)
    {
        return Err(ClientError::refused(
            "members_hidden",
            "you do not see who else is in that project; its managers do, and who has the permission for it",
        ));
    }
    let entries = listed.iter().map(|member| entry(session.deployment_id(), project, member)).collect::<Result<Vec<_>>>()?;
    if head.verify_roster(&entries).is_ok() {
        return Ok((Some(head), listed));
    }
    // Somebody else may have signed the next one between the two answers.
    let again = newest(session, project).await?;
    let moved = again.is_some_and(|again| again.counter != head.counter);
    Err(if moved { stale() } else { lie("its members are not those that were signed") })
}

/// Everybody who is in a project now, proven by its newest head: the server can leave nobody in this list and put nobody into it.
pub async fn proven_members(session: &Session, project: ProjectId) -> Result<Vec<MemberView>> {
    let (head, listed) = listed(session, project).await?;
    if head.is_none() {
        return Err(unsigned(project));
    }
    let now = clock::now();
    let lives = |member: &MemberView| !member.withdrawn && member.expires_ms.is_none_or(|end| !end.is_expired(now));
    Ok(listed.into_iter().filter(lives).collect())
}

/// Takes people into a project, from the root down, since each takes the one above. Gives those who were refused, and why.
pub async fn admit(
    session: &Session,
    projects: &Projects,
    admission: &Admission,
    people: &[UserId],
    step: Step<'_>,
) -> Result<Vec<MemberRefused>> {
    let Admission { project, terms, above } = *admission;
    let mut ancestors = Vec::new();
    let parent = |project| projects.get(project).and_then(|view| view.parent);
    let mut at = parent(project).filter(|_| above);
    while let Some(project) = at {
        ancestors.push(project);
        at = parent(project);
    }
    let (mut people, mut refused) = (people.to_vec(), Vec::new());
    let plain = Terms { role: MemberRole::User, restrictions: Restrictions::NONE, expires_ms: terms.expires_ms, update: false };
    let steps = ancestors.into_iter().rev().map(|above| (above, plain)).chain([(project, terms)]);
    for (at, terms) in steps {
        let changes = Changes { set: people.iter().map(|user| (*user, terms)).collect(), ..Changes::default() };
        let quiet: Step<'_> = &|_| ();
        let mut failed = change_members(session, at, changes, if at == project { step } else { quiet }).await?;
        if at != project {
            // Whoever is a member above stays as they are there.
            failed.retain(|one| one.code != ALREADY_MEMBER);
        }
        people.retain(|user| !failed.iter().any(|one| one.user == *user));
        refused.append(&mut failed);
    }
    Ok(refused)
}

/// The same people into several projects on the same terms, those above before those below. Gives of each project who was refused, or why nobody came in.
pub async fn admit_to_each(
    session: &Session,
    projects: &Projects,
    into: &[ProjectId],
    terms: Terms,
    above: bool,
    people: &[UserId],
    step: Step<'_>,
) -> Vec<(ProjectId, Result<Vec<MemberRefused>>)> {
    let order = projects.in_order().into_iter().map(|(_, view)| view.project).filter(|project| into.contains(project));
    let mut all = Vec::with_capacity(into.len());
    for project in order {
        let before = all.len() * people.len();
        let admitted = admit(session, projects, &Admission { project, terms, above }, people, &|done| step(before + done)).await;
        all.push((project, admitted));
    }
    all
}

/// The code of the refusal for who is a member, where nothing is to be changed.
pub const ALREADY_MEMBER: &str = "already_member";

/// Changes who is in a project, in as many heads as it takes. Gives those who were refused, and why; the others are done.
pub async fn change_members(session: &Session, project: ProjectId, changes: Changes, step: Step<'_>) -> Result<Vec<MemberRefused>> {
    let Changes { set, remove, pi } = changes;
    let mut changes: Vec<Change> = set.into_iter().map(|(user, terms)| Change::Set(user, terms)).collect();
    changes.extend(remove.into_iter().map(Change::Remove));
    let parts: Vec<&[Change]> = if changes.is_empty() { vec![&[]] } else { changes.chunks(ROSTER_CHANGES_MAX).collect() };
    let (mut refused, mut done, mut state) = (Vec::new(), 0, None);
    for (at, part) in parts.iter().enumerate() {
        // With the last of them, since who becomes the investigator may come in with these.
        let pi = pi.filter(|_| at + 1 == parts.len());
        refused.append(&mut in_one_head(session, project, part, pi, &mut state).await?);
        done += part.len();
        step(done);
    }
    Ok(refused)
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Set(UserId, Terms),
    Remove(UserId),
}

/// One head with those of the changes that are not refused. Tried again when somebody else was faster.
async fn in_one_head(
    session: &Session,
    project: ProjectId,
    changes: &[Change],
    pi: Option<UserId>,
    state: &mut Option<State>,
) -> Result<Vec<MemberRefused>> {
    let mut races = Races::default();
    loop {
        match once(session, project, changes, pi, state.take()).await {
            Ok((refused, after)) => {
                *state = Some(after);
                return Ok(refused);
            }
            Err(error) => races.again(error).await?,
        }
    }
}

/// `known`: the members as one's own head before left them.
async fn once(
    session: &Session,
    project: ProjectId,
    changes: &[Change],
    pi: Option<UserId>,
    known: Option<State>,
) -> Result<(Vec<MemberRefused>, State)> {
    let mut request = request(changes)?;
    let rehearsed: MemberSetReply = session.call(Operation::MemberSet, &[&project.to_string()], &request).await?;
    let mut refused = rehearsed.refused;
    let mut state = match known {
        Some(state) => state,
        None => State::load(session, project).await?,
    };
    // The investigator stays, unless another one is named with it.
    if let Some(leader) = state.pi.filter(|leader| pi.is_none_or(|pi| pi == *leader))
        && request.remove.contains(&leader)
    {
        refused.push(MemberRefused { user: leader, code: Denial::IsPi.code().to_owned(), message: Denial::IsPi.to_string() });
    }
    let is_refused = |user: &UserId| refused.iter().any(|one| one.user == *user);
    request.set.retain(|new| !is_refused(&new.user));
    request.remove.retain(|user| !is_refused(user));
    if request.set.is_empty() && request.remove.is_empty() && pi.is_none() {
        return Ok((refused, state));
    }
    state.apply(session, &mut request, pi)?;
    let (envelope, head) = session.sign_head(state.next(session)?).await?;
    request.head = Some(Blob(envelope));
    let _: MemberSetReply = session.call(Operation::MemberSet, &[&project.to_string()], &request).await?;
    let head = Verified::new(head);
    keep(session, &head)?;
    state.head = Some(head);
    Ok((refused, state))
}

fn request(changes: &[Change]) -> Result<MemberSetRequest> {
    let mut request = MemberSetRequest::default();
    for change in changes {
        match *change {
            Change::Remove(user) => request.remove.push(user),
            Change::Set(user, Terms { role, restrictions, expires_ms, update }) => {
                let salt = Blob(entropy::bytes::<16>()?.to_vec());
                request.set.push(NewMember { user, role, restrictions, expires_ms, update, salt });
            }
        }
    }
    Ok(request)
}

impl State {
    /// As the server lists the members, held to the newest head: nobody is signed for whom no manager put there.
    async fn load(session: &Session, project: ProjectId) -> Result<Self> {
        let (head, listed) = listed(session, project).await?;
        let (parent, pi) = match &head {
            Some(head) => (head.parent, head.pi),
            None => {
                let all = Projects::load(session).await?;
                let view = all.get(project).ok_or_else(|| ClientError::not_found("that project is not there any more"))?;
                (view.parent, view.pi)
            }
        };
        let mut entries = BTreeMap::new();
        for member in &listed {
            entries.insert(member.user, entry(session.deployment_id(), project, member)?);
        }
        let withdrawn = listed.iter().filter(|member| member.withdrawn).map(|member| member.user).collect();
        Ok(Self { project, parent, pi, head, entries, withdrawn })
    }

    /// What the request asks for, and without those who are out already.
    fn apply(&mut self, session: &Session, request: &mut MemberSetRequest, pi: Option<UserId>) -> Result<()> {
        for new in &request.set {
            let salt = new.salt.0.as_slice().try_into().map_err(|_| ClientError::broken("a salt of a wrong length was drawn"))?;
            let entry = RosterEntry {
                deployment: session.deployment_id(),
                project: self.project,
                user: new.user,
                role: new.role,
                restrictions: new.restrictions,
                expires: new.expires_ms.unwrap_or(Timestamp::ABSENT),
                salt,
            };
            self.entries.insert(new.user, entry);
            self.withdrawn.remove(&new.user);
        }
        let room = ROSTER_CHANGES_MAX.saturating_sub(request.set.len() + request.remove.len());
        let gone = self.withdrawn.iter().filter(|user| !request.remove.contains(user)).take(room).copied().collect::<Vec<_>>();
        request.remove.extend(gone);
        for user in &request.remove {
            self.entries.remove(user);
            // The next head has nothing to take away for them.
            self.withdrawn.remove(user);
        }
        self.pi = pi.or(self.pi).filter(|pi| self.entries.contains_key(pi) && !self.withdrawn.contains(pi));
        if let Some(pi) = pi
            && self.pi != Some(pi)
        {
            return Err(ClientError::refused(Denial::PiNotMember.code(), Denial::PiNotMember.to_string()));
        }
        Ok(())
    }

    /// The next head over these members.
    fn next(&self, session: &Session) -> Result<ProjectHeadPayload> {
        let me = session.me();
        let trie =
            roster(self.entries.values().cloned()).map_err(|e| ClientError::broken("a member stands twice in a project").because(e))?;
        Ok(ProjectHeadPayload {
            deployment: session.deployment_id(),
            project: self.project,
            parent: self.parent,
            counter: self.head.as_ref().map_or(1, |head| head.counter + 1),
            previous: self.head.as_ref().map(|head| head.record_hash()),
            members: self.entries.len() as u64,
            root: trie.root(),
            pi: self.pi,
            writer: me.user,
            writer_bundle: me.hash(),
            at: clock::now(),
        })
    }
}

fn stale() -> ClientError {
    ClientError::new(Kind::Stale, "stale", "somebody else changed who is in the project meanwhile; try again")
}

/// A new project with its first head: oneself, a manager, and its principal investigator.
pub(super) async fn found(session: &Session, project: ProjectId, parent: Option<ProjectId>) -> Result<(Blob, Blob)> {
    let me = session.user();
    let entry = RosterEntry {
        deployment: session.deployment_id(),
        project,
        user: me,
        role: MemberRole::Manager,
        restrictions: Restrictions::NONE,
        expires: Timestamp::ABSENT,
        salt: entropy::bytes()?,
    };
    let bytes = entry.to_bytes();
    let entries = BTreeMap::from([(me, entry)]);
    let state = State { project, parent, pi: Some(me), head: None, entries, withdrawn: BTreeSet::new() };
    let (head, _) = session.sign_head(state.next(session)?).await?;
    Ok((Blob(head), Blob(bytes)))
}

/// Takes people out: others by a manager's head; oneself, and others by who administrates projects, without one: that entry goes with a manager's next
/// head. Gives those who were refused, and why.
pub async fn take_out(session: &Session, view: &ProjectView, people: &[UserId], step: Step<'_>) -> Result<Vec<MemberRefused>> {
    let manages = view.own.as_ref().is_some_and(|own| own.manages);
    let (signed, withdrawn): (Vec<UserId>, Vec<UserId>) = people.iter().partition(|user| manages && **user != session.user());
    let mut refused = Vec::new();
    if !signed.is_empty() {
        refused = change_members(session, view.project, Changes { remove: signed, ..Changes::default() }, step).await?;
    }
    for user in withdrawn {
        let parameters = [view.project.to_string(), user.to_string()];
        let out: Result<()> = session.call(Operation::MemberRemove, &parameters.each_ref().map(String::as_str), &()).await;
        match out {
            Ok(()) => {}
            Err(error) if error.kind() == Kind::Refused => {
                refused.push(MemberRefused { user, code: error.code().to_owned(), message: error.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}
