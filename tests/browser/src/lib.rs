//! The page in a real browser, against the real programs: a harness that starts them and drives the page as a person would.
//!
//! ```text
//!   tests/story.rs      two people, from the link to a shared file     Desk, Browser
//!   tests/hostile.rs    other pages, other names, what files hold      ask (requests as anybody makes them)
//!   tests/lock.rs       idle, asleep, on demand                        Clock
//!   tests/transfer.rs   folders, large files, interruptions            Browser::drop_files
//!   tests/looks.rs      every page: axe, keyboard, pictures            Browser::axe, Browser::picture
//! ```
//!
//! connect runs in the test's own process, so that a test can turn its clocks; the backend and the browser are processes of their own,
//! owned by handles that end them.

mod browser;
mod desk;
mod http;

pub use browser::{Browser, packages, row};
pub use desk::{Clock, Desk, PASSPHRASE, System};
pub use http::{Reply, ask};
