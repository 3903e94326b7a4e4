//! What became of each person, where several are named: one that fails stops nobody else.

use futures::stream::{self, StreamExt};
use serde::Serialize;
use ticrypt_client::project::ALREADY_MEMBER;
use ticrypt_client::{ClientError, Session};
use ticrypt_types::{UserId, UserName};

use crate::context::Context;

/// People looked up at once.
const LOOK_UPS: usize = 8;

/// Somebody as they were named, and who that is.
pub(super) type Found = (UserName, Result<UserId, ClientError>);

pub(super) async fn look_up(session: &Session, people: Vec<UserName>) -> Vec<Found> {
    let one = |name: UserName| async {
        let found = session.users.lookup(&name).await.map(|person| person.user);
        (name, found)
    };
    stream::iter(people).map(one).buffered(LOOK_UPS).collect().await
}

/// Those who were found.
pub(super) fn users(found: &[Found]) -> Vec<UserId> {
    found.iter().filter_map(|(_, user)| user.as_ref().ok().copied()).collect()
}

/// What came of each; `results` are of those who were found, in order.
pub(super) fn outcomes(found: Vec<Found>, results: Vec<Result<(), ClientError>>, word: &'static str) -> Vec<Done> {
    let mut results = results.into_iter();
    let of = |user: Result<UserId, ClientError>| user.and_then(|_| results.next().unwrap_or(Ok(())));
    found.into_iter().scan(of, |of, (name, user)| Some(outcome(name, of(user), word))).collect()
}

#[derive(Serialize)]
pub(super) struct Done {
    pub person: UserName,
    /// Where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    pub result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// `word` if it was done.
pub(super) fn outcome(person: UserName, result: Result<(), ClientError>, word: &'static str) -> Done {
    match result {
        Ok(()) => Done { person, project: None, result: word, message: None },
        Err(error) if error.code() == ALREADY_MEMBER => Done { person, project: None, result: "skipped", message: Some(error.to_string()) },
        Err(error) => Done { person, project: None, result: "failed", message: Some(error.to_string()) },
    }
}

/// Each person's result; that one failed is told when all were tried.
pub(super) fn report(done: Vec<Done>, context: &Context) -> anyhow::Result<()> {
    let said = |one: &Done| one.message.clone().unwrap_or_default();
    if done.iter().any(|one| one.project.is_some()) {
        context.output.table(&done, &["PERSON", "PROJECT", "RESULT", ""], |one| {
            vec![one.person.to_string(), one.project.clone().unwrap_or_default(), one.result.to_owned(), said(one)]
        })?;
    } else {
        context.output.table(&done, &["PERSON", "RESULT", ""], |one| vec![one.person.to_string(), one.result.to_owned(), said(one)])?;
    }
    let failed = done.iter().filter(|one| one.result == "failed").count();
    if failed > 0 {
        return Err(ClientError::refused("partly", format!("{failed} of {} failed; see above", done.len())).into());
    }
    Ok(())
}
