//! People: making, reading and changing their records. Whoever is disabled, or gets a new password from an admin, is
//! signed out everywhere in the same unit.

use serde_json::{Map, Value, json};

use super::holdings::{self, Change, Writer};
use crate::app::Ctx;
use crate::audit::{self, Actor, Personal};
use crate::error::{Code, Error, Result, conflict, not_found, stale};
use crate::identity::new_password::{self, Fault, NewPassword, Owner};
use crate::ids::UserId;
use crate::model::names::{check_email, check_username};
use crate::model::profile::Profile;
use crate::model::user::{User, UserRow, UserStatus};
use crate::secret::Secret;
use crate::session::sign_out::SignedOut;
use crate::store::db::Conn;
use crate::store::deletions;
use crate::store::logout_tokens;
use crate::store::user_keys;
use crate::store::user_lists::{self, Span};
use crate::store::users::{self, Record};

/// A person to be.
#[derive(Default)]
pub struct NewUser {
    pub username: String,
    pub email: Option<String>,
    pub email_verified: bool,
    /// Without one, only an admin's `set-password` lets the person in.
    pub password: Option<Secret>,
    /// Standard claims, by name.
    pub profile: Map<String, Value>,
    pub attributes: Map<String, Value>,
    pub roles: Vec<String>,
    pub groups: Vec<String>,
}

/// What changes of a record; `None` stays as it is.
#[derive(Default)]
pub struct UserChange {
    pub status: Option<UserStatus>,
    pub username: Option<String>,
    /// `Some(None)` takes the address away.
    pub email: Option<Option<String>>,
    pub email_verified: Option<bool>,
    /// Standard claims, by name; null takes one away.
    pub profile: Map<String, Value>,
}

/// # Errors
/// `invalid_request` naming the field and the bound; 409 when the user name, however it is written, is taken.
pub async fn create(ctx: &Ctx, actor: &Actor, new: NewUser) -> Result<User> {
    let prepared = &prepare(ctx, new).await??;
    let unit = |conn: Conn| async move { prepared.store(ctx, &conn, actor, json!({})).await };
    ctx.app.db.unit(unit).await?.try_into()
}

/// A person who is checked and whose password is hashed, ready for the unit that stores them.
pub struct Prepared {
    pub id: UserId,
    username: String,
    email: Option<String>,
    email_verified: bool,
    profile: String,
    password: Option<NewPassword>,
    change: Change,
    sealed: Option<(Personal, Vec<u8>)>,
}

/// # Errors
/// `invalid_request` naming the field and the bound. Inside: which rule the password breaks.
pub async fn prepare(ctx: &Ctx, new: NewUser) -> Result<Result<Prepared, Fault>> {
    check_username(&new.username)?;
    check_mail(new.email.as_deref(), new.email_verified)?;
    let mut profile = Profile::default();
    profile.change(new.profile)?;
    let profile = profile.to_json()?;
    let password = match new.password {
        Some(password) => {
            let owner = Owner { id: None, username: &new.username, email: new.email.as_deref() };
            match new_password::prepare(ctx, owner, password).await? {
                Ok(password) => Some(password),
                Err(fault) => return Ok(Err(fault)),
            }
        }
        None => None,
    };
    let change = Change {
        set: new.attributes,
        roles: holdings::LabelChange { add: new.roles, remove: Vec::new() },
        groups: holdings::LabelChange { add: new.groups, remove: Vec::new() },
        remove: Vec::new(),
    };
    let id: UserId = ctx.app.entropy.id(ctx.now)?;
    let sealed = match change.set.is_empty() {
        true => None,
        false => Some(audit::seal_first(ctx, id, &json!({"set": change.set}))?),
    };
    let NewUser { username, email, email_verified, .. } = new;
    Ok(Ok(Prepared { id, username, email, email_verified, profile, password, change, sealed }))
}

impl Prepared {
    /// In a unit of its own or as the last step of another; `detail` says more of how the person came.
    ///
    /// # Errors
    /// 409 when the user name, however it is written, is taken; `invalid_request` naming what there is not.
    pub async fn store(&self, ctx: &Ctx, conn: &Conn, actor: &Actor, mut detail: Value) -> Result<UserRow> {
        let (project, now, id) = (ctx.project.id, ctx.now, self.id);
        let record = Record {
            status: "active",
            username: &self.username,
            email: self.email.as_deref(),
            email_verified: self.email_verified,
            profile: &self.profile,
        };
        let mut row = users::insert(conn, project, now, id, &record).await.map_err(taken)?;
        if let Some(password) = &self.password {
            password.store(conn, ctx, id).await?;
        }
        if let Some((_, data_key)) = &self.sealed {
            user_keys::insert(conn, project, now, id, data_key).await?;
        }
        let applied = holdings::apply(conn, project, now, &row, &self.change, Writer::Admin);
        let mut personal = None;
        if let Some(applied) = applied.await.map_err(at_creation)? {
            row = applied.row;
            if let (Some(all), Value::Object(held)) = (detail.as_object_mut(), applied.detail) {
                all.extend(held);
            }
            personal = self.sealed.as_ref().map(|(personal, _)| personal);
        }
        let target = audit::user_name(ctx, id);
        let event = actor.did("user.created", &target).with(detail).sealing(personal);
        audit::append(conn, project, now, &event).await?;
        Ok(row)
    }
}

/// Users who are made have `attributes`, `roles` and `groups`; those who are changed have `set` and `roles.add`.
fn at_creation(error: Error) -> Error {
    let Some(field) = error.field() else { return error };
    let field = match field.split_once('.') {
        Some(("set", name)) => format!("attributes.{name}"),
        Some((list, _)) => list.to_owned(),
        None if field == "set" => "attributes".to_owned(),
        None => return error,
    };
    let description = error.description().to_owned();
    Error::new(error.code(), description).with_field(field)
}

/// Finds a user who is not deleted.
pub async fn find(ctx: &Ctx, id: UserId) -> Result<User> {
    let row = ctx.app.db.read(|conn| async move { users::find(&conn, ctx.project.id, id).await }).await?;
    row.ok_or_else(no_user)?.try_into()
}

/// Which users a page has.
pub struct Search {
    /// The beginning of a user name or a mail address, however it is written.
    pub text: Option<String>,
    pub status: Option<UserStatus>,
    pub after: Option<UserId>,
    pub limit: i64,
}

/// # Errors
/// `invalid_request` naming the bound of `search`.
pub async fn list(ctx: &Ctx, search: Search) -> Result<Vec<User>> {
    let (status, text) = (search.status.map(UserStatus::as_str), search.text.as_deref());
    if text.is_some_and(|text| !(1..=254).contains(&text.len()) || text.chars().any(char::is_control)) {
        let bound = "search has 1 to 254 bytes and no control characters";
        return Err(Error::invalid_field("search", bound));
    }
    let span = Span { after: search.after, limit: search.limit };
    let rows = ctx
        .app
        .db
        .read(|conn| async move {
            match text {
                Some(text) => user_lists::search(&conn, ctx.project.id, text, status, span).await,
                None => user_lists::list(&conn, ctx.project.id, status, span).await,
            }
        })
        .await?;
    rows.into_iter().map(User::try_from).collect()
}

/// # Errors
/// `invalid_request` naming the field and the bound; 412 when the record is no longer the version that the caller has
/// seen; 409 when the user name is taken, or for another status while a deletion is scheduled.
pub async fn change(
    ctx: &Ctx,
    actor: &Actor,
    id: UserId,
    change: &UserChange,
    seen: Option<i64>,
) -> Result<User> {
    if let Some(name) = &change.username {
        check_username(name)?;
    }
    ctx.app
        .db
        .unit(|conn| async move {
            let row = locked(ctx, &conn, id, seen).await?;
            User::try_from(change_held(ctx, &conn, actor, row, change).await?)
        })
        .await
}

/// The rest of the unit, which holds `row`.
pub async fn change_held(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    row: UserRow,
    change: &UserChange,
) -> Result<UserRow> {
    let (project, id) = (ctx.project.id, row.id);
    // The way back from a scheduled deletion is to cancel it, or the person would be gone all the same one day; and who is
    // disabled by it is active again when it is cancelled, whatever was asked for meanwhile.
    if change.status.is_some() && deletions::is_scheduled(conn, project, id).await? {
        return Err(conflict("a deletion of this user is scheduled; cancel it instead").with_field("status"));
    }
    let Some(changed) = write(ctx, conn, &row, change).await? else { return Ok(row) };
    let action = match (row.status == changed.status, changed.status.as_str()) {
        (true, _) => "user.updated",
        (false, "disabled") => "user.disabled",
        (false, _) => "user.enabled",
    };
    if action == "user.disabled" {
        logout_tokens::owe_for_user(conn, project, ctx.now, id).await?;
        users::raise_epochs(conn, project, ctx.now, id, true).await?;
    }
    let target = audit::user_name(ctx, id);
    let event = actor.did(action, &target).with(json!({"fields": fields(&row, &changed)?}));
    audit::append(conn, project, ctx.now, &event).await?;
    Ok(changed)
}

/// Writes the record with the changes in it. `None` when everything stands so already.
async fn write(ctx: &Ctx, conn: &Conn, row: &UserRow, change: &UserChange) -> Result<Option<UserRow>> {
    let status = change.status.map_or(row.status.as_str(), |status| status.as_str());
    let username = change.username.as_deref().or(row.username.as_deref()).unwrap_or_default();
    let email = change.email.as_ref().map_or(row.email.as_deref(), Option::as_deref);
    // Another address is not the one that was verified.
    let kept = row.email_verified && email == row.email.as_deref();
    let email_verified = change.email_verified.unwrap_or(kept);
    check_mail(email, email_verified)?;
    let mut profile = Profile::parse(&row.profile)?;
    profile.change(change.profile.clone())?;
    let profile = &profile.to_json()?;
    let same = (status, Some(username), email, email_verified)
        == (&*row.status, row.username.as_deref(), row.email.as_deref(), row.email_verified);
    if same && Profile::parse(profile)? == Profile::parse(&row.profile)? {
        return Ok(None);
    }
    let record = Record { status, username, email, email_verified, profile };
    users::update(conn, ctx.project.id, ctx.now, row.id, &record).await.map(Some).map_err(taken)
}

/// The names of what changed; never the values, which are personal.
fn fields(old: &UserRow, new: &UserRow) -> Result<Vec<&'static str>> {
    let profile = Profile::parse(&old.profile)? != Profile::parse(&new.profile)?;
    let changed = [
        ("status", old.status != new.status),
        ("username", old.username != new.username),
        ("email", old.email != new.email),
        ("email_verified", old.email_verified != new.email_verified),
        ("profile", profile),
    ];
    Ok(changed.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect())
}

/// Gives the user another password and ends every session, the browsers' too.
///
/// # Errors
/// `invalid_request` naming the rule that the password breaks; 412 when the record is no longer the version that the caller has
/// seen; 503 when the queue of the hasher is full.
pub async fn set_password(
    ctx: &Ctx,
    actor: &Actor,
    id: UserId,
    password: Secret,
    seen: Option<i64>,
) -> Result<SignedOut> {
    // Whoever is not there costs no hashing.
    let user = find(ctx, id).await?;
    let username = user.username.as_deref().unwrap_or_default();
    let owner = Owner { id: Some(id), username, email: user.email.as_deref() };
    let password = &new_password::prepare(ctx, owner, password).await??;
    ctx.app
        .db
        .unit(|conn| async move {
            let (project, now) = (ctx.project.id, ctx.now);
            locked(ctx, &conn, id, seen).await?;
            password.store(&conn, ctx, id).await?;
            let ended = end_sessions(ctx, &conn, id).await?;
            let target = audit::user_name(ctx, id);
            let detail = json!({"families_ended": ended.families_ended,
                "browser_sessions_ended": ended.browser_sessions_ended});
            let event = actor.did("user.password_reset", &target).with(detail);
            audit::append(&conn, project, now, &event).await?;
            Ok(ended)
        })
        .await
}

/// Ends everything that a user has been granted, in the unit that holds the user's row, and tells what it was.
pub async fn end_sessions(ctx: &Ctx, conn: &Conn, id: UserId) -> Result<SignedOut> {
    let (project, now) = (ctx.project.id, ctx.now);
    let families_ended = users::count_live_families(conn, project, now, id).await?;
    let browser_sessions_ended = users::count_live_browser_sessions(conn, project, now, id).await?;
    logout_tokens::owe_for_user(conn, project, now, id).await?;
    users::raise_epochs(conn, project, now, id, true).await?;
    Ok(SignedOut { families_ended, browser_sessions_ended, effective_at: now })
}

/// The row of a user, held until the unit ends, in the version that the caller has seen.
pub async fn locked(ctx: &Ctx, conn: &Conn, id: UserId, seen: Option<i64>) -> Result<UserRow> {
    let row = users::lock(conn, ctx.project.id, id).await?.ok_or_else(no_user)?;
    if seen.is_some_and(|seen| seen != row.version) {
        return Err(stale(true));
    }
    Ok(row)
}

fn check_mail(email: Option<&str>, verified: bool) -> Result<()> {
    match email {
        Some(email) => check_email(email),
        None if verified => Err(Error::invalid_field("email_verified", "email_verified needs an email")),
        None => Ok(()),
    }
}

fn taken(error: Error) -> Error {
    match error.code() {
        Code::Conflict => {
            conflict("another user has this user name, or one that looks the same").with_field("username")
        }
        _ => error,
    }
}

pub fn no_user() -> Error {
    not_found("no such user")
}
