//! Who gets in: a pure rule over what a request says of itself (security D24).
//!
//! ```text
//!   room     who asks                                                         needs
//!   Porch    static files, the page that opens the link                       right host; no other site's page
//!   Frame    a page that is typed or linked: an empty frame, nothing of ours  the cookie
//!   Inside   fragments, changes, streams                                      cookie and header token
//!   Ticket   what a one-use ticket in the path names                          the cookie, and the ticket
//! ```
//!
//! The cookie alone opens nothing: browsers send it to every port of a host name. The token is kept by the page's origin, which has the
//! port in it, and only scripts of that origin can send it. The host is compared letter by letter, so a name that was made to point here
//! (DNS rebinding) is refused before anything is read.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::Method;
use data_encoding::BASE64URL_NOPAD;
use ticrypt_client::entropy;
use ticrypt_types::Secret;

use crate::trouble::Trouble;

/// What a request wants to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    Porch,
    Frame,
    Inside,
    Ticket,
}

/// What a request says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Knock<'a> {
    pub changes: bool,
    pub host: Option<&'a str>,
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site` and `Sec-Fetch-Mode`, which no script can set.
    pub site: Option<&'a str>,
    pub mode: Option<&'a str>,
    pub cookie: Option<&'a str>,
    pub token: Option<&'a str>,
}

/// Why nobody opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    OtherHost,
    OtherSite,
    NoCookie,
    NoToken,
}

/// What must be shown, drawn anew at each start.
#[derive(Debug)]
pub struct Keys {
    /// `name:port`.
    pub host: String,
    pub cookie: Secret<String>,
    pub token: Secret<String>,
}

/// Name of the cookie; the port is part of it, because a browser keeps one jar for all ports.
pub fn cookie_name(port: u16) -> String {
    format!("ticrypt-{port}")
}

/// A value nobody guesses.
pub fn draw() -> Result<Secret<String>, Trouble> {
    Ok(Secret::new(BASE64URL_NOPAD.encode(&entropy::bytes::<32>()?)))
}

impl Keys {
    pub fn draw(host: String) -> Result<Self, Trouble> {
        Ok(Self { host, cookie: draw()?, token: draw()? })
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.host)
    }
}

/// Whether a request may enter a room.
pub fn may_enter(keys: &Keys, room: Room, knock: &Knock<'_>) -> Result<(), Refusal> {
    if knock.host != Some(keys.host.as_str()) {
        return Err(Refusal::OtherHost);
    }
    let navigates = knock.mode == Some("navigate") && !knock.changes;
    match knock.site {
        None | Some("same-origin") => {}
        Some("none") if !knock.changes => {}
        // The file that opens the link is another site's page to the browser; what it reaches has no secret.
        Some(_) if room == Room::Porch && navigates => {}
        Some(_) => return Err(Refusal::OtherSite),
    }
    match knock.origin {
        Some(origin) if origin != keys.origin() => return Err(Refusal::OtherSite),
        None if knock.changes => return Err(Refusal::OtherSite),
        _ => {}
    }
    if room == Room::Porch {
        return Ok(());
    }
    if !shows(&keys.cookie, knock.cookie) {
        return Err(Refusal::NoCookie);
    }
    if room == Room::Inside && !shows(&keys.token, knock.token) {
        return Err(Refusal::NoToken);
    }
    Ok(())
}

/// Compares without telling by its time how far it fits.
pub fn shows(secret: &Secret<String>, shown: Option<&str>) -> bool {
    shown.is_some_and(|shown| verify_slices_are_equal(secret.expose().as_bytes(), shown.as_bytes()).is_ok())
}

pub fn is_change(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_room_and_who_gets_in() {
        let keys = Keys::draw("abc.localhost:4000".to_owned()).unwrap();
        let (cookie, token, origin) = (keys.cookie.expose().clone(), keys.token.expose().clone(), keys.origin());
        let right = Knock {
            changes: false,
            host: Some("abc.localhost:4000"),
            origin: None,
            site: Some("same-origin"),
            mode: Some("cors"),
            cookie: Some(&cookie),
            token: Some(&token),
        };
        let change = Knock { changes: true, origin: Some(&origin), ..right };
        let rooms = [Room::Porch, Room::Frame, Room::Inside, Room::Ticket];
        let all = |knock: &Knock<'_>| rooms.map(|room| may_enter(&keys, room, knock));
        assert_eq!(all(&right), [Ok(()); 4]);
        assert_eq!(all(&change), [Ok(()); 4]);
        // A tool without fetch metadata that shows everything is somebody who read the launch file.
        assert_eq!(all(&Knock { site: None, mode: None, ..right }), [Ok(()); 4]);

        for host in [
            None,
            Some("127.0.0.1:4000"),
            Some("localhost:4000"),
            Some("abc.localhost"),
            Some("evil.example:4000"),
            Some("ABC.localhost:4000"),
        ] {
            assert_eq!(all(&Knock { host, ..right }), [Err(Refusal::OtherHost); 4], "{host:?}");
        }
        for origin in ["null", "http://evil.example", "https://abc.localhost:4000", "http://abc.localhost:4001"] {
            assert_eq!(all(&Knock { origin: Some(origin), ..change }), [Err(Refusal::OtherSite); 4], "{origin}");
        }
        assert_eq!(all(&Knock { origin: None, ..change }), [Err(Refusal::OtherSite); 4]);
        for site in ["cross-site", "same-site", "anything"] {
            assert_eq!(all(&Knock { site: Some(site), ..right }), [Err(Refusal::OtherSite); 4], "{site}");
            let navigation = all(&Knock { site: Some(site), mode: Some("navigate"), ..right });
            assert_eq!(navigation, [Ok(()), Err(Refusal::OtherSite), Err(Refusal::OtherSite), Err(Refusal::OtherSite)], "{site}");
            assert_eq!(all(&Knock { site: Some(site), mode: Some("navigate"), ..change }), [Err(Refusal::OtherSite); 4]);
        }
        // An address typed in is nobody's page, but it changes nothing.
        assert_eq!(all(&Knock { site: Some("none"), mode: Some("navigate"), ..right }), [Ok(()); 4]);
        assert_eq!(all(&Knock { site: Some("none"), ..change }), [Err(Refusal::OtherSite); 4]);

        let longer = format!("{cookie}x");
        for cookie in [None, Some(""), Some("x"), Some(longer.as_str()), Some(token.as_str()), cookie.get(1..)] {
            let refused = Err(Refusal::NoCookie);
            assert_eq!(all(&Knock { cookie, ..right }), [Ok(()), refused, refused, refused], "{cookie:?}");
        }
        for token in [None, Some(""), Some(cookie.as_str())] {
            assert_eq!(all(&Knock { token, ..right }), [Ok(()), Ok(()), Err(Refusal::NoToken), Ok(())]);
        }
    }
}
