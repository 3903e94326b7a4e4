//! Who is in a project, by heads that its managers sign (security B4, docs/formats.md §13).
//!
//! ```text
//!   changes ─▶ the next head, signed by the caller, over the members they lead to ─▶ may they? (policy: project::member)
//!           ─▶ a row for each person ─▶ leaf of the key log ─▶ one transaction: head, members ─▶ losses cut
//! ```

use std::collections::BTreeSet;

use ticrypt_api::project::{
    MemberRefused, MemberSetReply, MemberSetRequest, NewMember, ProjectHeadView, ProjectHeadsQuery, ProjectHeadsReply,
};
use ticrypt_api::role::{Event, KeyEventKind};
use ticrypt_api::user::KeyLeaf;
use ticrypt_api::{ApiError, Blob, ErrorKind, Hash};
use ticrypt_crypto::project::{ProjectHeadPayload, RosterEntry};
use ticrypt_crypto::{Digest, Envelope, Signed};
use ticrypt_policy::project::ProjectFacts;
use ticrypt_policy::project::may_see_project;
use ticrypt_policy::project::member::{
    InvestigatorFacts, MemberFacts, MemberStep, MemberTerms, may_set_members, may_sign_head, refused_changes,
};
use ticrypt_policy::{Actor, Denial};
use ticrypt_store::project::{MemberNew, ProjectHead, RosterChanged};
use ticrypt_store::user::User;
use ticrypt_types::{ProjectId, Timestamp, UserId, limits};

use super::Rest;
use super::call::{Answer, Call};
use super::change::event;
use crate::audited::{audited_each, refused};
use crate::refusal::{refuse, store_failed};
use crate::roster::{Proven, Roster};

/// Heads in one answer.
const HEADS_MAX: u64 = 200;

fn unfit(message: &str) -> ApiError {
    ApiError::new(ErrorKind::Invalid, "project_head_unfit", message)
}

fn stale() -> ApiError {
    ApiError::new(ErrorKind::Stale, "stale", "somebody else changed who is in the project; load it again")
}

/// What a request asks for, with what the rules need of everybody in it.
struct Asked {
    facts: ProjectFacts,
    changes: Vec<(MemberFacts, MemberStep)>,
    set: Vec<(UserId, MemberNew)>,
    remove: Vec<UserId>,
}

impl Rest {
    /// A project's heads, which every member verifies.
    pub(super) async fn project_heads(&self, call: &Call) -> Result<Answer, ApiError> {
        let project: ProjectId = call.parameter(0)?;
        let ProjectHeadsQuery { after } = call.query()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let facts = self.project_facts(&actor, project, call.now).await?.map_err(|denial| refuse(denial, call.now))?;
        may_see_project(&actor, &facts, call.now).map_err(|denial| refuse(denial, call.now))?;
        let heads = self.store.project_heads(project, after, HEADS_MAX).await.map_err(|error| store_failed(error, call.now))?;
        Answer::of(call, &ProjectHeadsReply { counter: facts.counter, heads: heads.into_iter().map(view).collect() })
    }

    pub(super) async fn set_members(&self, call: &Call) -> Result<Answer, ApiError> {
        // parse
        let project: ProjectId = call.parameter(0)?;
        let MemberSetRequest { head, set, remove } = call.body()?;
        let (actor, user) = self.actor(call.session()?, call.now).await?;

        // load facts
        let denied = |denial| refuse(denial, call.now);
        let asked = match self.project_facts(&actor, project, call.now).await? {
            Ok(facts) => self.asked(facts, set, remove, call.now).await?,
            Err(denial) if head.is_none() => return Err(denied(denial)),
            Err(denial) => return Err(refused(self.audit.as_ref(), event(call, &[project.to_bytes()], &[]), denied(denial)).await),
        };
        let Some(head) = head else {
            let refused = refused_changes(&actor, &asked.facts, &asked.changes, call.now).map_err(denied)?;
            return Answer::of(call, &MemberSetReply { counter: asked.facts.counter, refused: refused.into_iter().map(told).collect() });
        };
        let signed = self.project_head(call, &user, &head).await?;
        let stored = self.store.project(project).await.map_err(|error| store_failed(error, call.now))?.ok_or_else(ApiError::not_found)?;
        if stored.head == Some(signed.record_hash().to_bytes()) {
            // This very head was taken before.
            return Answer::of(call, &MemberSetReply { counter: stored.counter, refused: Vec::new() });
        }
        if (signed.project, signed.parent) != (project, stored.parent()) {
            return Err(unfit("the head is of another project; sign one for this"));
        }
        let rows = rows(call, project, &asked, signed.pi);

        // decide
        if (signed.counter, signed.previous.map(Digest::to_bytes)) != (stored.counter + 1, stored.head) {
            return Err(stale());
        }
        let (permit, signer) = match self.changed(&actor, &asked, &signed, call.now).await? {
            Ok(decided) => decided,
            Err(denial) => return Err(refused(self.audit.as_ref(), about_all(call, project, &asked), denied(denial)).await),
        };

        // act
        let Asked { set, remove, .. } = asked;
        let reached: Vec<UserId> = set.iter().map(|(user, _)| *user).chain(remove.iter().copied()).collect();
        let (pi, previous, at) = (signed.pi, signed.previous.map(Digest::to_bytes), call.now);
        let work = || async move {
            let head = self.logged(&signed, head, &signer, at).await?;
            let counter = head.counter;
            let changed = RosterChanged { head, previous, set, removed: remove, pi, at };
            self.store.set_members(permit, changed).await.map_err(|error| store_failed(error, at))?;
            self.losses.record(reached);
            Ok(MemberSetReply { counter, refused: Vec::new() })
        };
        Answer::of_reply(call, &audited_each(self.audit.as_ref(), rows, work).await?)
    }

    async fn asked(&self, facts: ProjectFacts, set: Vec<NewMember>, remove: Vec<UserId>, now: Timestamp) -> Result<Asked, ApiError> {
        let people: Vec<UserId> = set.iter().map(|new| new.user).chain(remove.iter().copied()).collect();
        if people.len() > limits::ROSTER_CHANGES_MAX {
            return Err(ApiError::invalid("a head changes at most 500 people; split it"));
        }
        if people.iter().collect::<BTreeSet<_>>().len() < people.len() {
            return Err(ApiError::invalid("somebody stands there twice; name each once"));
        }
        let parent = facts.line.steps().iter().rev().nth(1).map(|step| step.project);
        let known = self.store.member_facts(facts.project, parent, &people, now).await.map_err(|error| store_failed(error, now))?;
        let (mut changes, mut new) = (Vec::with_capacity(people.len()), Vec::with_capacity(set.len()));
        // Who has no account answers like who may not be added.
        let of = |user: UserId| {
            let nobody = MemberFacts { user, is_active: false, above: None, is_listed: false, is_member: false, revision: 0 };
            known.get(&user).copied().unwrap_or(nobody)
        };
        for NewMember { user, role, restrictions, expires_ms, update, salt } in set {
            let expires = expires_ms.unwrap_or(Timestamp::ABSENT);
            let salt = salt.0.try_into().map_err(|_| ApiError::invalid("the salt of an entry has 16 bytes"))?;
            changes.push((of(user), MemberStep::Set(MemberTerms { role, restrictions, expires, update })));
            new.push((user, MemberNew { role, restrictions, expires, salt }));
        }
        changes.extend(remove.iter().map(|user| (of(*user), MemberStep::Remove)));
        Ok(Asked { facts, changes, set: new, remove })
    }

    /// The head is over what the changes lead to, and by whom it may be.
    async fn changed(
        &self,
        actor: &Actor,
        asked: &Asked,
        head: &ProjectHeadPayload,
        now: Timestamp,
    ) -> Result<Result<(ticrypt_policy::Permit<ticrypt_policy::permit::MemberSet>, Proven), Denial>, ApiError> {
        let (deployment, project) = (self.deployment.id, asked.facts.project);
        let failed = |error| store_failed(error, now);
        let before = Roster::load(&self.store, deployment, project).await.map_err(failed)?;
        let mut after = before.clone();
        for (user, new) in &asked.set {
            let MemberNew { role, restrictions, expires, salt } = *new;
            after.set(RosterEntry { deployment, project, user: *user, role, restrictions, expires, salt });
        }
        for user in &asked.remove {
            after.remove(*user);
        }
        // Who is withdrawn keeps the entry until a head takes it away, and investigates nothing.
        let pi_is_in = match head.pi {
            Some(pi) if asked.set.iter().any(|(user, _)| *user == pi) => true,
            Some(pi) if after.contains(pi) => self.store.member(project, pi).await.map_err(failed)?.is_some_and(|member| !member.withdrawn),
            _ => false,
        };
        let investigator = InvestigatorFacts { pi: head.pi, is_member: pi_is_in };
        let permit = match may_set_members(actor, &asked.facts, &asked.changes, investigator, now) {
            Ok(permit) => permit,
            Err(denial) => return Ok(Err(denial)),
        };
        let (hashed, led_before) = if head.counter == 1 { (&after, head.pi) } else { (&before, asked.facts.pi) };
        let Some(signer) = hashed.proofs().of(actor.user) else { return Ok(Err(Denial::NotManager)) };
        if let Err(denial) = may_sign_head(actor.user, signer.entry.role, signer.entry.expires, led_before, head.at) {
            return Ok(Err(denial));
        }
        if (head.members, head.root) != (after.len(), after.proofs().root()) {
            return Err(unfit("the head is over other members than these changes lead to; load the project again"));
        }
        Ok(Ok((permit, signer)))
    }

    /// A head that the caller signed just now, with their present key.
    pub(super) async fn project_head(&self, call: &Call, user: &User, bytes: &Blob) -> Result<Signed<ProjectHeadPayload>, ApiError> {
        let malformed = |_| ApiError::invalid("the head of the project is not a signed record of one");
        let envelope = Envelope::parse(&bytes.0).map_err(malformed)?;
        let claimed: ProjectHeadPayload = envelope.claimed().map_err(malformed)?;
        if claimed.deployment != self.deployment.id || claimed.writer != user.id {
            return Err(unfit("the head names another signer or deployment; sign it as yourself"));
        }
        if claimed.writer_bundle.as_bytes() != &user.bundle {
            return Err(unfit("the head names another key than your current one; copy the newest key file to this device"));
        }
        if call.skew_ms(claimed.at).is_some() {
            return Err(unfit("the head was not signed just now; check the device's clock and sign again"));
        }
        let bundle = self.identities.of_account(&self.store, &user.bundle, call.now).await?;
        envelope.verify_as(&bundle.payload().signing_key).map_err(|_| unfit("the head is not signed by your current key"))
    }

    /// The head with its leaf of the key log, which is durable on return.
    pub(super) async fn logged(
        &self,
        head: &Signed<ProjectHeadPayload>,
        Blob(envelope): Blob,
        signer: &Proven,
        at: Timestamp,
    ) -> Result<ProjectHead, ApiError> {
        let hash = head.record_hash().to_bytes();
        let leaf = self.audit.key_event(KeyEventKind::ProjectHead, head.project.to_bytes(), hash.to_vec(), at).await?;
        let view = signer.view();
        Ok(ProjectHead {
            counter: head.counter,
            hash,
            envelope,
            signer_entry: view.entry.0,
            signer_proof: view.beside.into_iter().map(|hash| hash.0).collect(),
            log_index: leaf.index,
            log_leaf: leaf.leaf.0,
        })
    }
}

fn view(head: ProjectHead) -> ProjectHeadView {
    let signer =
        ticrypt_api::project::EntryProof { entry: Blob(head.signer_entry), beside: head.signer_proof.into_iter().map(Hash).collect() };
    ProjectHeadView { head: Blob(head.envelope), leaf: KeyLeaf { index: head.log_index, leaf: Blob(head.log_leaf) }, signer }
}

/// A row for each person, so that what was done to somebody is found under them.
fn rows(call: &Call, project: ProjectId, asked: &Asked, pi: Option<UserId>) -> Vec<Event> {
    let one = |(member, step): &(MemberFacts, MemberStep)| {
        let detail = match step {
            MemberStep::Set(terms) => {
                vec![("step", "set".to_owned()), ("role", terms.role.to_string()), ("restrictions", terms.restrictions.words().join(" "))]
            }
            MemberStep::Remove => vec![("step", "remove".to_owned())],
        };
        event(call, &[project.to_bytes(), member.user.to_bytes()], &detail)
    };
    let mut rows: Vec<Event> = asked.changes.iter().map(one).collect();
    if asked.facts.pi != pi || rows.is_empty() {
        let subjects: Vec<[u8; 16]> = std::iter::once(project.to_bytes()).chain(pi.map(UserId::to_bytes)).collect();
        rows.push(event(call, &subjects, &[("step", "investigator".to_owned())]));
    }
    rows
}

/// The one row of a refusal, which is of all of it.
fn about_all(call: &Call, project: ProjectId, asked: &Asked) -> Event {
    let people = asked.changes.iter().map(|(member, _)| member.user.to_bytes());
    event(call, &std::iter::once(project.to_bytes()).chain(people).collect::<Vec<_>>(), &[])
}

fn told((user, denial): (UserId, Denial)) -> MemberRefused {
    MemberRefused { user, code: denial.code().to_owned(), message: denial.to_string() }
}
