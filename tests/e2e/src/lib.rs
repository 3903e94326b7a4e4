//! The real programs together: a harness that starts them, and what is needed to break them on purpose.
//!
//! ```text
//!   tests/story.rs      two people, every kind of storage        System, Person, Postgres, S3
//!   tests/canary.rs     nothing secret anywhere on the server    Canary, Memory
//!   tests/kill.rs       killed at random, hundreds of times      System::kill
//!   tests/durable.rs    power cut at random, with lost writes    powercut::{Recorder, Disk}
//!   tests/backup.rs     backups under load, and back    System::restored
//!   tests/full.rs       no room left on the disk                 Recorder::set_full, SmallDisk
//! ```
//!
//! Every process is owned by a handle that ends it by its own id, and every wait has an end.

pub mod audit;
pub mod canary;
pub mod chance;
pub mod disk;
pub mod keyfile;
pub mod load;
pub mod memory;
pub mod person;
pub mod postgres;
pub mod powercut;
pub mod process;
pub mod program;
pub mod s3;
pub mod system;
pub mod tree;
pub mod verify;
pub mod witness;
