//! Profiles: sets of permissions with names, applied to people like a stamp.

use ticrypt_api::profile::{ProfileAbout, ProfileApplyRequest, ProfileListReply, ProfileSetRequest, ProfileView};
use ticrypt_api::user::UserView;
use ticrypt_types::{Operation, Permission, ProfileId, UserId};

use crate::bulk::{self, Item, Step};
use crate::certification::named;
use crate::entropy;
use crate::error::Result;
use crate::session::Session;

/// All of them, by name.
pub async fn list(session: &Session) -> Result<Vec<ProfileView>> {
    let reply: ProfileListReply = session.call(Operation::ProfileList, &[], &()).await?;
    Ok(reply.profiles)
}

/// By name or id.
pub async fn find(session: &Session, text: &str) -> Result<ProfileView> {
    let all = list(session).await?;
    named(&all, text, "profile", |one| (one.profile.to_string(), one.about.name.to_string())).cloned()
}

/// Makes a profile, or changes the one that was read.
pub async fn set(session: &Session, before: Option<&ProfileView>, about: ProfileAbout) -> Result<ProfileId> {
    let id = match before {
        Some(view) => view.profile,
        None => ProfileId::from_random(entropy::bytes()?),
    };
    let request = ProfileSetRequest { revision: before.map_or(0, |view| view.revision), about };
    let () = session.call(Operation::ProfileSet, &[&id.to_string()], &request).await?;
    Ok(id)
}

pub async fn delete(session: &Session, profile: ProfileId) -> Result<()> {
    session.call(Operation::ProfileDelete, &[&profile.to_string()], &()).await
}

/// What applying it would give somebody and take from them.
pub fn would_change(profile: &ProfileView, view: &UserView) -> (Vec<Permission>, Vec<Permission>) {
    let wanted = profile.about.permissions;
    view.permissions.changed(wanted).iter().partition(|permission| wanted.contains(*permission))
}

/// Whether somebody has it, and just its permissions.
pub fn is_applied(profile: &ProfileView, view: &UserView) -> bool {
    view.profile.as_ref().is_some_and(|label| label.profile == profile.profile) && view.permissions == profile.about.permissions
}

/// Gives each of several people the permissions of the profile, and no others. Gives what came of each, in order.
pub async fn apply(session: &Session, profile: &ProfileView, people: &[UserId], step: Step<'_>) -> Result<Vec<Result<()>>> {
    let request = ProfileApplyRequest { profile: profile.profile, revision: profile.revision };
    let item = |user: &UserId| Item { parameters: vec![user.to_string()], request: request.clone() };
    bulk::run(session, Operation::ProfileApply, &people.iter().map(item).collect::<Vec<_>>(), step).await
}
