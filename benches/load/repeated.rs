//! Scenarios in which no request depends on the one before, so that wrk can drive them.

use std::path::Path;

use anyhow::Result;

use crate::drive::{Actor, basic};
use crate::report::Figure;
use crate::server::Server;
use crate::wrk::{Repeated, measure};

/// Sessions of one scenario.
const TOKENS: usize = 100;

/// A request of the demo project.
pub struct Scenario {
    pub name: &'static str,
    url: String,
    headers: Vec<String>,
    bodies: Vec<String>,
    expect: &'static str,
}

impl Scenario {
    pub fn measure(&self, scratch: &Path, seconds: u64) -> Result<Figure> {
        let (headers, bodies) = (self.headers.clone(), &self.bodies[..]);
        let request = Repeated { url: &self.url, headers, bodies, expect: self.expect };
        measure(scratch, &request, seconds)
    }
}

/// Signs in for the token that two of them carry.
pub async fn scenarios(server: &Server) -> Result<Vec<Scenario>> {
    let demo = &server.demo;
    let mut actor = Actor::new(demo, "confidential").await?;
    let (cookie, code) = actor.sign_in().await?;
    let token = actor.exchange(&code).await?.member("access_token")?;
    let mut tokens = vec![token.clone()];
    while tokens.len() < TOKENS {
        let code = actor.silent_code(&cookie).await?;
        tokens.push(actor.exchange(&code).await?.member("access_token")?);
    }
    let issuer = format!("http://{}/projects/{}", demo.address(), demo.project);
    let scenario = |name, path: &str, headers, bodies, expect| {
        let url = format!("{issuer}{path}");
        Scenario { name, url, headers, bodies, expect }
    };
    let bodies: Vec<_> =
        tokens.iter().map(|token| serde_json::json!({"access_token": token}).to_string()).collect();
    let judging = vec!["Content-Type: application/json".to_owned(), basic(demo.client("confidential")?)];
    let bearer = vec![format!("Authorization: Bearer {token}")];
    Ok(vec![
        scenario(
            "discovery",
            "/.well-known/openid-configuration",
            Vec::new(),
            Vec::new(),
            "authorization_endpoint",
        ),
        scenario("jwks", "/.well-known/jwks.json", Vec::new(), Vec::new(), "keys"),
        scenario(
            "verifyaccesstoken",
            "/api/verifyaccesstoken",
            judging.clone(),
            bodies[..1].to_vec(),
            "\"active\":true",
        ),
        scenario(
            "verifyaccesstoken of 100 sessions",
            "/api/verifyaccesstoken",
            judging,
            bodies,
            "\"active\":true",
        ),
        scenario(
            "userinfofromaccesstoken",
            "/api/userinfofromaccesstoken",
            bearer,
            vec![String::new()],
            "preferred_username",
        ),
    ])
}
