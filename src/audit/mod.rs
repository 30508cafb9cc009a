//! The audit log: append only, one hash chain per project, signed checkpoints of it, and the proof of both.

mod actor;
mod chain;
pub mod checkpoint;
mod cut;
mod emptied;
mod export;
mod origin;
mod personal;
mod read;
mod verify;
mod walk;

pub use actor::{Actor, Authority, own_account, user_name, user_name_in};
pub use chain::{Event, append, count_of};
pub use checkpoint::Checkpoint;
pub use cut::cut;
pub use export::{MOST_LINES, Page, Proof, export, verify_export};
pub use origin::{Origin, Owner, open_origin};
pub use personal::{Personal, erase, open, seal, seal_first};
pub use read::{AdminAct, Filter, Order, Shown, admin_acts, list};
pub use verify::{next_chain, verify, verify_with};
pub use walk::{Demands, Verdict};
