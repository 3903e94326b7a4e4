//! Which request goes where. Each group of routes lies behind the door of its room.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{COOKIE, HOST, HeaderValue, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use crate::door::{self, Knock, Room};
use crate::fields::Fields;
use crate::pages;
use crate::trouble::{Result, Trouble};
use crate::{Shared, assets, headers, transfer, ui};

const TOKEN: HeaderName = HeaderName::from_static("x-ticrypt-token");
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// Sent by the page's own scripts, never by typing an address.
const FRAGMENT: HeaderName = HeaderName::from_static("hx-request");
/// Forms; a slice of a file has its own limit.
const FORM_MAX_BYTES: usize = 4 * 1024 * 1024;

pub fn router(app: &Shared) -> Result<Router> {
    let policy = headers::policy(&app.previews.origin());
    let policy = HeaderValue::from_str(&policy).map_err(|e| Trouble::broken(format!("the policy is no header: {e}")))?;
    let guard = |room: Room| {
        let app = app.clone();
        middleware::from_fn(move |request: Request, next: Next| guard(app.clone(), room, request, next))
    };
    let porch =
        Router::new().route("/open", get(open_page).post(open)).route("/assets/{name}", get(assets::serve)).layer(guard(Room::Porch));
    let pages = pages::pages().layer(middleware::from_fn_with_state(app.clone(), frame_or_fragment));
    let inside = pages::actions().route("/events", get(events)).layer(guard(Room::Inside));
    let uploads = transfer::upload::routes().layer(DefaultBodyLimit::disable()).layer(guard(Room::Inside));
    let tickets = Router::new().route("/file/{ticket}", get(transfer::file::serve)).layer(guard(Room::Ticket));
    Ok(Router::new()
        .merge(porch)
        .merge(pages)
        .merge(inside)
        .layer(DefaultBodyLimit::max(FORM_MAX_BYTES))
        .merge(uploads)
        .merge(tickets)
        .fallback(nothing)
        .layer(middleware::from_fn_with_state(policy, headers::put))
        .with_state(app.clone()))
}

async fn guard(app: Shared, room: Room, request: Request, next: Next) -> Response {
    match enter(&app, room, request.headers(), door::is_change(request.method())) {
        Ok(()) => next.run(request).await,
        Err(trouble) => trouble.into_response(),
    }
}

fn enter(app: &Shared, room: Room, headers: &HeaderMap, changes: bool) -> Result<()> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let cookie = cookies.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == app.cookie);
    let knock = Knock {
        changes,
        host: text(&HOST),
        origin: text(&ORIGIN),
        site: text(&SITE),
        mode: text(&MODE),
        cookie: cookie.map(|(_, value)| value),
        token: text(&TOKEN),
    };
    Ok(door::may_enter(&app.keys, room, &knock)?)
}

/// The same address is a frame for whoever types it and a page's content for the frame's script, which shows the token.
async fn frame_or_fragment(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let is_fragment = request.headers().contains_key(FRAGMENT);
    let room = if is_fragment { Room::Inside } else { Room::Frame };
    match enter(&app, room, request.headers(), false) {
        Ok(()) if is_fragment => next.run(request).await,
        Ok(()) => ui::html(&Frame {}).unwrap_or_else(IntoResponse::into_response),
        Err(trouble) if is_fragment => trouble.into_response(),
        Err(trouble) => (trouble.status(), ui::html(&Open {}).unwrap_or_else(IntoResponse::into_response)).into_response(),
    }
}

#[derive(askama::Template)]
#[template(path = "frame.html")]
struct Frame {}

#[derive(askama::Template)]
#[template(path = "open.html")]
struct Open {}

async fn open_page() -> Result<Response> {
    ui::html(&Open {})
}

#[derive(Serialize)]
struct Opened<'a> {
    token: &'a str,
}

/// Spends the link: what the browser needs from now on.
async fn open(State(app): State<Shared>, fields: Fields) -> Result<Response> {
    if !app.launch.spend(fields.get("key").unwrap_or_default()) {
        return Err(Trouble::new(
            StatusCode::FORBIDDEN,
            "link_used",
            "this link was used already; run `ticrypt-connect` again for a new one",
        ));
    }
    let cookie = format!("{}={}; Path=/; HttpOnly; SameSite=Strict", app.cookie, app.keys.cookie.expose());
    let mut cookie = HeaderValue::from_str(&cookie).map_err(|e| Trouble::broken(e.to_string()))?;
    cookie.set_sensitive(true);
    let body = axum::Json(Opened { token: app.keys.token.expose() });
    Ok(([(SET_COOKIE, cookie)], body).into_response())
}

async fn events(State(app): State<Shared>) -> Response {
    let running = app.desk.running().iter().flat_map(|office| office.transfers.happened()).collect();
    app.hub.listen(running, app.end.clone()).into_response()
}

async fn nothing() -> Response {
    (StatusCode::NOT_FOUND, Body::from("there is no such page\n")).into_response()
}
