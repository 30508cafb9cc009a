//! What the application may see and do.

use crate::app::Ctx;
use crate::error::{Result, invalid_scope};
use crate::model::client::{ACCOUNT, Client, SCOPES};
use crate::oauth::parameters::Parameters;

/// A scope that was asked for is kept up to this many bytes.
const MOST_BYTES: usize = 1024;

/// The scopes that there are and the client may ask for, in a fixed order; others are never granted (RFC 6749, 3.3).
///
/// # Errors
/// `invalid_scope` when somebody else's application asks to act on the account: it would wait for that in vain.
pub fn check_scope(ctx: &Ctx, client: &Client, parameters: &Parameters) -> Result<String> {
    let asked = asked(parameters);
    let asks_for = |scope: &str| asked.split(' ').any(|word| word == scope);
    if asks_for(ACCOUNT) && !client.settings.first_party {
        return Err(invalid_scope("the scope account is for first-party clients"));
    }
    let own = ctx.entry.scopes.iter().map(|scope| scope.name.as_str());
    let granted = SCOPES.into_iter().chain(own).filter(|scope| asks_for(scope) && client.may_ask_for(scope));
    Ok(granted.collect::<Vec<_>>().join(" "))
}

fn asked(parameters: &Parameters) -> &str {
    parameters.get("scope").unwrap_or("openid")
}

/// What is kept of a scope that was not granted as it was asked for. A client may repeat it at a refresh.
pub fn requested_scope(parameters: &Parameters, granted: &str) -> Option<String> {
    // RFC 6749, 3.3: the characters of a scope.
    let is_scope = |word: &&str| word.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    let asked = asked(parameters).split_ascii_whitespace().filter(is_scope).collect::<Vec<_>>().join(" ");
    (asked != granted && asked.len() <= MOST_BYTES).then_some(asked)
}
