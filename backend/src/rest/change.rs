//! The last two steps of a change to people and projects: what was decided, and the act between two rows of the log.

use std::future::Future;

use serde::Serialize;
use ticrypt_api::ApiError;
use ticrypt_api::role::Event;
use ticrypt_policy::Denial;
use ticrypt_store::StoreError;
use ticrypt_types::{Timestamp, UserId, limits};

use super::Rest;
use super::call::{Answer, Call};
use crate::audited::{audited, refused};
use crate::refusal::{refuse, store_failed};

impl Rest {
    /// Acts if it was permitted; a refusal is recorded as well.
    /// The same where somebody may lose a project by it: what they have under way is cut once it is done.
    pub(super) async fn change_of_reach<P, T, F>(
        &self,
        call: &Call,
        event: Event,
        decided: Result<P, Denial>,
        who: Reaches,
        act: impl FnOnce(P) -> F,
    ) -> Result<Answer, ApiError>
    where
        T: Serialize,
        F: Future<Output = Result<T, StoreError>>,
    {
        let act = |permit| async {
            let done = act(permit).await?;
            match who {
                Reaches::One(user) => self.losses.record([user]),
                Reaches::Everybody => self.losses.record_all(),
            }
            Ok(done)
        };
        self.change(call, event, decided, act).await
    }

    pub(super) async fn change<P, T, F>(
        &self,
        call: &Call,
        event: Event,
        decided: Result<P, Denial>,
        act: impl FnOnce(P) -> F,
    ) -> Result<Answer, ApiError>
    where
        T: Serialize,
        F: Future<Output = Result<T, StoreError>>,
    {
        let permit = match decided {
            Ok(permit) => permit,
            Err(denial) => return Err(refused(self.audit.as_ref(), event, refuse(denial, call.now)).await),
        };
        let work = |_| async { act(permit).await.map_err(|error| store_failed(error, call.now)) };
        Answer::of_reply(call, &audited(self.audit.as_ref(), event, work).await?)
    }
}

/// Whose reach a change may make smaller.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reaches {
    One(UserId),
    Everybody,
}

/// A row about these ids, with words and counts beside.
pub(super) fn event(call: &Call, subjects: &[[u8; 16]], detail: &[(&str, String)]) -> Event {
    let detail = detail.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Event { subjects: subjects.to_vec(), detail, ..call.event(&[]) }
}

pub(super) fn present(at: Timestamp) -> Option<Timestamp> {
    (at != Timestamp::ABSENT).then_some(at)
}

/// What people write about a thing, within its bound.
pub(super) fn description(text: String) -> Result<String, ApiError> {
    if text.len() <= limits::DESCRIPTION_MAX_BYTES { Ok(text) } else { Err(ApiError::invalid("a description has at most 2000 bytes")) }
}
