//! Invitations: an admin says who may have an account, and with what; whoever gets the letter makes it.

use serde::Serialize;
use serde_json::json;

use super::links::{self, Content, Invited, Kind, NewLink, address_key};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, conflict, not_found};
use crate::ids::MailLinkId;
use crate::jobs::outbox::seal_letter;
use crate::mail::{Letter, Order};
use crate::model::holding::LabelKind;
use crate::model::names::{check_email, check_username, folded};
use crate::model::sign_in_policy::SignUp;
use crate::model::timestamp::Timestamp;
use crate::store::db::Conn;
use crate::store::mail_links::{self, MailLink};
use crate::store::{labels, outbox, users};
use crate::texts;

const USUAL_HOURS: i64 = 7 * 24;
const MOST_HOURS: i64 = 30 * 24;
const MOST_LABELS: usize = 100;

/// Who is invited, and with what.
#[derive(Default)]
pub struct NewInvitation {
    pub email: String,
    /// `None`: they choose it.
    pub username: Option<String>,
    pub roles: Vec<String>,
    pub groups: Vec<String>,
    pub expires_in_hours: Option<i64>,
    /// Of the letter; `None`: English.
    pub language: Option<String>,
}

/// An invitation that waits.
#[derive(Debug, Serialize)]
pub struct Invitation {
    pub id: MailLinkId,
    pub email: String,
    pub username: Option<String>,
    pub roles: Vec<String>,
    pub groups: Vec<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Mails an invitation.
///
/// # Errors
/// `invalid_request` naming the field and the bound; 409 when the project takes nobody in, or somebody has the user name or
/// the address already.
pub async fn invite(ctx: &Ctx, actor: &Actor, new: NewInvitation) -> Result<Invitation> {
    check(ctx, &new)?;
    let NewInvitation { email, username, roles, groups, expires_in_hours, language } = new;
    let hours = expires_in_hours.unwrap_or(USUAL_HOURS);
    let language = language.as_deref().and_then(texts::find).unwrap_or_else(texts::english);
    let content = &Content {
        address: email,
        language: language.language.tag.clone(),
        invited: Some(Invited { username, roles, groups }),
        ..Content::default()
    };
    let link = &NewLink::new(ctx, Kind::Invitation, content, hours * 3600)?;
    let order = Order::new(Letter::Invitation, &content.address, &content.language)
        .with("link", &link.url)
        .with("hours", hours);
    let letter = &seal_letter(&ctx.app, ctx.project.id, ctx.now, &order)?;
    let row = link.row();
    ctx.app
        .db
        .unit(|conn| async move {
            require_free(ctx, &conn, content).await?;
            link.store(ctx, &conn).await?;
            let (project, kind) = (ctx.project.id, letter.kind.as_str());
            let (to, key) = ((letter.id, kind), &address_key(ctx, &content.address));
            outbox::enqueue_to_address(&conn, project, ctx.now, to, key, &letter.body).await?;
            record(ctx, &conn, actor, "invitation.sent", row.id).await
        })
        .await?;
    shown(row, content)
}

fn check(ctx: &Ctx, new: &NewInvitation) -> Result<()> {
    if ctx.project.settings.sign_in.sign_up == SignUp::Closed {
        return Err(conflict("the project takes nobody in: settings.sign_in.sign_up is closed"));
    }
    check_email(&new.email)?;
    if let Some(name) = &new.username {
        check_username(name)?;
    }
    for (field, names) in [("roles", &new.roles), ("groups", &new.groups)] {
        if names.len() > MOST_LABELS {
            return Err(Error::invalid_field(field, format!("{field} has at most {MOST_LABELS} names")));
        }
    }
    if new.expires_in_hours.is_some_and(|hours| !(1..=MOST_HOURS).contains(&hours)) {
        let bound = format!("expires_in_hours must lie between 1 and {MOST_HOURS}");
        return Err(Error::invalid_field("expires_in_hours", bound));
    }
    if new.language.as_deref().is_some_and(|tag| texts::find(tag).is_none()) {
        return Err(Error::invalid_field("language", "letters are not written in this language"));
    }
    Ok(())
}

/// What is promised has to be there, and what is asked for has to be free. Both are judged again when the account is made.
async fn require_free(ctx: &Ctx, conn: &Conn, content: &Content) -> Result<()> {
    let (project, Some(invited)) = (ctx.project.id, &content.invited) else { return Ok(()) };
    for (field, kind, names) in
        [("roles", LabelKind::Role, &invited.roles), ("groups", LabelKind::Group, &invited.groups)]
    {
        for name in names {
            if labels::find(conn, project, kind, name).await?.is_none() {
                let noun = kind.holding().noun();
                let name: String = name.chars().take(64).collect();
                return Err(Error::invalid_field(field, format!("there is no {noun} {name}")));
            }
        }
    }
    if let Some(name) = &invited.username
        && users::find_by_username(conn, project, name).await?.is_some()
    {
        return Err(
            conflict("another user has this user name, or one that looks the same").with_field("username")
        );
    }
    let known = users::list_known_as(conn, project, &folded(&content.address), 1).await?;
    match known.is_empty() {
        true => Ok(()),
        false => Err(conflict("a user has this mail address already").with_field("email")),
    }
}

/// Those that wait, by age.
pub async fn list(ctx: &Ctx, after: Option<MailLinkId>, limit: i64) -> Result<Vec<Invitation>> {
    let (project, kind) = (ctx.project.id, Kind::Invitation.as_str());
    let rows = ctx
        .app
        .db
        .read(|conn| async move { mail_links::list_open(&conn, project, ctx.now, kind, after, limit).await })
        .await?;
    rows.iter().map(|row| shown(row, &links::content(ctx, row)?)).collect()
}

/// Takes an invitation back: its link leads nowhere.
///
/// # Errors
/// 404 for one that is not there, or not any more.
pub async fn withdraw(ctx: &Ctx, actor: &Actor, id: MailLinkId) -> Result<()> {
    let kind = Kind::Invitation.as_str();
    let unit = |conn: Conn| async move {
        if mail_links::delete_open(&conn, ctx.project.id, ctx.now, kind, id).await? == 0 {
            return Err(not_found("no such invitation"));
        }
        record(ctx, &conn, actor, "invitation.withdrawn", id).await
    };
    ctx.app.db.unit(unit).await
}

fn shown(row: &MailLink, content: &Content) -> Result<Invitation> {
    let invited = content.invited.clone().unwrap_or_default();
    Ok(Invitation {
        id: row.id,
        email: content.address.clone(),
        username: invited.username,
        roles: invited.roles,
        groups: invited.groups,
        created_at: row.created_at,
        expires_at: row.expires_at,
    })
}

async fn record(ctx: &Ctx, conn: &Conn, actor: &Actor, action: &str, id: MailLinkId) -> Result<()> {
    let target = format!("invitation:{id}");
    audit::append(conn, ctx.project.id, ctx.now, &actor.did(action, &target).with(json!({}))).await.map(drop)
}
