//! Who reaches a thing in the vault, and why, as the server decides it.

use ticrypt_api::access::{AccessExplainReply, AccessExplainRequest, SupposedLoss};
use ticrypt_types::{NodeId, Operation, UserId};

use crate::error::Result;
use crate::session::Session;

/// About these people, or about everybody who has a key to it; `without`: as if they had lost that.
pub async fn explain(session: &Session, node: NodeId, about: Vec<UserId>, without: Option<SupposedLoss>) -> Result<AccessExplainReply> {
    session.call(Operation::AccessExplain, &[], &AccessExplainRequest { node, about, without }).await
}
