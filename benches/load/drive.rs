//! Scenarios in which each request depends on the one before: sign-in, exchange, refresh.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Mutex;

use crate::bare::per_second;
use crate::http::{Answer, Http};
use crate::report::Figure;
use crate::server::{Demo, DemoClient};

pub const CONNECTIONS: usize = 32;

/// The pair of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// One connection to the server, as one client of the demo project.
pub struct Actor {
    pub http: Http,
    demo: Demo,
    client: DemoClient,
}

impl Actor {
    pub async fn new(demo: &Demo, kind: &str) -> Result<Self> {
        Ok(Self {
            http: Http::connect(&demo.address()).await?,
            demo: demo.clone(),
            client: demo.client(kind)?.clone(),
        })
    }

    fn project(&self, path: &str) -> String {
        format!("/projects/{}{path}", self.demo.project)
    }

    fn authorize(&self) -> String {
        let (id, uri) = (&self.client.client_id, encoded(&self.client.redirect_uri));
        let query =
            format!("response_type=code&client_id={id}&redirect_uri={uri}&scope=openid+profile+email");
        self.project(&format!(
            "/oauth2/authorize?{query}&code_challenge={CHALLENGE}&code_challenge_method=S256"
        ))
    }

    /// Signs in with the password: the browser's cookie, and a code.
    pub async fn sign_in(&mut self) -> Result<(String, String)> {
        let page = self.http.get(&self.authorize(), "").await?;
        ensure!(page.status == 200, "the sign-in page: {}", page.status);
        let cookie = cookie_of(&page)?;
        let text = page.text();
        let sealed = text.split(r#"name="request" value=""#).nth(1).and_then(|rest| rest.split('"').next());
        let sealed = sealed.context("the page has no sealed request")?;
        let (name, password) = (encoded(&self.demo.user.username), encoded(&self.demo.user.password));
        let form = format!("request={sealed}&username={name}&password={password}");
        let headers = format!("Cookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
        let answer = self.http.post(&self.project("/sign-in"), &headers, &form).await?;
        Ok((cookie_of(&answer)?, code_of(&answer)?))
    }

    /// A code for a browser that is signed in.
    pub async fn silent_code(&mut self, cookie: &str) -> Result<String> {
        code_of(&self.http.get(&self.authorize(), &format!("Cookie: {cookie}\r\n")).await?)
    }

    pub async fn exchange(&mut self, code: &str) -> Result<Answer> {
        let body = serde_json::json!({"code": code, "redirect_uri": self.client.redirect_uri, "code_verifier": VERIFIER});
        self.call("GetTokenFromCode", body).await
    }

    pub async fn refresh(&mut self, token: &str) -> Result<Answer> {
        self.call("refresh", serde_json::json!({"refresh_token": token})).await
    }

    async fn call(&mut self, endpoint: &str, mut body: serde_json::Value) -> Result<Answer> {
        let mut headers = String::from("Content-Type: application/json\r\n");
        match &self.client.client_secret {
            Some(_) => headers.push_str(&format!("{}\r\n", basic(&self.client))),
            None => body["client_id"] = self.client.client_id.clone().into(),
        }
        let path = self.project(&format!("/api/{endpoint}"));
        Ok(self.http.post(&path, &headers, &body.to_string()).await?)
    }
}

/// The Authorization header of a confidential client.
pub fn basic(client: &DemoClient) -> String {
    let secret = client.client_secret.as_deref().unwrap_or_default();
    format!("Authorization: Basic {}", STANDARD.encode(format!("{}:{secret}", client.client_id)))
}

fn cookie_of(answer: &Answer) -> Result<String> {
    let cookie = answer.header("set-cookie").with_context(|| format!("no cookie: {}", answer.head))?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

fn code_of(answer: &Answer) -> Result<String> {
    let location = answer.header("location").with_context(|| format!("no redirect: {}", answer.head))?;
    let code = location.split(['?', '&']).find_map(|pair| pair.strip_prefix("code="));
    Ok(code.with_context(|| format!("no code in {location}"))?.to_owned())
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Latencies and failures of all connections.
#[derive(Default)]
struct Tally {
    micros: Mutex<Vec<u64>>,
    errors: AtomicU64,
}

impl Tally {
    async fn figure(&self, begun: Instant) -> Figure {
        let mut micros = self.micros.lock().await;
        micros.sort_unstable();
        let at = |share: usize| micros.get(micros.len() * share / 100).copied().unwrap_or(0);
        let (p50, p99) = (Duration::from_micros(at(50)), Duration::from_micros(at(99)));
        Figure {
            per_second: per_second(micros.len() as u64, begun),
            p50_ms: p50.as_secs_f64() * 1e3,
            p99_ms: p99.as_secs_f64() * 1e3,
            requests: per_second(micros.len() as u64, begun) * begun.elapsed().as_secs_f64(),
            errors: f64::from(u32::try_from(self.errors.load(Ordering::Relaxed)).unwrap_or(u32::MAX)),
        }
    }
}

/// Each connection refreshes the token that it got last.
pub async fn refresh(demo: &Demo, kind: &'static str, time: Duration) -> Result<Figure> {
    let (cookie, _) = Actor::new(demo, kind).await?.sign_in().await?;
    let mut actors = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut actor = Actor::new(demo, kind).await?;
        let code = actor.silent_code(&cookie).await?;
        let token = actor.exchange(&code).await?.member("refresh_token")?;
        actors.push((actor, token));
    }
    let (tally, begun) = (Arc::new(Tally::default()), Instant::now());
    let tasks: Vec<_> = actors
        .into_iter()
        .map(|(mut actor, mut token)| {
            let tally = tally.clone();
            tokio::spawn(async move {
                let mut micros = Vec::new();
                while begun.elapsed() < time {
                    let one = Instant::now();
                    let answer = actor.refresh(&token).await?;
                    micros.push(u64::try_from(one.elapsed().as_micros())?);
                    match answer.member("refresh_token") {
                        Ok(next) => token = next,
                        Err(_) => drop(tally.errors.fetch_add(1, Ordering::Relaxed)),
                    }
                }
                tally.micros.lock().await.extend(micros);
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(tally.figure(begun).await)
}

/// Codes that wait to be exchanged, each connection's own, of a user of its own.
pub struct Prepared(Vec<(Actor, Vec<String>)>);

/// Makes about so many codes: as many as live long enough.
pub async fn codes(demo: &Demo, codes: usize) -> Result<Prepared> {
    let mut signed_in = Vec::new();
    for number in 0..CONNECTIONS {
        let demo = demo.with_another_user(number).await?;
        let mut actor = Actor::new(&demo, "confidential").await?;
        let (cookie, _) = actor.sign_in().await?;
        signed_in.push((actor, cookie));
    }
    let begun = Instant::now();
    let mut prepared = Vec::new();
    for (mut actor, cookie) in signed_in {
        let mut made = Vec::new();
        while made.len() < codes / CONNECTIONS && begun.elapsed() < Duration::from_secs(20) {
            made.push(actor.silent_code(&cookie).await?);
        }
        prepared.push((actor, made));
    }
    Ok(Prepared(prepared))
}

/// Exchanges codes that were made before.
pub async fn exchange(Prepared(prepared): Prepared) -> Result<Figure> {
    let (tally, begun) = (Arc::new(Tally::default()), Instant::now());
    let tasks: Vec<_> = prepared
        .into_iter()
        .map(|(mut actor, codes)| {
            let tally = tally.clone();
            tokio::spawn(async move {
                let mut micros = Vec::new();
                for code in codes {
                    let one = Instant::now();
                    let answer = actor.exchange(&code).await?;
                    micros.push(u64::try_from(one.elapsed().as_micros())?);
                    tally.errors.fetch_add(u64::from(answer.status != 200), Ordering::Relaxed);
                }
                tally.micros.lock().await.extend(micros);
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(tally.figure(begun).await)
}

/// The whole round: page, password, code, tokens. Each connection signs in a user of its own.
pub async fn login(demo: &Demo, time: Duration) -> Result<Figure> {
    let mut actors = Vec::new();
    for number in 0..CONNECTIONS {
        actors.push(Actor::new(&demo.with_another_user(number).await?, "confidential").await?);
    }
    let (tally, begun) = (Arc::new(Tally::default()), Instant::now());
    let tasks: Vec<_> = actors
        .into_iter()
        .map(|mut actor| {
            let tally = tally.clone();
            tokio::spawn(async move {
                let mut micros = Vec::new();
                while begun.elapsed() < time {
                    let one = Instant::now();
                    let (_, code) = actor.sign_in().await?;
                    let answer = actor.exchange(&code).await?;
                    micros.push(u64::try_from(one.elapsed().as_micros())?);
                    tally.errors.fetch_add(u64::from(answer.status != 200), Ordering::Relaxed);
                }
                tally.micros.lock().await.extend(micros);
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(tally.figure(begun).await)
}
