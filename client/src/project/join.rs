//! Requests to join projects (docs/decisions/0023): one's own, and those one may answer. Granting is a signed head like any other (`members.rs`), which ends the request.

use ticrypt_api::join::{JoinAskRequest, JoinListQuery, JoinListReply, JoinRefuseRequest, JoinView};
use ticrypt_crypto::Digest;
use ticrypt_types::{Operation, ProjectId, UserId};

use super::Projects;
use crate::error::{ClientError, Result};
use crate::session::Session;

const PAGE: u32 = 1_000;

/// Which requests are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requests {
    /// One's own, those closed not long ago included.
    Own,
    /// Those that wait for an answer, in one project or in all where one may answer.
    Open(Option<ProjectId>),
}

/// Any project by its id, one does not see it otherwise; of those one sees also by path, name or tag.
pub fn named(projects: &Projects, text: &str) -> Result<ProjectId> {
    match text.parse() {
        Ok(project) => Ok(project),
        Err(_) => Ok(projects.find(text)?.project),
    }
}

/// The server reads the message; whether there is such a project it does not tell.
pub async fn ask(session: &Session, project: ProjectId, message: String) -> Result<()> {
    session.call(Operation::JoinAsk, &[&project.to_string()], &JoinAskRequest { message }).await
}

pub async fn withdraw(session: &Session, project: ProjectId) -> Result<()> {
    session.call(Operation::JoinWithdraw, &[&project.to_string()], &()).await
}

pub async fn refuse(session: &Session, project: ProjectId, user: UserId, reason: String) -> Result<()> {
    session.call(Operation::JoinRefuse, &[&project.to_string(), &user.to_string()], &JoinRefuseRequest { reason }).await
}

pub async fn requests(session: &Session, which: Requests) -> Result<Vec<JoinView>> {
    let (own, project) = match which {
        Requests::Own => (true, None),
        Requests::Open(project) => (false, project),
    };
    let mut requests = Vec::new();
    let mut query = JoinListQuery { own, project, limit: Some(PAGE), page: None };
    loop {
        let mut reply: JoinListReply = session.transport.call(Operation::JoinList, &[], &query, &()).await?;
        requests.append(&mut reply.requests);
        match reply.next {
            Some(next) => query.page = Some(next),
            None => return Ok(requests),
        }
    }
}

/// Who asks, verified: the request is the server's word, so the name in it has to lead to the account in it. They are found in whichever team they are.
pub async fn asker(session: &Session, request: &JoinView) -> Result<UserId> {
    let person = session.users.lookup_met(&request.name, &Digest::new(request.bundle.0)).await?;
    if person.user == request.user {
        return Ok(person.user);
    }
    Err(ClientError::untrusted(format!("the server shows a request of {} under another account; tell an administrator", request.name)))
}
