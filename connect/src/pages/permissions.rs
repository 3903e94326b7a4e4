//! What the system lets people do, as check boxes: of a profile, or of one person. One gives and takes only what one has.

use ticrypt_api::user::UserView;
use ticrypt_client::users::is_given;
use ticrypt_types::permission::Category;
use ticrypt_types::{Permission, Permissions};

use crate::fields::Fields;
use crate::trouble::{Result, Trouble};

/// A check box.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    pub word: &'static str,
    pub on: bool,
    /// One has it oneself; what one has not stays as it is.
    pub own: bool,
}

/// A heading, and what stands under it.
pub type Heading = (&'static str, Vec<Choice>);

/// All of them, as `account` may change them.
pub fn headings(account: &UserView, on: Permissions) -> Vec<Heading> {
    let choice = |one: &Permission| Choice { word: one.word(), on: on.contains(*one), own: is_given(account, *one) };
    let of = |category: &Category| Permission::ALL.iter().filter(|one| one.category() == *category).map(choice).collect();
    let all = Category::ALL.iter().map(|category| (category.word(), of(category)));
    all.filter(|(_, choices): &Heading| !choices.is_empty()).collect()
}

/// Those that are checked. A disabled box is not sent, so the form names beside it what is to stay.
pub fn chosen(fields: &Fields) -> Result<Permissions> {
    fields.each("permission").map(|word| word.parse::<Permission>().map_err(Trouble::invalid)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ticrypt_api::Hash;
    use ticrypt_types::{Rank, Timestamp, UserId, UserState};

    use super::*;

    fn account(rank: Rank, permissions: Permissions) -> UserView {
        UserView {
            user: UserId::from_random([1; 16]),
            name: "ada".parse().unwrap(),
            rank,
            state: UserState::Active,
            reason: None,
            cause: None,
            disabled_until_ms: None,
            created_ms: Timestamp::ABSENT,
            last_login_ms: None,
            fingerprint: Hash([0; 32]),
            generation: 0,
            permissions,
            profile: None,
        }
    }

    #[test]
    fn each_permission_has_a_box_and_only_ones_own_are_free() {
        let (own, on) = (Permissions::NONE.with(Permission::TeamCreate), Permissions::NONE.with(Permission::TeamQuota));
        let free = |rank| {
            let headings = headings(&account(rank, own), on);
            assert!(headings.iter().all(|(_, choices)| !choices.is_empty()));
            let choices: Vec<Choice> = headings.into_iter().flat_map(|(_, choices)| choices).collect();
            assert_eq!(choices.len(), Permission::ALL.len());
            assert_eq!(choices.iter().filter(|choice| choice.on).map(|choice| choice.word).collect::<Vec<_>>(), ["team.quota"]);
            choices.iter().filter(|choice| choice.own).count()
        };
        // Super-admins pass over permissions.
        assert_eq!((free(Rank::Admin), free(Rank::SuperAdmin)), (1, Permission::ALL.len()));
    }

    #[test]
    fn what_is_sent_is_read() {
        let read = |text: &str| chosen(&Fields::parse(text.as_bytes()));
        assert_eq!(read("").unwrap(), Permissions::NONE);
        let some = Permissions::NONE.with(Permission::TeamCreate).with(Permission::TeamQuota);
        assert_eq!(read("permission=team.quota&permission=team.create").unwrap(), some);
        assert!(read("permission=everything").unwrap_err().message().contains("everything"));
    }
}
