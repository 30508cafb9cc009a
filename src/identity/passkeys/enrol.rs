//! A new passkey (Web Authentication, 7.1).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;
use webauthn_rs::prelude::{Passkey, PasskeyRegistration, RegisterPublicKeyCredential, WebauthnError};

use super::challenge::{self, Asked, Opened};
use super::own::Shown;
use super::{Answered, MOST_PASSKEYS, Question, check_wanted, relying_party};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Code, Error, Result, conflict, not_found};
use crate::identity::account::count_change;
use crate::identity::factors::{changed, keep_first};
use crate::identity::recovery::NewCodes;
use crate::ids::{PasskeyId, UserId};
use crate::mail::notices::{self, Notice};
use crate::model::names::check_display_name;
use crate::model::profile::Profile;
use crate::model::proven;
use crate::model::user::UserRow;
use crate::session::holder::Holder;
use crate::store::db::Conn;
use crate::store::passkeys::{self, NewPasskey, PasskeyRow};
use crate::store::users;

/// What a passkey is called until its owner calls it something else.
const UNNAMED: &str = "Passkey";

/// Web Authentication, 4, credential ID: 100 bits at least are random, and 7.1, step 26: no more than 1023 bytes.
const CREDENTIAL_ID_BYTES: std::ops::RangeInclusive<usize> = 16..=1023;

#[derive(Serialize, Deserialize)]
struct State {
    registration: PasskeyRegistration,
    user_handle: Uuid,
}

/// Asks the browser to make a passkey of the person: one that finds them without a name, by an authenticator that verifies
/// them, and that has none of them yet.
///
/// # Errors
/// `conflict` when the person has as many as there may be, or the project has no use for one.
pub async fn begin(ctx: &Ctx, asked: &Asked, user: UserId) -> Result<Question> {
    check_wanted(ctx)?;
    let (project, party) = (ctx.project.id, relying_party(ctx)?);
    let read = |conn| async move {
        Ok((users::find(&conn, project, user).await?, passkeys::list(&conn, project, user).await?))
    };
    let (row, has) = ctx.app.db.read(read).await?;
    let row = row.ok_or_else(|| not_found("no such user"))?;
    check_room(&has)?;
    let user_handle = match has.first() {
        Some(first) => first.user_handle,
        None => uuid::Builder::from_random_bytes(ctx.app.entropy.bytes::<16>()?).into_uuid(),
    };
    let known = has.into_iter().map(|passkey| passkey.credential_id).collect();
    let (name, shown) = names(&row)?;
    let (asking, registration) = party
        .webauthn
        .start_passkey_registration(user_handle, &name, &shown, Some(known))
        .map_err(Error::internal)?;
    let mut options = serde_json::to_value(&asking.public_key).map_err(Error::internal)?;
    if let Some(selection) = options.get_mut("authenticatorSelection").and_then(Value::as_object_mut) {
        selection.insert("residentKey".into(), "required".into());
        selection.insert("requireResidentKey".into(), true.into());
    }
    let state = State { registration, user_handle };
    let challenge = challenge::seal(ctx, asked, state, &asking.public_key.challenge)?;
    Ok(Question { options, challenge })
}

/// What the authenticator shows its owner, to tell one account from another.
fn names(row: &UserRow) -> Result<(String, String)> {
    let name = row.username.clone().or_else(|| row.email.clone()).unwrap_or_else(|| row.id.to_string());
    let profile = Profile::parse(&row.profile)?;
    let shown = profile.get("name").and_then(Value::as_str).filter(|shown| !shown.is_empty());
    Ok((name.clone(), shown.map_or(name, str::to_owned)))
}

fn check_room(has: &[PasskeyRow]) -> Result<()> {
    match has.len() < MOST_PASSKEYS {
        true => Ok(()),
        false => Err(conflict(format!("a user has at most {MOST_PASSKEYS} passkeys"))),
    }
}

/// A passkey that a browser has made. It is nobody's until it is stored.
pub struct Made {
    id: PasskeyId,
    user: UserId,
    credential_id: Vec<u8>,
    rp_id: String,
    name: String,
    document: Document,
    opened: Opened<State>,
}

/// Judges an answer to [`begin`] with the same `asked`.
///
/// # Errors
/// `invalid_request` naming what is wrong; `conflict` where the project has no use for passkeys.
pub fn made(ctx: &Ctx, asked: &Asked, user: UserId, answered: &Answered<'_>, name: &str) -> Result<Made> {
    check_display_name("name", name)?;
    check_wanted(ctx)?;
    let party = relying_party(ctx)?;
    let opened = challenge::open::<State>(ctx, asked, answered.challenge).ok_or_else(no_challenge)?;
    let credential: RegisterPublicKeyCredential = serde_json::from_str(answered.credential)
        .map_err(|_| wrong("credential is not a PublicKeyCredential of navigator.credentials.create"))?;
    let passkey = party
        .webauthn
        .finish_passkey_registration(&credential, &opened.state.registration)
        .map_err(|error| wrong(why(&error)))?;
    if !CREDENTIAL_ID_BYTES.contains(&passkey.cred_id().len()) {
        return Err(wrong("the id of the passkey has 16 to 1023 bytes"));
    }
    Ok(Made {
        id: ctx.app.entropy.id(ctx.now)?,
        user,
        credential_id: passkey.cred_id().to_vec(),
        rp_id: party.id,
        name: name.to_owned(),
        document: Document::of(&passkey)?,
        opened,
    })
}

impl Made {
    /// Making one shows what using one shows: the authenticator has verified its person.
    pub const fn proven(&self) -> proven::Passkey {
        proven::Passkey { verified: true, synced: self.document.synced }
    }

    /// In a unit that holds the user's row. It uses the challenge up.
    pub(in crate::identity) async fn store(&self, conn: &Conn, ctx: &Ctx) -> Result<()> {
        let (project, user, document) = (ctx.project.id, self.user, &self.document);
        check_room(&passkeys::list(conn, project, user).await?)?;
        if !self.opened.spend(conn, ctx).await? {
            return Err(no_challenge());
        }
        let new = &NewPasskey {
            id: self.id,
            user,
            credential_id: &self.credential_id,
            user_handle: self.opened.state.user_handle,
            rp_id: &self.rp_id,
            name: &self.name,
            passkey: &document.text,
            counter: document.counter,
            backed_up: document.backed_up,
        };
        passkeys::insert(conn, project, ctx.now, new).await.map_err(known)?;
        changed(conn, ctx, user).await
    }

    /// Tells the owner and the audit log: the last statements of the unit.
    pub(in crate::identity) async fn record(&self, conn: &Conn, ctx: &Ctx) -> Result<()> {
        notices::queue(ctx, conn, self.user, Notice::FactorAdded("passkey")).await?;
        let (actor, target) = (Actor::user(ctx, self.user), audit::user_name(ctx, self.user));
        let event = actor.did("factor.added", &target).with(detail(self.id));
        audit::append(conn, ctx.project.id, ctx.now, &event).await.map(drop)
    }
}

/// Takes the passkey that an answer to [`begin`] with the same `asked` brings, and says whether `codes` are kept with it: they
/// are, for whoever has none.
///
/// # Errors
/// Those of [`made`]; `conflict` when the passkey is known, or there is no room for it; 503 for too many changes; what
/// [`Holder::hold`] refuses.
pub async fn finish(
    ctx: &Ctx,
    asked: &Asked,
    holder: &Holder<'_>,
    answered: &Answered<'_>,
    name: Option<&str>,
    codes: Option<&NewCodes>,
) -> Result<(Shown, bool)> {
    let user = holder.user();
    let made = made(ctx, asked, user, answered, name.unwrap_or(UNNAMED))?;
    count_change(ctx, holder).await?;
    let new = &made;
    let kept = ctx
        .app
        .db
        .unit(|conn| async move {
            holder.hold(ctx, &conn, None).await?;
            new.store(&conn, ctx).await?;
            let kept = keep_first(&conn, ctx, user, codes).await?;
            new.record(&conn, ctx).await?;
            Ok(kept)
        })
        .await?;
    let shown = Shown {
        id: made.id,
        name: made.name,
        created_at: ctx.now,
        last_used_at: None,
        backed_up: made.document.backed_up,
        usable: true,
    };
    Ok((shown, kept))
}

/// What the audit log says of a passkey.
pub(super) fn detail(id: PasskeyId) -> Value {
    json!({"kind": "passkey", "id": id})
}

/// The passkey as it is stored, with what columns repeat of it.
struct Document {
    text: String,
    counter: i64,
    backed_up: bool,
    /// Its key may leave its device.
    synced: bool,
}

impl Document {
    fn of(passkey: &Passkey) -> Result<Self> {
        let value = serde_json::to_value(passkey).map_err(Error::internal)?;
        let member = |name: &str| value.pointer(&format!("/cred/{name}"));
        let is = |name: &str| member(name).and_then(Value::as_bool);
        let counter = member("counter").and_then(Value::as_i64);
        let (Some(counter), Some(backed_up), Some(synced)) =
            (counter, is("backup_state"), is("backup_eligible"))
        else {
            return Err(Error::internal("a passkey has neither counter nor backup state"));
        };
        Ok(Self { text: value.to_string(), counter, backed_up, synced })
    }
}

fn known(error: Error) -> Error {
    match error.code() {
        Code::Conflict => conflict("the passkey is registered already"),
        _ => error,
    }
}

fn no_challenge() -> Error {
    let why = "the challenge was made for something else, is too old, or has been used";
    Error::invalid_field("challenge", why)
}

fn wrong(why: &'static str) -> Error {
    Error::invalid_field("credential", why)
}

/// What is wrong with it, for whoever writes the application.
fn why(error: &WebauthnError) -> &'static str {
    match error {
        WebauthnError::InvalidClientDataType => "the credential was made for another purpose",
        WebauthnError::MismatchedChallenge => "the credential answers another challenge",
        WebauthnError::InvalidRPOrigin => "the credential was made at another origin",
        WebauthnError::CredentialCrossOrigin => "the credential was made in a frame of another origin",
        WebauthnError::InvalidRPIDHash => "the credential was made for another RP ID",
        WebauthnError::UserNotPresent | WebauthnError::UserNotVerified => {
            "the authenticator has not verified the person"
        }
        _ => "the credential is not valid",
    }
}
