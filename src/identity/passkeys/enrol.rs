//! A new passkey (Web Authentication, 7.1).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;
use webauthn_rs::prelude::{Passkey, PasskeyRegistration, RegisterPublicKeyCredential, WebauthnError};

use super::challenge::{self, Asked};
use super::own::Shown;
use super::{Answered, MOST_PASSKEYS, Question, check_wanted, relying_party};
use crate::app::Ctx;
use crate::audit;
use crate::error::{Code, Error, Result, conflict, not_found};
use crate::identity::factors::changed;
use crate::ids::{PasskeyId, UserId};
use crate::mail::notices::{self, Notice};
use crate::model::names::check_display_name;
use crate::model::profile::Profile;
use crate::model::user::UserRow;
use crate::session::holder::Holder;
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

/// Takes the passkey that an answer to [`begin`] with the same `asked` brings.
///
/// # Errors
/// `invalid_request` naming what is wrong; `conflict` when the passkey is known, or there is no room for it; what
/// [`Holder::hold`] refuses.
pub async fn finish(
    ctx: &Ctx,
    asked: &Asked,
    holder: &Holder<'_>,
    answered: &Answered<'_>,
    name: Option<&str>,
) -> Result<Shown> {
    let name = name.unwrap_or(UNNAMED);
    check_display_name("name", name)?;
    let (party, user) = (relying_party(ctx)?, holder.user());
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
    let (text, counter, backed_up) = document(&passkey)?;
    let new = &NewPasskey {
        id: ctx.app.entropy.id(ctx.now)?,
        user,
        credential_id: passkey.cred_id(),
        user_handle: opened.state.user_handle,
        rp_id: &party.id,
        name,
        passkey: &text,
        counter,
        backed_up,
    };
    let opened = &opened;
    ctx.app
        .db
        .unit(|conn| async move {
            let (project, now) = (ctx.project.id, ctx.now);
            holder.hold(ctx, &conn, None).await?;
            check_room(&passkeys::list(&conn, project, user).await?)?;
            if !opened.spend(&conn, ctx).await? {
                return Err(no_challenge());
            }
            passkeys::insert(&conn, project, now, new).await.map_err(known)?;
            changed(&conn, ctx, user).await?;
            notices::queue(ctx, &conn, user, Notice::FactorAdded("passkey")).await?;
            let (actor, target) = (holder.actor(ctx), audit::user_name(ctx, user));
            let event = actor.did("factor.added", &target).with(detail(new.id));
            audit::append(&conn, project, now, &event).await.map(drop)
        })
        .await?;
    Ok(Shown {
        id: new.id,
        name: name.to_owned(),
        created_at: ctx.now,
        last_used_at: None,
        backed_up,
        usable: true,
    })
}

/// What the audit log says of a passkey.
pub(super) fn detail(id: PasskeyId) -> Value {
    json!({"kind": "passkey", "id": id})
}

/// The passkey as it is stored, with what columns repeat of it.
fn document(passkey: &Passkey) -> Result<(String, i64, bool)> {
    let value = serde_json::to_value(passkey).map_err(Error::internal)?;
    let member = |name: &str| value.pointer(&format!("/cred/{name}"));
    let counter = member("counter").and_then(Value::as_i64);
    let backed_up = member("backup_state").and_then(Value::as_bool);
    let (Some(counter), Some(backed_up)) = (counter, backed_up) else {
        return Err(Error::internal("a passkey has neither counter nor backup state"));
    };
    Ok((value.to_string(), counter, backed_up))
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
