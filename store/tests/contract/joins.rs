//! Requests to join projects, and reminders of what ends.

use ticrypt_policy::join::{JoinFacts, may_ask_to_join, may_refuse_join, may_withdraw_join};
use ticrypt_policy::project::may_delete_project;
use ticrypt_policy::reminder::{Reminded, due, horizon};
use ticrypt_policy::user::may_deactivate;
use ticrypt_store::StoreError;
use ticrypt_store::join::Join;
use ticrypt_store::notification::Notification;
use ticrypt_store::reminder::{EndingOf, Reminder};
use ticrypt_types::limits::{JOIN_AGAIN_MS, JOIN_KEPT_MS};
use ticrypt_types::user::InactiveCause;
use ticrypt_types::{JoinState, NotificationKind as Kind, ProjectId, Timestamp, UserId, Verbs};

use crate::lab::{Db, Lab, NOW, at};

const DAY_MS: u64 = 86_400_000;

fn later(ms: u64) -> Timestamp {
    at(NOW.as_millis() + ms)
}

impl Lab {
    async fn ask_at(&self, user: UserId, project: ProjectId, now: Timestamp) -> Result<(), StoreError> {
        let facts = self.store.join_facts(project, user, now).await?;
        let permit = may_ask_to_join(&self.able(user).await, &facts, now).unwrap();
        let tell = self.store.answerers(project, now).await?;
        self.store.ask_to_join(permit, "please".into(), tell, now).await
    }

    async fn refuse_at(&self, by: UserId, user: UserId, project: ProjectId, now: Timestamp) -> Result<(), StoreError> {
        let facts = self.store.project_facts(by, project).await?.unwrap();
        let asked = self.store.join_facts(project, user, now).await?;
        let permit = may_refuse_join(&self.able(by).await, &facts, &asked, "no room", now).unwrap();
        self.store.refuse_join(permit, "no room".into(), now).await
    }

    async fn own(&self, user: UserId, now: Timestamp) -> Vec<Join> {
        self.store.joins_of(user, None, now, None, 100).await.unwrap()
    }

    async fn waiting(&self, project: ProjectId) -> Vec<UserId> {
        self.store.open_joins(&[project], None, 100).await.unwrap().into_iter().map(|join| join.user).collect()
    }

    /// What somebody was told about projects, requirements and shares that end.
    async fn heard(&self, user: UserId) -> Vec<Notification> {
        let all = self.store.notifications_after(user, 0, 1_000).await.unwrap();
        all.into_iter().filter(|one| one.project.is_some() || one.ends.is_some()).collect()
    }

    async fn kinds_heard(&self, user: UserId) -> Vec<Kind> {
        self.heard(user).await.into_iter().map(|one| one.kind.unwrap()).collect()
    }

    /// May manage members; everybody in the lab is permitted by what a newcomer may, which is not this.
    async fn permitted_to_manage(&self, root: UserId, user: UserId) {
        let facts = self.store.user_facts(user, NOW).await.unwrap().unwrap();
        let had = self.store.user(user).await.unwrap().unwrap().permissions;
        let wanted = had.with(ticrypt_types::Permission::ProjectManage);
        let permit = ticrypt_policy::user::may_set_permissions(&self.actor(root).await, &facts, had, wanted, NOW).unwrap();
        self.store.set_permissions(permit, wanted).await.unwrap();
    }
}

pub async fn a_request_from_asking_to_a_head(db: Db) {
    let lab = db.open().await;
    // A super-admin passes over permissions, but not over membership.
    let (pi, ada, eva) = (lab.super_admin("pi").await, lab.active("ada").await, lab.active("eva").await);
    let federal = lab.make(pi, None, "Federal", None).await;
    let texas = lab.make(pi, None, "Texas", None).await;
    assert_eq!(lab.store.answerers(federal, NOW).await.unwrap(), [pi]);
    lab.ask_at(ada, federal, NOW).await.unwrap();
    lab.ask_at(eva, federal, NOW).await.unwrap();
    lab.ask_at(ada, texas, NOW).await.unwrap();
    let facts = JoinFacts {
        project: federal,
        user: ada,
        last: Some((JoinState::Open, NOW)),
        revision: 1,
        is_member: false,
        of_person: 1,
        of_project: 1,
    };
    assert_eq!(lab.store.join_facts(federal, ada, NOW).await.unwrap(), facts);
    let mut both = vec![ada, eva];
    both.sort_unstable();
    assert_eq!(lab.waiting(federal).await, both);
    let first = lab.store.open_joins(&[federal], None, 1).await.unwrap().remove(0);
    let rest = lab.store.open_joins(&[federal], Some((first.project, first.user)), 5).await.unwrap();
    assert_eq!(rest.iter().map(|join| join.user).collect::<Vec<_>>(), both[1..]);
    assert_eq!((first.message.as_str(), first.state, first.asked, first.closed), ("please", JoinState::Open, NOW, Timestamp::ABSENT));
    assert_eq!(first.bundle, lab.store.user(first.user).await.unwrap().unwrap().bundle);
    assert!(lab.store.open_joins(&[], None, 5).await.unwrap().is_empty());
    assert_eq!(lab.kinds_heard(pi).await, [Kind::JoinAsked; 3]);
    let heard = &lab.heard(pi).await[0];
    assert_eq!((heard.project, heard.other, heard.at), (Some(federal), Some(ada), NOW));

    // Refused, with a reason that only who asked reads; nobody is named.
    lab.refuse_at(pi, ada, federal, later(5)).await.unwrap();
    assert_eq!(lab.waiting(federal).await, [eva]);
    let own = lab.store.joins_of(ada, Some(federal), later(5), None, 5).await.unwrap();
    assert_eq!((own.len(), own[0].state, own[0].reason.as_str(), own[0].closed), (1, JoinState::Refused, "no room", later(5)));
    let heard = lab.heard(ada).await;
    assert_eq!((heard.len(), heard[0].kind, heard[0].project, heard[0].other), (1, Some(Kind::JoinRefused), Some(federal), None));
    assert_eq!(lab.own(ada, later(5)).await.len(), 2);
    assert_eq!(lab.own(ada, later(5 + JOIN_KEPT_MS)).await.len(), 1, "closed ones are forgotten");

    // Asked again, and taken in: by the head, in its transaction.
    lab.ask_at(ada, federal, later(JOIN_AGAIN_MS)).await.unwrap();
    assert_eq!(lab.store.join_facts(federal, ada, NOW).await.unwrap().revision, 3);
    let now = later(JOIN_AGAIN_MS + 1);
    lab.join(pi, federal, ada, Timestamp::ABSENT, now).await;
    assert_eq!(lab.own(ada, now).await.iter().map(|join| join.project).collect::<Vec<_>>(), [texas]);
    assert_eq!(lab.kinds_heard(ada).await, [Kind::JoinRefused, Kind::JoinGranted]);
    let facts = lab.store.join_facts(federal, ada, now).await.unwrap();
    assert_eq!((facts.last, facts.revision, facts.is_member), (None, 0, true));
    // Who was not asking is told nothing, and a refused request goes without a word.
    lab.refuse_at(pi, eva, federal, now).await.unwrap();
    lab.join(pi, federal, eva, later(10 * DAY_MS), now).await;
    assert_eq!(lab.kinds_heard(eva).await, [Kind::JoinRefused]);
    assert!(lab.own(eva, now).await.is_empty());
    // Out, or past one's time, one asks like anybody else.
    assert!(!lab.store.join_facts(federal, eva, later(10 * DAY_MS)).await.unwrap().is_member);
    lab.put_out(pi, federal, ada).await;
    assert!(!lab.store.join_facts(federal, ada, now).await.unwrap().is_member);
}

pub async fn what_is_asked_of_what_is_not_there(db: Db) {
    let lab = db.open().await;
    let (pi, ada) = (lab.super_admin("pi").await, lab.active("ada").await);
    let (nothing, federal) = (ProjectId::from_random(lab.draw()), lab.make(pi, None, "Federal", None).await);
    for project in [nothing, federal] {
        lab.ask_at(ada, project, NOW).await.unwrap();
    }
    // But for the ids, nothing tells the two apart; nor does it when the one is deleted.
    let alike = |joins: Vec<Join>| {
        let [a, b] = <[Join; 2]>::try_from(joins).unwrap();
        assert_eq!(Join { project: b.project, ..a }, b);
    };
    alike(lab.own(ada, NOW).await);
    assert!(lab.store.answerers(nothing, NOW).await.unwrap().is_empty());
    let facts = lab.store.project_facts(pi, federal).await.unwrap().unwrap();
    lab.store.delete_project(may_delete_project(&lab.able(pi).await, &facts, NOW).unwrap()).await.unwrap();
    alike(lab.own(ada, NOW).await);
    for project in [nothing, federal] {
        let facts = lab.store.join_facts(project, ada, NOW).await.unwrap();
        lab.store.withdraw_join(may_withdraw_join(&lab.able(ada).await, &facts, NOW).unwrap(), NOW).await.unwrap();
    }
    let own = lab.own(ada, NOW).await;
    assert!(own.iter().all(|join| join.state == JoinState::Withdrawn && join.message.is_empty()));
    alike(own);
    // Another request clears away what is forgotten.
    let now = later(JOIN_KEPT_MS + 1);
    lab.ask_at(ada, ProjectId::from_random(lab.draw()), now).await.unwrap();
    assert_eq!(lab.store.join_facts(nothing, ada, now).await.unwrap().last, None);
}

pub async fn who_is_away_waits_and_what_is_decided_goes_stale(db: Db) {
    let lab = db.open().await;
    let (pi, ada, eva) = (lab.super_admin("pi").await, lab.active("ada").await, lab.active("eva").await);
    let federal = lab.make(pi, None, "Federal", None).await;
    let ask = async |user| {
        let facts = lab.store.join_facts(federal, user, NOW).await.unwrap();
        may_ask_to_join(&lab.able(user).await, &facts, NOW).unwrap()
    };
    let (first, second) = (ask(ada).await, ask(ada).await);
    lab.store.ask_to_join(first, String::new(), vec![], NOW).await.unwrap();
    let stale = |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::Stale(_))), "{result:?}");
    stale(lab.store.ask_to_join(second, String::new(), vec![], NOW).await);
    let facts = lab.store.join_facts(federal, ada, NOW).await.unwrap();
    let withdraw = may_withdraw_join(&lab.able(ada).await, &facts, NOW).unwrap();
    lab.refuse_at(pi, ada, federal, NOW).await.unwrap();
    stale(lab.store.withdraw_join(withdraw, NOW).await);
    // Taken in between the decision and the write.
    let late = ask(eva).await;
    lab.join(pi, federal, eva, Timestamp::ABSENT, NOW).await;
    stale(lab.store.ask_to_join(late, String::new(), vec![], NOW).await);

    // Those who may add people, and nobody else, are told.
    let (bob, cay) = (lab.active("bob").await, lab.active("cay").await);
    assert_eq!(lab.store.answerers(federal, NOW).await.unwrap(), [pi]);
    lab.permitted_to_manage(pi, eva).await;
    assert_eq!(lab.store.answerers(federal, NOW).await.unwrap(), [pi], "a plain member with the permission");
    // Whoever is not active waits out of sight.
    lab.ask_at(bob, federal, NOW).await.unwrap();
    lab.ask_at(cay, federal, NOW).await.unwrap();
    let facts = lab.store.user_facts(bob, NOW).await.unwrap().unwrap();
    let permit = may_deactivate(&lab.actor(pi).await, &facts, "away", NOW).unwrap();
    lab.store.deactivate(permit, InactiveCause::Administrator, "away".into(), lab.statement(bob, 2)).await.unwrap();
    assert_eq!(lab.waiting(federal).await, [cay]);
    assert_eq!(lab.own(bob, NOW).await[0].state, JoinState::Open);
}

pub async fn reminders_once_for_each_end(db: Db) {
    let lab = db.open().await;
    let (pi, ada) = (lab.super_admin("pi").await, lab.active("ada").await);
    let federal = lab.make(pi, None, "Federal", None).await;
    let end = later(60 * DAY_MS);
    lab.join(pi, federal, ada, end, NOW).await;
    let requirement = lab.requirement(pi, "Training").await;
    lab.certify(pi, requirement, ada, end, NOW).await;
    let home = lab.home(pi).await;
    let shared = lab.directory(pi, home, "shared").await;
    let grant = lab.share_until(pi, shared, ada, Verbs::VIEW, end).await;

    let remind = async |now: Timestamp| {
        let mut given = Vec::new();
        for ending in lab.store.endings(now, horizon(now)).await.unwrap() {
            let Some(days) = due(ending.term, ending.last, now) else { continue };
            let others = match ending.of {
                EndingOf::Membership(project) => lab.store.answerers(project, now).await.unwrap(),
                _ => vec![],
            };
            given.push(Reminder { ending, days, others });
        }
        let count = given.len();
        lab.store.remind(given, now).await.unwrap();
        count
    };
    assert_eq!(remind(later(30 * DAY_MS - 1)).await, 0);
    assert_eq!(remind(later(30 * DAY_MS)).await, 3);
    assert_eq!(remind(later(31 * DAY_MS)).await, 0, "once");
    let heard = lab.heard(ada).await;
    assert!(heard.iter().all(|one| one.ends == Some(end)));
    let find = |heard: &[Notification], kind| heard.iter().find(|one| one.kind == Some(kind)).cloned().unwrap();
    let own = find(&heard, Kind::MembershipEnding);
    assert_eq!((own.project, own.other), (Some(federal), None));
    assert_eq!(find(&heard, Kind::CertificationEnding).requirement, Some(requirement));
    let share = find(&heard, Kind::ShareEnding);
    assert_eq!((share.grant, share.node, share.other), (Some(grant.id), Some(shared), Some(pi)));
    let of_pi = lab.heard(pi).await;
    assert_eq!(of_pi.len(), 2);
    assert_eq!(find(&of_pi, Kind::MembershipEnding).other, Some(ada));
    assert_eq!(find(&of_pi, Kind::GivenShareEnding).other, Some(ada));

    // Again a week before; what was renewed has another end.
    let renewed = later(100 * DAY_MS);
    lab.join(pi, federal, ada, renewed, later(40 * DAY_MS)).await;
    assert_eq!(remind(later(53 * DAY_MS)).await, 2);
    assert_eq!(remind(later(54 * DAY_MS)).await, 0);
    assert_eq!(remind(later(70 * DAY_MS)).await, 1);
    assert_eq!(lab.heard(ada).await.last().unwrap().ends, Some(renewed));
    let last = lab.store.endings(later(71 * DAY_MS), renewed).await.unwrap();
    assert_eq!(last.iter().map(|ending| ending.last).collect::<Vec<_>>(), [Some(Reminded { ends: renewed, days: 30 })]);
    // Who is out is reminded of nothing.
    lab.put_out(pi, federal, ada).await;
    assert_eq!(remind(later(95 * DAY_MS)).await, 0);
}
