//! One file for each verb.

pub mod agent;
pub mod audit;
pub mod completion;
pub mod deployment;
pub mod key;
pub mod lock;
pub mod login;
pub mod logout;
pub mod man;
pub mod notifications;
pub mod register;
pub mod sessions;
pub mod status;
pub mod users;
pub mod whoami;
