//! The page in a real browser, against the real programs: a harness that starts them and drives the page as a person would.
//!
//! ```text
//!   tests/story.rs      two people, from the link to a shared file     Desk, Browser
//!   tests/hostile.rs    other pages, other names, what files hold      ask (requests as anybody makes them)
//!   tests/lock.rs       idle, asleep, on demand                        Clock
//!   tests/transfer.rs   folders, large files, interruptions            Browser::drop_files
//!   tests/trouble.rs    wrong files, a server that is away, full disks  SmallDisk
//!   tests/people.rs     fingerprints, keys that were lost              Person, on a command line
//!   tests/groups.rs     members, permissions, a folder of several      two desks, two browsers
//!   tests/access.rs     who can open a thing, what somebody reaches, what ends soon
//!   tests/requests.rs   who asks to be in a project, and who answers
//!   tests/teams.rs      members, quotas, who looks after one; bulk actions
//!   tests/looks.rs      every page: axe, keyboard, pictures            Browser::axe, Browser::picture
//! ```
//!
//! connect runs in the test's own process, so that a test can turn its clocks; the backend and the browser are processes of their own,
//! owned by handles that end them.

mod browser;
mod desk;
mod http;

use anyhow::Result;
use ticrypt_e2e::system::Options;

pub use browser::{Browser, packages, row};
pub use desk::{Clock, Desk, PASSPHRASE, System};
pub use http::{Reply, ask};

/// A system, a desk, and a browser in which its first administrator's vault is open.
pub async fn in_the_vault() -> Result<(System, Desk, Browser)> {
    let system = System::start(&Options::default())?;
    let desk = Desk::new().await?;
    let browser = Browser::start().await?;
    browser.first_administrator(&system, &desk.link()?).await?;
    Ok((system, desk, browser))
}
