//! A device asks for its codes (RFC 8628, 3.1 and 3.2).

use super::{LIVES_SECONDS, POLL_SECONDS, hash_of};
use crate::app::{Ctx, Visit};
use crate::error::{Error, Result, not_found, unauthorized_client};
use crate::identity::sign_in::Browser;
use crate::model::client::{Client, GrantType};
use crate::model::proven::Acr;
use crate::model::user_code::UserCode;
use crate::oauth::authorize::{check_acr_values, check_max_age, check_scope, requested_scope};
use crate::oauth::client_auth::Presented;
use crate::oauth::parameters::Parameters;
use crate::oauth::resources::{RESOURCE, check_resources};
use crate::projects::admins::home;
use crate::secret::Secret;
use crate::session::standing::{Asker, prove};
use crate::store::device_grants::{self, NewDeviceGrant, Wishes};
use crate::store::liveness::Question;

/// Two devices hardly ever get the same code, and never thrice.
const ATTEMPTS: usize = 3;

/// What the device shows, and what it asks with.
pub struct Begun {
    pub device_code: Secret,
    pub user_code: UserCode,
    pub verification_uri: String,
}

/// # Errors
/// `invalid_client`; `unauthorized_client` for a client that is not registered for the grant; `invalid_scope`;
/// `invalid_target` for a resource server that is not open to it (RFC 8707, 2); `invalid_request` for a `max_age` that is none.
pub async fn begin(visit: &Visit, presented: Presented, form: &Parameters, device: Browser) -> Result<Begun> {
    let proven = prove(visit, &Asker::Client(presented), |_| Ok(((), Question::default()))).await?;
    let ctx = &proven.ctx;
    if !ctx.project.is_active() {
        return Err(not_found("no such project"));
    }
    let client = &proven.asking_client()?.client;
    if !client.may_use(GrantType::DeviceCode) {
        return Err(unauthorized_client("the client is not registered for this grant type"));
    }
    let scope = check_scope(ctx, client, form)?;
    let requested_scope = requested_scope(form, &scope);
    let resources = check_resources(&ctx.entry, client, &form.all(RESOURCE))?;
    let mut wishes = wishes(ctx, client, form)?;
    if home::is_for_admins(ctx, &scope).await? {
        for_admins(ctx, &mut wishes);
    }
    let asked = Asked { client, scope, requested_scope, resources, device, wishes };
    for _ in 0..ATTEMPTS {
        if let Some(begun) = store(ctx, &asked).await? {
            return Ok(begun);
        }
    }
    Err(Error::internal("no free user code was found"))
}

/// Which client asks for what, on which device.
struct Asked<'a> {
    client: &'a Client,
    scope: String,
    requested_scope: Option<String>,
    resources: Vec<String>,
    device: Browser,
    wishes: Wishes,
}

/// `acr_values` and `max_age`, as an authorization request has them (OpenID Connect Core, 3.1.2.1): a device that was told to
/// step up (RFC 9470, 3) has no other way to.
fn wishes(ctx: &Ctx, client: &Client, form: &Parameters) -> Result<Wishes> {
    let acr_values = check_acr_values(form)?;
    let age = check_max_age(client, form)?;
    Ok(Wishes {
        acr_values: (!acr_values.is_empty()).then(|| acr_values.join(" ")),
        auth_from: age.map(|seconds| ctx.now.plus_seconds(-seconds)),
    })
}

/// Whoever starts a device and sends somebody its code gets nothing by a click: who gives away an admin's rights signs in for it,
/// with a second factor where there is one, after the device has asked.
fn for_admins(ctx: &Ctx, wishes: &mut Wishes) {
    wishes.auth_from = Some(ctx.now);
    let values = wishes.acr_values.as_deref().unwrap_or_default();
    if values.split(' ').find_map(Acr::named).is_none_or(|first| first < Acr::Two) {
        wishes.acr_values = Some(Acr::Two.as_str().to_owned());
    }
}

/// `None`: another device has the code.
async fn store(ctx: &Ctx, asked: &Asked<'_>) -> Result<Option<Begun>> {
    let (device_code, user_code) = (ctx.app.entropy.token("tdc_")?, UserCode::generate(&ctx.app.entropy)?);
    let new = &NewDeviceGrant {
        id: ctx.app.entropy.id(ctx.now)?,
        client_id: asked.client.id,
        device_code_hash: device_code.sha256(),
        user_code_hash: hash_of(ctx, &user_code),
        scope: asked.scope.clone(),
        requested_scope: asked.requested_scope.clone(),
        audience: match asked.resources.is_empty() {
            true => asked.client.audience(),
            false => asked.resources.join(" "),
        },
        for_resources: !asked.resources.is_empty(),
        user_agent: asked.device.user_agent.clone(),
        address: asked.device.address.clone(),
        poll_seconds: POLL_SECONDS,
        expires_at: ctx.now.plus_seconds(LIVES_SECONDS),
        wishes: asked.wishes.clone(),
    };
    let insert = |conn| async move { device_grants::insert(&conn, ctx.project.id, ctx.now, new).await };
    let stored = ctx.app.db.write(insert).await?;
    let verification_uri = format!("{}/device", ctx.project.issuer);
    Ok((stored == 1).then_some(Begun { device_code, user_code, verification_uri }))
}
