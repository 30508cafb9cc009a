//! Why a password will not do, in words for people.

use crate::app::Ctx;
use crate::identity::new_password::Fault;

pub fn in_words(ctx: &Ctx, fault: Fault) -> String {
    let t = &ctx.texts.passwords;
    match fault {
        Fault::Bounds => t.bounds.to_string(),
        Fault::MinLength(least) => t.min_length.with("least", &least.to_string()).to_string(),
        Fault::Blocklist => t.blocklist.to_string(),
        Fault::MinStrength(..) => t.min_strength.to_string(),
        Fault::History => t.history.to_string(),
    }
}
