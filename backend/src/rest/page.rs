//! Lists a page at a time: how many, from where on, and the opaque token for the rest.

use data_encoding::BASE64URL_NOPAD;
use ticrypt_api::ApiError;
use ticrypt_types::UserName;

const DEFAULT: u32 = 100;
pub(super) const MAX: u32 = 1_000;

/// How many of a list, within what is allowed.
pub(super) fn limit(asked: Option<u32>) -> usize {
    asked.unwrap_or(DEFAULT).clamp(1, MAX) as usize
}

/// The place to go on from, out of an opaque token.
pub(super) fn start(page: Option<&str>) -> Result<Option<Vec<u8>>, ApiError> {
    page.map(|page| BASE64URL_NOPAD.decode(page.as_bytes()).map_err(|_| unknown())).transpose()
}

pub(super) fn unknown() -> ApiError {
    ApiError::invalid("that is not the page token of an earlier answer")
}

/// Cuts a list that was read one too far, and makes the token for the rest of it.
pub(super) fn cut<T>(rows: &mut Vec<T>, limit: usize, place: impl Fn(&T) -> Vec<u8>) -> Option<String> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| more).map(|last| BASE64URL_NOPAD.encode(&place(last)))
}

/// The place in a list of people by name.
pub(super) fn name(bytes: &[u8]) -> Result<UserName, ApiError> {
    std::str::from_utf8(bytes).ok().and_then(|name| name.parse().ok()).ok_or_else(unknown)
}
