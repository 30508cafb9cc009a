//! A request, read once: who calls, what is asked, and the context that the decision takes.

use std::str::FromStr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, MatchedPath, RawPathParams, Request};
use axum::http::{HeaderMap, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::RequestId;
use super::answer::{authorization, bearer, header_text, parse_json, parse_query};
use super::connections::Connection;
use super::permissions::{self, Endpoint, Reach};
use crate::app::{App, Ctx, Visit};
use crate::audit::{self, Actor};
use crate::error::{
    Code, Error, Result, forbidden, invalid_dpop_proof, invalid_request, invalid_token, not_found,
};
use crate::events::Origin;
use crate::ids::{ProjectId, UserId};
use crate::model::names::check_slug;
use crate::model::role::Permission;
use crate::oauth::client_auth::{InBody, Presented, presented};
use crate::oauth::dpop::Sent;
use crate::projects::admin_keys;
use crate::projects::admins::{self, Admin, home};
use crate::sandbox::faults::Hazard;
use crate::secret::{Secret, decode_base64url};
use crate::session::access_token::Carried;

/// Everything that a handler may ask of its request. Reading the body is the extractor's work, so that every endpoint
/// answers an oversized one alike.
#[derive(Clone)]
pub struct Call {
    pub app: Arc<App>,
    pub request_id: String,
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
    connection: Option<Arc<Connection>>,
    query: String,
    /// The route, as the router knows it.
    path: String,
    parameters: Vec<(String, String)>,
    /// Whoever was found to be the admin: a proof beside a token is good once.
    proven: Arc<OnceCell<Admin>>,
}

impl FromRequest<Arc<App>> for Call {
    type Rejection = Error;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        let (mut parts, body) = request.into_parts();
        let parameters = RawPathParams::from_request_parts(&mut parts, app).await;
        // Not UTF-8 when decoded, so the name of nothing here.
        let parameters = parameters.map_err(|_| not_found("there is nothing at this address"))?;
        let parameters = parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let path =
            parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
        if parts.headers.contains_key(header::IF_MATCH) && permissions::has_no_version(&parts.method, &path) {
            let why = "If-Match is not for this endpoint: what it acts on has no version";
            return Err(Error::invalid_field("If-Match", why));
        }
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let connection = parts.extensions.get::<Arc<Connection>>().cloned();
        let (method, headers) = (parts.method.clone(), parts.headers.clone());
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let reading = Bytes::from_request(Request::from_parts(parts, body), app);
        let body = match &connection {
            Some(connection) => connection.in_time(reading).await,
            None => Some(reading.await),
        };
        let too_slow = || Error::new(Code::RequestTimeout, "the body did not arrive in time");
        let body = body.ok_or_else(too_slow)?.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Error::new(Code::PayloadTooLarge, "the body is larger than 64 KiB")
            }
            _ => invalid_request("the body could not be read"),
        })?;
        let (app, proven) = (app.clone(), Arc::default());
        Ok(Self { app, request_id, method, headers, body, connection, query, path, parameters, proven })
    }
}

impl Call {
    /// A part of the path, as its type; what does not parse names nothing.
    pub fn path<T: FromStr>(&self, name: &str) -> Result<T> {
        let text = self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        text.and_then(|text| text.parse().ok()).ok_or_else(|| not_found("there is nothing at this address"))
    }

    /// The project that the path names, not yet looked up. What no project can be called is not asked for: PostgreSQL
    /// takes no NUL in a text.
    pub fn visit(&self) -> Result<Visit> {
        let app = self.app.clone();
        let now = app.clock.now();
        let project: String = self.path("project")?;
        if check_slug(&project).is_err() && project.parse::<ProjectId>().is_err() {
            return Err(not_found("no such project"));
        }
        let hazard = self.hazard();
        Ok(Visit { app, project, request_id: self.request_id.clone(), now, hazard })
    }

    /// Endpoints under a project may be struck by the faults of a sandbox; those of admins never, who take them away.
    fn hazard(&self) -> Option<Arc<Hazard>> {
        let endpoint = self.path.strip_prefix("/projects/{project}/")?;
        let lose = self.connection.as_ref().map(|connection| connection.loses_answer.clone());
        Some(Arc::new(Hazard::new(endpoint.to_owned(), lose)))
    }

    /// Like [`Self::visit`], for protocol endpoints and pages: they answer only under the issuer, which has the slug.
    pub fn visit_by_slug(&self) -> Result<Visit> {
        let visit = self.visit()?;
        if visit.project.parse::<ProjectId>().is_ok() { Err(not_found("no such project")) } else { Ok(visit) }
    }

    /// The project that the path names, as it is now; an unknown one is a 404.
    pub async fn ctx(&self) -> Result<Ctx> {
        self.visit()?.current().await
    }

    /// A JSON body of a known shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        parse_json(&self.headers, &self.body)
    }

    /// Like [`Self::json`], for endpoints whose body may be left out.
    pub fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T> {
        if self.body.is_empty() { Ok(T::default()) } else { self.json() }
    }

    /// The query of a known shape: unknown and repeated parameters are refused by name.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T> {
        parse_query(&self.query)
    }

    pub fn raw_query(&self) -> &str {
        &self.query
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        header_text(&self.headers, name)
    }

    /// The access token of the Authorization header, with the proof that belongs to it, or the one of the body.
    pub fn access_token(&self, in_body: Option<Secret>) -> Result<Carried> {
        let in_header = match authorization(&self.headers, "dpop") {
            // RFC 9449, 7.1: the scheme promises a proof.
            Some(token) => {
                let proof = self.proof().and_then(|proof| proof.ok_or_else(no_proof));
                Some(Carried { token: Secret::new(token), proof: Some(proof.map_err(Error::at_resource)?) })
            }
            None => bearer(&self.headers).map(|token| Carried::plain(Secret::new(token))),
        };
        // RFC 6750, 2: one way at a time.
        if in_header.is_some() && in_body.is_some() {
            return Err(invalid_request("the access token is given in two ways at once"));
        }
        let carried = in_header.or(in_body.map(Carried::plain));
        carried.ok_or_else(|| no_token("the request carries no access token").at_resource())
    }

    /// The proof of the DPoP header, if there is one, and the request that it has to be for.
    ///
    /// # Errors
    /// `invalid_dpop_proof` for a second header (RFC 9449, 4.3).
    pub fn proof(&self) -> Result<Option<Sent>> {
        let mut lines = self.headers.get_all("dpop").iter();
        let Some(line) = lines.next() else { return Ok(None) };
        if lines.next().is_some() {
            return Err(invalid_dpop_proof("the request has more than one DPoP header"));
        }
        let proof = line.to_str().map_err(|_| invalid_dpop_proof("the DPoP proof is not a signed JWT"))?;
        let fill =
            |path: String, (name, value): &(String, String)| path.replace(&format!("{{{name}}}"), value);
        let path = self.parameters.iter().fold(self.path.clone(), fill);
        Ok(Some(Sent { proof: proof.to_owned(), method: self.method.to_string(), path }))
    }

    /// The client's credentials, from the Authorization header or the body.
    pub fn credentials(&self, body: InBody) -> Result<Presented> {
        presented(self.header("authorization"), body)
    }

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

    /// What the caller says to be, cut to what we keep.
    pub fn user_agent(&self) -> String {
        user_agent(&self.headers)
    }

    /// Empty when the server does not know its peer.
    pub fn client_address(&self) -> String {
        client_address(&self.app, self.connection.as_deref(), &self.headers)
    }

    /// Whether it comes from this very machine, by no proxy's word.
    pub fn is_from_here(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.peer.ip().to_canonical().is_loopback())
    }

    /// Where a user calls from: personal, so the audit log keeps it sealed.
    pub fn origin(&self) -> Value {
        json!({"address": self.client_address(), "user_agent": self.user_agent()})
    }

    /// The admin as the audit log names who acts.
    pub fn actor(&self, admin: &Admin) -> Actor {
        Actor::admin(admin, &self.request_id)
    }

    /// The version that the caller has seen (RFC 9110, 13.1.1): an ETag of ours, which is the version in quotes.
    ///
    /// # Errors
    /// `invalid_request` for anything but one such ETag or `*`.
    pub fn if_match(&self) -> Result<Option<i64>> {
        let mut lines = self.headers.get_all(header::IF_MATCH).iter();
        let Some(line) = lines.next() else { return Ok(None) };
        // A second line would belong to the list, which has one member here.
        let text = line.to_str().ok().filter(|_| lines.next().is_none()).map(str::trim);
        if text == Some("*") {
            return Ok(None);
        }
        let version = text.and_then(|text| text.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
        version.map(Some).ok_or_else(|| {
            Error::invalid_field("If-Match", "If-Match is one ETag as we gave it, such as \"3\"")
        })
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

fn user_agent(headers: &HeaderMap) -> String {
    header_text(headers, "user-agent").unwrap_or_default().chars().take(256).collect()
}

fn client_address(app: &App, connection: Option<&Connection>, headers: &HeaderMap) -> String {
    let Some(connection) = connection else { return String::new() };
    let lines = headers.get_all(app.proxies.header.name()).iter();
    let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap_or_default()).collect();
    app.proxies.client_address(connection.peer.ip(), &lines).to_string()
}

/// Where a request comes from, for what is noted of it. Reading notes nothing.
pub(super) fn origin(app: &App, request: &Request) -> Origin {
    if request.method() != Method::POST {
        return Origin::default();
    }
    let connection = request.extensions().get::<Arc<Connection>>();
    let address = client_address(app, connection.map(AsRef::as_ref), request.headers());
    Origin { address, user_agent: user_agent(request.headers()) }
}

fn no_token(why: &'static str) -> Error {
    invalid_token(why).carrying_nothing()
}

fn no_proof() -> Error {
    invalid_dpop_proof("the request has no DPoP header")
}
