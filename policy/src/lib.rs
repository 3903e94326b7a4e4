//! Who may do what: pure rules over plain facts and a clock value. No I/O, no clock, no async.
//!
//! ```text
//! facts (loaded by the store)  ──▶  may_<verb>(actor, facts, now)  ──▶  Permit<Verb>  ──▶  the store's write
//!                                              └──▶  Denial: a reason the person may read
//! ```
//!
//! One rule has one home, a function in the file of its noun. Only this crate makes a [`Permit`], and every write of the
//! store takes one, so a write that nobody decided does not compile. The server greys out nothing and the client
//! enforces nothing with these; both ask the same function.

pub mod access;
pub mod active;
pub mod actor;
pub mod audit;
pub mod bulk;
pub mod certification;
pub mod compartment;
pub mod denial;
pub mod explain;
pub mod grant;
pub mod group;
pub mod join;
pub mod label;
pub mod node;
pub mod notification;
pub mod permit;
pub mod profile;
pub mod project;
pub mod reminder;
pub mod roster;
pub mod scope;
pub mod session;
pub mod tag;
pub mod team;
pub mod user;
pub mod version;

pub use active::ActiveSet;
pub use actor::Actor;
pub use denial::Denial;
pub use label::{Label, Line};
pub use permit::{Permit, Verb};
pub use scope::{PeopleScope, Scope, TeamScope};
