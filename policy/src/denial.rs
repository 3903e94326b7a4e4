//! Every reason a person may be given for a refusal. The code is stable; the text says what to do.

use ticrypt_types::{Permission, RequirementId, Timestamp};

macro_rules! denials {
    ($($(#[$doc:meta])* $variant:ident $({ $($field:ident: $ty:ty),+ })? $code:literal $text:literal;)+) => {
        /// Why not. The message is lower case and says what to try.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum Denial {
            $($(#[$doc])* #[error($text)] $variant $({ $($field: $ty),+ })?),+
        }

        impl Denial {
            /// A stable word for programs.
            pub const fn code(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $code),+ }
            }

            /// Every code there is, in the order of the list.
            pub const CODES: &'static [&'static str] = &[$($code),+];
        }
    };
}

denials! {
    /// Missing, or hidden from this person: the two answer alike (security C21).
    NotFound "not_found" "nothing there that you can see; check the name, or ask for it to be shared with you";

    // the actor's own account
    Pending "account_pending" "your account waits for an administrator; compare your fingerprint with them";
    Inactive "account_inactive" "your account is inactive; ask an administrator";
    Disabled { until: Timestamp } "account_disabled" "your account is disabled until {until}; try again then, or ask an administrator";
    SessionOver "session_over" "this session no longer counts; log in again";
    TooManyFailures { until: Timestamp } "too_many_failures" "too many failed logins; try again after {until}";

    // registration
    RegistrationClosed "registration_closed" "registration is closed here; ask an administrator for a code";
    RegistrationCode "registration_code" "the registration token or code is wrong, used or past its time; ask for a new one";
    NameTaken "name_taken" "that name is taken; choose another";
    NotFirst "not_first" "the deployment has accounts already; register and ask an administrator";

    // ranks
    NeedsAdministrator "needs_administrator" "this needs an administrator's rank; ask one";
    Oneself "oneself" "nobody changes their own account; ask another administrator";
    RankTooHigh "rank_too_high" "that account's rank is above yours; ask somebody of that rank";
    RankBeyondOwn "rank_beyond_own" "you can promote up to your own rank only; ask somebody of the rank you mean to give";
    DemotesEqual "demotes_equal" "only somebody of higher rank demotes; ask one";
    LastSuperAdmin "last_super_admin" "the last active super-admin stays; make another one first";
    NoChange "no_change" "the account is like that already; nothing to do";
    NoReason "no_reason" "a reason is needed, of at most 500 bytes; write one";
    DateInPast "date_in_past" "that date has passed; choose a later one";

    NoPermission { permission: Permission } "no_permission" "this needs the permission {permission}; ask an administrator for it";

    // projects
    NotMember "not_member" "you are no member of that project; ask one of its managers";
    MembershipExpired "membership_expired" "the membership has expired; ask a manager of the project to renew it";
    Uncertified { requirement: RequirementId } "uncertified" "a certification is missing or has expired: requirement {requirement}; ask whoever certifies for the project";
    NeedsLogin "needs_login" "that came after this login; log in again to use it";
    Locked "locked" "its project is not in your working set; change the working set, then try again";
    OtherLabel "other_label" "you write only where the tags equal your working set; change the working set, then try again";
    DeadWeight "dead_weight" "a project of your working set is lost to you, so nothing can be written; change the working set";
    Restricted "restricted" "your membership of the project forbids this; ask one of its managers";

    NotManager "not_manager" "this is for the project's managers; ask one";
    ParentNotMember "parent_not_member" "whoever joins a project is a member of the one above it; add them there first";
    ParentExpires "parent_expires" "the membership of the project above ends earlier; choose an earlier date, or renew that first";
    MemberInactive "member_inactive" "that person's account is not active; ask an administrator to activate it";
    AlreadyMember "already_member" "they are a member already; say whether to skip or to update those";
    NoSuchMember "no_such_member" "they are no member; nothing to do";
    NeedsHead "needs_head" "who is in a project changes by a head that one of its managers signs; sign one";
    IsPi "is_pi" "that is the project's principal investigator; name another one first";
    PiNotMember "pi_not_member" "a principal investigator is a member; add them first";
    ProjectInUse "project_in_use" "something carries the tag of this project, or projects are below it; untag or delete those first";
    ProjectTooDeep "project_too_deep" "projects would be nested too deeply; choose one nearer to the root";
    SameTree "same_tree" "a working set has one project of a tree; leave one of them out";
    TooManyProjects "too_many_projects" "a working set has at most 8 projects; leave some out";
    LevelInUse "level_in_use" "a project has this level; take it away there first";
    RequirementInUse "requirement_in_use" "a level asks for this requirement; take it out there first";
    UnsoundLifespan "unsound_lifespan" "a default lifespan is within the maximum, and neither is zero; choose others";
    MustExpire "must_expire" "a certification for this requirement expires; give a date";
    LifespanBeyondMaximum { until: Timestamp } "lifespan_beyond_maximum" "that is beyond the requirement's maximum; choose a date up to {until}";
    NoLongerCertified "no_longer_certified" "they hold no certification for this; nothing to do";

    // requests to join
    JoinedAlready "joined_already" "you are a member of that project already; nothing to ask for";
    JoinOpen "join_open" "you have asked already, and nobody has answered yet; wait, or withdraw that request first";
    JoinNotOpen "join_not_open" "there is no open request like that; nothing to do";
    JoinAgain { until: Timestamp } "join_again" "you asked for that project not long ago; ask again after {until}, or talk to one of its managers";
    TooManyJoins "too_many_joins" "at most 50 requests of yours are kept, those closed in the last 30 days included; withdraw some, or wait";
    ProjectJoinsFull "project_joins_full" "too many requests wait for that project; talk to one of its managers";

    // teams
    NotTeamManager "not_team_manager" "this is for the team's managers, or a sub-admin it is assigned to; ask one";
    OwnQuotas "own_quotas" "a sub-admin does not set the quotas of a team assigned to them; ask an administrator";
    UnsoundQuotas "unsound_quotas" "a quota is at most 9223372036854775807; choose a smaller one, or leave it out for none";
    TeamNotEmpty "team_not_empty" "a team is deleted when nobody is in it; take its members out first";
    OwnLastTeam "own_last_team" "this is the last team you are in, and without one you could not log in any more; join another one first, or ask an administrator to take you out";
    SameStanding "same_standing" "they stand in the team like that already; nothing to do";
    NotSubAdmin "not_sub_admin" "only sub-admins have teams assigned to them; change the person's rank first";
    NotAssigned "not_assigned" "the team is not assigned to them; nothing to do";
    VaultQuota "vault_quota" "the vault quota of the team that pays for this tree is used up; delete for good what is not needed (earlier versions and the trash count), or ask an administrator for a larger quota";
    NotInCare "not_in_care" "a sub-admin changes the accounts of people in teams assigned to them; ask an administrator";

    // tags
    TagsApart "tags_apart" "two tags of one tree on one path, neither above the other, could never be active together; choose another place or tag";
    TagBelow "tag_below" "something inside carries a tag of the same tree that does not go with this one; retag that first";
    Sideways "sideways" "a tag does not move to a sibling; declassify to the common ancestor, then classify";
    NotInWorkingSet "not_in_working_set" "the tag's project is not in your working set; change the working set, then try again";
    TagsOfPlace "tags_of_place" "its tags would change with its place, and a move keeps them; tag the thing itself first, then move it";
    SameTags "same_tags" "it is tagged like that already; nothing to do";
    NeedsProjectManager "needs_project_manager" "only a manager of the project, or its principal investigator, declassifies; ask one";

    // groups
    NotGroupOwner "not_group_owner" "only the group's owner does this; ask them";
    GroupPermission { needs: &'static str } "group_permission" "this takes the permission {needs} in the group; ask its owner";
    GroupOwnerStays "group_owner_stays" "the owner stays as they are; the group is handed over first";
    NotHolder "not_holder" "a key of a tag is sealed to members of the group who may be active in that project, and to nobody else; load the group again";
    TooManyTags "too_many_tags" "at most 32 tags count on one path in a group; take some away above or below";
    SamePermissions "same_permissions" "they have these permissions already; nothing to do";
    BeyondOwnPermissions "beyond_own_permissions" "one gives only permissions one has; give fewer";
    OwnsAlready "owns_already" "they own the group already; nothing to do";
    GenerationNeeded "generation_needed" "whoever is taken out holds the group's key, so a new one comes with it; make one";
    LeavesAlone "leaves_alone" "who leaves a group changes nothing else with it, and makes no key; leave out the rest";
    GroupFull "group_full" "a group has at most 10 000 members; make another one";
    InGroup "in_group" "what is in a group is shared with its members and nobody else; add the person to the group";

    // many at once
    NotInBulk "not_in_bulk" "that is not done to many at once; do it one by one";
    BulkRunning "bulk_running" "it is running already; look at it";
    BulkNotRunning "bulk_not_running" "it is not running; nothing to stop";
    BulkOver "bulk_over" "all of it is done; nothing is left to resume";

    // nodes
    NoTag "no_tag" "only the owner changes this tag, or a member with the permission for it; ask them";
    NoView "no_view" "the share lets you see names only; ask for view";
    NoDownload "no_download" "the share does not let you download; ask for download";
    NoEdit "no_edit" "the share does not let you edit here; ask for edit on the directory that holds it";
    NoShare "no_share" "the share does not let you share on; ask for share";
    NotOwner "not_owner" "only the owner deletes for good; ask them";
    EpochClosed "epoch_closed" "someone lost access here, so new keys come first; run rekey, then try again";
    InTrash "in_trash" "it is in the trash; restore it first";
    AboveInTrash "above_in_trash" "a directory above it is in the trash; restore that first";
    NotInTrash "not_in_trash" "it is not in the trash; move it there first";
    NotADirectory "not_a_directory" "that is a file; name a directory";
    NotAFile "not_a_file" "that is a directory; name a file";
    IsRoot "is_root" "that is the root of a tree; name something in it";
    IntoItself "into_itself" "a directory cannot go into itself; choose another place";
    OtherOwner "other_owner" "the two places have different owners; copy instead";
    HomeExists "home_exists" "you have a home already; use it";
    TooDeep "too_deep" "directories would be nested too deeply; choose a place nearer to the root";

    // contents
    NotYourUpload "not_your_upload" "the upload is somebody else's; begin your own";
    UploadOver "upload_over" "the upload is finished or was abandoned; begin a new one";

    // shares
    BeyondOwn "beyond_own" "a share is never freer than your own; give fewer verbs";
    ExpiryBeyondOwn "expiry_beyond_own" "a share does not outlive your own; choose an earlier date";
    OwnersExplain "owners_explain" "who else reaches this is for its owner to see; ask about yourself, or ask the owner";
    NoAuthority "no_authority" "the share you share under does not stand; reload and try again";
    RecipientInactive "recipient_inactive" "that person's account is not active; ask an administrator to activate it";
    RecipientHasAll "recipient_has_all" "that person is you or the owner; choose somebody else";
    NotYours "not_yours" "the share was made by somebody else; ask them or the owner";
    AlreadyEnded "already_ended" "the share has ended already; nothing to do";
}

impl Denial {
    /// Whether the answer must be the same as for something that does not exist.
    pub const fn is_hidden(&self) -> bool {
        matches!(self, Self::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_stable_words_and_unique() {
        let unique: HashSet<_> = Denial::CODES.iter().collect();
        assert_eq!(unique.len(), Denial::CODES.len());
        for code in Denial::CODES {
            assert!(code.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{code}");
        }
        let until = Timestamp::from_millis(0);
        let text = Denial::TooManyFailures { until }.to_string();
        assert_eq!(text, "too many failed logins; try again after 1970-01-01T00:00:00.000Z");
        assert!(Denial::NotFound.is_hidden() && !Denial::NoEdit.is_hidden());
    }
}
