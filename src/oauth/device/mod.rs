//! Devices without a browser (RFC 8628): the person signs in elsewhere, and types a code that the device shows.
//!
//! ```text
//! device  ── device_authorization ──> pending        (begin.rs)
//! person  ── enters the user code ──> which device   (enter.rs)
//! person  ── Allow / Deny ──────────> approved / denied
//! device  ── token endpoint ────────> consumed       (grants/device_code.rs)
//! ```

mod begin;
mod decide;
mod enter;

pub use self::begin::{Begun, begin};
pub use self::decide::{decide, waiting};
pub use self::enter::{Entry, enter};

/// How long the person has (RFC 8628, 3.2).
pub const LIVES_SECONDS: i64 = 600;

/// How often the device may ask.
pub const POLL_SECONDS: i64 = 5;

use crate::app::Ctx;
use crate::model::user_code::UserCode;

/// A short code is worth guessing for whoever has the database, so its hash has a key.
fn hash_of(ctx: &Ctx, code: &UserCode) -> Vec<u8> {
    ctx.app.master_keys.keyed_hash(ctx.project.id, "user_code", code.as_str().as_bytes())
}
