//! What administrators say about accounts, signed so that the server cannot say it for them (docs/formats.md §3).

use ticrypt_types::limits::REASON_MAX_BYTES;
use ticrypt_types::{DeploymentId, Rank, Timestamp, UserId};

use crate::record::{Record, RecordError};
use crate::signature::{Namespace, Payload};
use crate::{Digest, code_element, record};

code_element! {
    /// What a statement does, as its number.
    pub enum ActionCode {
        Bootstrap = 0,
        Activate = 1,
        Deactivate = 2,
        DisableUntil = 3,
        Role = 4,
        Reset = 5,
    }
}

/// What a statement does, with its argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The first super-admin of a deployment, about themselves.
    Bootstrap,
    Activate,
    Deactivate,
    /// No access until then; [`Timestamp::ABSENT`] ends an earlier one.
    DisableUntil(Timestamp),
    Role(Rank),
    /// The bundle named is the new one of a person who lost their keys.
    Reset,
}

impl Action {
    pub const fn code(self) -> ActionCode {
        match self {
            Self::Bootstrap => ActionCode::Bootstrap,
            Self::Activate => ActionCode::Activate,
            Self::Deactivate => ActionCode::Deactivate,
            Self::DisableUntil(_) => ActionCode::DisableUntil,
            Self::Role(_) => ActionCode::Role,
            Self::Reset => ActionCode::Reset,
        }
    }

    /// The argument as it stands in the record; empty where there is none.
    pub fn argument(self) -> String {
        match self {
            Self::DisableUntil(until) => until.as_millis().to_string(),
            Self::Role(rank) => rank.word().to_owned(),
            _ => String::new(),
        }
    }

    fn parse(code: ActionCode, argument: &str) -> Option<Self> {
        let action = match code {
            ActionCode::Bootstrap => Self::Bootstrap,
            ActionCode::Activate => Self::Activate,
            ActionCode::Deactivate => Self::Deactivate,
            ActionCode::DisableUntil => Self::DisableUntil(Timestamp::from_millis(argument.parse().ok()?)),
            ActionCode::Role => Self::Role(Rank::from_word(argument)?),
            ActionCode::Reset => Self::Reset,
        };
        // One spelling: no leading zero, no plus sign, nothing where nothing belongs.
        (action.argument() == argument).then_some(action)
    }
}

record! {
    /// A statement about one account; `bundle` is the person's bundle it speaks of.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StatementPayload {
        pub deployment: DeploymentId,
        pub user: UserId,
        pub bundle: Digest,
        pub action: ActionCode,
        pub argument: String,
        pub reason: String,
        pub issuer: UserId,
        pub issuer_bundle: Digest,
        pub at: Timestamp,
    }
}

impl StatementPayload {
    /// What the statement does.
    pub fn action(&self) -> Result<Action, RecordError> {
        Action::parse(self.action, &self.argument).ok_or(RecordError::Rule("the argument of the statement does not fit its action"))
    }
}

impl Record for StatementPayload {
    const MAX_LEN: usize = 1024;

    fn check(&self) -> Result<(), RecordError> {
        if self.reason.len() > REASON_MAX_BYTES {
            return Err(RecordError::Rule("the reason is longer than 500 bytes"));
        }
        let action = self.action()?;
        if action == Action::Bootstrap && (self.issuer != self.user || self.issuer_bundle != self.bundle) {
            return Err(RecordError::Rule("the first super-admin speaks of themselves"));
        }
        Ok(())
    }
}

impl Payload for StatementPayload {
    const NAMESPACE: Namespace = Namespace::Statement;
}
