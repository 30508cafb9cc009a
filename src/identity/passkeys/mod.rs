//! Passkeys (Web Authentication Level 3): as the second factor, and as the only one where the authenticator knows the person.
//!
//! All projects of a server share its origin, and so its RP ID: a browser offers whatever it has for any of them. What a
//! passkey is worth is therefore decided here. It is looked up in the project that asks, belongs to one user, and answers a
//! challenge that was made for this project, one purpose, one browser and, where the user is known, that user.
//!
//! An authenticator keeps a user handle with a passkey, and shows it to whoever reaches the RP ID. Ours is random: not the
//! user's id, which is in tokens as `sub`, and tells when the account was made. It is of one user, so that a passkey of another
//! project does not take the place of this one's in the authenticator.

mod challenge;
mod enrol;
mod own;
mod prove;

use url::Url;
use webauthn_rs::prelude::{Webauthn, WebauthnBuilder};

pub use self::challenge::{Asked, Purpose};
pub use self::enrol::{Made, begin, finish, made};
pub use self::own::{Shown, list, remove, rename};
pub use self::prove::{Proven, ask, ask_anybody, prove};
use crate::app::Ctx;
use crate::error::{Error, Result, conflict};
use crate::model::sign_in_policy::FactorKind;

/// More would be nobody's own: passkeys are shared between devices by who makes these.
pub const MOST_PASSKEYS: usize = 10;

/// What the browser is to be asked.
pub struct Question {
    /// `PublicKeyCredentialRequestOptions` or `…CreationOptions`, as JSON (Web Authentication, 5.1.9).
    pub options: serde_json::Value,
    /// What the answer has to come back with: the server's part, sealed.
    pub challenge: String,
}

/// What came back, as it was sent.
pub struct Answered<'a> {
    pub challenge: &'a str,
    /// `PublicKeyCredential`, as JSON.
    pub credential: &'a str,
}

/// The server as authenticators know it.
struct RelyingParty {
    id: String,
    webauthn: Webauthn,
}

/// Whether there can be passkeys: their RP ID is a domain, and no address (Web Authentication, 5.1.2).
pub fn are_possible(ctx: &Ctx) -> bool {
    rp_id(&ctx.app.base_url).is_some()
}

/// Whether the project has a use for any: alone, or as a second factor.
pub fn are_wanted(ctx: &Ctx) -> bool {
    let policy = &ctx.project.settings.sign_in;
    policy.passkey_sign_in || policy.counts(FactorKind::Passkey)
}

/// # Errors
/// `conflict` where the project has no use for any.
fn check_wanted(ctx: &Ctx) -> Result<()> {
    match are_wanted(ctx) {
        true => Ok(()),
        false => Err(conflict("the project takes no passkeys")),
    }
}

fn rp_id(base_url: &str) -> Option<String> {
    Url::parse(base_url).ok()?.domain().map(str::to_owned)
}

/// # Errors
/// `conflict` where there can be no passkeys.
fn relying_party(ctx: &Ctx) -> Result<RelyingParty> {
    let origin = Url::parse(&ctx.app.base_url).map_err(Error::internal)?;
    let id = origin.domain().map(str::to_owned);
    let id =
        id.ok_or_else(|| conflict("there are no passkeys at an address: base_url must name a domain"))?;
    let builder = WebauthnBuilder::new(&id, &origin).map_err(Error::internal)?;
    let webauthn = builder.rp_name(&ctx.project.name).build().map_err(Error::internal)?;
    Ok(RelyingParty { id, webauthn })
}

#[cfg(test)]
mod tests {
    use super::rp_id;

    #[test]
    fn addresses_have_no_passkeys() {
        assert_eq!(rp_id("https://id.example.com").as_deref(), Some("id.example.com"));
        assert_eq!(rp_id("http://localhost:8080").as_deref(), Some("localhost"));
        for address in ["http://127.0.0.1:8080", "http://[::1]:8080", "nothing"] {
            assert_eq!(rp_id(address), None, "{address}");
        }
    }
}
