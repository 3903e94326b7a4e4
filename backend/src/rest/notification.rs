//! What one was told: listed, and marked as read.

use data_encoding::BASE64URL_NOPAD;
use ticrypt_api::ApiError;
use ticrypt_api::notification::{
    EventData, NotificationListQuery, NotificationListReply, NotificationReadReply, NotificationReadRequest, NotificationView,
};
use ticrypt_policy::notification::{may_list_notifications, may_read_notifications};
use ticrypt_store::notification::{Notification, Reading};

use super::Rest;
use super::call::{Answer, Call};
use crate::audited::{audited, refused};
use crate::refusal::{refuse, store_failed};

const LIST_DEFAULT: u32 = 100;
const LIST_MAX: u32 = 1_000;

impl Rest {
    pub(super) async fn list_notifications(&self, call: &Call) -> Result<Answer, ApiError> {
        let query: NotificationListQuery = call.query()?;
        let before = query.page.as_deref().map(page_before).transpose()?;
        let limit = query.limit.unwrap_or(LIST_DEFAULT).clamp(1, LIST_MAX);
        let (actor, user) = self.actor(call.session()?, call.now).await?;
        let _permit = may_list_notifications(&actor, call.now).map_err(|denial| refuse(denial, call.now))?;
        let failed = |error| store_failed(error, call.now);
        // The rows first: a count of them is then never behind what is shown.
        let rows = self.store.notifications(user.id, before, u64::from(limit)).await.map_err(failed)?;
        let Reading { newest, read, unread } = self.store.reading(user.id).await.map_err(failed)?;
        let full = rows.len() == limit as usize;
        let next = rows.last().filter(|row| full && row.sequence > 1).map(|row| BASE64URL_NOPAD.encode(&row.sequence.to_be_bytes()));
        let notifications = rows.iter().filter_map(view).collect();
        Answer::of(call, &NotificationListReply { notifications, newest, read, unread, next })
    }

    pub(super) async fn read_notifications(&self, call: &Call) -> Result<Answer, ApiError> {
        let request: NotificationReadRequest = call.body()?;
        let (actor, user) = self.actor(call.session()?, call.now).await?;
        let mut event = call.event(&[user.id]);
        event.detail = vec![("up_to".to_owned(), request.up_to.to_string())];
        let permit = match may_read_notifications(&actor, call.now) {
            Ok(permit) => permit,
            Err(denial) => return Err(refused(self.audit.as_ref(), event, refuse(denial, call.now)).await),
        };
        let failed = |error| store_failed(error, call.now);
        let before = self.store.reading(user.id).await.map_err(failed)?;
        // Nothing changes, so there is nothing to record.
        if request.up_to.min(before.newest) <= before.read {
            return Answer::of(call, &NotificationReadReply { read: before.read, unread: before.unread });
        }
        let reply = audited(self.audit.as_ref(), event, |_| async {
            self.store.read_notifications(permit, request.up_to).await.map_err(failed)?;
            let Reading { read, unread, .. } = self.store.reading(user.id).await.map_err(failed)?;
            Ok(NotificationReadReply { read, unread })
        });
        Answer::of_reply(call, &reply.await?)
    }
}

/// As it is shown; one of a kind that only a newer program knows is not.
pub(super) fn view(row: &Notification) -> Option<NotificationView> {
    let about = EventData {
        grant: row.grant,
        node: row.node,
        group: row.group,
        team: row.team,
        project: row.project,
        requirement: row.requirement,
        ends_ms: row.ends,
        user: row.other,
        at_ms: row.at,
    };
    Some(NotificationView { sequence: row.sequence, kind: row.kind?.word().to_owned(), about })
}

fn page_before(page: &str) -> Result<u64, ApiError> {
    let bytes = BASE64URL_NOPAD.decode(page.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
    bytes
        .filter(|before| i64::try_from(*before).is_ok())
        .ok_or_else(|| ApiError::invalid("that is not the page token of an earlier answer"))
}
