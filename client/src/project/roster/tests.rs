#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use ticrypt_api::{Blob, Hash};
use ticrypt_crypto::Envelope;
use ticrypt_crypto::project::roster;
use ticrypt_keyring::SigningKey;
use ticrypt_types::{MemberRole, Restrictions};

use super::*;
use crate::error::Kind;

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn id(n: u8) -> UserId {
    UserId::from_random([n; 16])
}

fn project(n: u8) -> ProjectId {
    ProjectId::from_random([n; 16])
}

fn entry_of(n: u8, role: MemberRole, expires: Timestamp) -> RosterEntry {
    RosterEntry {
        deployment: DeploymentId::from_random([1; 16]),
        project: project(7),
        user: id(n),
        role,
        restrictions: Restrictions::NONE,
        expires,
        salt: [n; 16],
    }
}

fn manager(n: u8) -> RosterEntry {
    entry_of(n, MemberRole::Manager, Timestamp::ABSENT)
}

fn user(n: u8) -> RosterEntry {
    entry_of(n, MemberRole::User, Timestamp::ABSENT)
}

/// Whoever signed was verified before a head comes here, so one key signs for all.
fn signed(payload: &ProjectHeadPayload) -> Signed<ProjectHeadPayload> {
    let signing = SigningKey::generate().unwrap();
    let envelope = signing.sign_record(payload).unwrap();
    Envelope::parse(&envelope).unwrap().verify_as(signing.public_key()).unwrap()
}

fn proof(entries: &[RosterEntry], n: u8) -> EntryProof {
    let entry = entries.iter().find(|entry| entry.user == id(n)).unwrap();
    let beside = roster(entries.iter().cloned()).unwrap().proof(id(n).as_bytes()).unwrap();
    EntryProof { entry: Blob(entry.to_bytes()), beside: beside.iter().map(|hash| Hash(hash.to_bytes())).collect() }
}

/// The next head over these members, by this person, or the first.
fn head(before: Option<&Signed<ProjectHeadPayload>>, writer: u8, entries: &[RosterEntry]) -> ProjectHeadPayload {
    ProjectHeadPayload {
        deployment: DeploymentId::from_random([1; 16]),
        project: project(7),
        parent: None,
        counter: before.map_or(1, |before| before.counter + 1),
        previous: before.map(|before| before.record_hash()),
        members: entries.len() as u64,
        root: roster(entries.iter().cloned()).unwrap().root(),
        pi: Some(id(1)),
        writer: id(writer),
        writer_bundle: Digest::ZERO,
        at: NOW,
    }
}

fn refused(result: Result<()>, part: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), Kind::Untrusted, "{error}");
    assert!(error.to_string().contains(part), "{part}: {error}");
}

#[test]
fn the_next_head_is_by_a_manager_or_the_investigator_as_the_one_before_has_them() {
    let members = [user(1), manager(2), user(3), entry_of(4, MemberRole::Manager, NOW)];
    let first = signed(&head(None, 2, &members));
    follow(None, &first, &proof(&members, 2)).unwrap();
    for (writer, why) in [(1, None), (2, None), (3, Some("only")), (4, Some("expired"))] {
        let next = signed(&head(Some(&first), writer, &members[..2]));
        let followed = follow(Some(&first), &next, &proof(&members, writer));
        match why {
            None => followed.unwrap(),
            Some(_) => refused(followed, "no leave to"),
        }
    }
    // Made a manager by the very head that they sign; or shown with a manager's entry.
    let promoted = [user(1), manager(2), manager(3)];
    let next = signed(&head(Some(&first), 3, &promoted));
    refused(follow(Some(&first), &next, &proof(&promoted, 3)), "not under the head");
    refused(follow(Some(&first), &next, &proof(&members, 2)), "somebody else's entry");
    // The investigator of before counts, not the one that a head names itself.
    let usurped = ProjectHeadPayload { pi: Some(id(3)), ..head(Some(&first), 3, &members) };
    refused(follow(Some(&first), &signed(&usurped), &proof(&members, 3)), "no leave to");
}

#[test]
fn heads_follow_one_another() {
    let members = [manager(1)];
    let first = signed(&head(None, 1, &members));
    let next = head(Some(&first), 1, &members);
    for (name, next) in [
        ("a head left out", ProjectHeadPayload { counter: 3, ..next.clone() }),
        ("of another history", ProjectHeadPayload { previous: Some(Digest::of(b"another")), ..next.clone() }),
        ("moved below another project", ProjectHeadPayload { parent: Some(project(8)), ..next.clone() }),
        ("of another project", ProjectHeadPayload { project: project(8), ..next.clone() }),
        ("of another deployment", ProjectHeadPayload { deployment: DeploymentId::from_random([2; 16]), ..next.clone() }),
    ] {
        let error = follow(Some(&first), &signed(&next), &proof(&members, 1)).unwrap_err();
        assert!(error.to_string().contains("does not follow"), "{name}: {error}");
    }
    refused(follow(None, &signed(&next), &proof(&members, 1)), "first head is missing");
}

fn walk(seen: Option<&Signed<ProjectHeadPayload>>) -> Walk {
    Walk { project: project(7), seen: seen.map(|head| (head.counter, head.record_hash())), newest: None }
}

#[test]
fn what_was_seen_is_gone_on_from_and_never_back_behind() {
    let members = [manager(1)];
    let first = signed(&head(None, 1, &members));
    let second = signed(&head(Some(&first), 1, &members));
    let third = signed(&head(Some(&second), 1, &members));
    let shown = |heads: &[&Signed<ProjectHeadPayload>]| -> Vec<Shown> {
        heads.iter().map(|head| Shown { head: (*head).clone(), signer: proof(&members, 1) }).collect()
    };
    let mut fresh = walk(None);
    assert_eq!(fresh.after(), 0);
    assert!(!fresh.go_on(shown(&[&first]), 3).unwrap(), "there are more to come");
    assert_eq!(fresh.after(), 1);
    assert!(fresh.go_on(shown(&[&second, &third]), 3).unwrap());
    assert_eq!(fresh.newest.unwrap().record_hash(), third.record_hash());

    let mut later = walk(Some(&second));
    assert_eq!(later.after(), 1);
    assert!(later.go_on(shown(&[&second, &third]), 3).unwrap());

    // Another head in the place of the one that was seen; none at all; those up to the counter, but not to the server's.
    let other = signed(&ProjectHeadPayload { at: Timestamp::from_millis(2_000), ..(*second).clone() });
    let untrusted = |result: Result<bool>, part: &str| refused(result.map(drop), part);
    untrusted(walk(Some(&second)).go_on(shown(&[&other]), 2), "first head is missing");
    untrusted(walk(Some(&second)).go_on(vec![], 0), "heads are missing");
    untrusted(walk(None).go_on(vec![], 2), "heads are missing");
    let mut short = walk(None);
    assert!(!short.go_on(shown(&[&first]), 2).unwrap());
    untrusted(short.go_on(vec![], 2), "newest heads are missing");
    assert!(walk(None).go_on(vec![], 0).unwrap(), "a project from before");
    let elsewhere = Walk { project: project(8), ..walk(None) };
    untrusted({ elsewhere }.go_on(shown(&[&first]), 1), "of another project");
}

#[test]
fn who_is_proven_is_in_every_project_and_still() {
    let above: Vec<RosterEntry> =
        [manager(1), user(2), user(3)].into_iter().map(|entry| RosterEntry { project: project(6), ..entry }).collect();
    let below = [manager(1), user(2), entry_of(4, MemberRole::User, Timestamp::ABSENT), entry_of(5, MemberRole::User, NOW)];
    let head_above = Arc::new(signed(&ProjectHeadPayload { project: project(6), ..head(None, 1, &above) }));
    let head_below = Arc::new(signed(&ProjectHeadPayload { parent: Some(project(6)), ..head(None, 1, &below) }));
    let line = [Arc::clone(&head_above), Arc::clone(&head_below)];
    let shown = |entries: &[RosterEntry], n: u8| MemberProof { counter: 1, proof: proof(entries, n) };
    let all = [shown(&above, 2), shown(&below, 2), shown(&above, 3), shown(&below, 4), shown(&below, 5)];
    let mut sure = proven(&line, &all, Timestamp::from_millis(999)).unwrap();
    assert_eq!(sure, [id(2)]);
    sure = proven(&line[1..], &all, Timestamp::from_millis(999)).unwrap();
    sure.sort_unstable();
    assert_eq!(sure, [id(2), id(4), id(5)]);
    // At the millisecond at which it ends, it has ended.
    assert!(!proven(&line[1..], &all, NOW).unwrap().contains(&id(5)));
    // The same entry twice is no second project; a proof of an older head is none; an entry that is not there is a lie.
    assert!(proven(&line, &[shown(&below, 2), shown(&below, 2)], NOW).unwrap().is_empty());
    let older = MemberProof { counter: 2, ..shown(&below, 2) };
    assert!(proven(&line[1..], &[older], NOW).unwrap().is_empty());
    let slipped_in = [manager(1), user(2), user(9)];
    assert!(proven(&line[1..], &[shown(&slipped_in, 9)], NOW).unwrap_err().to_string().contains("not under the head"));
}
