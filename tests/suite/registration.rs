//! Applications that register themselves (RFC 7591) and manage what they registered (RFC 7592).

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tessera::secret::{decode_base64url, encode_base64url, sha256};

use crate::support::registration::{registered, text};
use crate::support::{
    Answer, Engine, PASSWORD, REDIRECT, Seen, Shop, TestApp, both_engines, code_of, cookie_of, location_of,
    number, parameter, sealed_of,
};

both_engines!(
    a_registered_client_signs_people_in,
    what_is_left_out_is_as_the_standard_has_it,
    what_is_wrong_is_named,
    off_until_a_project_says_otherwise,
    initial_access_tokens_serve_their_project_until_they_end,
    of_ten_at_once_one_registers,
    a_client_manages_itself,
    nobody_else_manages_it,
    replacing_raises_no_rights,
    tokens_and_registrations_go,
);

const NOT_VALID: &str = "the initial access token is not valid here";
const NOT_OWN: &str = "the registration access token is not valid here";
const OPEN: &str = "openid profile email address phone offline_access";

/// A project that is open for so many applications: it, an owner's key, and the token.
async fn open(app: &TestApp, max_uses: i64) -> (Shop, String, String) {
    let (shop, owner) = (app.shop("shop", "confidential").await, app.admin_key(None, "owner").await);
    let token = app.open_registration(&shop, &owner, max_uses).await;
    (shop, owner, token)
}

fn metadata() -> Value {
    json!({"client_name": "Bureau", "redirect_uris": [REDIRECT]})
}

/// Who did what, from the project's audit log.
async fn events(app: &TestApp, owner: &str, action: &str) -> Vec<(String, String)> {
    let log = app.admin_get(owner, &format!("/projects/shop/audit?action={action}&order=asc")).await.ok();
    let items = log["items"].as_array().unwrap().iter();
    items.map(|item| (text(item, "actor").to_owned(), text(item, "target").to_owned())).collect()
}

/// Signs alice in with PKCE, past the page that asks: the answer of the token endpoint.
async fn sign_in(app: &TestApp, client: &Shop, scope: &str) -> Value {
    let verifier = "v".repeat(43);
    let challenge = encode_base64url(&sha256(verifier.as_bytes()));
    let more = format!("&scope={scope}&code_challenge={challenge}&code_challenge_method=S256");
    let (cookie, sealed) = app.sign_in_page(client, &more).await;
    let answer = app.submit(client, &cookie, &sealed, PASSWORD).await;
    let cookie = cookie_of(&answer);
    let page = Seen::of(answer).await;
    assert!(page.text.contains("Allow <bdi>Bureau</bdi>?"), "{}", page.text);
    let consent = app.http.post(app.project_url(client, "/consent")).header("cookie", cookie);
    let form = [("request", sealed_of(&page.text)), ("decision", "allow".into())];
    let code = code_of(&consent.form(&form).send().await.unwrap());
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", &verifier),
    ];
    app.form(client, "token", &form).await.ok()
}

async fn a_registered_client_signs_people_in(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, owner, token) = open(&app, 1).await;
    let mut asked = json!({
        "client_name": "Bureau",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
        "scope": "openid email offline_access",
        "client_uri": "https://bureau.example/",
        "policy_uri": "https://bureau.example/privacy",
        "tos_uri": "https://bureau.example/terms",
        "post_logout_redirect_uris": ["https://bureau.example/bye"],
        "backchannel_logout_uri": "https://bureau.example/logout",
        "backchannel_logout_session_required": true,
        "id_token_signed_response_alg": "RS256",
        "subject_type": "pairwise",
        "require_pushed_authorization_requests": false,
        "require_signed_request_object": false,
        "dpop_bound_access_tokens": false,
    });
    let made = app.register(&shop, &token, &asked).await.created();
    let own = registered(&shop, &made);
    let (secret, access) = (text(&made, "client_secret"), text(&made, "registration_access_token"));
    assert!(secret.starts_with("tcs_") && access.starts_with("tra_") && access.len() == 47, "{made}");
    for (name, value) in [
        ("client_id", json!(own.id)),
        ("client_id_issued_at", json!(app.app.clock.now().unix())),
        ("client_secret", json!(secret)),
        ("client_secret_expires_at", json!(0)),
        ("registration_client_uri", json!(app.project_url(&shop, &format!("/oauth2/register/{}", own.id)))),
        ("registration_access_token", json!(access)),
    ] {
        asked[name] = value;
    }
    assert_eq!(made, asked);

    let tokens = sign_in(&app, &own, "openid+email+offline_access").await;
    assert_eq!(tokens["scope"], "openid email offline_access");
    let header = text(&tokens, "id_token").split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&decode_base64url(header).unwrap()).unwrap();
    assert_eq!(header["alg"], "RS256");
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
    app.form(&own, "token", &refresh).await.ok();
    // PKCE is required, whoever the client is.
    let to = location_of(&app.http.get(app.authorize_url(&own, "&scope=openid")).send().await.unwrap());
    let why = "code_challenge is missing: this client must use PKCE with S256";
    assert_eq!(parameter(&to, "error_description").as_deref(), Some(why));
    // An admin sees it like any other, and the log who let it in.
    let seen = app.admin_get(&owner, &format!("/projects/shop/clients/{}", own.id)).await.ok();
    assert_eq!((&seen["first_party"], &seen["require_pkce"]), (&json!(false), &json!(true)));
    let tokens = app.admin_get(&owner, "/projects/shop/initial-access-tokens").await.ok();
    let by = format!("initial_access_token:{}", text(&tokens["items"][0], "id"));
    let created = events(&app, &owner, "client.created").await;
    assert_eq!(created.last(), Some(&(by.clone(), format!("client:{}", own.id))));
    assert_eq!(events(&app, &owner, "initial_access_token.created").await[0].1, by);
    // Of both tokens and the secret there is only a hash.
    let sql = "SELECT count(*) AS n FROM registrations WHERE length(hash) = 32";
    assert_eq!(number(&app.app.db, sql).await, 1);
}

async fn what_is_left_out_is_as_the_standard_has_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, _, token) = open(&app, 5).await;
    // What we do not know, and what is not the application's to say, is passed over.
    let asked = json!({
        "redirect_uris": [REDIRECT], "client_name": null, "scope": null, "logo_uri": "https://bureau.example/logo",
        "client_name#de": "Amt", "contacts": ["me@bureau.example"], "application_type": "native",
        "jwks_uri": "https://bureau.example/jwks", "jwks": {"keys": []}, "first_party": true, "require_pkce": false,
        "audience": "https://orders.example", "type": "service", "status": "active", "client_id": "mine",
        "client_secret": "mine", "software_statement": "a.b.c", "userinfo_signed_response_alg": null,
    });
    let mut made = app.register(&shop, &token, &asked).await.created();
    let members = made.as_object_mut().unwrap();
    for name in ["client_id", "client_secret", "registration_client_uri", "registration_access_token"] {
        assert!(members.remove(name).is_some_and(|value| value != "mine"), "{name}");
    }
    let expected = json!({
        "client_name": "An application without a name",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
        "scope": OPEN,
        "id_token_signed_response_alg": "RS256",
        "subject_type": "public",
        "post_logout_redirect_uris": [],
        "backchannel_logout_session_required": false,
        "require_pushed_authorization_requests": false,
        "require_signed_request_object": false,
        "dpop_bound_access_tokens": false,
        "client_id_issued_at": app.app.clock.now().unix(),
        "client_secret_expires_at": 0,
    });
    assert_eq!(made, expected);
    // A public client has no secret, a program without people no redirect URI.
    let public = json!({"redirect_uris": ["com.example.app:/cb"], "token_endpoint_auth_method": "none"});
    let made = app.register(&shop, &token, &public).await.created();
    assert!(made.get("client_secret").is_none() && made.get("client_secret_expires_at").is_none(), "{made}");
    let program = json!({"grant_types": ["client_credentials"], "scope": "openid"});
    let made = app.register(&shop, &token, &program).await.created();
    assert_eq!((&made["response_types"], &made["redirect_uris"]), (&json!([]), &json!([])));
    let tokens = app.form(&registered(&shop, &made), "token", &[("grant_type", "client_credentials")]).await;
    assert_eq!(tokens.ok()["token_type"], "Bearer");
}

// C033
async fn what_is_wrong_is_named(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, owner, token) = open(&app, 5).await;
    app.admin_post(&owner, "/projects/shop/scopes", json!({"name": "orders:read"})).await.created();
    let (redirect, other) = ("invalid_redirect_uri", "invalid_client_metadata");
    let scopes =
        format!("scope of a client that registers itself names some of {OPEN}, separated by one space");
    let fits = "response_types is code with the grant authorization_code, and empty without it";
    let kinds = "a redirect URI is https, http on a loopback address, or a private-use scheme with a dot";
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    for (changes, code, field, description) in [
        (json!({"redirect_uris": ["http://app.example/cb"]}), redirect, "redirect_uris", kinds),
        (json!({"redirect_uris": ["javascript:alert(1)"]}), redirect, "redirect_uris", kinds),
        (
            json!({"redirect_uris": ["https://app.example/#f"]}),
            redirect,
            "redirect_uris",
            "a redirect URI has neither fragment nor user information",
        ),
        (
            json!({"redirect_uris": "https://app.example/"}),
            redirect,
            "redirect_uris",
            "redirect_uris must be a list",
        ),
        (
            json!({"redirect_uris": []}),
            redirect,
            "redirect_uris",
            "redirect_uris has at least one entry with the grant authorization_code",
        ),
        (json!({"response_types": ["code", "token"]}), other, "response_types", fits),
        (json!({"response_types": []}), other, "response_types", fits),
        (json!({"response_types": 5}), other, "response_types", "response_types must be a list"),
        (
            json!({"grant_types": ["authorization_code", exchange]}),
            other,
            "grant_types",
            "grant_types of a client that registers itself has no token exchange",
        ),
        (
            json!({"grant_types": ["client_credentials"], "response_types": ["code"]}),
            other,
            "response_types",
            fits,
        ),
        (
            json!({"token_endpoint_auth_method": "tls_client_auth"}),
            other,
            "token_endpoint_auth_method",
            "token_endpoint_auth_method must be one of client_secret_basic, client_secret_post, private_key_jwt, none",
        ),
        (
            json!({"token_endpoint_auth_method": "private_key_jwt"}),
            other,
            "jwks",
            "jwks, or jwks_uri, has the public keys of a client with token_endpoint_auth_method private_key_jwt",
        ),
        (
            json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []},
                "jwks_uri": "https://bureau.example/jwks"}),
            other,
            "jwks_uri",
            "jwks_uri is not for a client that registers jwks",
        ),
        (json!({"scope": "openid account"}), other, "scope", &scopes),
        (json!({"scope": "openid orders:read"}), other, "scope", &scopes),
        (json!({"scope": ""}), other, "scope", &scopes),
        (
            json!({"id_token_signed_response_alg": "none"}),
            other,
            "id_token_signed_response_alg",
            "id_token_signed_response_alg must be one of ES256, RS256, EdDSA",
        ),
        (
            json!({"userinfo_encrypted_response_alg": "RSA-OAEP"}),
            other,
            "userinfo_encrypted_response_alg",
            "userinfo_encrypted_response_alg is not supported",
        ),
        (json!({"client_name": 5}), other, "client_name", "client_name must be a string"),
        (
            json!({"client_name": " "}),
            other,
            "client_name",
            "client_name has 1 to 128 characters, no control characters and no space at either end",
        ),
        (
            json!({"post_logout_redirect_uris": ["/bye"]}),
            other,
            "post_logout_redirect_uris",
            "a redirect URI must be an absolute URI",
        ),
        (
            json!({"subject_type": "pairwise", "redirect_uris": ["https://a.example/", "https://b.example/"]}),
            other,
            "subject_type",
            "subject_type pairwise needs redirect_uris of one host, or a sector_identifier_uri",
        ),
    ] {
        let mut asked = metadata();
        asked.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        app.register(&shop, &token, &asked).await.refused_for(400, code, field, description);
    }
    let raw = async |kind: &str, body: String| {
        let request = app.http.post(app.project_url(&shop, "/oauth2/register")).bearer_auth(&token);
        Answer::of(request.header("content-type", kind).body(body).send().await.unwrap()).await
    };
    let json = "application/json";
    raw(json, "[]".into()).await.refused(400, "invalid_request", "the body must be a JSON object");
    let twice = raw(json, r#"{"scope": "openid", "scope": "email"}"#.into()).await;
    twice.refused_for(400, "invalid_request", "scope", "duplicate field scope");
    let why = "the body must be application/json";
    raw("text/plain", "{}".into()).await.refused(415, "unsupported_media_type", why);
    let large = raw(json, " ".repeat(64 * 1024 + 1)).await;
    large.refused(413, "payload_too_large", "the body is larger than 64 KiB");
    // None of it used the token, or made a client.
    let tokens = app.admin_get(&owner, "/projects/shop/initial-access-tokens").await.ok();
    assert_eq!(tokens["items"][0]["uses"], 0);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM clients").await, 1);
}

async fn off_until_a_project_says_otherwise(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, owner) = (app.shop("shop", "confidential").await, app.admin_key(None, "owner").await);
    let advertised = async || {
        app.app.clock.advance(6);
        let url = app.project_url(&shop, "/.well-known/openid-configuration");
        let document: Value = app.http.get(url).send().await.unwrap().json().await.unwrap();
        document.get("registration_endpoint").cloned()
    };
    let body = json!({"name": "Partners", "max_uses": 5});
    let token = app.initial_access_token(&shop, &owner, body).await;
    let token = text(&token, "token");
    let off = "this project has no dynamic registration";
    assert_eq!(advertised().await, None);
    app.register(&shop, token, &metadata()).await.refused(404, "not_found", off);
    let bad = json!({"settings": {"dynamic_registration": "open"}});
    let why = "settings.dynamic_registration must be off or initial_access_token";
    let refused = app.admin_patch(&owner, "/projects/shop", bad).await;
    assert_eq!((refused.status, refused.body["error_description"].as_str()), (400, Some(why)));
    app.set_registration(&shop, &owner, "initial_access_token").await;
    assert_eq!(advertised().await, Some(json!(app.project_url(&shop, "/oauth2/register"))));
    let made = app.register(&shop, token, &metadata()).await.created();
    // Off again, for those as well that have registered; the clients live on.
    app.set_registration(&shop, &owner, "off").await;
    assert_eq!(advertised().await, None);
    app.register(&shop, token, &metadata()).await.refused(404, "not_found", off);
    let own = app.read_own(&shop, text(&made, "client_id"), text(&made, "registration_access_token")).await;
    own.refused(404, "not_found", off);
    sign_in(&app, &registered(&shop, &made), "openid").await;
    // A project that is switched off is not there.
    app.set_registration(&shop, &owner, "initial_access_token").await;
    app.admin_patch(&owner, "/projects/shop", json!({"status": "disabled"})).await.ok();
    app.register(&shop, token, &metadata()).await.refused(404, "not_found", "no such project");
}

async fn initial_access_tokens_serve_their_project_until_they_end(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, owner, token) = open(&app, 2).await;
    let other = app.shop("other", "confidential").await;
    let foreign = app.open_registration(&other, &owner, 5).await;
    let list = "/projects/shop/initial-access-tokens";
    for nothing in [foreign.as_str(), "tia_x", &owner, &token.replace("tia_", "tra_")] {
        app.register(&shop, nothing, &metadata()).await.refused(401, "invalid_token", NOT_VALID);
    }
    let bare = app.http.post(app.project_url(&shop, "/oauth2/register")).json(&metadata());
    let bare = bare.send().await.unwrap();
    assert_eq!(bare.headers()["www-authenticate"], r#"Bearer error="invalid_token""#);
    let why = "the request carries no initial access token";
    Answer::of(bare).await.refused(401, "invalid_token", why);
    // Two uses, and no third.
    app.register(&shop, &token, &metadata()).await.created();
    app.register(&shop, &token, &metadata()).await.created();
    app.register(&shop, &token, &metadata()).await.refused(401, "invalid_token", NOT_VALID);
    // Expired, by either way of saying when.
    let seconds =
        app.initial_access_token(&shop, &owner, json!({"name": "S", "expires_in_seconds": 60})).await;
    let at = app.app.clock.now().plus_seconds(60);
    let moment =
        app.initial_access_token(&shop, &owner, json!({"name": "M", "expires_at": at, "max_uses": 2})).await;
    assert_eq!(seconds["expires_at"], moment["expires_at"]);
    app.app.clock.advance(59);
    app.register(&shop, text(&moment, "token"), &metadata()).await.created();
    app.app.clock.advance(1);
    for expired in [&seconds, &moment] {
        let answer = app.register(&shop, text(expired, "token"), &metadata()).await;
        answer.refused(401, "invalid_token", NOT_VALID);
    }
    // Revoked, at once and on every node; by the other project's name it is not there.
    let revoked = app.initial_access_token(&shop, &owner, json!({"name": "R"})).await;
    let id = text(&revoked, "id");
    let foreign = app.admin_delete(&owner, &format!("/projects/other/initial-access-tokens/{id}")).await;
    foreign.refused(404, "not_found", "no such initial access token");
    let answer = app.admin_delete(&owner, &format!("{list}/{id}")).await.ok();
    assert_eq!(answer, json!({"id": id, "revoked_at": app.app.clock.now()}));
    let node = app.second_node().await;
    let late = Shop { slug: shop.slug.clone(), id: shop.id.clone(), secret: None, ..shop };
    let answer = node.register(&late, text(&revoked, "token"), &metadata()).await;
    answer.refused(401, "invalid_token", NOT_VALID);
    let again = app.admin_delete(&owner, &format!("{list}/{id}")).await;
    again.refused(404, "not_found", "no such initial access token");
    assert_eq!(events(&app, &owner, "initial_access_token.revoked").await.len(), 1);
    // Lists show how often each was used, and never the token.
    let listed = app.admin_get(&owner, list).await.ok();
    let items = listed["items"].as_array().unwrap().iter();
    let mut shown: Vec<_> = items.map(|one| (text(one, "name"), one["uses"].as_i64().unwrap())).collect();
    shown.sort_unstable();
    assert_eq!(shown, [("M", 1), ("Partners", 2), ("S", 0)]);
    assert!(!listed.to_string().contains("tia_"), "{listed}");
    for (body, field, description) in [
        (json!({"name": "x", "max_uses": 0}), "max_uses", "max_uses must lie between 1 and 1000"),
        (json!({"name": "x", "max_uses": 1001}), "max_uses", "max_uses must lie between 1 and 1000"),
        (
            json!({"name": "x", "expires_in_seconds": 0}),
            "expires_in_seconds",
            "expires_in_seconds must lie between 1 and 31622400",
        ),
        (
            json!({"name": "x", "expires_at": app.app.clock.now()}),
            "expires_at",
            "expires_at lies in the future, at most 366 days away",
        ),
        (
            json!({"name": "x", "expires_at": at, "expires_in_seconds": 5}),
            "expires_at",
            "expires_at and expires_in_seconds say the same",
        ),
        (json!({"max_uses": 1}), "name", "missing field name"),
        (json!({"name": "x", "uses": 1}), "uses", "unknown field uses"),
    ] {
        app.admin_post(&owner, list, body).await.refused_for(400, "invalid_request", field, description);
    }
}

async fn of_ten_at_once_one_registers(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (_, owner, token) = open(&app, 1).await;
    let node = app.second_node().await;
    let metadata = metadata();
    let requests = (0..10).map(|n| {
        let base = if n % 2 == 0 { &app.base } else { &node.base };
        let request = app.http.post(format!("{base}/projects/shop/oauth2/register")).bearer_auth(&token);
        request.json(&metadata).send()
    });
    let mut made = 0;
    for answer in join_all(requests).await {
        match Answer::of(answer.unwrap()).await {
            Answer { status: 201, .. } => made += 1,
            refused => refused.refused(401, "invalid_token", NOT_VALID),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM clients").await, 2);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM registrations").await, 1);
    let tokens = app.admin_get(&owner, "/projects/shop/initial-access-tokens").await.ok();
    assert_eq!(tokens["items"][0]["uses"], 1);
}

async fn a_client_manages_itself(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, owner, token) = open(&app, 1).await;
    let asked = json!({"client_name": "Bureau", "redirect_uris": [REDIRECT], "scope": "openid email",
        "grant_types": ["authorization_code", "refresh_token"]});
    let made = app.register(&shop, &token, &asked).await.created();
    let (id, access) = (text(&made, "client_id"), text(&made, "registration_access_token"));
    // All that was registered, without the secret, which nobody has but the client.
    let mut expected = made.clone();
    expected.as_object_mut().unwrap().retain(|name, _| !name.starts_with("client_secret"));
    assert_eq!(app.read_own(&shop, id, access).await.ok(), expected);
    let own = registered(&shop, &made);
    let tokens = sign_in(&app, &own, "openid+email+offline_access").await;
    // In place of all of it: what is left out is as the standard has it again.
    let other = "https://bureau.example/cb";
    let next = json!({"client_id": id, "client_secret": made["client_secret"], "client_name": "Bureau 2",
        "redirect_uris": [other], "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "client_secret_post"});
    let replaced = app.replace_own(&shop, &made, &next).await.ok();
    assert_eq!((&replaced["client_name"], &replaced["redirect_uris"]), (&json!("Bureau 2"), &json!([other])));
    assert_eq!((&replaced["scope"], &replaced["registration_access_token"]), (&json!(OPEN), &json!(access)));
    assert_eq!(app.read_own(&shop, id, access).await.ok(), replaced);
    let back = app.http.get(app.authorize_url(&own, "")).send().await.unwrap();
    let why = "The application asked to return to an address that is not registered.";
    Seen::of(back).await.refused(400, why);
    // What it has lives on, until it deletes itself.
    let verify = json!({"access_token": text(&tokens, "access_token"), "audience": id});
    assert_eq!(app.call(&shop, "verifyaccesstoken", verify.clone()).await.ok()["active"], true);
    let deleted = app.own_request(&shop, Method::DELETE, id, access).send().await.unwrap();
    assert_eq!(
        (deleted.status(), &deleted.headers()["cache-control"]),
        (StatusCode::NO_CONTENT, &"no-store".parse().unwrap())
    );
    assert_eq!(deleted.text().await.unwrap(), "");
    let verified = app.call(&shop, "verifyaccesstoken", verify).await.ok();
    assert_eq!((&verified["active"], &verified["reason"]), (&json!(false), &json!("client_deleted")));
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
    let refused = app.form(&own, "token", &refresh).await;
    refused.refused(401, "invalid_client", "client authentication failed");
    app.read_own(&shop, id, access).await.refused(401, "invalid_token", NOT_OWN);
    app.admin_get(&owner, &format!("/projects/shop/clients/{id}")).await.refused(
        404,
        "not_found",
        "no such client",
    );
    let (actor, target) = (format!("registration:{id}"), format!("client:{id}"));
    for action in ["client.changed", "client.deleted"] {
        assert_eq!(events(&app, &owner, action).await, [(actor.clone(), target.clone())], "{action}");
    }
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM registrations").await, 0);
}

async fn nobody_else_manages_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, owner, token) = open(&app, 2).await;
    let other = app.shop("other", "confidential").await;
    let foreign = app.open_registration(&other, &owner, 1).await;
    let foreign = app.register(&other, &foreign, &metadata()).await.created();
    let made = app.register(&shop, &token, &metadata()).await.created();
    let second = app.register(&shop, &token, &metadata()).await.created();
    let (id, access) = (text(&made, "client_id"), text(&made, "registration_access_token"));
    let nobody = uuid::Uuid::max().to_string();
    for (client, wrong) in [
        (id, text(&second, "registration_access_token")),
        (id, text(&foreign, "registration_access_token")),
        (text(&foreign, "client_id"), text(&foreign, "registration_access_token")),
        (id, token.as_str()),
        (id, owner.as_str()),
        (id, text(&made, "client_secret")),
        (&shop.id, access),
        (&nobody, access),
        ("nobody", access),
    ] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let request =
                app.own_request(&shop, method.clone(), client, wrong).json(&json!({"client_id": client}));
            let answer = Answer::of(request.send().await.unwrap()).await;
            answer.refused(401, "invalid_token", NOT_OWN);
        }
    }
    let bare = app.http.get(text(&made, "registration_client_uri")).send().await.unwrap();
    let why = "the request carries no registration access token";
    Answer::of(bare).await.refused(401, "invalid_token", why);
    let post = app.own_request(&shop, Method::POST, id, access).send().await.unwrap();
    Answer::of(post).await.refused(405, "method_not_allowed", "this address takes another method");
    // What an admin ends is ended.
    let path = format!("/projects/shop/clients/{id}");
    app.admin_patch(&owner, &path, json!({"status": "disabled"})).await.ok();
    app.read_own(&shop, id, access).await.refused(403, "forbidden", "this client is switched off");
    app.admin_patch(&owner, &path, json!({"status": "active"})).await.ok();
    app.read_own(&shop, id, access).await.ok();
    app.admin_delete(&owner, &path).await.ok();
    app.read_own(&shop, id, access).await.refused(401, "invalid_token", NOT_OWN);
}

async fn replacing_raises_no_rights(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, owner, token) = open(&app, 1).await;
    app.admin_post(&owner, "/projects/shop/scopes", json!({"name": "orders:read"})).await.created();
    let made = app.register(&shop, &token, &metadata()).await.created();
    let id = text(&made, "client_id");
    let path = format!("/projects/shop/clients/{id}");
    let with = |changes: Value| {
        let mut asked = metadata();
        asked["client_id"] = json!(id);
        asked.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        asked
    };
    let scopes =
        format!("scope of a client that registers itself names some of {OPEN}, separated by one space");
    let method = "token_endpoint_auth_method changes from one way of sending a secret to the other only";
    let metadata = "invalid_client_metadata";
    for (changes, code, field, description) in [
        (json!({"scope": "openid account"}), metadata, "scope", scopes.as_str()),
        (json!({"scope": "openid orders:read"}), metadata, "scope", &scopes),
        (json!({"token_endpoint_auth_method": "none"}), metadata, "token_endpoint_auth_method", method),
        (
            json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}}),
            metadata,
            "token_endpoint_auth_method",
            method,
        ),
        (json!({"client_id": shop.id}), metadata, "client_id", "client_id is the client's own"),
        (json!({"client_id": null}), metadata, "client_id", "client_id is the client's own"),
        (
            json!({"client_secret": "tcs_x"}),
            metadata,
            "client_secret",
            "client_secret is the client's own, or left out",
        ),
        (
            json!({"client_secret": 5}),
            metadata,
            "client_secret",
            "client_secret is the client's own, or left out",
        ),
        (
            json!({"redirect_uris": ["http://app.example/"]}),
            "invalid_redirect_uri",
            "redirect_uris",
            "a redirect URI is https, http on a loopback address, or a private-use scheme with a dot",
        ),
    ] {
        app.replace_own(&shop, &made, &with(changes)).await.refused_for(400, code, field, description);
    }
    let before = app.admin_get(&owner, &path).await.ok();
    let rights = json!({"first_party": true, "require_pkce": false, "audience": "https://orders.example",
        "type": "service", "status": "active", "refresh_grace_seconds": 60, "client_secret": made["client_secret"],
        "token_exchange_audiences": ["x"], "allowed_origins": ["https://evil.example"]});
    app.replace_own(&shop, &made, &with(rights)).await.ok();
    assert_eq!(app.admin_get(&owner, &path).await.ok(), before);
    // What an admin grants stays when the client replaces the rest, and may be named from then on.
    let granted =
        json!({"scope": "openid orders:read", "audience": "https://orders.example", "require_pkce": false});
    app.admin_patch(&owner, &path, granted).await.ok();
    app.replace_own(&shop, &made, &with(json!({"scope": "openid orders:read"}))).await.ok();
    let after = app.admin_get(&owner, &path).await.ok();
    assert_eq!(
        (&after["scope"], &after["audience"]),
        (&json!("openid orders:read"), &json!("https://orders.example"))
    );
    app.replace_own(&shop, &made, &with(json!({}))).await.ok();
    let gone = app.replace_own(&shop, &made, &with(json!({"scope": "openid orders:read"}))).await;
    gone.refused_for(400, metadata, "scope", &scopes);
    // One that an admin made the project's own returns to where the admin says.
    app.admin_patch(&owner, &path, json!({"first_party": true})).await.ok();
    let own = app.replace_own(&shop, &made, &with(json!({}))).await;
    own.refused(403, "forbidden", "an admin manages this client");
}

async fn tokens_and_registrations_go(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, owner, token) = open(&app, 2).await;
    app.register(&shop, &token, &metadata()).await.created();
    let left = async || {
        tessera::jobs::run_due(&app.app).await.unwrap();
        let tokens = number(&app.app.db, "SELECT count(*) AS n FROM initial_access_tokens").await;
        (tokens, number(&app.app.db, "SELECT count(*) AS n FROM registrations").await)
    };
    app.app.clock.advance(8 * 86_400 - 1);
    assert_eq!(left().await, (1, 1));
    app.app.clock.advance(600);
    assert_eq!(left().await, (0, 1));
    app.initial_access_token(&shop, &owner, json!({"name": "Late"})).await;
    app.admin_delete(&owner, "/projects/shop").await.ok();
    app.app.clock.advance(3600);
    assert_eq!(left().await, (0, 0));
}
