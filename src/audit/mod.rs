//! The audit log: append only, one hash chain per project.

mod actor;
mod chain;
mod personal;
mod read;
mod verify;

pub use actor::{Actor, user_name};
pub use chain::{Event, append, count_of};
pub use personal::{Personal, erase, open, seal, seal_first};
pub use read::{Filter, Order, Shown, list};
pub use verify::{Verdict, next_chain, verify};
