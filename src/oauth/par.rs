//! Pushed authorization requests (RFC 9126): the client sends its request ahead, proves itself, and gets a name for it that
//! the browser carries in its place. The request is used up by the unit that makes a code of it, and by nothing else.

use super::authorize::{MOST_BYTES, WayBack, check, check_redirect_uri, unsigned};
use super::client_auth::Presented;
use super::parameters::Parameters;
use super::request_object;
use crate::app::{Ctx, Visit};
use crate::error::{Error, Result, invalid_request, not_found, refused};
use crate::identity::tries::{self, Bound};
use crate::ids::ProjectId;
use crate::keys::data_key::DataKey;
use crate::keys::master::Place;
use crate::model::client::Client;
use crate::secret::Secret;
use crate::session::standing::{Asker, prove};
use crate::store::db::Conn;
use crate::store::liveness::Question;
use crate::store::pushed_requests::{self, NewPushedRequest};

/// RFC 9126, 2.2.
const URN: &str = "urn:ietf:params:oauth:request_uri:";

/// Long enough for a redirect; the person may take longer.
const LIVES_SECONDS: i64 = 90;

/// Requests that may be pushed in ten minutes: by one client, by one that proves nothing, and for that one from one
/// address. What nobody uses lies here for two hours.
const MOST_OF_CLIENT: i64 = 50_000;
const MOST_OF_PUBLIC_CLIENT: i64 = 5_000;
const MOST_OF_ADDRESS: i64 = 300;
const SPAN_SECONDS: i64 = 600;

/// What a client proves itself with at this endpoint is no part of the request.
const CREDENTIALS: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// The name of a request that was pushed.
pub struct Pushed {
    pub request_uri: Secret,
    pub expires_in: i64,
}

/// Whether this is a name that we gave, rather than an address, which nobody fetches.
pub fn is_ours(request_uri: &str) -> bool {
    request_uri.starts_with(URN)
}

/// What a request is stored under.
pub fn hash(request_uri: &str) -> Vec<u8> {
    Secret::new(request_uri).sha256()
}

/// Checks the request as the authorization endpoint will again, and keeps it.
///
/// # Errors
/// `invalid_client`; whatever is wrong with the request, by the codes of the authorization endpoint (RFC 9126, 2.3);
/// `temporarily_unavailable` for a client that has pushed too many.
pub async fn push(
    visit: &Visit,
    presented: Presented,
    parameters: Parameters,
    address: &str,
) -> Result<Pushed> {
    let client_id = presented.client_id.clone();
    let jkt = presented.jkt().map(str::to_owned);
    let proven = prove(visit, &Asker::Client(presented), |_| Ok(((), Question::default()))).await?;
    let ctx = &proven.ctx;
    if !ctx.project.is_active() {
        return Err(not_found("no such project"));
    }
    let entry = proven.asking_client()?;
    let client = &entry.client;
    if parameters.has("request_uri") {
        return Err(Error::invalid_field("request_uri", "request_uri has no place in a pushed request"));
    }
    let parameters = match parameters.get("request") {
        // RFC 9126, 3.
        Some(object) => request_object::read(ctx, &entry, object).await?,
        None if client.settings.require_signed_request_object => return Err(unsigned()),
        None => parameters,
    };
    let parameters = parameters.or("client_id", &client_id).without(&CREDENTIALS);
    let parameters = for_key(parameters, jkt.as_deref())?;
    let encoded = parameters.to_query();
    if encoded.len() > MOST_BYTES {
        return Err(invalid_request("the request is longer than 8192 bytes"));
    }
    let back = WayBack::new(check_redirect_uri(client, &parameters)?, &parameters);
    check(ctx, client, &back, &parameters)?;
    let request_uri = ctx.app.entropy.token(URN)?;
    let request = NewPushedRequest {
        hash: request_uri.sha256(),
        client_id: client.id,
        sealed_parameters: key(&request_uri).seal(
            &ctx.app.entropy,
            &place(ctx.project.id),
            encoded.as_bytes(),
        )?,
        expires_at: ctx.now.plus_seconds(LIVES_SECONDS),
    };
    store(ctx, &request, &bounds(ctx, client, address)).await?;
    Ok(Pushed { request_uri, expires_in: LIVES_SECONDS })
}

/// Counts the request, and keeps it if it is not one too many.
async fn store(ctx: &Ctx, request: &NewPushedRequest, bounds: &[Bound]) -> Result<()> {
    let verdict = |conn: Conn| async move {
        let too_many = tries::count(&conn, ctx, bounds).await?;
        if too_many.is_none() {
            pushed_requests::insert(&conn, ctx.project.id, ctx.now, request).await?;
        }
        Ok(too_many)
    };
    match ctx.app.db.unit(verdict).await? {
        Some(seconds) => Err(Error::too_often(seconds, "too many requests were pushed; try again later")),
        None => Ok(()),
    }
}

/// Whoever knows the name of a public client may push for it, and must not fill the disk, nor keep everybody else from it.
fn bounds(ctx: &Ctx, client: &Client, address: &str) -> Vec<Bound> {
    let (of, whose) = ("pushed request", client.id.0.as_bytes());
    if !client.is_public() {
        return vec![Bound::new(ctx, of, whose, MOST_OF_CLIENT, SPAN_SECONDS)];
    }
    let mut bounds = tries::bounds_of(ctx, of, whose, address, (MOST_OF_ADDRESS, SPAN_SECONDS));
    bounds.push(Bound::new(ctx, of, whose, MOST_OF_PUBLIC_CLIENT, SPAN_SECONDS));
    bounds
}

/// RFC 9449, 10.1: a proof that comes with the request says which key the code is for.
fn for_key(parameters: Parameters, jkt: Option<&str>) -> Result<Parameters> {
    match (parameters.get("dpop_jkt"), jkt) {
        (Some(named), Some(proven)) if named != proven => {
            Err(Error::invalid_field("dpop_jkt", "dpop_jkt is not the thumbprint of the proof's key"))
        }
        (None, Some(proven)) => Ok(parameters.or("dpop_jkt", proven)),
        _ => Ok(parameters),
    }
}

/// The parameters that the client pushed under this name. Nothing is used up.
///
/// # Errors
/// A name that is unknown, expired, used, or another client's. No redirect URI is proven, so the text is for the person.
pub async fn pushed(ctx: &Ctx, client: &Client, request_uri: &str) -> Result<Parameters> {
    let (hash, id) = (&hash(request_uri), client.id);
    let find = |conn| async move { pushed_requests::find(&conn, ctx.project.id, ctx.now, id, hash).await };
    let sealed = ctx.app.db.read(find).await?.ok_or_else(gone)?;
    let plain = key(&Secret::new(request_uri)).open(&place(ctx.project.id), &sealed)?;
    let parameters = std::str::from_utf8(&plain).ok().and_then(Parameters::parse);
    parameters.ok_or_else(|| Error::internal("a pushed request does not parse"))
}

/// The name leads nowhere, any more or at all.
pub fn gone() -> Error {
    refused(|t| &t.errors.request_gone)
}

/// Only whoever has the name can read the request.
fn key(request_uri: &Secret) -> DataKey {
    DataKey::of(request_uri, "tessera/pushed/v1")
}

fn place(project: ProjectId) -> Place<'static> {
    Place { table: "pushed_requests", project, row: "", column: "sealed_parameters" }
}
