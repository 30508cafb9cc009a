//! The log of the whole flow, at the most verbose level, holds nothing that must not be in a log.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tessera::projects;

use crate::support::process::Server;
use crate::support::{
    DEVICE_GRANT, Engine, PASSWORD, ProofKey, REDIRECT, Shop, TestApp, both_engines, code_of, cookie_of,
    sealed_of,
};

both_engines!(no_secret_is_logged);

const STATE: &str = "state-Zq3mB8";
const NONCE: &str = "nonce-Yw7kD2";
const WRONG: &str = "tcs_wrong-Xc5nV1";

/// What must not be logged, gathered on the way; and the ids of all requests.
#[derive(Default)]
struct Seen {
    secrets: Vec<String>,
    requests: Vec<String>,
}

impl Seen {
    fn secret(&mut self, text: &str) {
        assert!(text.len() > 3, "{text:?} would be found by accident");
        self.secrets.push(text.to_owned());
    }

    /// Every token of an answer, and each part of the signed ones.
    fn tokens(&mut self, answer: &Value) {
        for name in ["access_token", "id_token", "refresh_token"] {
            let token = answer[name].as_str().unwrap();
            self.secret(token);
            // The header of a signed token is the same in all of them, and no secret.
            token.split('.').skip(1).for_each(|part| self.secret(part));
        }
    }

    fn request(&mut self, response: &Response) {
        self.requests.push(response.headers()["x-request-id"].to_str().unwrap().to_owned());
    }
}

async fn no_secret_is_logged(engine: Engine) {
    let format = if matches!(engine, Engine::Sqlite) { "json" } else { "pretty" };
    let mut app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, key) = projects::create_admin_key(&app.app, Some(shop.project), "test", "admin").await.unwrap();
    let settings = [("TESSERA__LOG__FILTER", "trace"), ("TESSERA__LOG__FORMAT", format)];
    let server = Server::serve(&mut app, &settings);
    let mut seen = Seen::default();
    for secret in
        ["alice", "Alice", PASSWORD, "example.com", STATE, NONCE, WRONG, key.expose(), &"A".repeat(43)]
    {
        seen.secret(secret);
    }
    seen.secret(shop.secret.as_ref().unwrap());

    pushed_request(&app, &shop, &mut seen).await;
    let token = sign_in(&app, &shop, &mut seen).await;
    oauth(&app, &shop, &mut seen, &token).await;
    account(&app, &shop, &mut seen, &token).await;
    session_api(&app, &shop, &mut seen, &token, key.expose()).await;
    administration(&app, &shop, &mut seen, key.expose()).await;
    registration(&app, &shop, &mut seen, key.expose()).await;
    denials(&app, &shop, &mut seen, &token, key.expose()).await;
    mail(&app, &shop, &mut seen, key.expose()).await;
    delete(&app, &shop, &mut seen, key.expose()).await;

    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0));
    assert!(seen.requests.len() > 25);
    for request in &seen.requests {
        let lines: Vec<_> = log.iter().filter(|line| line.contains(request)).collect();
        assert!(lines.iter().any(|line| line.contains("answered")), "request {request} is not in the log");
    }
    for line in &log {
        for secret in &seen.secrets {
            assert!(!line.contains(secret), "{secret:?} is logged: {line}");
        }
        assert!(format != "json" || serde_json::from_str::<Value>(line).is_ok(), "not JSON: {line}");
    }
}

/// What is asked for by mail, an invitation, and a link that is followed: addresses and tokens stand in none of it.
async fn mail(app: &TestApp, shop: &Shop, seen: &mut Seen, key: &str) {
    let url = app.project_url(shop, "/forgotten-password");
    let page = app.http.get(&url).send().await.unwrap();
    seen.request(&page);
    let cookie = cookie_of(&page);
    seen.secret(cookie.split_once('=').unwrap().1);
    let sealed = sealed_of(&page.text().await.unwrap());
    seen.secret(&sealed);
    let form = [("request", sealed.as_str()), ("who", "alice@example.com")];
    seen.request(&app.http.post(&url).header("cookie", cookie).form(&form).send().await.unwrap());
    let token = "tml_Rb7wQ2zT";
    seen.secret(token);
    let link = app.project_url(shop, &format!("/link/new-password?token={token}"));
    seen.request(&app.http.get(link).send().await.unwrap());
    let invitations = format!("{}/admin/projects/{}/invitations", app.base, shop.slug);
    let body = json!({"email": "mallory@example.com", "username": "Mallory-Zt4"});
    seen.secret("Mallory-Zt4");
    seen.request(&app.http.post(invitations).bearer_auth(key).json(&body).send().await.unwrap());
}

async fn post(
    app: &TestApp,
    shop: &Shop,
    seen: &mut Seen,
    endpoint: &str,
    bearer: Option<&str>,
    body: String,
) -> Response {
    let request = app.http.post(app.project_url(shop, &format!("/api/{endpoint}")));
    let request = match bearer {
        Some(token) => request.bearer_auth(token),
        None => request.basic_auth(&shop.id, shop.secret.as_ref()),
    };
    let response = request.header("content-type", "application/json").body(body).send().await.unwrap();
    seen.request(&response);
    response
}

/// From the link to the tokens, past an unknown name and a wrong password; gives the access token.
async fn sign_in(app: &TestApp, shop: &Shop, seen: &mut Seen) -> String {
    let url = format!(
        "{}?response_type=code&client_id={}&redirect_uri={REDIRECT}&state={STATE}&nonce={NONCE}&scope=openid+email&login_hint=alice@example.com",
        app.project_url(shop, "/oauth2/authorize"),
        shop.id
    );
    let page = app.http.get(&url).send().await.unwrap();
    seen.request(&page);
    let cookie = cookie_of(&page);
    seen.secret(cookie.split_once('=').unwrap().1);
    let sealed = sealed_of(&page.text().await.unwrap());
    seen.secret(&sealed);
    let mut redirect = None;
    for (name, password) in [("mallory-Wd9", PASSWORD), ("alice", "a wrong password"), ("Alice", PASSWORD)] {
        seen.secret(password);
        seen.secret(name);
        let form = [("request", sealed.as_str()), ("username", name), ("password", password)];
        let request = app.http.post(app.project_url(shop, "/sign-in")).header("cookie", &cookie).form(&form);
        let response = request.send().await.unwrap();
        seen.request(&response);
        redirect = Some(response);
    }
    let redirect = redirect.unwrap();
    let (code, session) = (code_of(&redirect), cookie_of(&redirect));
    seen.secret(&code);
    seen.secret(session.split_once('=').unwrap().1);
    // The cookie signs in again, and an error travels to the client with the state.
    for more in ["", "&prompt=none&max_age=0", "&code_challenge=tooshort"] {
        let again = app.http.get(format!("{url}{more}")).header("cookie", &session).send().await.unwrap();
        seen.request(&again);
        seen.secret(again.headers()["location"].to_str().unwrap().split_once('?').unwrap().1);
    }
    let body = json!({"code": code, "redirect_uri": REDIRECT}).to_string();
    let answer = post(app, shop, seen, "GetTokenFromCode", None, body.clone()).await;
    let tokens: Value = answer.json().await.unwrap();
    seen.tokens(&tokens);
    let refresh = json!({"refresh_token": tokens["refresh_token"]}).to_string();
    let renewed: Value = post(app, shop, seen, "refresh", None, refresh).await.json().await.unwrap();
    seen.tokens(&renewed);
    renewed["access_token"].as_str().unwrap().to_owned()
}

/// What clients post to OAuth's endpoints, good and bad.
async fn oauth(app: &TestApp, shop: &Shop, seen: &mut Seen, token: &str) {
    let kind = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let assertion = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhc3NlcnRpb24tTG02In0.c2lnbmF0dXJlLUxtNg";
    let refresh = "tsr_refresh-Lm6";
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    [assertion, refresh].into_iter().for_each(|secret| seen.secret(secret));
    for (endpoint, form) in [
        ("introspect", vec![("token", token)]),
        ("introspect", vec![("token", refresh)]),
        ("revoke", vec![("token", refresh)]),
        ("token", vec![("grant_type", "refresh_token"), ("refresh_token", refresh)]),
        ("token", vec![("grant_type", exchange), ("subject_token", token)]),
        ("token", vec![("grant_type", WRONG), ("code", WRONG)]),
        ("token", vec![("grant_type", "client_credentials"), kind, ("client_assertion", assertion)]),
        (WRONG, vec![("token", token)]),
    ] {
        let request = app.http.post(app.project_url(shop, &format!("/oauth2/{endpoint}"))).form(&form);
        let request = match form.contains(&kind) {
            true => request,
            false => request.basic_auth(&shop.id, shop.secret.as_ref()),
        };
        let response = request.send().await.unwrap();
        seen.request(&response);
        assert!(!response.status().is_server_error(), "{endpoint}");
    }
}

/// A request that is pushed with a proof, and what the browser carries of it.
async fn pushed_request(app: &TestApp, shop: &Shop, seen: &mut Seen) {
    let (url, key) = (app.project_url(shop, "/oauth2/par"), ProofKey::new().await);
    let proof = key.proof(app, "POST", &url);
    seen.secret(&proof);
    let form = [
        ("response_type", "code"),
        ("redirect_uri", REDIRECT),
        ("state", STATE),
        ("nonce", NONCE),
        ("login_hint", "alice@example.com"),
    ];
    // The proof is of a time that the server does not live in.
    let refused = app.post_as(shop, "/oauth2/par", &form).header("dpop", &proof).send().await.unwrap();
    seen.request(&refused);
    assert_eq!(refused.status(), 400);
    let pushed = app.post_as(shop, "/oauth2/par", &form).send().await.unwrap();
    seen.request(&pushed);
    let pushed: Value = pushed.json().await.unwrap();
    let name = pushed["request_uri"].as_str().unwrap();
    seen.secret(name.rsplit_once(':').unwrap().1);
    let link = app.http.get(app.project_url(shop, "/oauth2/authorize"));
    let page = link.query(&[("client_id", shop.id.as_str()), ("request_uri", name)]).send().await.unwrap();
    seen.request(&page);
    assert_eq!(page.status(), 200);
    let code = [("grant_type", DEVICE_GRANT), ("device_code", WRONG)];
    let refused = app.post_as(shop, "/oauth2/token", &code).send().await.unwrap();
    seen.request(&refused);
}

/// What a person does with their own account.
async fn account(app: &TestApp, shop: &Shop, seen: &mut Seen, token: &str) {
    let personal = ["Alissa Tq8-Smith", "a wrong one-Tq8", "the next one-Tq8", "alicia-Tq8"];
    personal.iter().for_each(|text| seen.secret(text));
    let [name, wrong, next, typed] = personal;
    let password = json!({"current_password": wrong, "new_password": next});
    for (method, path, body, status) in [
        (Method::PATCH, "/profile", json!({"name": name}), 200),
        (Method::GET, "/sessions", Value::Null, 200),
        (Method::DELETE, "/sessions/alicia-Tq8", Value::Null, 404),
        (Method::GET, "/devices", Value::Null, 200),
        (Method::DELETE, "/devices/alicia-Tq8", Value::Null, 404),
        (Method::PATCH, "/factors/00000000-0000-7000-8000-000000000000", json!({"name": name}), 404),
        (Method::POST, "/password", password, 403),
        (Method::GET, "/data", Value::Null, 200),
        (Method::POST, "/delete", json!({"confirmation": typed}), 403),
    ] {
        let url = app.project_url(shop, &format!("/api/account{path}"));
        let request = app.http.request(method, url).bearer_auth(token);
        let request = if body.is_null() { request } else { request.json(&body) };
        let response = request.send().await.unwrap();
        seen.request(&response);
        assert_eq!(response.status(), status, "{path}");
    }
}

async fn session_api(app: &TestApp, shop: &Shop, seen: &mut Seen, token: &str, key: &str) {
    let by_name = json!({"user": {"username": "alice"}}).to_string();
    let access = json!({"access_token": token}).to_string();
    for (endpoint, bearer, body) in [
        ("verifyaccesstoken", None, access.clone()),
        ("userinfofromaccesstoken", Some(token), String::new()),
        ("GlobalSignOut", Some(token), "{}".into()),
        ("GlobalSignOut", Some(key), by_name),
        ("verifyaccesstoken", None, access),
    ] {
        let response = post(app, shop, seen, endpoint, bearer, body).await;
        assert_eq!(response.status(), 200, "{endpoint}");
    }
    let url = app.project_url(shop, &format!("/api/token-validity?client_id={}", shop.id));
    let read = app.http.get(&url).bearer_auth(key).send().await.unwrap();
    seen.request(&read);
    let changed = app.http.put(&url).bearer_auth(key).json(&json!({"access_token": 2})).send().await.unwrap();
    seen.request(&changed);
    assert_eq!((read.status(), changed.status()), (200.try_into().unwrap(), 200.try_into().unwrap()));
}

/// Personal data and fresh secrets in the admin API.
async fn administration(app: &TestApp, shop: &Shop, seen: &mut Seen, key: &str) {
    let personal = [
        "carola-Kp4",
        "carola-Kp4@mail.test",
        "Carola Kp4-Smith",
        "+35198765432",
        "lavender-Kp4",
        "a new phrase-Kp4",
    ];
    personal.iter().for_each(|text| seen.secret(text));
    let [username, email, name, phone, colour, password] = personal;
    let user = json!({"username": username, "email": email, "name": name, "phone_number": phone, "password": PASSWORD});
    let mut send = async |method: Method, path: &str, body: Value, status: u16| {
        let request = app.admin_request(key, method, &format!("/projects/shop{path}")).json(&body);
        let response = request.send().await.unwrap();
        seen.request(&response);
        assert_eq!(response.status(), status, "{path}");
        response.json::<Value>().await.unwrap_or_default()
    };
    let made = send(Method::POST, "/users", user.clone(), 201).await;
    let path = format!("/users/{}", made["id"].as_str().unwrap());
    send(Method::POST, "/users", user, 409).await;
    send(Method::GET, &format!("/users?search={username}"), json!(null), 200).await;
    send(Method::PATCH, &path, json!({"nickname": name, "birthdate": phone}), 400).await;
    send(Method::POST, &format!("{path}/set-password"), json!({"password": password}), 200).await;
    send(Method::GET, &format!("{path}/sessions"), json!(null), 200).await;
    send(Method::POST, "/attribute-definitions", json!({"name": "colour", "type": "string"}), 201).await;
    let rotated = send(Method::POST, &format!("/clients/{}/rotate-secret", shop.id), json!({}), 200).await;
    seen.secret(rotated["client_secret"].as_str().unwrap());
    let update = json!({"user": {"username": username}, "set": {"colour": colour}}).to_string();
    let updated = post(app, shop, seen, "attribute-update", Some(key), update).await;
    assert_eq!(updated.status(), 200);
}

/// An application registers itself, shows itself with a right and a wrong token, and goes.
async fn registration(app: &TestApp, shop: &Shop, seen: &mut Seen, key: &str) {
    let open = json!({"settings": {"dynamic_registration": "initial_access_token"}});
    let opened = app.admin_request(key, Method::PATCH, "/projects/shop").json(&open).send().await.unwrap();
    seen.request(&opened);
    let new = app.admin_request(key, Method::POST, "/projects/shop/initial-access-tokens");
    let token: Value = new.json(&json!({"name": "Ines"})).send().await.unwrap().json().await.unwrap();
    let token = token["token"].as_str().unwrap();
    seen.secret(token);
    let metadata = json!({"redirect_uris": [REDIRECT]});
    let made = app.register_request(shop, token, &metadata).send().await.unwrap();
    seen.request(&made);
    let made: Value = made.json().await.unwrap();
    let own = made["registration_access_token"].as_str().unwrap();
    [own, made["client_secret"].as_str().unwrap()].into_iter().for_each(|secret| seen.secret(secret));
    let client = made["client_id"].as_str().unwrap();
    for (method, token, status) in
        [(Method::GET, own, 200), (Method::GET, WRONG, 401), (Method::DELETE, own, 204)]
    {
        let answer = app.own_request(shop, method, client, token).send().await.unwrap();
        seen.request(&answer);
        assert_eq!(answer.status(), status);
    }
}

/// Secrets in places where they do not belong.
async fn denials(app: &TestApp, shop: &Shop, seen: &mut Seen, token: &str, key: &str) {
    let stranger = Shop { secret: Some(WRONG.into()), slug: shop.slug.clone(), id: shop.id.clone(), ..*shop };
    let code = json!({"code": WRONG, "redirect_uri": REDIRECT}).to_string();
    for (shop, endpoint, bearer, body) in [
        (&stranger, "GetTokenFromCode", None, code.clone()),
        (shop, "GetTokenFromCode", None, code),
        (shop, "GetTokenFromCode", None, format!("{{\"code\": {WRONG}}}")),
        (shop, "GetTokenFromCode", None, json!({"code": [WRONG], "redirect_uri": 1}).to_string()),
        (shop, "GetTokenFromCode", None, json!({WRONG: "alice@example.com"}).to_string()),
        (shop, "refresh", None, json!({"refresh_token": WRONG}).to_string()),
        (shop, "refresh", None, json!({"refresh_token": token}).to_string()),
        (shop, "userinfofromaccesstoken", Some(token), String::new()),
        (shop, "userinfofromaccesstoken", Some(WRONG), String::new()),
        (shop, "GlobalSignOut", Some("tak_wrong-Xc5nV1"), "{}".into()),
        (shop, "GlobalSignOut", Some(key), json!({"user": {"username": "nobody-Wd9"}}).to_string()),
        (shop, "GlobalSignOut", Some(key), json!({"user": WRONG}).to_string()),
        (
            shop,
            "attribute-update",
            Some(key),
            json!({"user": {"username": "alice"}, "set": {"x": WRONG}}).to_string(),
        ),
        (shop, "attribute-update", Some(token), json!({"set": {WRONG: PASSWORD}}).to_string()),
        (shop, "account/passkeys/begin", Some(WRONG), String::new()),
        (
            shop,
            "account/passkeys/finish",
            Some(token),
            json!({"challenge": WRONG, "credential": {"id": WRONG}, "name": PASSWORD}).to_string(),
        ),
        (shop, WRONG, None, "{}".into()),
    ] {
        let response = post(app, shop, seen, endpoint, bearer, body).await;
        assert!(response.status().is_client_error(), "{endpoint}");
    }
    for path in [
        format!("/{WRONG}"),
        format!("/projects/{WRONG}/api/refresh"),
        format!("/projects/shop/sign-in?{WRONG}"),
    ] {
        let response = app.http.post(format!("{}{path}", app.base)).send().await.unwrap();
        seen.request(&response);
    }
}

async fn delete(app: &TestApp, shop: &Shop, seen: &mut Seen, key: &str) {
    let reason = "Wrote to us that they want it, Ref9";
    seen.secret(reason);
    let ask = json!({"user": {"username": "alice"}, "reason": reason}).to_string();
    let asked: Value = post(app, shop, seen, "delete-user", Some(key), ask).await.json().await.unwrap();
    for (confirmation, expected) in [("alicia", 403), ("alice", 200)] {
        let confirm = json!({"deletion_id": asked["deletion_id"], "confirmation": confirmation}).to_string();
        let response = post(app, shop, seen, "delete-user/confirm", Some(key), confirm).await;
        assert_eq!(response.status(), expected);
    }
}
