//! Pages, one file for each noun: what is shown, the dialogs over it, and what its buttons do.

mod access;
mod account;
mod audit;
mod bulk;
mod certifications;
mod details;
mod ending;
mod entry;
mod folder;
mod frame;
mod group;
mod groups;
mod heads;
mod levels;
mod local;
mod members;
mod notices;
mod people;
mod permissions;
mod profiles;
mod projects;
mod reach;
mod requests;
mod sessions;
mod share;
mod shares;
mod team;
mod teams;
mod transfers;
mod trash;
mod vault;
mod what_if;
mod work;

pub use groups::page_of as page_of_group;
pub use vault::address;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::HeaderName;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::Shared;
use crate::desk::Office;
use crate::trouble::{LOCKED, Result, Trouble};

/// What is reached by an address.
pub fn pages() -> Router<Shared> {
    Router::new()
        .route("/", get(entry::home))
        .route("/deployments", get(entry::deployments))
        .route("/vault", get(vault::page))
        .route("/vault/details", get(details::page))
        .route("/vault/access", get(access::page))
        .route("/vault/access/person", get(access::person))
        .route("/vault/access/what-if", get(what_if::page))
        .route("/reach", get(reach::page))
        .route("/ending", get(ending::page))
        .route("/requests", get(requests::page))
        .route("/shared", get(shares::with_me))
        .route("/sharing", get(shares::by_me))
        .route("/trash", get(trash::page))
        .route("/transfers", get(transfers::page))
        .route("/projects", get(projects::page))
        .route("/projects/members", get(members::page))
        .route("/groups", get(groups::page))
        .route("/groups/group", get(group::page))
        .route("/teams", get(teams::page))
        .route("/teams/members", get(team::page))
        .route("/certifications", get(certifications::page))
        .route("/requirements", get(levels::requirements))
        .route("/levels", get(levels::levels))
        .route("/people", get(people::page))
        .route("/profiles", get(profiles::page))
        .route("/sessions", get(sessions::page))
        .route("/bulk", get(bulk::page))
        .route("/audit", get(audit::page))
        .route("/account", get(account::page))
}

/// What pages ask for by script.
pub fn actions() -> Router<Shared> {
    Router::new()
        .route("/rows", get(frame::rows))
        .route("/export", post(frame::export))
        .route("/passphrase", post(frame::rate))
        .route("/notices", post(notices::list))
        .route("/lock", post(frame::lock))
        .route("/logout", post(frame::log_out))
        .route("/deployments/look", post(entry::look))
        .route("/deployments/add", post(entry::add))
        .route("/deployments/use", post(entry::use_deployment))
        .route("/deployments/remove", post(entry::remove))
        .route("/create", post(entry::create))
        .route("/register", post(entry::register))
        .route("/unlock", post(entry::unlock))
        .route("/key-file", post(entry::key_file))
        .route("/lost", post(entry::lost))
        .route("/vault/folder-dialog", post(vault::folder_dialog))
        .route("/vault/folder", post(vault::folder))
        .route("/vault/rename-dialog", post(vault::rename_dialog))
        .route("/vault/rename", post(vault::rename))
        .route("/vault/move-dialog", post(vault::move_dialog))
        .route("/vault/move", post(vault::move_to))
        .route("/vault/copy", post(vault::copy_to))
        .route("/vault/tree", get(vault::tree))
        .route("/vault/trash", post(vault::to_trash))
        .route("/working", get(work::bar).post(work::work))
        .route("/working/dialog", post(work::dialog))
        .route("/vault/tag-dialog", post(work::tag_dialog))
        .route("/vault/tag", post(work::tag))
        .route("/vault/rekey", post(vault::rekey))
        .route("/vault/download", post(vault::download))
        .route("/vault/get-dialog", post(vault::get_dialog))
        .route("/vault/get", post(vault::get))
        .route("/vault/put-dialog", post(vault::put_dialog))
        .route("/vault/put", post(vault::put))
        .route("/vault/preview", post(details::preview))
        .route("/vault/version/restore", post(details::restore_version))
        .route("/vault/version/download", post(details::download_version))
        .route("/vault/access/open", post(access::open))
        .route("/vault/access/ask", post(access::ask))
        .route("/vault/access/suppose", post(what_if::suppose))
        .route("/reach/open", post(reach::open))
        .route("/reach/ask", post(reach::ask))
        .route("/share/dialog", post(share::dialog))
        .route("/share", post(share::share))
        .route("/share/end", post(share::end))
        .route("/shares/end", post(shares::end))
        .route("/shares/leave", post(shares::leave))
        .route("/trash/restore", post(trash::restore))
        .route("/trash/delete", post(trash::delete))
        .route("/trash/empty", post(trash::empty))
        .route("/transfers/clear", post(transfers::clear))
        .route("/transfers/notes", post(transfers::notes))
        .route("/transfers/{what}", post(transfers::control))
        .route("/projects/new-dialog", post(projects::new_dialog))
        .route("/projects/new", post(projects::new))
        .route("/projects/change-dialog", post(projects::change_dialog))
        .route("/projects/change", post(projects::change))
        .route("/projects/delete", post(projects::delete))
        .route("/projects/work", post(projects::work))
        .route("/projects/add-dialog", post(members::add_to_dialog))
        .route("/projects/members/add-dialog", post(members::add_dialog))
        .route("/projects/members/add", post(members::add))
        .route("/projects/members/change-dialog", post(members::change_dialog))
        .route("/projects/members/change", post(members::change))
        .route("/projects/members/remove", post(members::remove))
        .route("/requests/ask-dialog", post(requests::ask_dialog))
        .route("/requests/ask", post(requests::ask))
        .route("/requests/refuse-dialog", post(requests::refuse_dialog))
        .route("/requests/refuse", post(requests::refuse))
        .route("/requests/accept", post(requests::accept))
        .route("/requests/withdraw", post(requests::withdraw))
        .route("/groups/new-dialog", post(groups::new_dialog))
        .route("/groups/new", post(groups::new))
        .route("/groups/open", post(groups::open))
        .route("/groups/rename-dialog", post(groups::rename_dialog))
        .route("/groups/rename", post(groups::rename))
        .route("/groups/own-dialog", post(groups::own_dialog))
        .route("/groups/own", post(groups::own))
        .route("/groups/leave", post(groups::leave))
        .route("/groups/delete-dialog", post(groups::delete_dialog))
        .route("/groups/delete", post(groups::delete))
        .route("/groups/add-dialog", post(group::add_dialog))
        .route("/groups/add", post(group::add))
        .route("/groups/permit-dialog", post(group::permit_dialog))
        .route("/groups/permit", post(group::permit))
        .route("/groups/remove", post(group::remove))
        .route("/groups/seal", post(group::seal))
        .route("/teams/new-dialog", post(teams::new_dialog))
        .route("/teams/new", post(teams::new))
        .route("/teams/change-dialog", post(teams::change_dialog))
        .route("/teams/change", post(teams::change))
        .route("/teams/quotas-dialog", post(teams::quotas_dialog))
        .route("/teams/quotas", post(teams::set_quotas))
        .route("/teams/delete", post(teams::delete))
        .route("/teams/add-dialog", post(team::add_dialog))
        .route("/teams/add", post(team::add))
        .route("/teams/remove", post(team::remove))
        .route("/teams/manager", post(team::manager))
        .route("/teams/plain", post(team::plain))
        .route("/teams/assign-dialog", post(team::assign_dialog))
        .route("/teams/assign", post(team::assign))
        .route("/teams/unassign", post(team::unassign))
        .route("/certifications/give-dialog", post(certifications::give_dialog))
        .route("/certifications/give", post(certifications::give))
        .route("/certifications/renew-dialog", post(certifications::renew_dialog))
        .route("/certifications/renew", post(certifications::renew))
        .route("/certifications/end", post(certifications::end))
        .route("/requirements/set", post(levels::set_requirement))
        .route("/requirements/dialog", post(levels::requirement_dialog))
        .route("/requirements/delete", post(levels::delete_requirements))
        .route("/levels/set", post(levels::set_level))
        .route("/levels/dialog", post(levels::level_dialog))
        .route("/levels/delete", post(levels::delete_levels))
        .route("/people/activate-dialog", post(people::activate_dialog))
        .route("/people/activate", post(people::activate))
        .route("/people/deactivate-dialog", post(people::deactivate_dialog))
        .route("/people/deactivate", post(people::deactivate))
        .route("/people/disable-dialog", post(people::disable_dialog))
        .route("/people/disable", post(people::disable))
        .route("/people/enable", post(people::enable))
        .route("/people/role-dialog", post(people::role_dialog))
        .route("/people/role", post(people::role))
        .route("/people/reset-dialog", post(people::reset_dialog))
        .route("/people/reset", post(people::reset))
        .route("/people/profile-dialog", post(people::profile_dialog))
        .route("/people/profile", post(people::profile))
        .route("/people/permissions-dialog", post(people::permissions_dialog))
        .route("/people/permissions", post(people::permissions))
        .route("/profiles/dialog", post(profiles::dialog))
        .route("/profiles/set", post(profiles::set))
        .route("/profiles/delete", post(profiles::delete))
        .route("/profiles/apply-dialog", post(profiles::apply_dialog))
        .route("/profiles/apply", post(profiles::apply))
        .route("/bulk/details", post(bulk::details))
        .route("/bulk/resume", post(bulk::resume))
        .route("/bulk/again", post(bulk::again))
        .route("/bulk/stop", post(bulk::stop))
        .route("/sessions/end", post(sessions::end))
        .route("/audit/verify", post(audit::verify))
        .route("/audit/row", post(audit::row))
        .route("/account/passphrase", post(account::passphrase))
        .route("/account/export", post(account::export))
        .route("/account/rotate", post(account::rotate))
        .route("/account/compare-dialog", post(account::compare_dialog))
        .route("/account/compare", post(account::compare))
        .route("/account/unpin", post(account::unpin))
        .route("/local", get(local::folders))
}

/// Shown where a page asks by itself, because something happened elsewhere: that is nobody being there.
const UNATTENDED: HeaderName = HeaderName::from_static("x-ticrypt-unattended");

async fn office(app: &Shared, parts: &Parts) -> Result<Arc<Office>> {
    if parts.headers.contains_key(UNATTENDED) { app.desk.office_unattended() } else { app.desk.office().await }
}

/// The unlocked vault, for an action. A locked one is a refusal that brings the page to the lock.
pub struct Inside(pub Arc<Office>);

impl FromRequestParts<Shared> for Inside {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self> {
        office(app, parts).await.map(Self)
    }
}

/// The unlocked vault, for a page. If it is locked, what unlocks it is shown under the same address.
pub struct Visit(pub Arc<Office>);

impl FromRequestParts<Shared> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Response> {
        match office(app, parts).await {
            Ok(office) => Ok(Self(office)),
            Err(trouble) if trouble.code() == LOCKED => {
                let here = parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.clone(), |uri| uri.0.clone());
                let here = here.path_and_query().map_or("/vault", |path| path.as_str()).to_owned();
                Err(entry::closed(app, &here).unwrap_or_else(IntoResponse::into_response))
            }
            Err(trouble) => Err(trouble.into_response()),
        }
    }
}
