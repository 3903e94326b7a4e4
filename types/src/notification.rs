//! What people are told of: one line for each kind. Whatever happens to a share or an account names its kind where it is stored
//! (`ticrypt-store`), in the same transaction.

use crate::user::words;

words! {
    /// What a notification is about. The list grows: who meets a word they do not know skips it.
    NotificationKind {
        /// Somebody shared a node with the person, or gave them freer terms.
        ShareGiven = 0 "share-given",
        /// A share with the person ended: revoked, fallen with the one it was given under, or past its time.
        ShareEnded = 1 "share-ended",
        /// A share the person gave ended by somebody else: its recipient left or lost their keys, the owner revoked it, its time passed.
        GivenShareEnded = 2 "given-share-ended",
        AccountActivated = 3 "account-activated",
        RankChanged = 4 "rank-changed",
        /// For those who activate accounts: somebody registered and waits.
        RegistrationWaiting = 5 "registration-waiting",
        /// Somebody added the person to a group (features H25).
        GroupJoined = 6 "group-joined",
        /// The person is in a group no longer: taken out, or the group was deleted.
        GroupLeft = 7 "group-left",
        /// The person owns a group now.
        GroupOwned = 8 "group-owned",
        /// Somebody added the person to a team.
        TeamJoined = 9 "team-joined",
        /// Somebody took the person out of a team.
        TeamLeft = 10 "team-left",
        /// For those who may add people to a project: somebody asks to join it.
        JoinAsked = 11 "join-asked",
        /// Somebody who may add people refused the person's request; the reason stands in the request.
        JoinRefused = 12 "join-refused",
        /// The person is in the project they asked to join.
        JoinGranted = 13 "join-granted",
        /// A membership of a project ends soon: the person's own, or that of somebody whom they may add again.
        MembershipEnding = 14 "membership-ending",
        CertificationEnding = 15 "certification-ending",
        /// A share with the person ends soon.
        ShareEnding = 16 "share-ending",
        /// A share that the person gave ends soon.
        GivenShareEnding = 17 "given-share-ending",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_back_and_are_safe_in_an_event() {
        for kind in NotificationKind::ALL {
            assert_eq!(NotificationKind::from_word(kind.word()), Some(*kind));
            assert!(kind.word().chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{kind}");
        }
        assert_eq!(NotificationKind::from_word("share-taken"), None);
    }
}
