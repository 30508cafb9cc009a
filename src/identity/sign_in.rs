//! A password becomes a browser session; a browser session becomes a code.

use super::consent::{self, asked};
use super::devices::NewDevice;
use super::guesses::{Guess, Origin};
use super::known::{self, KnownBrowser};
use super::progress::{self, Progress};
use super::spend::Spend;
use crate::app::Ctx;
use crate::error::{Code, Error, Result};
use crate::events::{self, Kind, note};
use crate::model::client::Client;
use crate::model::consent::Permission;
use crate::model::names::check_username;
use crate::model::proven::{Proof, Proven};
use crate::oauth::authorize::AuthorizationRequest;
use crate::oauth::par;
use crate::projects::user_sessions::end_families_of;
use crate::secret::Secret;
use crate::store::browser_sessions::{self, Replaced, SignIn};
use crate::store::codes::{self, CodeRow};
use crate::store::db::Conn;
use crate::store::passwords::{self, PasswordProof};
use crate::store::{families, pushed_requests, sign_ins_in_progress};

/// The hosted cookie lives one hour from the sign-in, absolute.
pub const BROWSER_SESSION_SECONDS: i64 = 3600;
/// RFC 6749, 4.1.2 recommends ten minutes at most; FAPI 2.0, 5.3.2.1 one.
const CODE_SECONDS: i64 = 60;

/// What signs in.
pub struct Browser {
    pub user_agent: String,
    pub address: String,
}

/// Checks the password, in a browser that may be known by a cookie. `None` for an unknown user, a disabled one, a wrong password and one guess too many alike.
///
/// The epochs are read together with the hash, before the hashing: a sign-out or a reset while the password waits in the
/// queue makes the session that follows impossible.
pub async fn prove_password(
    ctx: &Ctx,
    username: &str,
    password: Secret,
    (browser, known_by): (Browser, Option<&Secret>),
) -> Result<Option<SignIn>> {
    let name = username.trim();
    let origin = &Origin::of(ctx, &browser.address, known_by);
    // What cannot be a user name is nobody's, and costs the same.
    let proof = match check_username(name) {
        Ok(()) => ctx
            .app
            .db
            .read(|conn| async move { passwords::find(&conn, ctx.project.id, name, origin.known_by()).await })
            .await?,
        Err(_) => None,
    };
    let outdated = proof.as_ref().is_some_and(|proof| ctx.app.hasher.is_outdated(&proof.secret));
    let again = outdated.then(|| password.clone());
    let fits = ctx.app.hasher.verify(proof.as_ref().map(|p| p.secret.as_str()), password).await?;
    let why = match &proof {
        None => "unknown_user",
        Some(_) if !fits => "wrong_password",
        Some(proof) if proof.status != "active" => "user_disabled",
        Some(_) => "too_many_guesses",
    };
    let user = proof.as_ref().map(|proof| proof.user_id);
    let fits = fits && proof.as_ref().is_some_and(|proof| proof.status == "active");
    let is_taken = Guess::new(ctx, origin, name, proof.as_ref()).is_taken(fits).await?;
    let Some(proof) = proof.filter(|_| is_taken) else {
        note(ctx, Kind::SignIn, why, None, user);
        return Ok(None);
    };
    if let Some(password) = again
        && let Err(error) = renew_hash(ctx, &proof, password).await
    {
        // The sign-in is good without; the next one tries again.
        tracing::warn!(cause = %error, "a password could not be hashed anew");
    }
    let proven = Proven::default().and(Proof::Password);
    Ok(Some(SignIn {
        id: ctx.app.entropy.id(ctx.now)?,
        user_id: proof.user_id,
        project_epoch: proof.project_epoch,
        user_epoch: proof.token_epoch,
        browser_epoch: proof.browser_epoch,
        auth_time: ctx.now,
        amr: proven.amr(),
        acr: proven.acr().as_str().to_owned(),
        codes: proven.codes(),
        user_agent: browser.user_agent,
        address: browser.address,
    }))
}

/// Replaces the hash that was just proven by one with today's parameters. A password that was changed in the meantime
/// has another hash and stays.
async fn renew_hash(ctx: &Ctx, proof: &PasswordProof, password: Secret) -> Result<()> {
    let renewed = &ctx.app.hasher.hash(&ctx.app.entropy, password).await?;
    let (user, proven) = (proof.user_id, proof.secret.as_str());
    ctx.app
        .db
        .write(|conn| async move {
            passwords::renew(&conn, ctx.project.id, ctx.now, user, proven, renewed).await
        })
        .await?;
    Ok(())
}

/// A code that is made, and not yet stored.
pub struct NewCode {
    pub secret: Secret,
    pub(super) hash: Vec<u8>,
    pub(super) row: CodeRow,
    /// What the person must have allowed; `None`: nothing.
    pub(super) permission: Option<Permission>,
    /// The hash of the pushed request that it uses up.
    pushed: Option<Vec<u8>>,
}

impl NewCode {
    /// The code that takes `sign_in` to the client.
    pub fn new(ctx: &Ctx, client: &Client, request: &AuthorizationRequest, sign_in: &SignIn) -> Result<Self> {
        let secret = ctx.app.entropy.token("tco_")?;
        let row = code_row(ctx, client, request, sign_in)?;
        let pushed = request.request_uri.as_deref().map(par::hash);
        Ok(Self { hash: secret.sha256(), row, permission: asked(ctx, client, request), pushed, secret })
    }

    /// `false`: user, client or project have changed since the proof.
    ///
    /// # Errors
    /// The pushed request has been used up. An error takes the code back.
    pub(super) async fn store(&self, ctx: &Ctx, conn: &Conn) -> Result<bool> {
        let (project, client) = (ctx.project.id, self.row.client_id);
        if codes::insert(conn, project, ctx.now, &self.hash, &self.row).await? == 0 {
            return Ok(false);
        }
        if let Some(hash) = &self.pushed
            && pushed_requests::consume(conn, project, client, hash).await? == 0
        {
            return Err(par::gone());
        }
        Ok(true)
    }
}

/// What leads to a browser session.
pub struct Beginning<'a> {
    pub sign_in: &'a SignIn,
    /// What names the session from now on.
    pub cookie: &'a Secret,
    /// The hash of the cookie that the browser had: a session behind it ends.
    pub replaced: Vec<u8>,
    pub code: Option<&'a NewCode>,
    /// What was in progress, and what the last proof uses up.
    pub last: Option<(&'a Progress, &'a Spend)>,
    /// The browser is to be remembered.
    pub device: Option<&'a NewDevice>,
    /// What the browser is known by from now on.
    pub known_by: &'a KnownBrowser,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Begun,
    /// The person was signed out in between.
    Overtaken,
    /// The proof was used before.
    Replayed,
}

/// Stores the session, and its first code, in one unit that uses up what led there.
///
/// A session that the browser had before ends. What it gave to applications follows the same person's new one; for
/// another person it ends as well, unless it was granted to outlive the session.
pub async fn begin(ctx: &Ctx, beginning: &Beginning<'_>) -> Result<Outcome> {
    let begun = ctx.app.db.unit(|conn| async move { begin_within(&conn, ctx, beginning).await }).await;
    let outcome = match &begun {
        Ok(Outcome::Begun) => events::OK,
        Ok(Outcome::Overtaken) => "overtaken",
        Ok(Outcome::Replayed) => "replayed",
        Err(error) => error.code().as_str(),
    };
    let client = beginning.code.map(|code| code.row.client_id);
    note(ctx, Kind::SignIn, outcome, client, Some(beginning.sign_in.user_id));
    begun
}

async fn begin_within(conn: &Conn, ctx: &Ctx, beginning: &Beginning<'_>) -> Result<Outcome> {
    let Beginning { sign_in, cookie, replaced, code, last, device, known_by } = beginning;
    let (project, now, user) = (ctx.project.id, ctx.now, sign_in.user_id);
    if let Some((progress, spend)) = last {
        if !spend.take(conn, ctx, user).await? {
            return Ok(Outcome::Replayed);
        }
        if sign_ins_in_progress::end(conn, project, &progress.row).await? == 0 {
            return Err(overtaken());
        }
        progress::forgive(conn, ctx, &progress.row, spend).await?;
        // Who has left that session meanwhile has left.
        if progress.is_step_up() && browser_sessions::find_live(conn, project, now, replaced).await?.is_none()
        {
            return Err(overtaken());
        }
    }
    let expires_at = now.plus_seconds(BROWSER_SESSION_SECONDS);
    if browser_sessions::insert(conn, project, &cookie.sha256(), sign_in, expires_at).await? == 0 {
        // What was used up on the way comes back with the error.
        return if last.is_some() { Err(overtaken()) } else { Ok(Outcome::Overtaken) };
    }
    if let Some(code) = code {
        require_consent(conn, ctx, code).await?;
        if !code.store(ctx, conn).await? {
            // An error takes the session back too.
            return Err(overtaken());
        }
    }
    if let Some(old) = browser_sessions::end(conn, project, now, replaced).await? {
        replace(conn, ctx, old, sign_in).await?;
    }
    if let Some(device) = device {
        device.store(conn, ctx, sign_in).await?;
    }
    known::remember(conn, ctx, sign_in, known_by).await?;
    if let Some((_, spend)) = last {
        spend.record(conn, ctx, user).await?;
    }
    Ok(Outcome::Begun)
}

/// What was proven is worth nothing any more.
pub fn overtaken() -> Error {
    Error::new(Code::AccessDenied, "the sign-in was overtaken by a change")
}

async fn replace(conn: &Conn, ctx: &Ctx, old: Replaced, new: &SignIn) -> Result<()> {
    let (project, same_person) = (ctx.project.id, old.user_id == new.user_id);
    // Somebody else's codes stay where they are and die with the session; the statement waits for those in exchange.
    let heir = if same_person { new.id } else { old.id };
    codes::move_to_browser_session(conn, project, old, heir).await?;
    if same_person {
        families::move_to_browser_session(conn, project, old, heir).await?;
    } else {
        end_families_of(ctx, conn, old.id, "browser_session_replaced").await?;
    }
    Ok(())
}

/// The session behind a cookie, with today's epochs.
pub async fn find_session(ctx: &Ctx, cookie: &Secret) -> Result<Option<SignIn>> {
    find_session_by_hash(ctx, &cookie.sha256()).await
}

/// The same by the hash of its cookie.
pub(super) async fn find_session_by_hash(ctx: &Ctx, hash: &[u8]) -> Result<Option<SignIn>> {
    ctx.app
        .db
        .read(|conn| async move { browser_sessions::find_live(&conn, ctx.project.id, ctx.now, hash).await })
        .await
}

async fn require_consent(conn: &Conn, ctx: &Ctx, code: &NewCode) -> Result<()> {
    match &code.permission {
        Some(asked) => consent::require(conn, ctx, code.row.user_id, code.row.client_id, asked).await,
        None => Ok(()),
    }
}

/// Stores a code for a browser that is signed in already. `false`: it was signed out in between.
///
/// # Errors
/// `consent_required` when what the person had allowed was withdrawn in between.
pub async fn resume(ctx: &Ctx, code: &NewCode) -> Result<bool> {
    if code.permission.is_some() || code.pushed.is_some() {
        let unit = |conn: Conn| async move {
            require_consent(&conn, ctx, code).await?;
            code.store(ctx, &conn).await
        };
        return ctx.app.db.unit(unit).await;
    }
    ctx.app.db.write(|conn| async move { code.store(ctx, &conn).await }).await
}

fn code_row(ctx: &Ctx, client: &Client, request: &AuthorizationRequest, sign_in: &SignIn) -> Result<CodeRow> {
    Ok(CodeRow {
        client_id: client.id,
        user_id: sign_in.user_id,
        browser_session_id: Some(sign_in.id),
        redirect_uri: request.back.redirect_uri.clone(),
        code_challenge: request.code_challenge.clone(),
        dpop_jkt: request.dpop_jkt.clone(),
        // Once more: the registration may have changed while the form was open.
        scope: client.allowed_scope(&request.scope),
        scopes_as_of: ctx.project.version,
        requested_scope: request.requested_scope.clone(),
        nonce: request.nonce.clone(),
        audience: request.audience(client),
        for_resources: !request.resources.is_empty(),
        claims: request.claims.as_ref().map(|claims| claims.names.to_column()).transpose()?.flatten(),
        auth_time: sign_in.auth_time,
        amr: sign_in.amr.clone(),
        acr: request.shown_acr(&sign_in.acr),
        user_agent: sign_in.user_agent.clone(),
        address: sign_in.address.clone(),
        project_epoch: sign_in.project_epoch,
        client_epoch: client.token_epoch,
        user_epoch: sign_in.user_epoch,
        expires_at: ctx.now.plus_seconds(CODE_SECONDS),
        consumed_at: None,
        family_id: None,
    })
}
