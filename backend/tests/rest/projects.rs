//! Projects over the wire: a federal project with its states, and who can work where.

use ticrypt_api::certification::{
    CertificationExpireRequest, CertificationListReply, CertificationSetReply, CertificationSetRequest, LevelAbout, LevelListReply,
    LevelSetRequest, RequirementAbout, RequirementListReply, RequirementSetRequest,
};
use ticrypt_api::project::{
    MemberListReply, MemberSetRequest, ProjectAbout, ProjectChangeRequest, ProjectCreateRequest, ProjectListReply, ProjectView,
    WorkingSetReply, WorkingSetRequest,
};
use ticrypt_api::session::{ChallengeReply, ChallengeRequest};
use ticrypt_api::user::PermissionsRequest;
use ticrypt_api::{Blob, Problem};
use ticrypt_crypto::working_set::WorkingSetPayload;
use ticrypt_types::{LevelId, MemberRole, Operation, Permission, Permissions, ProjectId, RequirementId, Restrictions, Timestamp, UserId};

use crate::support::{Person, Server, random};

const DAY_MS: u64 = 86_400_000;

fn about(name: &str, level: Option<LevelId>) -> ProjectAbout {
    let (title, tag) = (name.parse().unwrap(), name.parse().unwrap());
    ProjectAbout { name: title, tag, colour: "#1f77b4".parse().unwrap(), description: String::new(), level }
}

async fn make(by: &mut Person, parent: Option<ProjectId>, name: &str, level: Option<LevelId>) -> Result<ProjectId, Problem> {
    let project = ProjectId::from_random(random());
    let request = ProjectCreateRequest { project, parent, about: about(name, level) };
    by.ask::<_, ()>(Operation::ProjectCreate, &[], &request).await.map(|()| project)
}

async fn join(by: &mut Person, project: ProjectId, user: UserId, expires_ms: Option<Timestamp>) -> Result<(), Problem> {
    let request = MemberSetRequest { user, role: MemberRole::User, restrictions: Restrictions::NONE, expires_ms, update: false };
    by.ask(Operation::MemberSet, &[&project.to_string()], &request).await
}

async fn take_out(by: &mut Person, project: ProjectId, user: UserId) -> Result<(), Problem> {
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
async fn investigator(server: &Server) -> (Person, Person) {
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
    let by_root = join(&mut root, federal, roots, None).await.unwrap_err();
    assert_eq!(by_root.code, "oneself");
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
    let change = |name: &str| ProjectChangeRequest { revision: before.revision, about: about(name, None), pi: before.pi };
    let () = pi.ask(Operation::ProjectChange, &[&path], &change("First")).await.unwrap();
    assert_eq!(root.ask::<_, ()>(Operation::ProjectChange, &[&path], &change("Second")).await.unwrap_err().code, "stale");
    assert_eq!(project(&mut pi, federal).await.about.name.as_str(), "First");
    let stranger = ProjectChangeRequest { pi: Some(root.id()), ..change("Third") };
    assert_eq!(pi.ask::<_, ()>(Operation::ProjectChange, &[&path], &stranger).await.unwrap_err().code, "pi_not_member");
    assert_eq!(ada.ask::<_, ()>(Operation::ProjectChange, &[&path], &change("Fourth")).await.unwrap_err().code, "not_manager");

    assert_eq!(take_out(&mut root, federal, pi.id()).await.unwrap_err().code, "is_pi");
    assert_eq!(pi.ask::<_, ()>(Operation::ProjectDelete, &[&path], &()).await.unwrap_err().code, "project_in_use");
    let own = ada.id();
    take_out(&mut ada, florida, own).await.unwrap();
    let () = pi.ask(Operation::ProjectDelete, &[&florida.to_string()], &()).await.unwrap();
    let () = pi.ask(Operation::ProjectDelete, &[&path], &()).await.unwrap();
    let none: ProjectListReply = ada.ask(Operation::ProjectList, &[], &()).await.unwrap();
    assert!(none.projects.is_empty());
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
