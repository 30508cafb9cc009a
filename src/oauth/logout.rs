//! Checks of a logout request (OpenID Connect RP-Initiated Logout 1.0, 2).

use serde::{Deserialize, Serialize};

use super::authorize::unknown_client;
use super::parameters::Parameters;
use crate::app::Ctx;
use crate::error::{Result, refused};
use crate::ids::{ClientId, FamilyId};
use crate::keys::verify::verify_jws;
use crate::model::client::Client;
use crate::model::token::Family;
use crate::store::clients;
use crate::store::liveness::Question;

/// What an application asks for.
pub struct LogoutRequest {
    /// Named by a hint of ours, or by itself; `None` as well when it is switched off or gone: its people can still leave.
    pub client: Option<Client>,
    pub hint: Option<Hint>,
    /// A registered address, for after the logout.
    pub return_to: Option<String>,
    pub state: Option<String>,
}

/// What an ID token of ours says, however old it is: 2 asks for no more.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Hint {
    client: ClientId,
    pub family: FamilyId,
}

#[derive(Deserialize)]
struct HintClaims {
    iss: String,
    aud: ClientId,
    sid: FamilyId,
}

/// # Errors
/// What makes any redirect wrong: two applications in one request, an unknown one, an address that is not registered.
pub async fn check(ctx: &Ctx, parameters: &Parameters) -> Result<LogoutRequest> {
    if parameters.repeated().is_some() {
        return Err(refused(|t| &t.errors.logout_repeats));
    }
    // One that is forged, or signed by a key that is gone, is no hint; the person is asked.
    let hint = parameters.get("id_token_hint").and_then(|token| read_hint(ctx, token));
    let client = match named(&hint, parameters.get("client_id"))? {
        Some(id) => find_client(ctx, id, hint.is_some()).await?,
        None => None,
    };
    Ok(LogoutRequest {
        return_to: return_to(client.as_ref(), parameters.get("post_logout_redirect_uri"))?,
        client,
        hint,
        state: parameters.get("state").map(str::to_owned),
    })
}

/// The application, as far as it is one now. A hint of ours proves that it was.
async fn find_client(ctx: &Ctx, id: ClientId, is_proven: bool) -> Result<Option<Client>> {
    let found = ctx.app.db.read(|conn| async move { clients::find(&conn, ctx.project.id, id).await }).await?;
    match found {
        None if !is_proven => Err(unknown_client()),
        found => Ok(found.filter(Client::is_active)),
    }
}

fn read_hint(ctx: &Ctx, token: &str) -> Option<Hint> {
    let (header, claims) = verify_jws::<HintClaims>(token, |kid| ctx.entry.verifier(kid)).ok()?;
    let is_id_token = header.typ.as_deref() == Some("JWT") && claims.iss == ctx.project.issuer;
    is_id_token.then_some(Hint { client: claims.aud, family: claims.sid })
}

fn named(hint: &Option<Hint>, client_id: Option<&str>) -> Result<Option<ClientId>> {
    let unknown = |_| refused(|t| &t.errors.client_unknown);
    let named = client_id.map(|text| text.parse::<ClientId>().map_err(unknown)).transpose()?;
    match (hint, named) {
        (Some(hint), Some(named)) if hint.client != named => Err(refused(|t| &t.errors.clients_differ)),
        (Some(hint), _) => Ok(Some(hint.client)),
        (None, named) => Ok(named),
    }
}

/// Exact string comparison (3). Without an application that has registered it, an address is not used.
fn return_to(client: Option<&Client>, uri: Option<&str>) -> Result<Option<String>> {
    let (Some(client), Some(uri)) = (client, uri) else { return Ok(None) };
    match client.settings.post_logout_redirect_uris.iter().any(|registered| registered == uri) {
        true => Ok(Some(uri.to_owned())),
        false => Err(refused(|t| &t.errors.address_unregistered)),
    }
}

impl Hint {
    /// The family that the ID token was of, if it is still known and the client's.
    pub async fn find_family(&self, ctx: &Ctx) -> Result<Option<Family>> {
        let question = Question { family: Some(self.family), ..Question::default() };
        let standing = ctx.app.standings.ask(ctx.project.id, question).await?;
        let family = standing.and_then(|standing| standing.family);
        Ok(family.filter(|family| family.client_id == self.client))
    }
}
