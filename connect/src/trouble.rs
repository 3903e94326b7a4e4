//! What a page is told when something cannot be done: a stable word, and what happened and what to do.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use ticrypt_client::{ClientError, Kind};

use crate::door::Refusal;

/// An answer that is not what was asked for. A thin coat over the client library's error.
#[derive(Debug)]
pub struct Trouble {
    status: StatusCode,
    code: String,
    message: String,
}

pub type Result<T, E = Trouble> = std::result::Result<T, E>;

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
}

impl Trouble {
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// A page that was shown is too old to act on.
    pub fn gone(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "gone", message)
    }

    pub fn broken(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "broken", message)
    }

    pub fn locked() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, LOCKED, "the vault is locked; unlock it to go on")
    }

    pub fn code(&self) -> &str {
        &self.code
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The keys are not at hand.
pub const LOCKED: &str = "locked";

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        let status = match error.kind() {
            Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Refused => StatusCode::FORBIDDEN,
            Kind::LoggedOut => return Self::locked(),
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Stale | Kind::Taken => StatusCode::CONFLICT,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Untrusted => StatusCode::BAD_GATEWAY,
            Kind::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if matches!(error.kind(), Kind::Broken | Kind::Untrusted) {
            let chain = std::iter::successors(std::error::Error::source(&error), |error| error.source());
            tracing::warn!(%error, causes = ?chain.map(ToString::to_string).collect::<Vec<_>>(), "something failed");
        }
        Self { status, code: error.code().to_owned(), message: error.to_string() }
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        let (code, message) = match refusal {
            Refusal::OtherHost => ("other_host", "this address is not the one this program was opened under"),
            Refusal::OtherSite => ("other_site", "another page asked for this; open ticrypt from its own window"),
            Refusal::NoCookie | Refusal::NoToken => {
                ("not_opened", "this browser was not let in; run `ticrypt-connect` again for a new link")
            }
        };
        Self::new(StatusCode::FORBIDDEN, code, message)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        (self.status, Json(Body { code: &self.code, message: &self.message })).into_response()
    }
}
