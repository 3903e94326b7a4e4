//! What became of each person, where several are named: one that fails stops nobody else.

use serde::Serialize;
use ticrypt_client::ClientError;
use ticrypt_client::project::ALREADY_MEMBER;
use ticrypt_types::UserName;

use crate::context::Context;

#[derive(Serialize)]
pub(super) struct Done {
    pub person: UserName,
    pub result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// `word` if it was done.
pub(super) fn outcome(person: UserName, result: Result<(), ClientError>, word: &'static str) -> Done {
    match result {
        Ok(()) => Done { person, result: word, message: None },
        Err(error) if error.code() == ALREADY_MEMBER => Done { person, result: "skipped", message: Some(error.to_string()) },
        Err(error) => Done { person, result: "failed", message: Some(error.to_string()) },
    }
}

/// Each person's result; that one failed is told when all were tried.
pub(super) fn report(done: Vec<Done>, context: &Context) -> anyhow::Result<()> {
    context.output.table(&done, &["PERSON", "RESULT", ""], |one| {
        vec![one.person.to_string(), one.result.to_owned(), one.message.clone().unwrap_or_default()]
    })?;
    let failed = done.iter().filter(|one| one.result == "failed").count();
    if failed > 0 {
        return Err(ClientError::refused("partly", format!("{failed} of {} failed; see above", done.len())).into());
    }
    Ok(())
}
