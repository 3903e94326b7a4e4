//! One file for each verb.

pub mod access;
pub mod agent;
pub mod audit;
pub mod bulk;
pub mod certification;
pub mod completion;
pub mod deployment;
mod each;
pub mod group;
mod join;
pub mod key;
pub mod level;
pub mod lock;
pub mod login;
pub mod logout;
pub mod man;
pub mod notifications;
pub mod profile;
pub mod project;
pub mod register;
pub mod requirement;
pub mod sessions;
pub mod status;
pub mod team;
pub mod users;
pub mod whoami;
pub mod work;
