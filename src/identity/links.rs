//! Links that are mailed. Whoever follows one shows a page and changes nothing, because mail scanners follow links; what it
//! is for is done when the page is posted, once, and only while nothing has moved since the link was made.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::Ctx;
use crate::audit::Personal;
use crate::error::{Error, Result};
use crate::ids::{ClientId, DeletionId, MailLinkId, ProjectId, UserId};
use crate::keys::master::Place;
use crate::model::names::folded;
use crate::model::timestamp::Timestamp;
use crate::model::user::UserRow;
use crate::secret::{Secret, encode_base64url, equal_in_constant_time};
use crate::session::sign_out::sealed_origin;
use crate::store::db::Conn;
use crate::store::mail_links::{self, MailLink};
use crate::store::users;

/// What every token of a link begins with.
const PREFIX: &str = "tml_";

const HOUR: i64 = 3600;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    NewPassword,
    VerifyAddress,
    ChangeAddress,
    SignUp,
    Invitation,
    Objection,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::NewPassword,
        Self::VerifyAddress,
        Self::ChangeAddress,
        Self::SignUp,
        Self::Invitation,
        Self::Objection,
    ];

    /// Its word in addresses and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NewPassword => "new-password",
            Self::VerifyAddress => "verify-address",
            Self::ChangeAddress => "change-address",
            Self::SignUp => "sign-up",
            Self::Invitation => "invitation",
            Self::Objection => "objection",
        }
    }

    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// How long it may be followed. An invitation and an objection say it themselves.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::NewPassword => HOUR / 2,
            _ => 24 * HOUR,
        }
    }
}

/// Where somebody goes on whom a form led here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GoOn {
    pub client_id: ClientId,
    /// A path of ours, which makes the request once more: good in the browser that made it.
    pub path: String,
    /// The hash of that browser's cookie.
    pub browser: String,
}

impl GoOn {
    pub fn new(client_id: ClientId, path: String, cookie: &Secret) -> Self {
        Self { client_id, path, browser: encode_base64url(&cookie.sha256()) }
    }

    /// Another browser does not know what the application is waiting for: it begins anew.
    pub fn path_in(&self, ctx: &Ctx, cookie: Option<&Secret>) -> String {
        let hash = |cookie: &Secret| encode_base64url(&cookie.sha256());
        let same = |cookie: &Secret| equal_in_constant_time(hash(cookie).as_bytes(), self.browser.as_bytes());
        match cookie.is_some_and(same) {
            true => self.path.clone(),
            false => format!("/projects/{}/sign-in?client_id={}", ctx.project.slug, self.client_id),
        }
    }
}

/// What lies sealed in a link.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Content {
    /// Where it was mailed to.
    pub address: String,
    /// The language that was asked for.
    pub language: String,
    #[serde(default)]
    pub go_on: Option<GoOn>,
    #[serde(default)]
    pub invited: Option<Invited>,
    /// Of a move to another address: the folded address that the account had, empty for none. Once it has another one, whoever
    /// gave it that has decided later.
    #[serde(default)]
    pub moves_from: Option<String>,
}

/// What an admin has decided about somebody who is invited.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Invited {
    pub username: Option<String>,
    pub roles: Vec<String>,
    pub groups: Vec<String>,
}

/// A link that is made, and not yet stored.
pub struct NewLink {
    row: MailLink,
    hash: Vec<u8>,
    /// The address that is mailed: built from the stored issuer, never from what a request says.
    pub url: String,
}

impl NewLink {
    /// For somebody who has an account.
    pub fn of_user(ctx: &Ctx, kind: Kind, user: &UserRow, content: &Content) -> Result<Self> {
        let mut link = Self::new(ctx, kind, content, kind.seconds())?;
        (link.row.user_id, link.row.address_key) = (Some(user.id), None);
        (link.row.user_epoch, link.row.browser_epoch) = (Some(user.token_epoch), Some(user.browser_epoch));
        Ok(link)
    }

    /// For somebody who objects to a deletion. What has ended since is nothing to it: the deletion ended all there was.
    pub fn of_objection(
        ctx: &Ctx,
        (deletion, user): (DeletionId, UserId),
        content: &Content,
        until: Timestamp,
    ) -> Result<Self> {
        let mut link = Self::new(ctx, Kind::Objection, content, until.seconds_since(ctx.now))?;
        (link.row.user_id, link.row.deletion_id) = (Some(user), Some(deletion));
        link.row.address_key = None;
        Ok(link)
    }

    /// For somebody who has none yet.
    pub fn new(ctx: &Ctx, kind: Kind, content: &Content, seconds: i64) -> Result<Self> {
        let (app, id): (_, MailLinkId) = (&ctx.app, ctx.app.entropy.id(ctx.now)?);
        let secret = app.entropy.token(PREFIX)?;
        let plain = serde_json::to_vec(content).map_err(Error::internal)?;
        let sealed_content =
            app.master_keys.seal(&app.entropy, &place(ctx.project.id, &id.to_string()), &plain)?;
        let row = MailLink {
            id,
            kind: kind.as_str().into(),
            user_id: None,
            project_epoch: ctx.project.token_epoch,
            user_epoch: None,
            browser_epoch: None,
            deletion_id: None,
            address_key: Some(address_key(ctx, &content.address)),
            sealed_content,
            created_at: ctx.now,
            expires_at: ctx.now.plus_seconds(seconds),
        };
        let url = format!("{}/link/{}?token={}", ctx.project.issuer, kind.as_str(), secret.expose());
        Ok(Self { row, hash: secret.sha256(), url })
    }

    pub fn row(&self) -> &MailLink {
        &self.row
    }

    pub async fn store(&self, ctx: &Ctx, conn: &Conn) -> Result<()> {
        mail_links::insert(conn, ctx.project.id, &self.row, &self.hash).await.map(drop)
    }
}

/// By which links and letters of somebody without an account are found again, and nothing else is.
pub fn address_key(ctx: &Ctx, address: &str) -> Vec<u8> {
    ctx.app.master_keys.keyed_hash(ctx.project.id, "mail/address", folded(address.trim()).as_bytes())
}

/// A link that may still be followed.
pub struct Found {
    pub row: MailLink,
    pub content: Content,
}

/// Looks at a link. Unknown, used, expired and overtaken ones answer alike, and so do those of other projects.
pub async fn find(ctx: &Ctx, kind: Kind, token: &Secret) -> Result<Option<Found>> {
    let hash = &token.sha256();
    let row = ctx
        .app
        .db
        .read(|conn| async move {
            mail_links::find_live(&conn, ctx.project.id, ctx.now, kind.as_str(), hash).await
        })
        .await?;
    let open = |row: MailLink| Ok(Found { content: content(ctx, &row)?, row });
    row.map(open).transpose()
}

/// What lies sealed in the row of a link.
pub fn content(ctx: &Ctx, row: &MailLink) -> Result<Content> {
    let plain = ctx.app.master_keys.open(&place(ctx.project.id, &row.id.to_string()), &row.sealed_content)?;
    serde_json::from_slice(&plain).map_err(Error::internal)
}

impl Found {
    /// The deletion to which the link objects, and whose.
    pub fn objection(&self) -> Option<(DeletionId, UserId)> {
        self.row.deletion_id.zip(self.row.user_id)
    }

    /// Uses the link of a user up, in the unit of what it is for, and holds the user's row until the unit ends. `None`:
    /// somebody else was faster, or something has moved.
    pub async fn take_of_user(&self, ctx: &Ctx, conn: &Conn) -> Result<Option<UserRow>> {
        let Some(user) = self.row.user_id else { return Ok(None) };
        let Some(row) = users::lock(conn, ctx.project.id, user).await? else { return Ok(None) };
        let epochs = (Some(row.token_epoch), Some(row.browser_epoch));
        let stands = row.status == "active" && epochs == (self.row.user_epoch, self.row.browser_epoch);
        Ok(if stands && self.take(ctx, conn).await? { Some(row) } else { None })
    }

    /// Where whoever follows the link of a user calls from, sealed for the audit log.
    pub(super) async fn sealed_origin(&self, ctx: &Ctx, origin: &Value) -> Option<Personal> {
        sealed_origin(ctx, self.row.user_id?, origin).await
    }

    /// The same of a link that belongs to nobody yet.
    pub async fn take(&self, ctx: &Ctx, conn: &Conn) -> Result<bool> {
        Ok(mail_links::consume(conn, ctx.project.id, ctx.now, self.row.id).await? == 1)
    }
}

/// Where the content of a link is sealed.
pub fn place(project: ProjectId, row: &str) -> Place<'_> {
    Place { table: "mail_links", project, row, column: "sealed_content" }
}
