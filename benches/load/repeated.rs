//! Scenarios in which every request is the same, so that wrk can drive them.

use std::path::Path;

use anyhow::Result;

use crate::drive::{Actor, basic};
use crate::report::Figure;
use crate::server::Server;
use crate::wrk::{Repeated, measure};

/// A request of the demo project.
pub struct Scenario {
    pub name: &'static str,
    url: String,
    headers: Vec<String>,
    body: Option<String>,
    expect: &'static str,
}

impl Scenario {
    pub fn measure(&self, scratch: &Path, seconds: u64) -> Result<Figure> {
        let body = self.body.as_deref();
        let request = Repeated { url: &self.url, headers: self.headers.clone(), body, expect: self.expect };
        measure(scratch, &request, seconds)
    }
}

/// Signs in for the token that two of them carry.
pub async fn scenarios(server: &Server) -> Result<Vec<Scenario>> {
    let demo = &server.demo;
    let mut actor = Actor::new(demo, "confidential").await?;
    let (_, code) = actor.sign_in().await?;
    let token = actor.exchange(&code).await?.member("access_token")?;
    let issuer = format!("http://{}/projects/{}", demo.address(), demo.project);
    let scenario = |name, path: &str, headers, body, expect| {
        let url = format!("{issuer}{path}");
        Scenario { name, url, headers, body, expect }
    };
    let body = serde_json::json!({"access_token": token}).to_string();
    let judging = vec!["Content-Type: application/json".to_owned(), basic(demo.client("confidential")?)];
    let bearer = vec![format!("Authorization: Bearer {token}")];
    Ok(vec![
        scenario(
            "discovery",
            "/.well-known/openid-configuration",
            Vec::new(),
            None,
            "authorization_endpoint",
        ),
        scenario("jwks", "/.well-known/jwks.json", Vec::new(), None, "keys"),
        scenario("verifyaccesstoken", "/api/verifyaccesstoken", judging, Some(body), "\"active\":true"),
        scenario(
            "userinfofromaccesstoken",
            "/api/userinfofromaccesstoken",
            bearer,
            Some(String::new()),
            "preferred_username",
        ),
    ])
}
