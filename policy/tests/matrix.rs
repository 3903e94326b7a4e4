//! The rules printed as tables, kept in `tests/output/` so that a change of a rule is seen in review as a change of a table.
//! `UPDATE_GOLDENS=1 cargo test -p ticrypt-policy` writes them anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write;
use std::sync::Arc;

use ticrypt_policy::access::GroupFact;
use ticrypt_policy::active::{ActiveSet, Membership, Standing, StandingLine};
use ticrypt_policy::grant::{GrantFacts, GrantTerms, may_create_grant, may_leave, may_list_grants, may_revoke};
use ticrypt_policy::node::{GrantFact, NodeFacts, PathStep, Trashed};
use ticrypt_policy::user::{self, UserFacts};
use ticrypt_policy::{Actor, Denial, Label, Line, audit, node, notification, session, version};
use ticrypt_types::{
    GrantId, GroupId, GroupPermissions, MemberRole, NodeId, NodeKind, Permissions, ProjectId, Rank, Restrictions, Span, Timestamp, UserId,
    UserState, Verbs,
};

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/output").join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{} differs from the rules; run with UPDATE_GOLDENS=1 and read the difference\n{text}", path.display());
}

fn word<T>(outcome: Result<T, Denial>) -> &'static str {
    match outcome {
        Ok(_) => "yes",
        Err(denial) => denial.code(),
    }
}

fn user(n: u8) -> UserId {
    UserId::from_random([n; 16])
}

fn place(n: u8) -> NodeId {
    NodeId::from_random([n; 16])
}

fn actor(n: u8, rank: Rank) -> Actor {
    Actor {
        user: user(n),
        rank,
        state: UserState::Active,
        disabled_until: Timestamp::ABSENT,
        epoch: 1,
        session_epoch: 1,
        permissions: Permissions::basic(),
        active: Arc::default(),
    }
}

fn step(n: u8, closure_seq: u64) -> PathStep {
    PathStep { node: place(n), closure_seq, rolled_seq: 1, boundary: false }
}

fn grant(on: u8, verbs: Verbs) -> GrantFact {
    GrantFact { grant: GrantId::from_random([1; 16]), hash: [1; 32], node: place(on), verbs, expires: Timestamp::ABSENT, ended: false }
}

/// Who asks: the owner, strangers of every kind, holders of every set of verbs, on the node and above it.
fn askers() -> Vec<(String, Actor, Vec<GrantFact>)> {
    let mut rows = vec![("owner".to_owned(), actor(9, Rank::User), vec![])];
    for rank in Rank::ALL {
        rows.push((format!("stranger, {rank}"), actor(1, *rank), vec![]));
    }
    let expired = GrantFact { expires: NOW, ..grant(11, Verbs::ALL) };
    rows.push(("holder, expired".to_owned(), actor(1, Rank::User), vec![expired]));
    rows.push(("holder, ended".to_owned(), actor(1, Rank::User), vec![GrantFact { ended: true, ..grant(11, Verbs::ALL) }]));
    for (on, where_) in [(11, "above"), (10, "itself")] {
        for verbs in (0..=15).filter_map(Verbs::from_bits) {
            let words = if verbs == Verbs::NONE { "names only".to_owned() } else { verbs.words().join("+") };
            rows.push((format!("{where_}: {words}"), actor(1, Rank::User), vec![grant(on, verbs)]));
        }
    }
    rows
}

/// A node in each state it can be in.
fn states(kind: NodeKind) -> Vec<(&'static str, NodeFacts)> {
    let live = NodeFacts {
        node: place(10),
        owner: user(9),
        group: None,
        label: Label::UNLOCKED,
        tags: Label::UNLOCKED,
        carried: std::collections::BTreeSet::new(),
        kind,
        revision: 1,
        head_counter: 1,
        epoch: 1,
        parent: Some(place(11)),
        trashed: Trashed::No,
        path: vec![step(10, 0), step(11, 0), step(12, 0)],
        grants: vec![],
        rights: 0,
    };
    let root = NodeFacts { parent: None, path: vec![step(10, 0)], ..live.clone() };
    let mut states = vec![
        ("live", live.clone()),
        ("closed itself", NodeFacts { path: vec![step(10, 2), step(11, 0), step(12, 0)], ..live.clone() }),
        ("closed above", NodeFacts { path: vec![step(10, 0), step(11, 2), step(12, 0)], ..live.clone() }),
        ("in the trash", NodeFacts { trashed: Trashed::Itself, ..live.clone() }),
        ("below the trash", NodeFacts { trashed: Trashed::Above, ..live }),
    ];
    if kind == NodeKind::Directory {
        states.push(("root", root));
    }
    states
}

type Rule = Box<dyn Fn(&Actor, &NodeFacts) -> &'static str>;

fn node_table(kind: NodeKind, rules: &[(&str, Rule)]) -> String {
    let mut text = String::new();
    for (state, facts) in states(kind) {
        writeln!(text, "== {state}").unwrap();
        write!(text, "{:<34}", "").unwrap();
        for (verb, _) in rules {
            write!(text, " {verb:<15}").unwrap();
        }
        text.push('\n');
        for (who, me, grants) in askers() {
            let facts = NodeFacts { grants, ..facts.clone() };
            write!(text, "{who:<34}").unwrap();
            for (_, rule) in rules {
                write!(text, " {:<15}", rule(&me, &facts)).unwrap();
            }
            text.push('\n');
        }
        text.push('\n');
    }
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn rule(rule: impl Fn(&Actor, &NodeFacts) -> &'static str + 'static) -> Rule {
    Box::new(rule)
}

#[test]
fn directories() {
    let target = |facts: &NodeFacts| NodeFacts {
        node: place(20),
        trashed: Trashed::No,
        parent: Some(place(11)),
        path: vec![step(20, 0), step(11, 0), step(12, 0)],
        kind: NodeKind::Directory,
        ..facts.clone()
    };
    let rules = [
        ("stat", rule(|me, facts| word(node::may_stat(me, facts, NOW)))),
        ("list", rule(|me, facts| word(node::may_list(me, facts, NOW)))),
        ("create", rule(|me, facts| word(node::may_create(me, facts, node::Making { files: true, directories: true }, NOW)))),
        ("upload", rule(|me, facts| word(version::may_upload(me, facts, NOW)))),
        ("rename", rule(|me, facts| word(node::may_rename(me, facts, NOW)))),
        ("move", rule(move |me, facts| word(node::may_move(me, facts, &target(facts), NOW)))),
        ("trash", rule(|me, facts| word(node::may_trash(me, facts, NOW)))),
        ("list trash", rule(|me, facts| word(node::may_list_trash(me, facts, NOW)))),
        ("restore", rule(|me, facts| word(node::may_restore(me, facts, NOW)))),
        ("delete", rule(|me, facts| word(node::may_delete(me, facts, NOW)))),
        ("rekey", rule(|me, facts| word(node::may_rekey(me, facts, NOW)))),
        ("history", rule(|me, facts| word(audit::may_read_history(me, facts, NOW)))),
    ];
    golden("directory.txt", &node_table(NodeKind::Directory, &rules));
}

#[test]
fn files() {
    let rules = [
        ("stat", rule(|me, facts| word(node::may_stat(me, facts, NOW)))),
        ("open", rule(|me, facts| word(version::may_open(me, facts, NOW)))),
        ("download", rule(|me, facts| word(version::may_download(me, facts, NOW)))),
        ("versions", rule(|me, facts| word(version::may_list_versions(me, facts, NOW)))),
        ("upload", rule(|me, facts| word(version::may_upload(me, facts, NOW)))),
        ("publish", rule(|me, facts| word(version::may_publish(me, facts, NOW)))),
        ("rename", rule(|me, facts| word(node::may_rename(me, facts, NOW)))),
        ("trash", rule(|me, facts| word(node::may_trash(me, facts, NOW)))),
        ("delete", rule(|me, facts| word(node::may_delete(me, facts, NOW)))),
        ("list", rule(|me, facts| word(node::may_list(me, facts, NOW)))),
        ("create", rule(|me, facts| word(node::may_create(me, facts, node::Making { files: true, directories: true }, NOW)))),
    ];
    golden("file.txt", &node_table(NodeKind::File, &rules));
}

#[test]
fn shares() {
    let terms = |me: &Actor, verbs, expires| GrantTerms {
        recipient: user(5),
        recipient_active: true,
        verbs,
        expires,
        authority: (me.user != user(9)).then_some([1; 32]),
    };
    let given = |sealer, recipient| GrantFacts {
        grant: GrantId::from_random([7; 16]),
        sealer: user(sealer),
        recipient: user(recipient),
        ended: false,
    };
    let rules = [
        ("give names", rule(move |me, facts| word(may_create_grant(me, facts, &terms(me, Verbs::NONE, Timestamp::ABSENT), NOW)))),
        ("give view", rule(move |me, facts| word(may_create_grant(me, facts, &terms(me, Verbs::VIEW, Timestamp::ABSENT), NOW)))),
        ("give all", rule(move |me, facts| word(may_create_grant(me, facts, &terms(me, Verbs::ALL, Timestamp::from_millis(2_000)), NOW)))),
        ("list", rule(|me, facts| word(may_list_grants(me, facts, NOW)))),
        ("end own gift", rule(move |me, facts| word(may_revoke(me, facts, &given(1, 5), NOW)))),
        ("end another's", rule(move |me, facts| word(may_revoke(me, facts, &given(6, 5), NOW)))),
        ("leave", rule(move |me, facts| word(may_leave(me, facts, &given(6, 1), NOW)))),
    ];
    golden("grant.txt", &node_table(NodeKind::Directory, &rules));
}

#[test]
fn homes() {
    let mut text = format!("{:<24} {:<20} {:<20}\n", "own tree", "make a home", "delete it whole");
    let seal = |ended| GrantFact { ended, ..grant(10, Verbs::ALL) };
    for (what, home, seals) in [
        ("none", node::Home::None, None),
        ("open", node::Home::Open, Some(vec![seal(false)])),
        ("open, given new keys", node::Home::Open, Some(vec![seal(true), seal(false)])),
        ("lost at a reset", node::Home::Lost, Some(vec![seal(true)])),
    ] {
        let me = actor(9, Rank::User);
        let root = states(NodeKind::Directory).pop().unwrap().1;
        let delete = seals.map_or("-", |grants| word(node::may_delete(&me, &NodeFacts { grants, ..root }, NOW)));
        writeln!(text, "{what:<24} {:<20} {delete}", word(node::may_create_home(&me, home, NOW))).unwrap();
    }
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    golden("home.txt", &text);
}

#[test]
fn people() {
    let mut text = String::new();
    // A sub-admin is asked about people in their care, and about others; an admin with every permission, and with none.
    let askers = Rank::ALL.iter().flat_map(|own| match own {
        Rank::SubAdmin => vec![(own, "", true, true), (own, ", of people not in their care", false, true)],
        Rank::Admin => vec![(own, "", true, true), (own, ", without permissions", true, false)],
        Rank::User | Rank::SuperAdmin => vec![(own, "", true, true)],
    });
    for (own, which, in_care, able) in askers {
        writeln!(text, "== by {own}{which}").unwrap();
        writeln!(
            text,
            "{:<24} {:<20} {:<20} {:<20} {:<20} {:<20} {:<20} {:<20} {:<20}",
            "", "activate", "deactivate", "disable", "reset", "to user", "to sub-admin", "to admin", "to super-admin"
        )
        .unwrap();
        for theirs in Rank::ALL {
            for state in UserState::ALL {
                for active_super_admins in if *theirs == Rank::SuperAdmin { vec![1, 2] } else { vec![2] } {
                    let me = Actor { permissions: if able { Permissions::all() } else { Permissions::NONE }, ..actor(1, *own) };
                    let them = UserFacts {
                        user: user(2),
                        rank: *theirs,
                        state: *state,
                        disabled_until: Timestamp::ABSENT,
                        revision: 1,
                        active_super_admins,
                        in_care,
                    };
                    let last = if active_super_admins == 1 { ", last" } else { "" };
                    write!(text, "{:<24}", format!("{theirs}, {state}{last}")).unwrap();
                    let mut cells = vec![
                        word(user::may_activate(&me, &them, NOW)),
                        word(user::may_deactivate(&me, &them, "left", NOW)),
                        word(user::may_disable(&me, &them, Timestamp::from_millis(2_000), NOW)),
                        word(user::may_reset(&me, &them, NOW)),
                    ];
                    cells.extend(Rank::ALL.iter().map(|rank| word(user::may_set_rank(&me, &them, *rank, NOW))));
                    for cell in cells {
                        write!(text, " {cell:<20}").unwrap();
                    }
                    text.push('\n');
                }
            }
        }
        text.push('\n');
    }
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    golden("user.txt", &text);
}

#[test]
fn accounts_and_lists() {
    let mut text = format!(
        "{:<30} {:<20} {:<20} {:<20} {:<20} {:<20}\n",
        "", "any request", "list users", "audit entries", "list sessions", "follow events"
    );
    for rank in Rank::ALL {
        for state in UserState::ALL {
            for (what, until, session_epoch) in [("", 0, 1), (", disabled", 2_000, 1), (", old session", 0, 0)] {
                let me = Actor { state: *state, disabled_until: Timestamp::from_millis(until), session_epoch, ..actor(1, *rank) };
                let row = format!("{rank}, {state}{what}");
                let cells = [
                    word(me.check(NOW)),
                    word(user::may_list_users(&me, NOW)),
                    word(audit::may_read_entries(&me, NOW)),
                    word(session::may_list_sessions(&me, NOW)),
                    word(notification::may_follow_events(&me, NOW)),
                ];
                let cells: String = cells.iter().map(|cell| format!(" {cell:<20}")).collect();
                writeln!(text, "{row:<34}{cells}").unwrap();
            }
        }
    }
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    golden("account.txt", &text);
}

/// A project of the federal tree, held or lost.
fn standing(n: u8, held: bool) -> Standing {
    let span = Span { since: Timestamp::ABSENT, until: Timestamp::ABSENT };
    let membership = held.then_some(Membership { span, role: MemberRole::User, restrictions: Restrictions::NONE });
    Standing { project: ProjectId::from_random([n; 16]), membership, is_pi: false, demands: vec![] }
}

fn label(line: &[u8]) -> Label {
    let line = Line::new(line.iter().map(|n| ProjectId::from_random([*n; 16])).collect());
    Label::of(line).unwrap()
}

/// Federal is 1, Florida 2 and Texas 3, both below it.
fn working_sets() -> Vec<(&'static str, ActiveSet)> {
    let set = |steps: &[(u8, bool)]| {
        let line = StandingLine::new(steps.iter().map(|(n, held)| standing(*n, *held)).collect());
        ActiveSet::new(NOW, vec![line]).unwrap()
    };
    vec![
        ("nothing", ActiveSet::empty(NOW)),
        ("federal", set(&[(1, true)])),
        ("florida", set(&[(1, true), (2, true)])),
        ("texas", set(&[(1, true), (3, true)])),
        ("florida, lost", set(&[(1, true), (2, false)])),
        ("federal, lost above florida", set(&[(1, false), (2, true)])),
    ]
}

/// Role, working set, class of thing (features H8), verb.
#[test]
fn working_sets_and_tagged_things() {
    let member = |permissions| Some(GroupFact { group: GroupId::from_random([7; 16]), permissions, head: [8; 32] });
    let all = [("user", Rank::User), ("super-admin", Rank::SuperAdmin)];
    let things: [(&str, &[u8], bool); 6] = [
        ("group, untagged", &[], true),
        ("group, tagged federal", &[1], true),
        ("group, tagged florida", &[1, 2], true),
        ("shared, tagged florida", &[1, 2], false),
        ("shared, tagged texas", &[1, 3], false),
        ("shared, untagged", &[], false),
    ];
    let mut text = String::new();
    for (thing, tags, in_group) in things {
        writeln!(text, "== {thing}").unwrap();
        let keys: Vec<(&str, u8, Option<GroupFact>, Vec<GrantFact>)> = if in_group {
            vec![
                ("no member", 9, member(None), vec![]),
                ("member", 9, member(Some(GroupPermissions::USER)), vec![]),
                ("manager", 9, member(Some(GroupPermissions::MANAGER)), vec![]),
                ("group owner", 9, member(Some(GroupPermissions::ALL)), vec![]),
            ]
        } else {
            vec![
                ("no share", 9, None, vec![]),
                ("share above", 9, None, vec![grant(11, Verbs::ALL)]),
                ("share, view", 9, None, vec![grant(10, Verbs::VIEW)]),
                ("share, all", 9, None, vec![grant(10, Verbs::ALL)]),
                ("owner", 1, None, vec![]),
            ]
        };
        for (rank_word, rank) in all {
            for (key, owner, group, grants) in &keys {
                for (working, active) in working_sets() {
                    let me = Actor { active: Arc::new(active), ..actor(1, rank) };
                    let facts = |kind| NodeFacts {
                        node: place(10),
                        owner: user(*owner),
                        group: *group,
                        label: label_or_unlocked(tags),
                        tags: label_or_unlocked(tags),
                        carried: std::collections::BTreeSet::new(),
                        kind,
                        revision: 1,
                        head_counter: 1,
                        epoch: 1,
                        parent: Some(place(11)),
                        trashed: Trashed::No,
                        // Tagged itself, in a directory that is not.
                        path: vec![PathStep { boundary: !tags.is_empty(), ..step(10, 0) }, step(11, 0)],
                        grants: grants.clone(),
                        rights: 0,
                    };
                    let (file, directory) = (facts(NodeKind::File), facts(NodeKind::Directory));
                    let making = |files| node::Making { files, directories: !files };
                    let sight = |facts: &NodeFacts| match facts.sight(&me, NOW) {
                        Ok(sight) => format!("{sight:?}").to_lowercase(),
                        Err(denial) => denial.code().to_owned(),
                    };
                    let cells = [
                        ("file", sight(&file)),
                        ("directory", sight(&directory)),
                        ("list", word(node::may_list(&me, &directory, NOW)).to_owned()),
                        ("view", word(version::may_open(&me, &file, NOW)).to_owned()),
                        ("download", word(version::may_download(&me, &file, NOW)).to_owned()),
                        ("write", word(version::may_publish(&me, &file, NOW)).to_owned()),
                        ("add file", word(node::may_create(&me, &directory, making(true), NOW)).to_owned()),
                        ("add directory", word(node::may_create(&me, &directory, making(false), NOW)).to_owned()),
                        ("rename", word(node::may_rename(&me, &file, NOW)).to_owned()),
                        ("trash", word(node::may_trash(&me, &file, NOW)).to_owned()),
                        ("history", word(audit::may_read_history(&me, &file, NOW)).to_owned()),
                    ];
                    let cells: String = cells.iter().map(|(name, cell)| format!(" {name}:{cell}")).collect();
                    writeln!(text, "{:<24} in {working:<28}{cells}", format!("{key}, {rank_word}")).unwrap();
                }
            }
        }
        text.push('\n');
    }
    golden("label.txt", &text);
}

fn label_or_unlocked(tags: &[u8]) -> Label {
    if tags.is_empty() { Label::UNLOCKED } else { label(tags) }
}
