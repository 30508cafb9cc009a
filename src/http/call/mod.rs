//! A request, read once: who calls, what is asked, and the context that the decision takes.

mod admin;
mod origin;

use std::str::FromStr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, MatchedPath, RawPathParams, Request};
use axum::http::{HeaderMap, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

pub(super) use self::origin::origin;
use super::RequestId;
use super::answer::{authorization, bearer, header_text, parse_json, parse_query};
use super::connections::Connection;
use super::permissions;
use crate::app::{App, Ctx, Visit};
use crate::error::{Code, Error, Result, invalid_dpop_proof, invalid_request, invalid_token, not_found};
use crate::ids::ProjectId;
use crate::model::names::check_slug;
use crate::oauth::client_auth::{InBody, Presented, presented};
use crate::oauth::dpop::Sent;
use crate::projects::admins::Admin;
use crate::sandbox::faults::Hazard;
use crate::secret::Secret;
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
}

fn no_token(why: &'static str) -> Error {
    invalid_token(why).carrying_nothing()
}

fn no_proof() -> Error {
    invalid_dpop_proof("the request has no DPoP header")
}
