//! A client tells that the server showed another key than the one it has pinned: evidence, so it goes to the log.

use ticrypt_api::ApiError;
use ticrypt_api::role::Outcome;
use ticrypt_api::user::PinReportRequest;

use super::Rest;
use super::call::{Answer, Call};

impl Rest {
    pub(super) async fn report_pin(&self, call: &Call) -> Result<Answer, ApiError> {
        let request: PinReportRequest = call.body()?;
        let mut event = call.event(&[request.user]);
        event.detail = vec![("pinned".to_owned(), request.pinned.to_string()), ("shown".to_owned(), request.shown.to_string())];
        let opened = self.audit.fact(event, Outcome::Done).await?;
        tracing::warn!(about = %request.user, "a client reports a changed key");
        Ok(Answer::of(call, &())?.with_row(opened))
    }
}
