//! What was done with a node, from the audit log; every row is checked to be in the log this device mirrors.

use serde::Serialize;
use ticrypt_api::node::PageQuery;
use ticrypt_log::event::audit::AuditEvent;
use ticrypt_types::{NodeId, Timestamp, UserId};

use super::Vault;
use super::path::VaultPath;
use super::trust::lie;
use crate::error::Result;

const PAGE: u32 = 200;

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct Happened {
    /// Its place in the audit log.
    pub index: u64,
    pub at_ms: Timestamp,
    pub operation: String,
    pub phase: &'static str,
    pub outcome: Option<String>,
    pub actor: Option<UserId>,
    /// The actor's name, where this device knows it.
    pub actor_name: Option<String>,
    pub detail: Vec<(String, String)>,
}

impl Vault {
    /// The rows about a node, newest first, at most `limit`.
    pub async fn history(&self, path: &VaultPath, limit: usize) -> Result<Vec<Happened>> {
        let node = self.resolve(path).await?.held.id;
        let pins = self.session.users.pins().all()?;
        let mut rows = Vec::new();
        let mut page = None;
        while rows.len() < limit {
            let reply = self.server().history(node, PageQuery { limit: Some(PAGE), page }).await?;
            for row in reply.events {
                self.session.mirrors.audit.verify_inclusion(row.index, &row.leaf.0).await?;
                let event = AuditEvent::from_leaf(&row.leaf.0).map_err(|e| lie("a row of the audit log cannot be read").because(e))?;
                rows.push(self.happened(node, row.index, event, |user| pins.get(&user).map(|pin| pin.name.to_string()))?);
            }
            page = reply.next;
            if page.is_none() {
                break;
            }
        }
        rows.truncate(limit);
        Ok(rows)
    }

    fn happened(&self, node: NodeId, index: u64, event: AuditEvent, name: impl Fn(UserId) -> Option<String>) -> Result<Happened> {
        if !event.subjects.iter().any(|subject| **subject == node.to_bytes()) {
            return Err(lie("the server shows a row of the audit log that is about something else"));
        }
        let actor = event.actor.and_then(|actor| UserId::try_from(*actor).ok());
        let me = self.me();
        let actor_name = actor.and_then(|user| if user == me.user { Some(me.name.to_string()) } else { name(user) });
        Ok(Happened {
            index,
            at_ms: Timestamp::from_millis(event.time_ms),
            operation: event.operation,
            phase: event.phase.word(),
            outcome: event.outcome,
            actor,
            actor_name,
            detail: event.detail,
        })
    }
}
