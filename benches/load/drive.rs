//! Scenarios in which each request depends on the one before: sign-in, exchange, refresh.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

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

/// What one connection saw.
#[derive(Default)]
struct Seen {
    micros: Vec<u64>,
    errors: u32,
}

impl Seen {
    /// Times what is done once.
    async fn time<T>(&mut self, once: impl Future<Output = Result<T>>) -> Result<T> {
        let begun = Instant::now();
        let done = once.await?;
        self.micros.push(u64::try_from(begun.elapsed().as_micros())?);
        Ok(done)
    }
}

/// All connections at once, each doing its own work from the same moment on.
async fn at_once<T, Fut>(connections: Vec<T>, work: impl Fn(T, Instant) -> Fut) -> Result<Figure>
where
    Fut: Future<Output = Result<Seen>> + Send + 'static,
{
    let begun = Instant::now();
    let tasks: Vec<_> = connections.into_iter().map(|one| tokio::spawn(work(one, begun))).collect();
    let (mut micros, mut errors) = (Vec::new(), 0);
    for task in tasks {
        let seen = task.await??;
        micros.extend(seen.micros);
        errors += seen.errors;
    }
    let rate = per_second(micros.len() as u64, begun);
    micros.sort_unstable();
    let at = |share: usize| {
        let micros = micros.get(micros.len() * share / 100).copied().unwrap_or(0);
        Duration::from_micros(micros).as_secs_f64() * 1e3
    };
    let requests = rate * begun.elapsed().as_secs_f64();
    Ok(Figure { per_second: rate, p50_ms: at(50), p99_ms: at(99), requests, errors: errors.into() })
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
    at_once(actors, move |(mut actor, mut token), begun| async move {
        let mut seen = Seen::default();
        while begun.elapsed() < time {
            let answer = seen.time(actor.refresh(&token)).await?;
            match answer.member("refresh_token") {
                Ok(next) => token = next,
                Err(_) => seen.errors += 1,
            }
        }
        Ok(seen)
    })
    .await
}

/// Codes that wait to be exchanged, each connection's own, of a user of its own.
pub struct Prepared(Vec<(Actor, Vec<String>)>);

/// Makes about so many codes: as many as live long enough.
pub async fn codes(demo: &Demo, codes: usize) -> Result<Prepared> {
    let mut signed_in = Vec::new();
    for mut actor in users(demo).await? {
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

/// A connection for each of as many users.
async fn users(demo: &Demo) -> Result<Vec<Actor>> {
    let mut actors = Vec::new();
    for number in 0..CONNECTIONS {
        actors.push(Actor::new(&demo.with_another_user(number).await?, "confidential").await?);
    }
    Ok(actors)
}

/// Exchanges codes that were made before.
pub async fn exchange(Prepared(prepared): Prepared) -> Result<Figure> {
    at_once(prepared, |(mut actor, codes), _| async move {
        let mut seen = Seen::default();
        for code in codes {
            let answer = seen.time(actor.exchange(&code)).await?;
            seen.errors += u32::from(answer.status != 200);
        }
        Ok(seen)
    })
    .await
}

/// The whole round: page, password, code, tokens. Each connection signs in a user of its own.
pub async fn login(demo: &Demo, time: Duration) -> Result<Figure> {
    at_once(users(demo).await?, move |mut actor, begun| async move {
        let mut seen = Seen::default();
        while begun.elapsed() < time {
            let round = async {
                let (_, code) = actor.sign_in().await?;
                actor.exchange(&code).await
            };
            let answer = seen.time(round).await?;
            seen.errors += u32::from(answer.status != 200);
        }
        Ok(seen)
    })
    .await
}
