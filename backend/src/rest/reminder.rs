//! Reminders of what ends soon: a reconciler by the clock. Whoever is concerned is told, and of a membership those too who may renew it.
//!
//! ```text
//!   endings within the farthest day, with what was reminded before ─▶ policy: due now? ─▶ a row of the log ─▶ told and remembered, in one transaction
//! ```

use std::collections::HashMap;

use ticrypt_api::ApiError;
use ticrypt_policy::reminder::{due, horizon};
use ticrypt_store::reminder::{EndingOf, Reminder};
use ticrypt_types::{Operation, ProjectId, Timestamp, UserId};

use super::Rest;
use crate::audited::{audited, by_system};
use crate::refusal::store_failed;

/// Reminders in one transaction, and people that one row names.
const ROW_MAX: usize = 1_000;

impl Rest {
    /// Gives the reminders that are due; tells how many.
    pub async fn remind(&self, now: Timestamp) -> Result<usize, ApiError> {
        let failed = |error| store_failed(error, now);
        let endings = self.store.endings(now, horizon(now)).await.map_err(failed)?;
        let mut answerers: HashMap<ProjectId, Vec<UserId>> = HashMap::new();
        let mut reminders = Vec::new();
        for ending in endings {
            let Some(days) = due(ending.term, ending.last, now) else { continue };
            let others = match ending.of {
                EndingOf::Membership(project) => match answerers.get(&project) {
                    Some(known) => known.clone(),
                    None => {
                        let found = self.store.answerers(project, now).await.map_err(failed)?;
                        answerers.insert(project, found.clone());
                        found
                    }
                },
                EndingOf::Certification(_) | EndingOf::Share(_) => Vec::new(),
            };
            reminders.push(Reminder { ending, days, others });
        }
        let all = reminders.len();
        for some in reminders.chunks(ROW_MAX) {
            self.give(some.to_vec(), now).await?;
        }
        Ok(all)
    }

    async fn give(&self, reminders: Vec<Reminder>, now: Timestamp) -> Result<(), ApiError> {
        let subjects = reminders.iter().map(|reminder| reminder.ending.user.to_bytes()).collect();
        let event = by_system(Operation::ReminderSend, subjects, vec![("reminders".to_owned(), reminders.len().to_string())], now)?;
        let work = |_| async { self.store.remind(reminders, now).await.map_err(|error| store_failed(error, now)) };
        audited(self.audit.as_ref(), event, work).await.map(drop)
    }
}
