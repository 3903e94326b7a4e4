//! From a rule's denial, or a failure of the store, to an answer: the one table that gives each its kind.
//!
//! A denial the person may read becomes 403 with its own code; what is hidden becomes the one answer for things that are not
//! there (security C21); a lapsed session is 401, so that a client logs in again.

use ticrypt_api::{ApiError, ErrorKind};
use ticrypt_policy::Denial;
use ticrypt_store::{StoreError, Taken};
use ticrypt_types::Timestamp;

/// The answer to a denial decided at `now`.
pub fn refuse(denial: Denial, now: Timestamp) -> ApiError {
    if denial.is_hidden() {
        return ApiError::not_found();
    }
    let kind = match denial {
        Denial::SessionOver => ErrorKind::Unidentified,
        Denial::TooManyFailures { .. } => ErrorKind::TooMany,
        Denial::NameTaken => ErrorKind::Taken,
        _ => ErrorKind::Refused,
    };
    let mut error = ApiError::new(kind, denial.code(), denial.to_string());
    if let Denial::TooManyFailures { until } = denial {
        error.retry_after_ms = Some(until.millis_since(now));
    }
    error
}

/// The answer when the store did not do it; what is our own fault is logged here, once, as a chain.
pub fn store_failed(error: StoreError, now: Timestamp) -> ApiError {
    match error {
        StoreError::NotFound(_) => ApiError::not_found(),
        StoreError::Stale(_) => ApiError::new(ErrorKind::Stale, "stale", error.to_string()),
        StoreError::Taken(Taken::UserName) => refuse(Denial::NameTaken, now),
        StoreError::Taken(_) => ApiError::new(ErrorKind::Taken, "taken", error.to_string()),
        StoreError::LastSuperAdmin => refuse(Denial::LastSuperAdmin, now),
        StoreError::Invalid(why) => ApiError::invalid(why),
        StoreError::Full => ApiError::new(ErrorKind::Unavailable, "storage_full", error.to_string()),
        StoreError::Closed | StoreError::Unavailable(_) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the database does not answer");
            ApiError::new(ErrorKind::Unavailable, "store_unavailable", error.to_string())
        }
        _ => {
            tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
            ApiError::broken()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_is_not_found_and_a_back_off_says_how_long() {
        let now = Timestamp::from_millis(1_000);
        assert_eq!(refuse(Denial::NotFound, now), ApiError::not_found());
        let wait = refuse(Denial::TooManyFailures { until: Timestamp::from_millis(3_000) }, now);
        assert_eq!((wait.kind, wait.retry_after_ms), (ErrorKind::TooMany, Some(2_000)));
        let no = refuse(Denial::NeedsAdministrator, now);
        assert_eq!((no.kind, no.code.as_str()), (ErrorKind::Refused, "needs_administrator"));
    }

    #[test]
    fn a_name_lost_in_a_race_is_told_like_a_name_taken() {
        let now = Timestamp::from_millis(1);
        assert_eq!(store_failed(StoreError::Taken(Taken::UserName), now), refuse(Denial::NameTaken, now));
        assert_eq!(store_failed(StoreError::Corrupt("users.rank"), now).kind, ErrorKind::Broken);
    }
}
