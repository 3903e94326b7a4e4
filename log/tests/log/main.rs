//! Tests of the whole crate through its public face, in one program to build it once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod copy;
mod disk;
mod formats;
mod journal;
mod merkle;
mod mirror;
mod power_cut;
mod second_implementation;
mod support;
mod tamper;
mod writer;
