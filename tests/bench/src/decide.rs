//! Decisions: how often one core answers what the rules are asked most, with the facts at hand.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow};
use ticrypt_policy::active::{ActiveSet, Demand, Membership, Standing, StandingLine};
use ticrypt_policy::node::{GrantFact, NodeFacts, PathStep, Trashed, may_list};
use ticrypt_policy::version::{may_open, may_publish};
use ticrypt_policy::{Actor, Label, Line};
use ticrypt_types::{
    GrantId, MemberRole, NodeId, NodeKind, Permissions, ProjectId, Rank, RequirementId, Restrictions, Span, Timestamp, UserId, UserState,
    Verbs,
};

const NOW: Timestamp = Timestamp::from_millis(1_000);
const EVER: Span = Span { since: Timestamp::ABSENT, until: Timestamp::ABSENT };

pub(crate) fn run(rounds: u32) -> Result<()> {
    let actor = actor()?;
    let (file, directory) = (facts(NodeKind::File)?, facts(NodeKind::Directory)?);
    if may_open(&actor, &file, NOW).is_err() || may_publish(&actor, &file, NOW).is_err() || may_list(&actor, &directory, NOW).is_err() {
        return Err(anyhow!("what is to be timed is refused"));
    }
    let per_second = |decide: &dyn Fn() -> bool| {
        let start = Instant::now();
        let allowed = (0..rounds).filter(|_| decide()).count();
        black_box(allowed);
        f64::from(rounds) / start.elapsed().as_secs_f64()
    };
    let open = per_second(&|| may_open(black_box(&actor), black_box(&file), NOW).is_ok());
    let write = per_second(&|| may_publish(black_box(&actor), black_box(&file), NOW).is_ok());
    let list = per_second(&|| may_list(black_box(&actor), black_box(&directory), NOW).is_ok());
    println!("{}", serde_json::json!({ "open_per_s": open, "write_per_s": write, "list_per_s": list }));
    Ok(())
}

fn project(n: u8) -> ProjectId {
    ProjectId::from_random([n; 16])
}

/// Certified for a requirement in each of three projects on a line, all in the working set.
fn actor() -> Result<Actor> {
    let membership = Membership { span: EVER, role: MemberRole::User, restrictions: Restrictions::NONE };
    let demand = |n| Demand { requirement: RequirementId::from_random([n; 16]), in_force: EVER, certified: Some(EVER) };
    let standing = |n| Standing { project: project(n), membership: Some(membership), is_pi: false, demands: vec![demand(n)] };
    let line = StandingLine::new((1..=3).map(standing).collect());
    Ok(Actor {
        user: UserId::from_random([1; 16]),
        rank: Rank::User,
        state: UserState::Active,
        disabled_until: Timestamp::ABSENT,
        epoch: 1,
        session_epoch: 1,
        permissions: Permissions::basic(),
        active: Arc::new(ActiveSet::new(NOW, vec![line]).ok_or_else(|| anyhow!("no working set"))?),
    })
}

/// Eight deep, with three shares, tagged with the lowest of the projects two directories up, where one of the shares was given.
fn facts(kind: NodeKind) -> Result<NodeFacts> {
    let line = Line::new((1..=3).map(project).collect()).ok_or_else(|| anyhow!("no line"))?;
    let node = |n: u8| NodeId::from_random([n; 16]);
    let grant = |n: u8| GrantFact {
        grant: GrantId::from_random([n; 16]),
        hash: [n; 32],
        node: node(n),
        verbs: Verbs::ALL,
        expires: Timestamp::ABSENT,
        ended: false,
    };
    Ok(NodeFacts {
        node: node(10),
        owner: UserId::from_random([9; 16]),
        group: None,
        label: Label::of([line]).map_err(|_| anyhow!("no label"))?,
        tags: Label::UNLOCKED,
        carried: std::collections::BTreeSet::new(),
        kind,
        revision: 1,
        head_counter: 1,
        epoch: 1,
        parent: Some(node(11)),
        trashed: Trashed::No,
        path: (10..18).map(|n| PathStep { node: node(n), closure_seq: 0, rolled_seq: 0, boundary: n == 12 }).collect(),
        grants: vec![grant(12), grant(14), grant(16)],
        rights: 0,
    })
}
