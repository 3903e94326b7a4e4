//! Projects over the wire: a federal project with its states, and who can work where.

use ticrypt_api::certification::{
    CertificationExpireRequest, CertificationListReply, CertificationSetReply, CertificationSetRequest, LevelAbout, LevelListReply,
    LevelSetRequest, RequirementAbout, RequirementListReply, RequirementSetRequest,
};
use ticrypt_api::project::{
    MemberListReply, MemberSetReply, MemberSetRequest, NewMember, ProjectAbout, ProjectChangeRequest, ProjectCreateRequest,
    ProjectHeadsReply, ProjectListReply, ProjectView, WorkingSetReply, WorkingSetRequest,
};
use ticrypt_api::session::{ChallengeReply, ChallengeRequest};
use ticrypt_api::user::PermissionsRequest;
use ticrypt_api::{Blob, Problem};
use ticrypt_crypto::project::ProjectHeadPayload;
use ticrypt_crypto::working_set::WorkingSetPayload;
use ticrypt_types::{LevelId, Operation, Permission, Permissions, ProjectId, RequirementId, Timestamp, UserId};

use crate::rosters::{Roster, member};
use crate::support::{Person, Server, random};

const DAY_MS: u64 = 86_400_000;

fn about(name: &str, level: Option<LevelId>) -> ProjectAbout {
    let (title, tag) = (name.parse().unwrap(), name.parse().unwrap());
    ProjectAbout { name: title, tag, colour: "#1f77b4".parse().unwrap(), description: String::new(), level }
}

pub(crate) async fn make(by: &mut Person, parent: Option<ProjectId>, name: &str, level: Option<LevelId>) -> Result<ProjectId, Problem> {
    let project = ProjectId::from_random(random());
    let roster = Roster::founded(by.deployment, project, parent, by.id());
    let head = signed(by, &roster.head(by.id(), by.bundle.hash(), by.now));
    let request = ProjectCreateRequest { project, parent, about: about(name, level), head, entry: roster.entry(by.id()) };
    by.ask::<_, ()>(Operation::ProjectCreate, &[], &request).await.map(|()| project)
}

fn signed(by: &Person, head: &ProjectHeadPayload) -> Blob {
    Blob(by.identity.signing().sign_record(head).unwrap())
}

/// The members as this person sees them, under the newest head.
async fn roster(by: &mut Person, project: ProjectId) -> Result<Roster, Problem> {
    let path = project.to_string();
    let members: MemberListReply = by.ask(Operation::MemberList, &[&path], &()).await?;
    let heads: ProjectHeadsReply = by.ask(Operation::ProjectHeads, &[&path], &()).await?;
    Ok(Roster::read(by.deployment, project, &members, &heads))
}

pub(crate) async fn change(
    by: &mut Person,
    project: ProjectId,
    set: Vec<NewMember>,
    remove: Vec<UserId>,
) -> Result<MemberSetReply, Problem> {
    change_as(by, project, set, remove, |_| ()).await
}

/// What is signed can be changed on the way.
async fn change_as(
    by: &mut Person,
    project: ProjectId,
    set: Vec<NewMember>,
    remove: Vec<UserId>,
    alter: impl FnOnce(&mut ProjectHeadPayload),
) -> Result<MemberSetReply, Problem> {
    let mut roster = roster(by, project).await?;
    set.iter().for_each(|new| roster.set(new));
    remove.iter().for_each(|user| roster.remove(*user));
    let mut head = roster.head(by.id(), by.bundle.hash(), by.now);
    alter(&mut head);
    let request = MemberSetRequest { head: Some(signed(by, &head)), set, remove };
    by.ask(Operation::MemberSet, &[&project.to_string()], &request).await
}

pub(crate) async fn join(by: &mut Person, project: ProjectId, user: UserId, expires_ms: Option<Timestamp>) -> Result<(), Problem> {
    change(by, project, vec![NewMember { expires_ms, ..member(user) }], vec![]).await.map(drop)
}

async fn take_out(by: &mut Person, project: ProjectId, user: UserId) -> Result<(), Problem> {
    change(by, project, vec![], vec![user]).await.map(drop)
}

/// Without a head.
async fn withdraw(by: &mut Person, project: ProjectId, user: UserId) -> Result<(), Problem> {
    by.ask(Operation::MemberRemove, &[&project.to_string(), &user.to_string()], &()).await
}

async fn work_in(by: &mut Person, projects: &[ProjectId]) -> Result<WorkingSetReply, Problem> {
    work_in_as(by, projects, |_| ()).await
}

/// What is signed can be changed on the way.
async fn work_in_as(
    by: &mut Person,
    projects: &[ProjectId],
    alter: impl FnOnce(&mut WorkingSetPayload),
) -> Result<WorkingSetReply, Problem> {
    let mut record = asked(by, projects).await;
    alter(&mut record);
    let working_set = Blob(by.identity.signing().sign_record(&record).unwrap());
    by.ask(Operation::WorkingSet, &[], &WorkingSetRequest { working_set }).await
}

/// What there is to sign, over a fresh challenge.
async fn asked(by: &mut Person, projects: &[ProjectId]) -> WorkingSetPayload {
    let request = ChallengeRequest { name: by.identity.name().clone() };
    let challenge: ChallengeReply = by.ask(Operation::SessionChallenge, &[], &request).await.unwrap();
    let mut projects = projects.to_vec();
    projects.sort_unstable();
    WorkingSetPayload {
        deployment: by.deployment,
        user: by.id(),
        bundle: by.bundle.hash(),
        session: by.login.as_ref().unwrap().id,
        challenge: challenge.challenge.0,
        projects,
        at: by.now,
    }
}

async fn project(by: &mut Person, project: ProjectId) -> ProjectView {
    let list: ProjectListReply = by.ask(Operation::ProjectList, &[], &()).await.unwrap();
    list.projects.into_iter().find(|found| found.project == project).unwrap()
}

async fn missing(by: &mut Person, of: ProjectId) -> Option<String> {
    project(by, of).await.own.unwrap().missing
}

/// Root, and a principal investigator who may run projects.
pub(crate) async fn investigator(server: &Server) -> (Person, Person) {
    let mut root = server.root().await;
    let mut pi = server.member(&mut root, "pi").await;
    let given = [Permission::ProjectCreate, Permission::ProjectChild, Permission::ProjectManage, Permission::ProjectCertify];
    let permissions = given.into_iter().fold(Permissions::basic(), Permissions::with);
    let () = root.ask(Operation::UserPermissions, &[&pi.id().to_string()], &PermissionsRequest { permissions }).await.unwrap();
    pi.login(server).await;
    (root, pi)
}

#[tokio::test]
async fn two_states_are_never_open_at_once() {
    let server = Server::start().await;
    let (mut root, mut pi) = investigator(&server).await;
    let mut ada = server.member(&mut root, "ada").await;
    let federal = make(&mut pi, None, "Federal", None).await.unwrap();
    let florida = make(&mut pi, Some(federal), "Florida", None).await.unwrap();
    let texas = make(&mut pi, Some(federal), "Texas", None).await.unwrap();

    // Below takes above.
    assert_eq!(join(&mut pi, florida, ada.id(), None).await.unwrap_err().code, "parent_not_member");
    for of in [federal, florida, texas] {
        join(&mut pi, of, ada.id(), None).await.unwrap();
    }
    // Gained after the login: seen, and not yet to be worked in.
    assert_eq!(missing(&mut ada, florida).await.as_deref(), Some("needs_login"));
    assert_eq!(work_in(&mut ada, &[florida]).await.unwrap_err().code, "needs_login");
    server.advance(1);
    ada.login(&server).await;
    assert_eq!(work_in(&mut ada, &[florida, texas]).await.unwrap_err().code, "same_tree");
    assert_eq!(work_in(&mut ada, &[florida, federal]).await.unwrap_err().code, "same_tree");
    assert_eq!(work_in(&mut ada, &[florida]).await.unwrap().projects, [florida]);
    assert!(project(&mut ada, florida).await.own.unwrap().working);
    // It is the person's, not the session's: another device is where this one is, and moves it.
    let first = ada.token();
    ada.login(&server).await;
    assert_ne!(ada.token(), first);
    assert!(project(&mut ada, florida).await.own.unwrap().working);
    work_in(&mut ada, &[texas]).await.unwrap();
    assert!(!project(&mut ada, florida).await.own.unwrap().working);

    // Taken out above, below is suspended; given back, it takes a new login.
    take_out(&mut pi, federal, ada.id()).await.unwrap();
    assert_eq!(work_in(&mut ada, &[texas]).await.unwrap_err().code, "not_found");
    join(&mut pi, federal, ada.id(), None).await.unwrap();
    assert_eq!(work_in(&mut ada, &[texas]).await.unwrap_err().code, "needs_login");
    server.advance(1);
    ada.login(&server).await;
    work_in(&mut ada, &[texas]).await.unwrap();
    work_in(&mut ada, &[]).await.unwrap();
}

#[tokio::test]
async fn a_working_set_is_signed_for_here_and_now() {
    let server = Server::start().await;
    let (mut root, mut pi) = investigator(&server).await;
    let ada = server.member(&mut root, "ada").await;
    let federal = make(&mut pi, None, "Federal", None).await.unwrap();
    server.advance(1);
    pi.login(&server).await;
    let other = ticrypt_types::SessionId::from_random(random());
    let (ada_id, now) = (ada.id(), pi.now);
    type Change = Box<dyn FnOnce(&mut WorkingSetPayload)>;
    let changes: [(&str, Change); 6] = [
        ("challenge_unknown", Box::new(|record| record.challenge = [7; 32])),
        ("working_set_unfit", Box::new(move |record| record.session = other)),
        ("working_set_unfit", Box::new(move |record| record.user = ada_id)),
        ("working_set_unfit", Box::new(|record| record.bundle = ticrypt_crypto::Digest::new([1; 32]))),
        ("working_set_unfit", Box::new(|record| record.deployment = ticrypt_types::DeploymentId::from_random([1; 16]))),
        ("working_set_unfit", Box::new(move |record| record.at = now.plus_millis(600_000))),
    ];
    for (code, change) in changes {
        assert_eq!(work_in_as(&mut pi, &[federal], change).await.unwrap_err().code, code);
    }
    // Signed by somebody else.
    let record = asked(&mut pi, &[federal]).await;
    let foreign = Blob(ada.identity.signing().sign_record(&record).unwrap());
    let request = WorkingSetRequest { working_set: foreign };
    assert_eq!(pi.ask::<_, WorkingSetReply>(Operation::WorkingSet, &[], &request).await.unwrap_err().code, "working_set_unfit");
    // And the challenge is spent by it.
    let request = WorkingSetRequest { working_set: Blob(pi.identity.signing().sign_record(&record).unwrap()) };
    assert_eq!(pi.ask::<_, WorkingSetReply>(Operation::WorkingSet, &[], &request).await.unwrap_err().code, "challenge_unknown");
    assert!(!project(&mut pi, federal).await.own.unwrap().working);
    work_in(&mut pi, &[federal]).await.unwrap();
}

#[tokio::test]
async fn a_level_asks_for_certifications_which_expire() {
    let server = Server::start().await;
    let (mut root, mut pi) = investigator(&server).await;
    let mut ada = server.member(&mut root, "ada").await;
    let (training, level) = (RequirementId::from_random(random()), LevelId::from_random(random()));
    let about_it = |maximum| RequirementAbout {
        name: "Training".parse().unwrap(),
        description: String::new(),
        must_expire: true,
        default_lifespan_ms: Some(DAY_MS),
        maximum_lifespan_ms: Some(maximum),
    };
    let request = |revision, maximum| RequirementSetRequest { revision, about: about_it(maximum) };
    let path = training.to_string();
    let unsound = root.ask::<_, ()>(Operation::RequirementSet, &[&path], &request(0, DAY_MS - 1)).await.unwrap_err();
    assert_eq!(unsound.code, "unsound_lifespan");
    let () = root.ask(Operation::RequirementSet, &[&path], &request(0, 10 * DAY_MS)).await.unwrap();
    let level_about = LevelAbout { name: "Level 1".parse().unwrap(), description: String::new(), requirements: vec![training] };
    let set_level = LevelSetRequest { revision: 0, about: level_about };
    let () = root.ask(Operation::LevelSet, &[&level.to_string()], &set_level).await.unwrap();
    let levels: LevelListReply = pi.ask(Operation::LevelList, &[], &()).await.unwrap();
    assert_eq!(levels.levels[0].about.requirements, [training]);

    let federal = make(&mut pi, None, "Federal", Some(level)).await.unwrap();
    // Without being certified oneself one does not run it; one certifies oneself.
    assert_eq!(join(&mut pi, federal, ada.id(), None).await.unwrap_err().code, "not_manager");
    let certify = |user, expires_ms| CertificationSetRequest { requirement: training, user, expires_ms };
    let ask = certify(pi.id(), None);
    let before = server.now();
    let given: CertificationSetReply = pi.ask(Operation::CertificationSet, &[], &ask).await.unwrap();
    let lifespans = before.plus_millis(DAY_MS)..=server.now().plus_millis(DAY_MS);
    assert!(lifespans.contains(&given.expires_ms.unwrap()));
    let ask = certify(ada.id(), Some(server.now().plus_millis(10 * DAY_MS + 60_000)));
    let beyond = pi.ask::<_, CertificationSetReply>(Operation::CertificationSet, &[], &ask).await.unwrap_err();
    assert_eq!(beyond.code, "lifespan_beyond_maximum");
    let denied = ada.ask::<_, CertificationSetReply>(Operation::CertificationSet, &[], &certify(ada.id(), None)).await.unwrap_err();
    assert_eq!(denied.code, "no_permission");
    join(&mut pi, federal, ada.id(), None).await.unwrap();
    server.advance(1);
    ada.login(&server).await;
    assert_eq!(missing(&mut ada, federal).await.as_deref(), Some("uncertified"));

    let end = server.now().plus_millis(60_000);
    let _: CertificationSetReply = pi.ask(Operation::CertificationSet, &[], &certify(ada.id(), Some(end))).await.unwrap();
    assert_eq!(missing(&mut ada, federal).await.as_deref(), Some("needs_login"));
    server.advance(1);
    ada.login(&server).await;
    work_in(&mut ada, &[federal]).await.unwrap();
    server.advance(50_000);
    assert_eq!(missing(&mut ada, federal).await, None);
    server.advance(10_000);
    assert_eq!(missing(&mut ada, federal).await.as_deref(), Some("uncertified"));
    // Renewed too late for this session.
    let _: CertificationSetReply = pi.ask(Operation::CertificationSet, &[], &certify(ada.id(), None)).await.unwrap();
    assert_eq!(missing(&mut ada, federal).await.as_deref(), Some("needs_login"));
    let expire = CertificationExpireRequest { requirement: training, user: ada.id() };
    let () = pi.ask(Operation::CertificationExpire, &[], &expire).await.unwrap();
    let again = pi.ask::<_, ()>(Operation::CertificationExpire, &[], &expire).await.unwrap_err();
    assert_eq!(again.code, "no_longer_certified");
    let own: CertificationListReply = ada.ask(Operation::CertificationList, &[], &()).await.unwrap();
    assert_eq!((own.certifications.len(), own.certifications[0].given_by), (1, pi.id()));

    // Dropped from the level, it is not gained by this session, only by the next.
    let requirements: RequirementListReply = root.ask(Operation::RequirementList, &[], &()).await.unwrap();
    let refused = root.ask::<_, ()>(Operation::RequirementDelete, &[&path], &()).await.unwrap_err();
    assert_eq!((refused.code.as_str(), requirements.requirements.len()), ("requirement_in_use", 1));
    server.advance(1);
    let emptied = LevelAbout { requirements: vec![], ..levels.levels[0].about.clone() };
    let stale = LevelSetRequest { revision: 7, about: emptied.clone() };
    assert_eq!(root.ask::<_, ()>(Operation::LevelSet, &[&level.to_string()], &stale).await.unwrap_err().code, "stale");
    let () = root.ask(Operation::LevelSet, &[&level.to_string()], &LevelSetRequest { revision: 1, about: emptied }).await.unwrap();
    assert_eq!(missing(&mut ada, federal).await.as_deref(), Some("uncertified"));
    ada.login(&server).await;
    assert_eq!(missing(&mut ada, federal).await, None);
    let in_use = root.ask::<_, ()>(Operation::LevelDelete, &[&level.to_string()], &()).await.unwrap_err();
    assert_eq!(in_use.code, "level_in_use");
}

#[tokio::test]
async fn who_runs_a_project_and_what_they_are_refused() {
    let server = Server::start().await;
    let (mut root, mut pi) = investigator(&server).await;
    let (mut ada, mut eva) = (server.member(&mut root, "ada").await, server.member(&mut root, "eva").await);
    assert_eq!(make(&mut ada, None, "Own", None).await.unwrap_err().code, "no_permission");
    let federal = make(&mut pi, None, "Federal", None).await.unwrap();
    assert_eq!(make(&mut ada, Some(federal), "Below", None).await.unwrap_err().code, "not_found");
    assert_eq!(make(&mut pi, Some(ProjectId::from_random(random())), "Lost", None).await.unwrap_err().code, "not_found");
    // One adds others, not oneself; even who administrates everything does not.
    let (own, roots) = (pi.id(), root.id());
    let myself = join(&mut pi, federal, own, None).await.unwrap_err();
    assert_eq!(myself.code, "oneself");
    for who in [roots, ada.id()] {
        assert_eq!(join(&mut root, federal, who, None).await.unwrap_err().code, "not_manager");
    }
    let past = join(&mut pi, federal, ada.id(), Some(server.now())).await.unwrap_err();
    assert_eq!(past.code, "date_in_past");
    let end = server.now().plus_millis(DAY_MS);
    join(&mut pi, federal, ada.id(), Some(end)).await.unwrap();
    assert_eq!(join(&mut pi, federal, ada.id(), None).await.unwrap_err().code, "already_member");
    let florida = make(&mut pi, Some(federal), "Florida", None).await.unwrap();
    assert_eq!(join(&mut pi, florida, ada.id(), None).await.unwrap_err().code, "parent_expires");
    join(&mut pi, florida, ada.id(), Some(end)).await.unwrap();
    join(&mut pi, federal, eva.id(), None).await.unwrap();

    // Members see themselves, managers see all, strangers see nothing.
    let path = federal.to_string();
    let seen: MemberListReply = ada.ask(Operation::MemberList, &[&path], &()).await.unwrap();
    assert_eq!(seen.members.iter().map(|member| member.user).collect::<Vec<_>>(), [ada.id()]);
    let all: MemberListReply = pi.ask(Operation::MemberList, &[&path], &()).await.unwrap();
    assert_eq!(all.members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>(), ["ada", "eva", "pi"]);
    let hidden = eva.ask::<_, MemberListReply>(Operation::MemberList, &[&florida.to_string()], &()).await.unwrap_err();
    assert_eq!(hidden.status, 404);
    let page = pi.wire.as_mut().unwrap().send(Operation::MemberList, &[&path], "?limit=2", vec![]).await;
    let page: MemberListReply = serde_json::from_slice(&page.body).unwrap();
    let rest = pi.wire.as_mut().unwrap().send(Operation::MemberList, &[&path], &format!("?page={}", page.next.unwrap()), vec![]).await;
    let rest: MemberListReply = serde_json::from_slice(&rest.body).unwrap();
    assert_eq!((page.members.len(), rest.members.len(), rest.next), (2, 1, None));

    // Two managers at once: the second is told, and nothing of the first is lost.
    let before = project(&mut pi, federal).await;
    let named = |name: &str| ProjectChangeRequest { revision: before.revision, about: about(name, None) };
    let () = pi.ask(Operation::ProjectChange, &[&path], &named("First")).await.unwrap();
    assert_eq!(root.ask::<_, ()>(Operation::ProjectChange, &[&path], &named("Second")).await.unwrap_err().code, "stale");
    assert_eq!(project(&mut pi, federal).await.about.name.as_str(), "First");
    let stranger = |head: &mut ProjectHeadPayload| head.pi = Some(roots);
    assert_eq!(change_as(&mut pi, federal, vec![], vec![], stranger).await.unwrap_err().code, "pi_not_member");
    assert_eq!(ada.ask::<_, ()>(Operation::ProjectChange, &[&path], &named("Fourth")).await.unwrap_err().code, "not_manager");

    assert_eq!(take_out(&mut pi, federal, own).await.unwrap_err().code, "is_pi");
    assert_eq!(withdraw(&mut pi, federal, own).await.unwrap_err().code, "is_pi");
    assert_eq!(withdraw(&mut pi, federal, eva.id()).await.unwrap_err().code, "needs_head");
    assert_eq!(pi.ask::<_, ()>(Operation::ProjectDelete, &[&path], &()).await.unwrap_err().code, "project_in_use");
    let own = ada.id();
    withdraw(&mut ada, florida, own).await.unwrap();
    let () = pi.ask(Operation::ProjectDelete, &[&florida.to_string()], &()).await.unwrap();
    let () = pi.ask(Operation::ProjectDelete, &[&path], &()).await.unwrap();
    let none: ProjectListReply = ada.ask(Operation::ProjectList, &[], &()).await.unwrap();
    assert!(none.projects.is_empty());
}

#[tokio::test]
async fn a_head_is_what_its_changes_lead_to_and_the_next_one() {
    let server = Server::start().await;
    let (mut root, mut pi) = investigator(&server).await;
    let (ada, eva) = (server.member(&mut root, "ada").await, server.member(&mut root, "eva").await);
    let federal = make(&mut pi, None, "Federal", None).await.unwrap();
    join(&mut pi, federal, ada.id(), None).await.unwrap();
    let (other, roots, now) = (ProjectId::from_random(random()), root.id(), pi.now);
    type Change = Box<dyn FnOnce(&mut ProjectHeadPayload)>;
    let changes: [(&str, Change); 11] = [
        ("project_head_unfit", Box::new(move |head| head.project = other)),
        ("project_head_unfit", Box::new(move |head| head.parent = Some(other))),
        ("project_head_unfit", Box::new(|head| head.members += 1)),
        ("project_head_unfit", Box::new(|head| head.root = ticrypt_crypto::Digest::of(b"others"))),
        ("project_head_unfit", Box::new(move |head| head.writer = roots)),
        ("project_head_unfit", Box::new(|head| head.writer_bundle = ticrypt_crypto::Digest::of(b"another key"))),
        ("project_head_unfit", Box::new(|head| head.deployment = ticrypt_types::DeploymentId::from_random([1; 16]))),
        ("project_head_unfit", Box::new(move |head| head.at = now.plus_millis(600_000))),
        ("stale", Box::new(|head| head.counter += 1)),
        ("stale", Box::new(|head| head.previous = Some(ticrypt_crypto::Digest::of(b"another")))),
        ("pi_not_member", Box::new(move |head| head.pi = Some(roots))),
    ];
    for (code, alter) in changes {
        let refused = change_as(&mut pi, federal, vec![member(eva.id())], vec![], alter).await.unwrap_err();
        assert_eq!(refused.code, code);
    }
    // Signed by somebody else; asked twice in one request; a salt of a wrong length.
    let path = federal.to_string();
    let mut next = roster(&mut pi, federal).await.unwrap();
    let new = member(eva.id());
    next.set(&new);
    let head = next.head(pi.id(), pi.bundle.hash(), pi.now);
    let by_eva = MemberSetRequest { head: Some(signed(&eva, &head)), set: vec![new.clone()], remove: vec![] };
    let honest = MemberSetRequest { head: Some(signed(&pi, &head)), ..by_eva.clone() };
    let twice = MemberSetRequest { remove: vec![eva.id()], ..honest.clone() };
    let short = MemberSetRequest { set: vec![NewMember { salt: Blob(vec![1; 15]), ..new.clone() }], ..honest.clone() };
    for (request, code) in [(by_eva, "project_head_unfit"), (twice, "invalid"), (short, "invalid")] {
        assert_eq!(pi.ask::<_, MemberSetReply>(Operation::MemberSet, &[&path], &request).await.unwrap_err().code, code);
    }
    let done: MemberSetReply = pi.ask(Operation::MemberSet, &[&path], &honest).await.unwrap();
    assert_eq!(done.counter, 3);
    // The answer was lost on the way: the same again is the same.
    let again: MemberSetReply = pi.ask(Operation::MemberSet, &[&path], &honest).await.unwrap();
    assert_eq!((again.counter, roster(&mut pi, federal).await.unwrap().counter), (3, 3));
    // Whoever is out by themselves keeps the entry until a manager's next head.
    let mut eva = eva;
    eva.login(&server).await;
    let own = eva.id();
    withdraw(&mut eva, federal, own).await.unwrap();
    assert_eq!(eva.ask::<_, MemberListReply>(Operation::MemberList, &[&path], &()).await.unwrap_err().status, 404);
    let all: MemberListReply = pi.ask(Operation::MemberList, &[&path], &()).await.unwrap();
    assert_eq!(all.members.iter().filter(|member| member.withdrawn).map(|member| member.user).collect::<Vec<_>>(), [own]);
    take_out(&mut pi, federal, own).await.unwrap();
    let all: MemberListReply = pi.ask(Operation::MemberList, &[&path], &()).await.unwrap();
    assert_eq!(all.members.len(), 2);
}

#[tokio::test]
async fn without_a_head_the_answer_says_who_would_be_refused() {
    let server = Server::start().await;
    let (mut root, mut pi) = investigator(&server).await;
    let (ada, mut eva) = (server.member(&mut root, "ada").await, server.member(&mut root, "eva").await);
    let federal = make(&mut pi, None, "Federal", None).await.unwrap();
    join(&mut pi, federal, ada.id(), None).await.unwrap();
    let nobody = UserId::from_random(random());
    let request = MemberSetRequest { head: None, set: vec![member(ada.id()), member(eva.id()), member(nobody)], remove: vec![root.id()] };
    let path = federal.to_string();
    let told: MemberSetReply = pi.ask(Operation::MemberSet, &[&path], &request).await.unwrap();
    let refused: Vec<(UserId, &str)> = told.refused.iter().map(|one| (one.user, one.code.as_str())).collect();
    assert_eq!(refused, [(ada.id(), "already_member"), (nobody, "member_inactive"), (root.id(), "no_such_member")]);
    assert_eq!((told.counter, roster(&mut pi, federal).await.unwrap().counter), (2, 2));
    assert_eq!(eva.ask::<_, MemberSetReply>(Operation::MemberSet, &[&path], &request).await.unwrap_err().status, 404);
    let too_many =
        MemberSetRequest { set: (0..501).map(|_| member(UserId::from_random(random()))).collect(), ..MemberSetRequest::default() };
    assert_eq!(pi.ask::<_, MemberSetReply>(Operation::MemberSet, &[&path], &too_many).await.unwrap_err().code, "invalid");
}

#[tokio::test]
async fn permissions_are_given_within_ones_own() {
    let server = Server::start().await;
    let (mut root, mut pi) = investigator(&server).await;
    let ada = server.member(&mut root, "ada").await;
    let path = ada.id().to_string();
    let all = PermissionsRequest { permissions: Permissions::all() };
    assert_eq!(pi.ask::<_, ()>(Operation::UserPermissions, &[&path], &all).await.unwrap_err().code, "needs_administrator");
    let () = root.ask(Operation::UserPermissions, &[&path], &all).await.unwrap();
    let same = root.ask::<_, ()>(Operation::UserPermissions, &[&path], &all).await.unwrap_err();
    assert_eq!(same.code, "no_change");
    let unknown = root.wire.as_mut().unwrap().send(Operation::UserPermissions, &[&path], "", br#"{"permissions":["fly"]}"#.to_vec()).await;
    assert_eq!((unknown.status, unknown.problem().code.as_str()), (400, "invalid"));
}
