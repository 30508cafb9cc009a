//! What only a sandbox has: a clock that can be moved, mail that is caught, faults on demand, and a way back to the start.
//!
//! A project is a sandbox from the beginning or never. Nothing here knows a way from one to the other.

pub mod clock;
pub mod faults;
pub mod messages;
pub mod seed;

use crate::app::Ctx;
use crate::error::{Result, conflict};

/// # Errors
/// 409 for a project whose people are real.
pub fn require(ctx: &Ctx) -> Result<()> {
    match ctx.project.is_sandbox() {
        true => Ok(()),
        false => Err(conflict("the project is live: this is for projects of the kind sandbox")),
    }
}

/// How the audit log names the sandbox that was acted on.
fn target(ctx: &Ctx) -> String {
    format!("project:{}", ctx.project.id)
}
