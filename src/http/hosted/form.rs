//! The sign-in form. What the sign-in is for travels in it, sealed: nobody has signed in, so nothing is stored.

use serde::{Deserialize, Serialize};

use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::ids::ClientId;
use crate::keys::master::Place;
use crate::model::timestamp::Timestamp;
use crate::oauth::authorize::AuthorizationRequest;
use crate::secret::{Secret, decode_base64url, encode_base64url, equal_in_constant_time};

/// A form may be filled in for this long; the cookie that it is bound to lives as long.
const FORM_SECONDS: i64 = 3600;

/// What a sign-in is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Aim {
    /// A code for the application.
    Code(AuthorizationRequest),
    /// A browser that is signed in: the application makes its own requests, with PKCE, and will find it so.
    BrowserSession(ClientId),
}

impl Aim {
    pub fn client_id(&self) -> ClientId {
        match self {
            Self::Code(request) => request.client_id,
            Self::BrowserSession(client) => *client,
        }
    }

    /// Where the same sign-in starts anew.
    pub fn link(&self, ctx: &Ctx) -> String {
        let project = format!("/projects/{}", ctx.project.slug);
        match self {
            Self::Code(request) => format!("{project}/oauth2/authorize?{}", request.to_query()),
            Self::BrowserSession(client) => format!("{project}/sign-in?client_id={client}"),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    aim: Aim,
    /// The hash of the cookie of the browser that the form was made for.
    browser: String,
    expires_at: Timestamp,
}

/// A form that this project sealed.
pub enum Form {
    Valid(Aim),
    /// Too old, or another browser's: it may say where to start anew, and nothing else.
    Stale(Aim),
}

pub fn seal(ctx: &Ctx, aim: &Aim, cookie: &Secret) -> Result<String> {
    let expires_at = ctx.now.plus_seconds(FORM_SECONDS);
    let sealed = Sealed { aim: aim.clone(), browser: encode_base64url(&cookie.sha256()), expires_at };
    let plain = serde_json::to_vec(&sealed).map_err(Error::internal)?;
    Ok(encode_base64url(&ctx.app.master_keys.seal(&ctx.app.entropy, &place(ctx), &plain)?))
}

/// `None` for what this project did not seal. The binding to the cookie is the protection against forged posts: another
/// site cannot read a form that was made for this browser (RFC 9700, 4.7).
pub fn open(ctx: &Ctx, text: &str, cookie: Option<&Secret>) -> Option<Form> {
    let plain = ctx.app.master_keys.open(&place(ctx), &decode_base64url(text)?).ok()?;
    let sealed: Sealed = serde_json::from_slice(&plain).ok()?;
    let ours = cookie.is_some_and(|cookie| {
        equal_in_constant_time(encode_base64url(&cookie.sha256()).as_bytes(), sealed.browser.as_bytes())
    });
    let valid = ours && sealed.expires_at > ctx.now;
    Some(if valid { Form::Valid(sealed.aim) } else { Form::Stale(sealed.aim) })
}

fn place(ctx: &Ctx) -> Place<'_> {
    Place { table: "form", project: ctx.project.id, row: "", column: "sign_in" }
}
