//! People who sign records themselves (`records.rs`), at a real server: accounts and sessions.
#![allow(dead_code, clippy::unwrap_used)]

use ticrypt_api::Blob;
use ticrypt_api::session::{ChallengeReply, ChallengeRequest, LoginReply, LoginRequest};
use ticrypt_api::user::{RegisterRequest, UserStateRequest};
use ticrypt_crypto::login::LoginPayload;
use ticrypt_crypto::statement::{Action, StatementPayload};
use ticrypt_keyring::SessionKey;
use ticrypt_types::{Operation, SessionId};

use crate::records::Person;
use crate::support::{Server, Wire};

pub fn registration(person: &Person, first: Option<(String, Blob)>) -> RegisterRequest {
    let (code, statement) = first.unzip();
    RegisterRequest { bundle: Blob(person.bundle.as_bytes().to_vec()), token: None, code, statement }
}

pub async fn register(wire: &mut Wire, person: &Person, first: Option<(String, Blob)>) {
    let _: ticrypt_api::user::RegisterReply = wire.ask(Operation::UserRegister, &[], &registration(person, first)).await.unwrap();
}

pub fn statement(server: &Server, issuer: &Person, about: &Person, action: Action) -> StatementPayload {
    StatementPayload {
        deployment: server.deployment(),
        user: about.user,
        bundle: about.bundle.hash(),
        action: action.code(),
        argument: action.argument(),
        reason: "for the table".to_owned(),
        issuer: issuer.user,
        issuer_bundle: issuer.bundle.hash(),
        at: server.now(),
    }
}

pub async fn change(server: &Server, wire: &mut Wire, issuer: &Person, about: &Person, action: Action) {
    let request = UserStateRequest { statement: issuer.sign(&statement(server, issuer, about, action)), bundle: None };
    let _: ticrypt_api::user::UserView = wire.ask(Operation::UserState, &[&about.user.to_string()], &request).await.unwrap();
}

pub async fn log_in(server: &Server, person: &Person) -> (Wire, SessionId) {
    try_log_in(server, person).await.unwrap()
}

pub async fn try_log_in(server: &Server, person: &Person) -> Result<(Wire, SessionId), ticrypt_api::Problem> {
    let mut wire = server.wire().await;
    let challenge: ChallengeReply = wire.ask(Operation::SessionChallenge, &[], &ChallengeRequest { name: person.name.clone() }).await?;
    let key = SessionKey::generate().unwrap();
    let record = LoginPayload {
        deployment: server.deployment(),
        user: person.user,
        bundle: person.bundle.hash(),
        challenge: challenge.challenge.0,
        session_key: *key.public_key(),
        channel: wire.channel,
        at: server.now(),
    };
    let request = LoginRequest { login: person.sign(&record), client: "table".to_owned() };
    let reply: LoginReply = wire.ask(Operation::SessionLogin, &[], &request).await?;
    wire.token = Some(reply.token);
    Ok((wire, reply.session))
}
