//! The rules of reaching a thing, checked against a second statement of them.
//!
//! `naive.rs` says the rules once more, plainly, from the written rules alone; it shares nothing with the policy crate (tidy checks). Here both are
//! asked about *every* case of one person and one thing over all trees of up to four projects, up to isomorphism, and about a million cases
//! of larger worlds; and the properties that the rules exist for are checked on the answers.
//!
//! **Why one person and one thing are enough.** A decision reads the actor and the facts of the thing (for a move: of the target, which enters by its label
//! alone), so it is the same whatever other people and things there are. Of two people, each is one person. Of two things, `x` read
//! and `y` written by one person, the working set `w` is one and the same at that moment, since a person has one for all sessions: the
//! model shows `label(x) ≤ w` whenever `x` is read and `label(y) = w` whenever `y` is written, hence `label(x) ≤ label(y)`; and two things
//! read at once are both within `w`, whose tags are never siblings. A sequence of verbs is a sequence of such steps, and `≤` is transitive.
//!
//! **Why four projects are enough.** A decision compares lines: whether one leads to another, ends where another ends, or shares no root. Two lines
//! in one tree branch at most once, so their relation, and whether each project on them is held, shows in a tree of a common
//! part, a branch each and one below: four. The sampled worlds are larger, in case that is wrong.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cases;
mod facts;
mod forest;
mod naive;
mod properties;
mod sampled;
mod world;
