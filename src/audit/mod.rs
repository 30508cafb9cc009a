//! The audit log: append only, one hash chain per project.

mod chain;
mod verify;

pub use chain::{Event, append};
pub use verify::{Verdict, verify};
