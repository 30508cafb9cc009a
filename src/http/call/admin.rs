//! The admin who calls: with a key, or as a person with a token of the built-in project.

use serde_json::Value;

use super::{Call, no_token};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Code, Error, Result, forbidden};
use crate::http::answer::{authorization, bearer};
use crate::http::permissions::{self, Endpoint, Reach};
use crate::ids::{ProjectId, UserId};
use crate::model::role::Permission;
use crate::projects::admin_keys;
use crate::projects::admins::{self, Admin, home};
use crate::secret::{Secret, decode_base64url};

impl Call {
    /// The admin key that the request carries, if it carries one. Nothing is proven yet.
    pub fn admin_key(&self) -> Option<Secret> {
        bearer(&self.headers).filter(|token| token.starts_with(admin_keys::PREFIX)).map(Secret::new)
    }

    /// Whether an admin calls an endpoint that serves others as well: with a key, or with a token of the built-in project. At
    /// that project's own endpoints such a token is its user's own, unless the body names another one.
    pub async fn is_by_admin(&self) -> Result<bool> {
        if self.admin_key().is_some() {
            return Ok(true);
        }
        let Some(issuer) =
            self.bearer_of_any_kind().and_then(issuer_of).filter(|issuer| issuer.ends_with(home::PATH))
        else {
            return Ok(false);
        };
        let Some(home) = home::find(&self.app).await?.filter(|home| home.issuer == issuer) else {
            return Ok(false);
        };
        let named: String = self.path("project")?;
        let is_own = named == home::SLUG || named.parse().is_ok_and(|id: ProjectId| id == home.project);
        // Which users do not call with a token of their own.
        let is_for_admins = self.path.ends_with("/api/verifyaccesstoken");
        Ok(!is_own || is_for_admins || names_user(&self.body))
    }

    /// What the request shows that it holds, with a proof of a key or without.
    fn bearer_of_any_kind(&self) -> Option<&str> {
        authorization(&self.headers, "dpop").or_else(|| bearer(&self.headers))
    }

    /// Whoever calls as an admin. The role is not looked at.
    async fn proven_admin(&self) -> Result<Admin> {
        let prove = async || match self.admin_key() {
            Some(key) => admin_keys::authenticate(&self.app, &key).await,
            None if self.bearer_of_any_kind().is_none() => Err(no_token("the request carries no admin key")),
            None => admins::authenticate(&self.app, &self.request_id, &self.access_token(None)?).await,
        };
        self.proven.get_or_try_init(prove).await.cloned()
    }

    /// The caller of an admin endpoint that stands above the projects, with a role that may call it.
    pub async fn admin(&self) -> Result<Admin> {
        let admin = self.proven_admin().await?;
        self.check_role(&admin)?;
        Ok(admin)
    }

    /// The caller of an admin endpoint of one project: with a role in this project or in all of them.
    pub async fn project_admin(&self, ctx: &Ctx) -> Result<Admin> {
        let admin = self.proven_admin().await?;
        if !self.is_let(ctx, &admin)? {
            self.check_role(&admin)?;
            self.check_reach(ctx, &admin)?;
        }
        if !self.endpoint()?.permission.reads() && home::is_home(ctx).await? {
            self.check_at_home(&admin)?;
        }
        Ok(admin)
    }

    /// Whether the project lets the role do what it otherwise may not.
    fn is_let(&self, ctx: &Ctx, admin: &Admin) -> Result<bool> {
        let (project, permission) = (ctx.project.id, self.endpoint()?.permission);
        let role = admin.role_in(project);
        Ok(admin.reaches(project) && role.may_if_let(permission, &ctx.project.settings))
    }

    /// Who changes the admins' own project could make themselves one, or take another's place: owners of everything alone do,
    /// and none of them what concerns themselves.
    fn check_at_home(&self, admin: &Admin) -> Result<()> {
        if !admin.may_everywhere(Permission::Own) {
            return Err(forbidden(
                "only owners of all projects change anything in the built-in project admin",
            ));
        }
        let named = self.path::<UserId>("user").ok();
        match named.is_some() && admin.person().map(admins::Person::user) == named {
            true => Err(audit::own_account()),
            false => Ok(()),
        }
    }

    /// The admin of this project to whom the role was denied, for what leaves a trace when it is refused.
    pub async fn turned_away(&self, ctx: &Ctx, refusal: &Error) -> Result<Option<Admin>> {
        if refusal.code() != Code::Forbidden {
            return Ok(None);
        }
        Ok(Some(self.proven_admin().await?).filter(|admin| admin.reaches(ctx.project.id)))
    }

    /// The admin as the audit log names who acts.
    pub fn actor(&self, admin: &Admin) -> Actor {
        Actor::admin(&self.app, admin, &self.request_id)
    }

    fn endpoint(&self) -> Result<&'static Endpoint> {
        let found = permissions::find(&self.method, &self.path);
        found.ok_or_else(|| forbidden("admin keys do not serve this endpoint"))
    }

    /// Whether the admin may call this endpoint, in some project at least.
    pub fn check_role(&self, admin: &Admin) -> Result<()> {
        let endpoint = self.endpoint()?;
        if !admin.may(endpoint.permission) {
            return Err(forbidden(format!("the role {} may not do this", admin.role().as_str())));
        }
        if endpoint.reach == Reach::Instance && !admin.may_everywhere(endpoint.permission) {
            return Err(forbidden(format!("{} one project may not do this", admin.noun())));
        }
        Ok(())
    }

    /// Whether they may in this project. Whoever has no role in it is answered like a stranger.
    pub fn check_reach(&self, ctx: &Ctx, admin: &Admin) -> Result<()> {
        let (project, endpoint) = (ctx.project.id, self.endpoint()?);
        if !admin.reaches(project) {
            return Err(admin_keys::not_valid());
        }
        match admin.may_in(endpoint.permission, project) {
            true => Ok(()),
            false => Err(forbidden(format!("the role {} may not do this", admin.role_in(project).as_str()))),
        }
    }
}

/// Who a token says that it is from; nothing is proven.
fn issuer_of(token: &str) -> Option<String> {
    let claims = decode_base64url(token.split('.').nth(1)?)?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.get("iss").and_then(Value::as_str).map(str::to_owned)
}

/// Whether a body is about a user that it names. What it is worth is seen when it is read.
fn names_user(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body)
        .is_ok_and(|body| body.get("user").is_some_and(|user| !user.is_null()))
}
