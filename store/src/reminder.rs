//! Reminders of what ends by the clock. What was given is a row: of which end, and how many days before it; so nobody is reminded twice, not after a restart
//! either, and a renewal, which is another end, is reminded of anew.

use std::collections::HashMap;

use ticrypt_policy::reminder::{Reminded, Term};
use ticrypt_types::{EndingKind, ProjectId, RequirementId, Timestamp, UserId};

use crate::column::{bytes, count, id, number, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::grant::Grant;
use crate::notification::{Notice, Sharing};
use crate::table::certification::certifications;
use crate::table::grant::grants;
use crate::table::project::members;
use crate::table::reminder::reminders;
use crate::writer::Tx;

/// What ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndingOf {
    Membership(ProjectId),
    Certification(RequirementId),
    Share(Sharing),
}

/// Something of somebody's that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    pub of: EndingOf,
    pub user: UserId,
    pub term: Term,
    /// The reminder given last, of this end or of an earlier one.
    pub last: Option<Reminded>,
}

/// A reminder to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminder {
    pub ending: Ending,
    pub days: u64,
    /// Those who may renew a membership: they are told as well.
    pub others: Vec<UserId>,
}

impl EndingOf {
    pub fn kind(&self) -> EndingKind {
        match self {
            Self::Membership(_) => EndingKind::Membership,
            Self::Certification(_) => EndingKind::Certification,
            Self::Share(_) => EndingKind::Share,
        }
    }

    /// Of the project, the requirement or the share.
    pub fn id(&self) -> [u8; 16] {
        match self {
            Self::Membership(project) => project.to_bytes(),
            Self::Certification(requirement) => requirement.to_bytes(),
            Self::Share(share) => share.grant.to_bytes(),
        }
    }
}

type Given = HashMap<(String, Vec<u8>, Vec<u8>), Reminded>;

impl Store {
    /// What ends after `now` and up to `until`, of active people.
    pub async fn endings(&self, now: Timestamp, until: Timestamp) -> Result<Vec<Ending>, StoreError> {
        let given = self.reminders().await?;
        let ending = |of: EndingOf, user: UserId, begun: Timestamp, ends: Timestamp| {
            let key = (of.kind().word().to_owned(), of.id().to_vec(), user.as_bytes().to_vec());
            Ending { of, user, term: Term { begun, ends }, last: given.get(&key).copied() }
        };
        let soon = "u.state = 'active' AND e.expires_ms > $1 AND e.expires_ms <= $2";
        let values = || vec![now.to_i64().into(), until.to_i64().into()];
        let mut endings = Vec::new();
        let sql = format!("SELECT e.* FROM members e JOIN users u ON u.id = e.user_id WHERE e.withdrawn = FALSE AND {soon}");
        for row in self.rows::<members::Model>(&sql, values()).await? {
            let project = id("members.project_id", &row.project_id)?;
            let user = id("members.user_id", &row.user_id)?;
            endings.push(ending(EndingOf::Membership(project), user, time(row.since_ms), time(row.expires_ms)));
        }
        let sql = format!("SELECT e.* FROM certifications e JOIN users u ON u.id = e.user_id WHERE {soon}");
        for row in self.rows::<certifications::Model>(&sql, values()).await? {
            let requirement = id("certifications.requirement_id", &row.requirement_id)?;
            let user = id("certifications.user_id", &row.user_id)?;
            endings.push(ending(EndingOf::Certification(requirement), user, time(row.given_ms), time(row.expires_ms)));
        }
        // Joined with people, so that what is sealed to a group is left out.
        let sql = format!("SELECT e.* FROM grants e JOIN users u ON u.id = e.recipient_id WHERE e.ended_ms IS NULL AND {soon}");
        for row in self.rows::<grants::Model>(&sql, values()).await? {
            let grant = Grant::try_from(row)?;
            let share = Sharing { grant: grant.id, node: grant.node, sealer: grant.sealer, recipient: grant.recipient };
            endings.push(ending(EndingOf::Share(share), grant.recipient, grant.created, grant.expires));
        }
        Ok(endings)
    }

    async fn reminders(&self) -> Result<Given, StoreError> {
        let rows = self.rows::<reminders::Model>("SELECT * FROM reminders", vec![]).await?;
        let given = |row: reminders::Model| {
            let reminded = Reminded { ends: time(row.ends_ms), days: count("reminders.days", row.days)? };
            Ok(((row.kind, row.of_id, row.user_id), reminded))
        };
        rows.into_iter().map(given).collect()
    }

    /// Tells people, and remembers that they were told.
    pub async fn remind(&self, due: Vec<Reminder>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.remind(due, at).await })).await
    }
}

impl Tx {
    async fn remind(&self, due: Vec<Reminder>, at: Timestamp) -> Result<(), StoreError> {
        // What has ended is reminded of no more.
        self.run("DELETE FROM reminders WHERE ends_ms <= $1", vec![at.to_i64().into()]).await?;
        let mut notices = Vec::with_capacity(due.len());
        for Reminder { ending, days, others } in due {
            let Ending { of, user, term, .. } = ending;
            let sql = "INSERT INTO reminders (kind, of_id, user_id, ends_ms, days) VALUES ($1, $2, $3, $4, $5) \
                       ON CONFLICT (kind, of_id, user_id) DO UPDATE SET ends_ms = excluded.ends_ms, days = excluded.days";
            let values =
                vec![of.kind().word().into(), bytes(of.id()), bytes(user.as_bytes()), term.ends.to_i64().into(), number(days)?.into()];
            self.run(sql, values).await?;
            match of {
                EndingOf::Membership(project) => {
                    let to = std::iter::once(user).chain(others.into_iter().filter(|other| *other != user));
                    notices.extend(to.map(|to| Notice::membership_ending(to, project, user, term.ends, at)));
                }
                EndingOf::Certification(requirement) => notices.push(Notice::certification_ending(user, requirement, term.ends, at)),
                EndingOf::Share(share) => notices.extend(Notice::share_ending(&share, term.ends, at)),
            }
        }
        self.notify(notices).await
    }
}
