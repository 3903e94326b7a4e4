//! Requests to join projects over the wire, and reminders of what ends, with a clock that moves.

use ticrypt_api::Problem;
use ticrypt_api::certification::{CertificationSetReply, CertificationSetRequest, RequirementAbout, RequirementSetRequest};
use ticrypt_api::join::{JoinAskRequest, JoinListReply, JoinRefuseRequest, JoinView};
use ticrypt_api::notification::{NotificationListReply, NotificationView};
use ticrypt_api::project::NewMember;
use ticrypt_crypto::statement::Action;
use ticrypt_types::{JoinState, Operation, ProjectId, RequirementId, UserId};

use crate::projects::{change, investigator, join, make};
use crate::rosters::member;
use crate::support::{Person, Server, eventually, random};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

async fn ask(by: &mut Person, project: ProjectId, message: &str) -> Result<(), Problem> {
    by.ask(Operation::JoinAsk, &[&project.to_string()], &JoinAskRequest { message: message.to_owned() }).await
}

async fn withdraw(by: &mut Person, project: ProjectId) -> Result<(), Problem> {
    by.ask(Operation::JoinWithdraw, &[&project.to_string()], &()).await
}

async fn refuse(by: &mut Person, project: ProjectId, user: UserId, reason: &str) -> Result<(), Problem> {
    let request = JoinRefuseRequest { reason: reason.to_owned() };
    by.ask(Operation::JoinRefuse, &[&project.to_string(), &user.to_string()], &request).await
}

/// A page of a list, or the status of the refusal.
async fn page(by: &mut Person, query: &str) -> Result<JoinListReply, u16> {
    let token = by.token();
    let wire = by.wire.as_mut().unwrap();
    wire.token = Some(token);
    let answer = wire.send(Operation::JoinList, &[], query, vec![]).await;
    if answer.status == 200 { Ok(serde_json::from_slice(&answer.body).unwrap()) } else { Err(answer.status) }
}

/// What waits for an answer of this person.
async fn waiting(by: &mut Person) -> Vec<JoinView> {
    page(by, "").await.unwrap().requests
}

async fn own(by: &mut Person) -> Vec<JoinView> {
    page(by, "?own=true").await.unwrap().requests
}

/// What the person was told about projects, requirements and shares that end; the oldest first.
async fn told(by: &mut Person) -> Vec<NotificationView> {
    let list: NotificationListReply = by.ask(Operation::NotificationList, &[], &()).await.unwrap();
    let about = list.notifications.into_iter().rev();
    about.filter(|one| one.about.project.is_some() || one.about.ends_ms.is_some()).collect()
}

async fn kinds(by: &mut Person) -> Vec<String> {
    told(by).await.into_iter().map(|one| one.kind).collect()
}

#[tokio::test]
async fn a_request_is_answered_by_who_may_add_people() {
    let server = Server::start().await;
    let (mut root, mut pi) = investigator(&server).await;
    let (mut ada, mut eva) = (server.member(&mut root, "ada").await, server.member(&mut root, "eva").await);
    let federal = make(&mut pi, None, "Federal", None).await.unwrap();
    let nothing = ProjectId::from_random(random());
    ask(&mut ada, federal, "for the heart study").await.unwrap();
    ask(&mut ada, nothing, "for the heart study").await.unwrap();
    for project in [federal, nothing] {
        assert_eq!(ask(&mut ada, project, "").await.unwrap_err().code, "join_open");
    }
    assert_eq!(ask(&mut eva, federal, &"x".repeat(501)).await.unwrap_err().status, 400);
    // A project that is there and one that is not look alike to who asks.
    let asked = own(&mut ada).await;
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|one| one.state == JoinState::Open && one.reason.is_none() && one.closed_ms.is_none()));

    // Those who may add people are told and see it; nobody else is, whatever their rank.
    let waits = waiting(&mut pi).await;
    assert_eq!((waits.len(), waits[0].project, waits[0].user, waits[0].name.as_str()), (1, federal, ada.id(), "ada"));
    assert_eq!((waits[0].message.as_str(), waits[0].bundle.0), ("for the heart study", ada.bundle.hash().to_bytes()));
    assert_eq!(page(&mut pi, &format!("?project={federal}")).await.unwrap().requests, waits);
    let heard = told(&mut pi).await;
    assert_eq!((heard.len(), heard[0].kind.as_str()), (1, "join-asked"));
    assert_eq!((heard[0].about.project, heard[0].about.user), (Some(federal), Some(ada.id())));
    assert!(told(&mut root).await.is_empty() && waiting(&mut root).await.is_empty() && waiting(&mut ada).await.is_empty());
    assert_eq!(page(&mut ada, &format!("?project={federal}")).await.unwrap_err(), 404);
    assert_eq!(page(&mut pi, &format!("?project={nothing}")).await.unwrap_err(), 404);
    assert_eq!(page(&mut root, &format!("?project={federal}")).await.unwrap_err(), 403);

    // Refused, with a word why.
    let user = ada.id();
    assert_eq!(refuse(&mut ada, federal, user, "no").await.unwrap_err().status, 404);
    assert_eq!(refuse(&mut root, federal, user, "no").await.unwrap_err().code, "not_manager");
    assert_eq!(refuse(&mut pi, federal, user, " ").await.unwrap_err().code, "no_reason");
    assert_eq!(refuse(&mut pi, federal, eva.id(), "no").await.unwrap_err().code, "join_not_open");
    refuse(&mut pi, federal, user, "no room this year").await.unwrap();
    assert_eq!(refuse(&mut pi, federal, user, "no").await.unwrap_err().code, "join_not_open");
    assert!(waiting(&mut pi).await.is_empty());
    let answered = own(&mut ada).await.into_iter().find(|one| one.project == federal).unwrap();
    assert_eq!((answered.state, answered.reason.as_deref()), (JoinState::Refused, Some("no room this year")));
    let heard = told(&mut ada).await;
    assert_eq!((heard.len(), heard[0].kind.as_str(), heard[0].about.user), (1, "join-refused", None));
    assert_eq!(ask(&mut ada, federal, "").await.unwrap_err().code, "join_again");

    // A day later again; and a head of the project grants it.
    server.advance(DAY_MS + 1);
    for person in [&mut ada, &mut pi] {
        person.login(&server).await;
    }
    ask(&mut ada, federal, "now?").await.unwrap();
    join(&mut pi, federal, user, None).await.unwrap();
    assert!(waiting(&mut pi).await.is_empty());
    assert_eq!(kinds(&mut ada).await, ["join-refused", "join-granted"]);
    assert_eq!(own(&mut ada).await.iter().map(|one| one.project).collect::<Vec<_>>(), [nothing]);
    assert_eq!(ask(&mut ada, federal, "").await.unwrap_err().code, "joined_already");
    withdraw(&mut ada, nothing).await.unwrap();
    assert_eq!(withdraw(&mut ada, nothing).await.unwrap_err().code, "join_not_open");
    // That one was made more than a day ago.
    ask(&mut ada, nothing, "").await.unwrap();
}

#[tokio::test]
async fn what_becomes_of_requests_that_nobody_answers() {
    let server = Server::start().await;
    let (mut root, mut pi) = investigator(&server).await;
    let (mut ada, mut eva) = (server.member(&mut root, "ada").await, server.member(&mut root, "eva").await);
    let federal = make(&mut pi, None, "Federal", None).await.unwrap();
    ask(&mut ada, federal, "").await.unwrap();
    ask(&mut eva, federal, "").await.unwrap();
    assert_eq!(waiting(&mut pi).await.len(), 2);
    let first = page(&mut pi, "?limit=1").await.unwrap();
    let second = page(&mut pi, &format!("?limit=1&page={}", first.next.unwrap())).await.unwrap();
    assert_eq!((first.requests.len(), second.requests.len(), second.next), (1, 1, None));
    assert_ne!(first.requests, second.requests);
    // Whoever is not active waits out of sight, and is there again.
    root.state(&eva, Action::Deactivate, "away").await.unwrap();
    assert_eq!(waiting(&mut pi).await.iter().map(|one| one.user).collect::<Vec<_>>(), [ada.id()]);
    root.state(&eva, Action::Activate, "").await.unwrap();
    assert_eq!(waiting(&mut pi).await.len(), 2);
    // That a project is gone, who asked does not learn.
    let before = own(&mut ada).await;
    let () = pi.ask(Operation::ProjectDelete, &[&federal.to_string()], &()).await.unwrap();
    assert_eq!(own(&mut ada).await, before);
    assert!(waiting(&mut pi).await.is_empty());
    withdraw(&mut ada, federal).await.unwrap();

    // There is an end to what one person asks.
    for _ in 0..49 {
        ask(&mut ada, ProjectId::from_random(random()), "").await.unwrap();
    }
    assert_eq!(ask(&mut ada, ProjectId::from_random(random()), "").await.unwrap_err().code, "too_many_joins");
}

#[tokio::test]
async fn people_are_reminded_of_what_ends_once_for_each_day_and_end() {
    let server = Server::start().await;
    let (mut root, mut pi) = investigator(&server).await;
    let (mut ada, mut bob) = (server.member(&mut root, "ada").await, server.member(&mut root, "bob").await);
    let federal = make(&mut pi, None, "Federal", None).await.unwrap();
    let in_days = |days: u64| Some(server.now().plus_millis(days * DAY_MS));
    let (end_of_ada, end_of_bob) = (in_days(60), in_days(61));
    join(&mut pi, federal, ada.id(), end_of_ada).await.unwrap();
    join(&mut pi, federal, bob.id(), end_of_bob).await.unwrap();
    let requirement = RequirementId::from_random(random());
    let about = RequirementAbout {
        name: "Training".parse().unwrap(),
        description: String::new(),
        must_expire: false,
        default_lifespan_ms: None,
        maximum_lifespan_ms: None,
    };
    let request = RequirementSetRequest { revision: 0, about };
    let () = root.ask(Operation::RequirementSet, &[&requirement.to_string()], &request).await.unwrap();
    let request = CertificationSetRequest { requirement, user: ada.id(), expires_ms: end_of_ada };
    let _: CertificationSetReply = root.ask(Operation::CertificationSet, &[], &request).await.unwrap();

    // Thirty days before, both of what she has; and who may add her again.
    server.advance(30 * DAY_MS);
    ada.login(&server).await;
    eventually("she is reminded", async || told(&mut ada).await.len() == 2).await;
    let mut heard = kinds(&mut ada).await;
    heard.sort();
    assert_eq!(heard, ["certification-ending", "membership-ending"]);
    assert!(told(&mut ada).await.iter().all(|one| one.about.ends_ms == end_of_ada && one.about.user.is_none()));
    pi.login(&server).await;
    let of_pi = told(&mut pi).await;
    assert_eq!((of_pi.len(), of_pi[0].about.project, of_pi[0].about.user), (1, Some(federal), Some(ada.id())));

    // Not again the next day, when somebody else's turn comes, nor after a restart.
    for person in [&mut root, &mut pi, &mut ada, &mut bob] {
        person.wire = None;
    }
    let server = server.restart().await;
    server.advance(DAY_MS);
    bob.login(&server).await;
    eventually("he is reminded", async || told(&mut bob).await.len() == 1).await;
    ada.login(&server).await;
    assert_eq!(kinds(&mut ada).await.len(), 2);

    // Renewed, she is reminded of what was not renewed alone.
    pi.login(&server).await;
    let renewed = Some(server.now().plus_millis(90 * DAY_MS));
    let terms = NewMember { expires_ms: renewed, update: true, ..member(ada.id()) };
    change(&mut pi, federal, vec![terms], vec![]).await.unwrap();
    server.advance(22 * DAY_MS);
    ada.login(&server).await;
    eventually("a week before", async || told(&mut ada).await.len() == 3).await;
    assert_eq!(kinds(&mut ada).await[2], "certification-ending");

    // And anew when the other end comes near.
    server.advance(40 * DAY_MS);
    ada.login(&server).await;
    eventually("of the other end", async || told(&mut ada).await.len() == 4).await;
    let last = told(&mut ada).await.pop().unwrap();
    assert_eq!((last.kind.as_str(), last.about.ends_ms), ("membership-ending", renewed));
    pi.login(&server).await;
    assert_eq!(told(&mut pi).await.len(), 3, "of her, of him, of her again");
}
