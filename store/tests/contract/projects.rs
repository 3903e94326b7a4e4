//! Projects, members, levels, certifications, working sets.

use ticrypt_policy::certification::{
    HolderFacts, LevelFacts, Lifespan, RequirementFacts, may_certify, may_delete_level, may_delete_requirement, may_expire_certification,
    may_set_level, may_set_requirement,
};
use ticrypt_policy::permit::MemberSet;
use ticrypt_policy::project::member::{InvestigatorFacts, MemberFacts, MemberStep, MemberTerms, may_set_members, may_withdraw};
use ticrypt_policy::project::{ProjectFacts, may_change_project, may_create_project, may_delete_project, may_set_working};
use ticrypt_policy::user::may_set_permissions;
use ticrypt_policy::{Actor, Denial, Permit, Scope};
use ticrypt_store::certification::{Level, Requirement};
use ticrypt_store::project::{MemberNew, ProjectAbout, ProjectHead, ProjectNew, RosterChanged};
use ticrypt_store::{StoreError, Taken};
use ticrypt_types::{LevelId, MemberRole, Permissions, ProjectId, Rank, RequirementId, Restrictions, Span, Timestamp, UserId};

use crate::lab::{Db, Lab, NOW, at};

fn about(name: &str, level: Option<LevelId>) -> ProjectAbout {
    let (title, tag) = (name.parse().unwrap(), name.parse().unwrap());
    ProjectAbout { name: title, tag, colour: "#1f77b4".parse().unwrap(), description: "about it".into(), level }
}

/// A member without the right to download.
fn plain(expires: Timestamp) -> MemberNew {
    MemberNew { role: MemberRole::User, restrictions: Restrictions::NO_DOWNLOAD, expires, salt: [6; 16] }
}

impl Lab {
    /// Who may everything by the system, and opens nothing by it.
    pub async fn able(&self, user: UserId) -> Actor {
        Actor { permissions: Permissions::all(), rank: Rank::User, ..self.actor(user).await }
    }

    pub async fn make(&self, by: UserId, parent: Option<ProjectId>, name: &str, level: Option<LevelId>) -> ProjectId {
        let project = ProjectId::from_random(self.draw());
        let facts = match parent {
            Some(parent) => self.store.project_facts(by, parent).await.unwrap(),
            None => None,
        };
        let permit = may_create_project(&self.able(by).await, project, facts.as_ref(), NOW).unwrap();
        self.store.create_project(permit, self.founded(parent, about(name, level))).await.unwrap();
        project
    }

    /// With a head of no content, which the store does not read.
    fn founded(&self, parent: Option<ProjectId>, about: ProjectAbout) -> ProjectNew {
        let founder = MemberNew { role: MemberRole::Manager, ..plain(Timestamp::ABSENT) };
        ProjectNew { parent, about, head: self.head_of_project(1), founder, at: NOW }
    }

    fn head_of_project(&self, counter: u64) -> ProjectHead {
        let drawn: [u8; 16] = self.draw();
        let hash = [drawn, drawn].concat().try_into().unwrap();
        ProjectHead {
            counter,
            hash,
            envelope: vec![1],
            signer_entry: vec![2],
            signer_proof: vec![[3; 32], [4; 32]],
            log_index: counter,
            log_leaf: vec![5],
        }
    }

    pub async fn member_facts(&self, project: ProjectId, user: UserId, now: Timestamp) -> MemberFacts {
        let parent = self.store.project(project).await.unwrap().unwrap().parent();
        self.store.member_facts(project, parent, &[user], now).await.unwrap()[&user]
    }

    pub async fn join(&self, by: UserId, project: ProjectId, user: UserId, expires: Timestamp, now: Timestamp) {
        let (permit, changed) = self.joining(by, project, user, expires, now).await;
        self.store.set_members(permit, changed).await.unwrap();
    }

    async fn joining(
        &self,
        by: UserId,
        project: ProjectId,
        user: UserId,
        expires: Timestamp,
        now: Timestamp,
    ) -> (Permit<MemberSet>, RosterChanged) {
        let terms = MemberTerms { role: MemberRole::User, restrictions: Restrictions::NO_DOWNLOAD, expires, update: true };
        let changes = [(self.member_facts(project, user, now).await, MemberStep::Set(terms))];
        let mut changed = self.next_roster(project, by, now).await;
        changed.set.push((user, plain(expires)));
        (self.permitted(by, project, &changes, now).await, changed)
    }

    pub async fn put_out(&self, by: UserId, project: ProjectId, user: UserId) {
        let changes = [(self.member_facts(project, user, NOW).await, MemberStep::Remove)];
        let mut changed = self.next_roster(project, by, NOW).await;
        changed.removed.push(user);
        self.store.set_members(self.permitted(by, project, &changes, NOW).await, changed).await.unwrap();
    }

    async fn permitted(&self, by: UserId, project: ProjectId, changes: &[(MemberFacts, MemberStep)], now: Timestamp) -> Permit<MemberSet> {
        let facts = self.store.project_facts(by, project).await.unwrap().unwrap();
        let investigator = InvestigatorFacts { pi: facts.pi, is_member: true };
        may_set_members(&self.able(by).await, &facts, changes, investigator, now).unwrap()
    }

    /// The next head, which changes nobody yet.
    async fn next_roster(&self, project: ProjectId, pi: UserId, at: Timestamp) -> RosterChanged {
        let before = self.store.project(project).await.unwrap().unwrap();
        let head = self.head_of_project(before.counter + 1);
        RosterChanged { head, previous: before.head, set: vec![], removed: vec![], pi: Some(pi), at }
    }

    pub async fn requirement(&self, by: UserId, name: &str) -> RequirementId {
        let id = RequirementId::from_random(self.draw());
        let lifespan = Lifespan { must_expire: false, default_ms: Some(5), maximum_ms: None };
        let facts = RequirementFacts { requirement: id, revision: 0, lifespan, manages_asking: false, in_use: false };
        let permit = may_set_requirement(&self.able(by).await, &facts, NOW).unwrap();
        let new = Requirement { id, name: name.parse().unwrap(), description: String::new(), lifespan, revision: 0 };
        self.store.set_requirement(permit, new).await.unwrap();
        id
    }

    async fn level(&self, by: UserId, id: LevelId, revision: u64, requirements: Vec<RequirementId>, now: Timestamp) {
        let facts = LevelFacts { level: id, revision, in_use: false };
        let permit = may_set_level(&self.able(by).await, &facts, now).unwrap();
        let level = Level { id, name: "Level".parse().unwrap(), description: String::new(), requirements, revision };
        self.store.set_level(permit, level, now).await.unwrap();
    }

    pub async fn certify(&self, by: UserId, requirement: RequirementId, user: UserId, expires: Timestamp, now: Timestamp) {
        let facts = self.store.requirement_facts(by, requirement, now).await.unwrap().unwrap();
        let holder = HolderFacts { user, is_active: true, is_certified: false };
        let (permit, until) = may_certify(&self.able(by).await, &facts, &holder, expires, now).unwrap();
        self.store.certify(permit, until, now).await.unwrap();
    }

    async fn held(&self, user: UserId, project: ProjectId, login: Timestamp, now: Timestamp) -> Option<Denial> {
        self.store.standing(user, &[project]).await.unwrap()[&project].holds(login, now).err()
    }
}

pub async fn a_project_and_its_line(db: Db) {
    let lab = db.open().await;
    let pi = lab.super_admin("pi").await;
    let federal = lab.make(pi, None, "Federal", None).await;
    let florida = lab.make(pi, Some(federal), "Florida", None).await;
    let coast = lab.make(pi, Some(florida), "Coast", None).await;
    let found = lab.store.project(coast).await.unwrap().unwrap();
    assert_eq!(found.line.projects(), [federal, florida, coast]);
    assert_eq!((found.parent(), found.pi, found.about), (Some(florida), Some(pi), about("Coast", None)));
    let line = &lab.store.standing(pi, &[coast]).await.unwrap()[&coast];
    assert_eq!(line.steps().iter().map(|step| step.project).collect::<Vec<_>>(), [federal, florida, coast]);
    assert!(line.manages(NOW, NOW) && line.steps().iter().all(|step| step.is_pi));
    assert!(lab.store.project_facts(pi, florida).await.unwrap().unwrap().in_use);
    assert!(!lab.store.project_facts(pi, coast).await.unwrap().unwrap().in_use);
    assert!(lab.store.standing(pi, &[ProjectId::from_random(lab.draw())]).await.unwrap().is_empty());
    // Gone with its members.
    let facts = lab.store.project_facts(pi, coast).await.unwrap().unwrap();
    lab.store.delete_project(may_delete_project(&lab.able(pi).await, &facts, NOW).unwrap()).await.unwrap();
    assert_eq!((lab.store.project(coast).await.unwrap(), lab.store.member(coast, pi).await.unwrap()), (None, None));
}

pub async fn memberships_go_on_or_begin_anew(db: Db) {
    let lab = db.open().await;
    let (pi, ada) = (lab.super_admin("pi").await, lab.active("ada").await);
    let federal = lab.make(pi, None, "Federal", None).await;
    lab.join(pi, federal, ada, at(1_000_100), NOW).await;
    let since = async || lab.store.member(federal, ada).await.unwrap().unwrap().since;
    assert_eq!(lab.store.member(federal, ada).await.unwrap().unwrap().restrictions, Restrictions::NO_DOWNLOAD);
    // Renewed before its end: without a gap. After it: anew.
    lab.join(pi, federal, ada, at(1_000_200), at(1_000_099)).await;
    assert_eq!(since().await, NOW);
    assert_eq!(lab.held(ada, federal, NOW, at(1_000_150)).await, None);
    lab.join(pi, federal, ada, at(1_000_300), at(1_000_200)).await;
    assert_eq!(since().await, at(1_000_200));
    assert_eq!(lab.held(ada, federal, NOW, at(1_000_250)).await, Some(Denial::NeedsLogin));
    assert_eq!(lab.held(ada, federal, at(1_000_250), at(1_000_250)).await, None);
    assert_eq!(lab.held(ada, federal, at(1_000_250), at(1_000_300)).await, Some(Denial::MembershipExpired));
    // Below, the end above counts.
    let below = ProjectId::from_random(lab.draw());
    let facts = async |now| lab.store.member_facts(below, Some(federal), &[ada], now).await.unwrap()[&ada];
    let early = facts(at(1_000_299)).await;
    assert_eq!((early.above, early.is_listed, early.is_member), (Some(at(1_000_300)), false, false));
    assert_eq!(facts(at(1_000_300)).await.above, None);
    assert!(lab.store.member_facts(below, None, &[UserId::from_random(lab.draw())], NOW).await.unwrap().is_empty());
}

pub async fn what_a_level_asks_is_kept_with_its_time(db: Db) {
    let lab = db.open().await;
    let (pi, ada) = (lab.super_admin("pi").await, lab.active("ada").await);
    let (first, second) = (lab.requirement(pi, "First").await, lab.requirement(pi, "Second").await);
    let level = LevelId::from_random(lab.draw());
    lab.level(pi, level, 0, vec![first], NOW).await;
    let federal = lab.make(pi, None, "Federal", Some(level)).await;
    // Whoever runs it is certified for it.
    lab.certify(pi, first, pi, at(9_000_000), NOW).await;
    lab.join(pi, federal, ada, Timestamp::ABSENT, NOW).await;
    let uncertified = |requirement| Some(Denial::Uncertified { requirement });
    assert_eq!(lab.held(ada, federal, NOW, NOW).await, uncertified(first));
    lab.certify(pi, first, ada, at(9_000_000), at(1_000_001)).await;
    assert_eq!(lab.held(ada, federal, at(1_000_002), at(1_000_002)).await, None);
    // One more is asked of sessions that are under way; one less only of those to come.
    lab.level(pi, level, 1, vec![first, second], at(1_000_010)).await;
    assert_eq!(lab.held(ada, federal, at(1_000_002), at(1_000_010)).await, uncertified(second));
    lab.level(pi, level, 2, vec![first], at(1_000_020)).await;
    assert_eq!(lab.held(ada, federal, at(1_000_002), at(1_000_030)).await, uncertified(second));
    assert_eq!(lab.held(ada, federal, at(1_000_020), at(1_000_030)).await, None);
    assert_eq!(lab.store.levels().await.unwrap()[0].requirements, [first]);
    // The same when the project changes its level.
    let facts = lab.store.project_facts(pi, federal).await.unwrap().unwrap();
    let permit = may_change_project(&lab.able(pi).await, &facts, NOW).unwrap();
    lab.store.change_project(permit, about("Federal", None), at(1_000_040)).await.unwrap();
    let asked = |line: &ticrypt_policy::active::StandingLine| line.steps()[0].demands.clone();
    let demands = asked(&lab.store.standing(ada, &[federal]).await.unwrap()[&federal]);
    let in_force: Vec<Span> = demands.iter().filter(|demand| demand.requirement == first).map(|demand| demand.in_force).collect();
    assert_eq!(in_force, [Span { since: NOW, until: at(1_000_040) }]);
    // Asked for again in the millisecond in which it was dropped, it was never dropped.
    lab.level(pi, level, 3, vec![], at(1_000_050)).await;
    lab.level(pi, level, 4, vec![second], at(1_000_050)).await;
    lab.level(pi, level, 5, vec![], at(1_000_050)).await;
    lab.level(pi, level, 6, vec![second], at(1_000_050)).await;
    assert_eq!(lab.store.levels().await.unwrap()[0].requirements, [second]);
}

pub async fn certifications_go_on_or_begin_anew(db: Db) {
    let lab = db.open().await;
    let (pi, ada) = (lab.super_admin("pi").await, lab.active("ada").await);
    let training = lab.requirement(pi, "Training").await;
    let held = async || lab.store.certification(training, ada).await.unwrap();
    lab.certify(pi, training, ada, at(1_000_100), NOW).await;
    lab.certify(pi, training, ada, at(1_000_200), at(1_000_050)).await;
    assert_eq!(held().await, Some((NOW, at(1_000_200))));
    lab.certify(pi, training, ada, Timestamp::ABSENT, at(1_000_200)).await;
    assert_eq!(held().await, Some((at(1_000_200), at(1_000_205))), "the default lifespan, anew");
    let facts = lab.store.requirement_facts(pi, training, NOW).await.unwrap().unwrap();
    assert!(!facts.in_use && !facts.manages_asking);
    let holder = HolderFacts { user: ada, is_active: true, is_certified: true };
    let expire = async || may_expire_certification(&lab.able(pi).await, &facts, &holder, NOW).unwrap();
    lab.store.expire_certification(expire().await, at(1_000_201)).await.unwrap();
    assert_eq!(held().await, Some((at(1_000_200), at(1_000_201))));
    let again = lab.store.expire_certification(expire().await, at(1_000_202)).await;
    assert!(matches!(again, Err(StoreError::Stale("certification"))), "{again:?}");
    let listed = lab.store.certifications(Scope::All, None, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].name.as_str(), listed[0].given_by), (1, "ada", pi));
    assert_eq!(lab.store.certifications(Scope::Own(pi), None, 10).await.unwrap(), []);
    let past = Some((training, "ada".parse().unwrap()));
    assert_eq!(lab.store.certifications(Scope::All, past, 10).await.unwrap(), []);
    // Gone with the requirement, unless a level has begun to ask for it.
    let permit = may_delete_requirement(&lab.able(pi).await, &facts, NOW).unwrap();
    lab.level(pi, LevelId::from_random(lab.draw()), 0, vec![training], NOW).await;
    let stale = lab.store.delete_requirement(permit).await;
    assert!(matches!(stale, Err(StoreError::Stale("requirement"))), "{stale:?}");
    // A level that is gone holds nothing back.
    let level = lab.store.levels().await.unwrap()[0].id;
    let facts = lab.store.level_facts(level).await.unwrap().unwrap();
    lab.store.delete_level(may_delete_level(&lab.able(pi).await, &facts, NOW).unwrap(), NOW).await.unwrap();
    let facts = lab.store.requirement_facts(pi, training, NOW).await.unwrap().unwrap();
    lab.store.delete_requirement(may_delete_requirement(&lab.able(pi).await, &facts, NOW).unwrap()).await.unwrap();
    assert_eq!(held().await, None);
}

pub async fn working_sets_belong_to_people(db: Db) {
    let lab = db.open().await;
    let pi = lab.super_admin("pi").await;
    let federal = lab.make(pi, None, "Federal", None).await;
    let florida = lab.make(pi, Some(federal), "Florida", None).await;
    let care = lab.make(pi, None, "Care", None).await;
    assert!(lab.store.active_set(pi, NOW).await.unwrap().working().is_unlocked());
    let set = async |projects: &[ProjectId], before| {
        let mut standing = lab.store.standing(pi, projects).await.unwrap();
        let lines = projects.iter().map(|project| standing.remove(project).unwrap()).collect();
        let (permit, _) = may_set_working(&lab.actor(pi).await, lines, before, NOW, NOW).unwrap();
        lab.store.set_working_set(permit, projects.to_vec()).await
    };
    set(&[florida, care], 0).await.unwrap();
    let active = lab.store.active_set(pi, NOW).await.unwrap();
    assert!(active.working().names(florida) && active.working().names(care) && !active.working().names(federal));
    let working = active.working().clone();
    assert!(active.is_at(&working, NOW).is_ok() && lab.actor(pi).await.active.working().names(care));
    // Two devices at once: the second decides anew.
    assert!(matches!(set(&[], 0).await, Err(StoreError::Stale("working set"))));
    // A project that is deleted while somebody works in it is dead weight there.
    let facts = lab.store.project_facts(pi, care).await.unwrap().unwrap();
    lab.store.delete_project(may_delete_project(&lab.able(pi).await, &facts, NOW).unwrap()).await.unwrap();
    let active = lab.store.active_set(pi, NOW).await.unwrap();
    assert_eq!(active.is_at(active.working(), NOW), Err(Denial::DeadWeight));
    set(&[], 1).await.unwrap();
    assert_eq!(lab.store.working_set(pi).await.unwrap(), []);
}

async fn seen_by(lab: &Lab, user: UserId, project: ProjectId) -> ProjectFacts {
    lab.store.project_facts(user, project).await.unwrap().unwrap()
}

pub async fn decisions_about_projects_go_stale(db: Db) {
    let lab = db.open().await;
    let (pi, ada) = (lab.super_admin("pi").await, lab.active("ada").await);
    let federal = lab.make(pi, None, "Federal", None).await;
    let facts = lab.store.project_facts(pi, federal).await.unwrap().unwrap();
    let me = lab.able(pi).await;
    let deletion = may_delete_project(&me, &facts, NOW).unwrap();
    let child = may_create_project(&me, ProjectId::from_random(lab.draw()), Some(&facts), NOW).unwrap();
    let change = may_change_project(&me, &facts, NOW).unwrap();
    lab.store.create_project(child, lab.founded(Some(federal), about("Florida", None))).await.unwrap();
    assert!(matches!(lab.store.delete_project(deletion).await, Err(StoreError::Stale("project"))), "it has a child now");
    assert!(matches!(lab.store.change_project(change, about("Other", None), NOW).await, Err(StoreError::Stale("project"))));
    // Two managers at once: the second signs on what the first made of it.
    let (early, one) = lab.joining(pi, federal, ada, Timestamp::ABSENT, NOW).await;
    let (late, other) = lab.joining(pi, federal, ada, at(5_000_000), NOW).await;
    lab.store.set_members(early, one).await.unwrap();
    assert!(matches!(lab.store.set_members(late, other).await, Err(StoreError::Stale("roster"))));
    assert_eq!(lab.store.member(federal, ada).await.unwrap().unwrap().expires, Timestamp::ABSENT);
    let twice = may_create_project(&me, federal, None, NOW).unwrap();
    let twice = lab.store.create_project(twice, lab.founded(None, about("Twice", None))).await;
    assert!(matches!(twice, Err(StoreError::Taken(Taken::ProjectId))), "{twice:?}");
    // Out by themselves: no member any more, and listed until the next head.
    let facts = lab.store.project_facts(pi, federal).await.unwrap().unwrap();
    let member = lab.member_facts(federal, ada, NOW).await;
    let leaving =
        async || may_withdraw(&Actor { user: ada, ..lab.able(ada).await }, &seen_by(&lab, ada, federal).await, &member, NOW).unwrap();
    let (first, second) = (leaving().await, leaving().await);
    lab.store.withdraw(first).await.unwrap();
    assert!(matches!(lab.store.withdraw(second).await, Err(StoreError::Stale("membership"))));
    let gone = lab.member_facts(federal, ada, NOW).await;
    assert_eq!((gone.is_listed, gone.is_member, facts.counter), (true, false, 2));
    assert!(lab.held(ada, federal, NOW, NOW).await.is_some());
    lab.put_out(pi, federal, ada).await;
    assert_eq!((lab.member_facts(federal, ada, NOW).await.is_listed, lab.store.listed(federal).await.unwrap().len()), (false, 1));
    let heads = lab.store.project_heads(federal, 1, 10).await.unwrap();
    assert_eq!(heads.iter().map(|head| head.counter).collect::<Vec<_>>(), [2, 3]);
    assert_eq!((heads[0].signer_proof.len(), heads[1].hash), (2, lab.store.project(federal).await.unwrap().unwrap().head.unwrap()));
    // A level that is not there.
    let fresh = ProjectId::from_random(lab.draw());
    let permit = may_create_project(&me, fresh, None, NOW).unwrap();
    let lost = about("Lost", Some(LevelId::from_random(lab.draw())));
    assert!(matches!(lab.store.create_project(permit, lab.founded(None, lost)).await, Err(StoreError::NotFound("level"))));
    assert_eq!(lab.store.project(fresh).await.unwrap(), None, "undone whole");
}

pub async fn lists_of_projects_and_people(db: Db) {
    let lab = db.open().await;
    let pi = lab.super_admin("pi").await;
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(lab.make(pi, None, &format!("Project {n}"), None).await);
    }
    made.sort_unstable();
    let ids = |rows: Vec<ticrypt_store::project::Project>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(lab.store.projects(Scope::All, None, 3).await.unwrap()), made[..3]);
    assert_eq!(ids(lab.store.projects(Scope::Own(pi), Some(made[2]), 10).await.unwrap()), made[3..]);
    let ada = lab.active("ada").await;
    assert_eq!(ids(lab.store.projects(Scope::Own(ada), None, 10).await.unwrap()), []);
    lab.join(pi, made[0], ada, Timestamp::ABSENT, NOW).await;
    let names = |rows: Vec<ticrypt_store::project::Member>| rows.into_iter().map(|row| row.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(lab.store.members(made[0], None, 10).await.unwrap()), ["ada", "pi"]);
    assert_eq!(names(lab.store.members(made[0], Some(&"ada".parse().unwrap()), 10).await.unwrap()), ["pi"]);
    // What the system lets people do.
    let facts = lab.store.user_facts(ada, NOW).await.unwrap().unwrap();
    let permit = may_set_permissions(&lab.actor(pi).await, &facts, Permissions::basic(), Permissions::all(), NOW).unwrap();
    lab.store.set_permissions(permit, Permissions::all()).await.unwrap();
    assert_eq!(lab.store.user(ada).await.unwrap().unwrap().permissions, Permissions::all());
}
