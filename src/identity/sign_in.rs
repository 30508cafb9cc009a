//! A password becomes a browser session; a browser session becomes a code.

use crate::app::Ctx;
use crate::error::Result;
use crate::model::client::Client;
use crate::oauth::authorize::AuthorizationRequest;
use crate::secret::Secret;
use crate::store::browser_sessions::{self, SignIn};
use crate::store::codes::{self, CodeRow};
use crate::store::users;

/// The hosted cookie lives one hour from the sign-in, absolute.
pub const BROWSER_SESSION_SECONDS: i64 = 3600;
/// RFC 6749, 4.1.2 recommends ten minutes at most; FAPI 2.0, 5.3.2.1 one.
const CODE_SECONDS: i64 = 60;

/// Checks the password. `None` for an unknown user, a disabled one and a wrong password alike.
///
/// The epochs are read together with the hash, before the hashing: a sign-out or a reset while the password waits in the
/// queue makes the session that follows impossible.
pub async fn prove_password(
    ctx: &Ctx,
    username: &str,
    password: Secret,
    user_agent: &str,
    address: &str,
) -> Result<Option<SignIn>> {
    let proof = ctx
        .app
        .db
        .read(|conn| async move { users::find_password(&conn, ctx.project.id, username).await })
        .await?;
    let fits = ctx.app.hasher.verify(proof.as_ref().map(|p| p.secret.as_str()), password).await?;
    let Some(proof) = proof.filter(|p| fits && p.status == "active") else { return Ok(None) };
    Ok(Some(SignIn {
        id: ctx.app.entropy.id(ctx.now)?,
        user_id: proof.user_id,
        project_epoch: proof.project_epoch,
        user_epoch: proof.token_epoch,
        browser_epoch: proof.browser_epoch,
        auth_time: ctx.now,
        amr: r#"["pwd"]"#.into(),
        acr: "1".into(),
        user_agent: user_agent.into(),
        address: address.into(),
    }))
}

/// Stores the session and its first code in one unit. `None`: the person was signed out in between.
pub async fn begin(
    ctx: &Ctx,
    client: &Client,
    request: &AuthorizationRequest,
    sign_in: &SignIn,
    cookie: &Secret,
) -> Result<Option<Secret>> {
    let (code, cookie_hash) = (ctx.app.entropy.token("tco_")?, cookie.sha256());
    let (code_hash, row) = (code.sha256(), code_row(ctx, client, request, sign_in));
    let (cookie_hash, code_hash, row) = (&cookie_hash, &code_hash, &row);
    let stored = ctx
        .app
        .db
        .unit(|conn| async move {
            let expires_at = ctx.now.plus_seconds(BROWSER_SESSION_SECONDS);
            let session =
                browser_sessions::insert(&conn, ctx.project.id, cookie_hash, sign_in, expires_at).await?;
            Ok(session == 1 && codes::insert(&conn, ctx.project.id, ctx.now, code_hash, row).await? == 1)
        })
        .await?;
    Ok(stored.then_some(code))
}

/// A code for a browser that is signed in already. `None`: it was signed out in between.
pub async fn resume(
    ctx: &Ctx,
    client: &Client,
    request: &AuthorizationRequest,
    sign_in: &SignIn,
) -> Result<Option<Secret>> {
    let code = ctx.app.entropy.token("tco_")?;
    let (hash, row) = (code.sha256(), code_row(ctx, client, request, sign_in));
    let (hash, row) = (&hash, &row);
    let stored = ctx
        .app
        .db
        .write(|conn| async move { codes::insert(&conn, ctx.project.id, ctx.now, hash, row).await })
        .await?;
    Ok((stored == 1).then_some(code))
}

fn code_row(ctx: &Ctx, client: &Client, request: &AuthorizationRequest, sign_in: &SignIn) -> CodeRow {
    CodeRow {
        client_id: client.id,
        user_id: sign_in.user_id,
        browser_session_id: Some(sign_in.id),
        redirect_uri: request.redirect_uri.clone(),
        code_challenge: request.code_challenge.clone(),
        scope: request.scope.clone(),
        nonce: request.nonce.clone(),
        audience: client.audience(),
        auth_time: sign_in.auth_time,
        amr: sign_in.amr.clone(),
        acr: sign_in.acr.clone(),
        user_agent: sign_in.user_agent.clone(),
        address: sign_in.address.clone(),
        project_epoch: sign_in.project_epoch,
        client_epoch: client.token_epoch,
        user_epoch: sign_in.user_epoch,
        expires_at: ctx.now.plus_seconds(CODE_SECONDS),
        consumed_at: None,
        family_id: None,
    }
}
