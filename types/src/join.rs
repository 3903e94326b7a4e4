//! Words of requests to join a project: somebody asks to be taken in, who may add people answers (docs/decisions/0023).

use crate::user::words;

words! {
    /// Where a request stands. One that was granted is gone: its asker is a member.
    JoinState {
        Open = 0 "open",
        Refused = 1 "refused",
        /// By who asked.
        Withdrawn = 2 "withdrawn",
    }
}

words! {
    /// What ends by the clock and can be renewed.
    EndingKind {
        /// Of a project.
        Membership = 0 "membership",
        Certification = 1 "certification",
        Share = 2 "share",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_back() {
        for state in JoinState::ALL {
            assert_eq!(JoinState::from_word(state.word()), Some(*state));
        }
        for kind in EndingKind::ALL {
            assert_eq!(EndingKind::from_word(kind.word()), Some(*kind));
        }
        assert_eq!((JoinState::from_word("granted"), EndingKind::from_word("session")), (None, None));
    }
}
