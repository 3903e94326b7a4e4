//! What a person is told: listed, marked as read, and followed as it comes.
//!
//! ```text
//!   list ─▶ newest sequence ─▶ follow(after) ─▶ connect ─▶ events, sequences rising ─▶ the caller
//!                                  ▲ back-off, Last-Event-ID ◀─┘ end, loss, silence
//! ```
//!
//! Nothing told here is believed: it says where to look. What a share or an account is, the vault and the key log tell.

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt};
use serde::Serialize;
use ticrypt_api::notification::{
    EventData, NotificationListQuery, NotificationListReply, NotificationReadReply, NotificationReadRequest, NotificationView,
};
use ticrypt_api::sse::{Block, Parser};
use ticrypt_types::{GrantId, GroupId, NodeId, NotificationKind, Operation, ProjectId, RequirementId, TeamId, Timestamp, UserId};

use crate::error::{ClientError, Kind, Result};
use crate::transport::{BodyStream, Transport};

/// However long a server asks us to wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Something the person was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Notification {
    /// Counts from 1 on.
    pub sequence: u64,
    pub kind: NotificationKind,
    pub grant: Option<GrantId>,
    pub group: Option<GroupId>,
    pub team: Option<TeamId>,
    pub project: Option<ProjectId>,
    pub requirement: Option<RequirementId>,
    pub node: Option<NodeId>,
    /// Of what ends soon.
    pub ends_ms: Option<Timestamp>,
    /// The other side of the share, the administrator who acted, who waits, or whose membership ends.
    pub user: Option<UserId>,
    pub at_ms: Timestamp,
}

/// A page of them, newest first.
#[derive(Clone, Debug)]
pub struct Page {
    pub notifications: Vec<Notification>,
    /// Sequence of the newest there is: follow after it to miss nothing.
    pub newest: u64,
    /// Sequence up to which they were read.
    pub read: u64,
    pub unread: u64,
    /// For the next page.
    pub next: Option<String>,
}

/// The newest, or those of a further page. Kinds this program does not know are left out.
pub async fn list(transport: &Transport, limit: u32, page: Option<String>) -> Result<Page> {
    let query = NotificationListQuery { limit: Some(limit), page };
    let reply: NotificationListReply = transport.call(Operation::NotificationList, &[], &query, &()).await?;
    let known = |view: NotificationView| known(view.sequence, &view.kind, view.about);
    let NotificationListReply { notifications, newest, read, unread, next } = reply;
    Ok(Page { notifications: notifications.into_iter().filter_map(known).collect(), newest, read, unread, next })
}

/// All up to a sequence are read; beyond the newest it means all. Tells how many are left unread.
pub async fn mark_read(transport: &Transport, up_to: u64) -> Result<u64> {
    let reply: NotificationReadReply = transport.call(Operation::NotificationRead, &[], &(), &NotificationReadRequest { up_to }).await?;
    Ok(reply.unread)
}

/// Follows what is told after a sequence, or from now on. Connects at the first [`Follow::next`].
pub fn follow(transport: &Transport, after: Option<u64>) -> Follow {
    Follow { transport: transport.clone(), last: after, open: None, waiting: VecDeque::new(), failures: 0 }
}

/// A stream of events over as many connections as it takes.
#[derive(Debug)]
pub struct Follow {
    transport: Transport,
    /// Where the stream stands; unknown until the server has told.
    last: Option<u64>,
    open: Option<Open>,
    /// What came and was not given yet.
    waiting: VecDeque<Notification>,
    /// Connections since the last sign of life.
    failures: u32,
}

#[derive(Debug)]
struct Open {
    body: BodyStream,
    parser: Parser,
}

impl Follow {
    /// The next one, however long it takes. An error is the end: the session is over, the rules say no, or the server lies. Dropping the
    /// future loses nothing.
    pub async fn next(&mut self) -> Result<Notification> {
        loop {
            if let Some(notification) = self.waiting.pop_front() {
                return Ok(notification);
            }
            let received = self.receive().await;
            if let Err(error) = received {
                self.open = None;
                if error.kind() != Kind::Unavailable {
                    return Err(error);
                }
                self.failures = self.failures.saturating_add(1);
                let asked = Duration::from_millis(error.retry_after_ms().unwrap_or(0)).min(RETRY_AFTER_MAX);
                let wait = self.transport.backoff(self.failures).max(asked);
                tracing::debug!(%error, ?wait, "following again");
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// The same as a stream; its first error is its end.
    pub fn into_stream(self) -> BoxStream<'static, Result<Notification>> {
        futures::stream::unfold(Some(self), |follow| async move {
            let mut follow = follow?;
            let next = follow.next().await;
            let rest = next.is_ok().then_some(follow);
            Some((next, rest))
        })
        .boxed()
    }

    /// Sequence after which the stream goes on, once it is known.
    pub fn position(&self) -> Option<u64> {
        self.last
    }

    /// Connects if there is no connection, then takes what comes next.
    async fn receive(&mut self) -> Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let body = self.transport.open_stream(Operation::EventFollow, self.last).await?;
                self.open.insert(Open { body, parser: Parser::default() })
            }
        };
        let bytes = open.body.next().await?.ok_or_else(|| ClientError::unavailable("the server ended the stream of events; try again"))?;
        let blocks = open.parser.feed(&bytes).map_err(|e| untrusted(&format!("it has {e}")).because(e))?;
        self.failures = 0;
        for block in blocks {
            let notification = self.take(block)?;
            self.waiting.extend(notification);
        }
        Ok(())
    }

    /// Sequences rise; one that only says where the stream stands may not go back either.
    fn take(&mut self, block: Block) -> Result<Option<Notification>> {
        let Some(id) = block.id else {
            return if block.data.is_none() { Ok(None) } else { Err(untrusted("an event has no id")) };
        };
        let told = block.data.is_some();
        if self.last.is_some_and(|last| id < last || (told && id == last)) {
            return Err(untrusted("its events do not rise"));
        }
        self.last = Some(id);
        let (Some(kind), Some(data)) = (block.event, block.data) else { return Ok(None) };
        let Some(kind) = NotificationKind::from_word(&kind) else { return Ok(None) };
        let about: EventData = serde_json::from_str(&data).map_err(|e| untrusted("an event cannot be read").because(e))?;
        Ok(Some(notification(id, kind, about)))
    }
}

fn known(sequence: u64, kind: &str, about: EventData) -> Option<Notification> {
    NotificationKind::from_word(kind).map(|kind| notification(sequence, kind, about))
}

fn notification(sequence: u64, kind: NotificationKind, about: EventData) -> Notification {
    let EventData { grant, node, group, team, project, requirement, ends_ms, user, at_ms } = about;
    Notification { sequence, kind, grant, group, team, project, requirement, node, ends_ms, user, at_ms }
}

fn untrusted(what: &str) -> ClientError {
    ClientError::untrusted(format!("the stream of events is not to be believed, {what}; try again, then tell an administrator"))
}
