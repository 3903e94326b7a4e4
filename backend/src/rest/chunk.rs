//! Chunks, on their way to and from the storage role: the ticket decides, these are thin.

use axum::body::Body;
use data_encoding::BASE64URL_NOPAD;
use ticrypt_api::endpoint::TICKET_HEADER;
use ticrypt_api::{ApiError, ErrorKind};
use ticrypt_types::VersionId;

use super::Rest;
use super::call::{Answer, Call};

impl Rest {
    pub(super) async fn write_chunk(&self, call: &Call) -> Result<Answer, ApiError> {
        let (version, number) = address(call)?;
        self.chunks.write(&call.caller()?, &ticket(call)?, version, number, call.body.clone()).await?;
        Ok(Answer::raw(Body::empty(), call.endpoint.codec.media_type()))
    }

    pub(super) async fn read_chunk(&self, call: &Call) -> Result<Answer, ApiError> {
        let (version, number) = address(call)?;
        let mark = self.losses.mark();
        let bytes = self.chunks.read(&call.caller()?, &ticket(call)?, version, number).await?;
        Ok(Answer::raw(self.leased(call, bytes, mark)?, call.endpoint.codec.media_type()))
    }
}

fn address(call: &Call) -> Result<(VersionId, u64), ApiError> {
    Ok((call.parameter(0)?, call.parameter(1)?))
}

fn ticket(call: &Call) -> Result<Vec<u8>, ApiError> {
    let missing = || ApiError::new(ErrorKind::Refused, "no_ticket", "chunks move only under a ticket; ask for one first");
    BASE64URL_NOPAD.decode(call.header(TICKET_HEADER).ok_or_else(missing)?.as_bytes()).map_err(|_| missing())
}
