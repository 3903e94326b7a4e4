#![allow(clippy::unwrap_used)]
use super::*;
use crate::label::tests::{label, line};

const ABSENT: Timestamp = Timestamp::ABSENT;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn span(since: u64, until: u64) -> Span {
    Span { since: at(since), until: at(until) }
}

fn member(since: u64, until: u64) -> Membership {
    Membership { span: span(since, until), role: MemberRole::User, restrictions: Restrictions::NONE }
}

fn demand(in_force: Span, certified: Option<Span>) -> Demand {
    Demand { requirement: RequirementId::from_random([7; 16]), in_force, certified }
}

/// A member of every project on the way, since ever and for ever.
fn standing(word: &str) -> StandingLine {
    let line = line(word);
    let steps =
        line.projects().iter().map(|project| Standing { project: *project, membership: Some(member(0, 0)), is_pi: false, demands: vec![] });
    StandingLine::new(steps.collect())
}

fn without(mut line: StandingLine, step: usize) -> StandingLine {
    line.0.get_mut(step).unwrap().membership = None;
    line
}

#[test]
fn a_membership_counts_from_login_to_now() {
    // Login at 100, now 200.
    for (membership, expected) in [
        (Some(member(50, 0)), None),
        (Some(member(100, 0)), None),
        (Some(member(50, 201)), None),
        (Some(member(50, 200)), Some(Denial::MembershipExpired)),
        (Some(member(101, 0)), Some(Denial::NeedsLogin)),
        (None, Some(Denial::NotMember)),
    ] {
        let standing = Standing { project: ProjectId::from_random([1; 16]), membership, is_pi: false, demands: vec![] };
        assert_eq!(standing.holds(at(100), at(200)).err(), expected, "{membership:?}");
    }
}

#[test]
fn each_requirement_in_force_since_login_asks_for_a_certification() {
    let requirement = RequirementId::from_random([7; 16]);
    let uncertified = Some(Denial::Uncertified { requirement });
    for (in_force, certified, expected) in [
        (span(0, 0), Some(span(50, 0)), None),
        (span(0, 0), Some(span(50, 201)), None),
        (span(0, 0), Some(span(50, 200)), uncertified),
        (span(0, 0), Some(span(150, 0)), Some(Denial::NeedsLogin)),
        (span(0, 0), None, uncertified),
        // Asked for only after the login: lost at once. No longer asked for: not gained before the next login.
        (span(150, 0), None, uncertified),
        (span(0, 150), None, uncertified),
        // Asked for no more at the login already.
        (span(0, 100), None, None),
    ] {
        let demands = vec![demand(in_force, certified)];
        let standing = Standing { project: ProjectId::from_random([1; 16]), membership: Some(member(0, 0)), is_pi: false, demands };
        assert_eq!(standing.holds(at(100), at(200)).err(), expected, "{in_force:?} {certified:?}");
    }
}

#[test]
fn a_session_never_gains_and_what_is_lost_stays_lost() {
    // Every membership, requirement and certification over six moments: once a session does not hold a project, it never does again.
    let spans = || (0..6).flat_map(|since| (0..7).map(move |until| span(since + 1, if until == 6 { 0 } else { until + 1 })));
    for membership in spans() {
        for in_force in spans() {
            for certified in spans().map(Some).chain([None]) {
                let held = |login, now| {
                    let membership = Membership { span: membership, ..member(0, 0) };
                    let demands = vec![demand(in_force, certified)];
                    let standing =
                        Standing { project: ProjectId::from_random([1; 16]), membership: Some(membership), is_pi: false, demands };
                    standing.holds(at(login), at(now)).is_ok()
                };
                for login in 1..7 {
                    for now in login..7 {
                        assert!(held(login, now) || !held(login, now + 1), "{membership:?} {in_force:?} {certified:?} {login} {now}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_child_takes_its_ancestors() {
    assert!(standing("123").holds(at(1), at(2)).is_ok());
    for step in 0..3 {
        assert_eq!(without(standing("123"), step).holds(at(1), at(2)), Err(Denial::NotMember));
    }
    let mut restricted = standing("12");
    for (step, restriction) in restricted.0.iter_mut().zip([Restrictions::NO_EDIT, Restrictions::NO_DOWNLOAD]) {
        step.membership.as_mut().unwrap().restrictions = restriction;
    }
    assert_eq!(restricted.holds(at(1), at(2)), Ok(Restrictions::NO_EDIT.and(Restrictions::NO_DOWNLOAD)));
}

#[test]
fn managers_and_pis_manage_what_they_hold() {
    let mut line = standing("12");
    assert!(!line.manages(at(1), at(2)));
    line.0.first_mut().unwrap().membership.as_mut().unwrap().role = MemberRole::Manager;
    assert!(!line.manages(at(1), at(2)), "a manager of the parent is none of the child");
    let mut pi = line.clone();
    pi.0.last_mut().unwrap().is_pi = true;
    assert!(pi.manages(at(1), at(2)));
    line.0.last_mut().unwrap().membership.as_mut().unwrap().role = MemberRole::Manager;
    assert!(line.manages(at(1), at(2)));
    assert!(!without(line, 0).manages(at(1), at(2)));
}

#[test]
fn reading_is_within_and_writing_is_at_the_working_set() {
    let set = |lines| ActiveSet::new(at(1), lines).unwrap();
    let read = |set: &ActiveSet, words: &[&str]| set.covers(&label(words), at(2)).is_ok();
    let write = |set: &ActiveSet, words: &[&str]| set.is_at(&label(words), at(2)).err();
    let florida = set(vec![standing("12")]);
    for (words, reads, writes) in [
        (&["12"][..], true, None),
        (&["1"], true, Some(Denial::OtherLabel)),
        (&[], true, Some(Denial::OtherLabel)),
        (&["13"], false, Some(Denial::OtherLabel)),
        (&["124"], false, Some(Denial::OtherLabel)),
        (&["12", "5"], false, Some(Denial::OtherLabel)),
    ] {
        assert_eq!((read(&florida, words), write(&florida, words)), (reads, writes), "{words:?}");
    }
    // Florida is lost, and becomes dead weight: the nation's data is still read, and nothing is written.
    let lost = set(vec![without(standing("12"), 1), standing("5")]);
    assert!(read(&lost, &["1"]) && read(&lost, &["1", "5"]) && read(&lost, &[]) && !read(&lost, &["12"]));
    for words in [&["12", "5"][..], &["1"], &["5"], &[]] {
        assert_eq!(write(&lost, words), Some(Denial::DeadWeight), "{words:?}");
    }
    // The parent is lost, and all below with it.
    assert!(!read(&set(vec![without(standing("12"), 0)]), &["12"]));
    assert!(read(&ActiveSet::empty(at(1)), &[]) && write(&ActiveSet::empty(at(1)), &[]).is_none());
}

#[test]
fn a_working_set_has_one_project_of_a_tree() {
    assert!(ActiveSet::new(at(1), vec![standing("5"), standing("12")]).is_some());
    assert_eq!(ActiveSet::new(at(1), vec![standing("12"), standing("13")]), None);
    assert_eq!(ActiveSet::new(at(1), vec![standing("1"), standing("12")]), None);
    assert_eq!(ActiveSet::new(ABSENT, vec![StandingLine::new(vec![])]), None);
}
