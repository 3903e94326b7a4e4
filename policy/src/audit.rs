//! Who reads which part of the audit log.

use ticrypt_types::{Rank, Timestamp};

use crate::actor::Actor;
use crate::denial::Denial;
use crate::node::NodeFacts;
use crate::permit::{NodeHistory, Permit};
use crate::scope::Scope;

/// Entries about everyone: admins and super-admins. (A sub-admin sees the teams assigned to them, rules §1; rows do not tell teams apart yet.)
pub fn may_read_entries(actor: &Actor, now: Timestamp) -> Result<Scope, Denial> {
    actor.check(now)?;
    if actor.rank < Rank::Admin {
        return Err(Denial::NeedsAdministrator);
    }
    Ok(Scope::All)
}

/// What happened to one node: whoever reaches it, while it is unlocked (features H24). No rank replaces that.
pub fn may_read_history(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeHistory>, Denial> {
    actor.check(now)?;
    facts.unlocked(actor, now)?;
    Ok(facts.permit(actor))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::actor::tests::actor;
    use crate::node::tests::{NOW, facts, grant};
    use ticrypt_types::Verbs;

    #[test]
    fn entries_need_rank_and_history_needs_a_share() {
        let stranger = facts(9);
        let shared = NodeFacts { grants: vec![grant(1, Verbs::NONE)], ..facts(9) };
        for rank in Rank::ALL {
            let me = actor(1, *rank);
            assert_eq!(may_read_entries(&me, NOW).is_ok(), *rank >= Rank::Admin);
            assert_eq!(may_read_history(&me, &stranger, NOW), Err(Denial::NotFound));
            assert!(may_read_history(&me, &shared, NOW).is_ok());
        }
    }
}
