//! What a request may say: each member once, no member that is not known, and no character that cannot be kept.

use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};
use tessera::http::openapi;

use crate::support::{Answer, Engine, REDIRECT, Shop, TestApp, Tokens, both_engines};

both_engines!(
    no_member_stands_twice,
    a_user_is_named_in_one_way,
    control_characters_are_refused_by_name,
    no_endpoint_stumbles_over_nul,
);

async fn send(request: RequestBuilder, body: &str) -> Answer {
    let request = request.header("content-type", "application/json").body(body.to_owned());
    Answer::of(request.send().await.unwrap()).await
}

async fn no_member_stands_twice(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let key = app.key(None, "owner").await;
    let (user, client) = (shop.user, &shop.id);
    for (method, path, body, field) in [
        ("POST", "/admin/projects".into(), r#"{"slug": "a1", "slug": "a2"}"#.to_owned(), "slug"),
        ("PATCH", "/admin/projects/shop".into(), r#"{"settings": {"x": 1, "x": 2}}"#.into(), "settings.x"),
        (
            "POST",
            "/admin/projects/shop/clients".into(),
            r#"{"type": "public", "type": "public"}"#.into(),
            "type",
        ),
        (
            "PATCH",
            format!("/admin/projects/shop/clients/{client}"),
            r#"{"scope": "openid", "scope": null}"#.into(),
            "scope",
        ),
        (
            "POST",
            "/admin/projects/shop/users".into(),
            r#"{"username": "bo", "name": "B", "name": "C"}"#.into(),
            "name",
        ),
        (
            "POST",
            "/admin/projects/shop/users".into(),
            r#"{"username": "bo", "attributes": {"a": "1", "a": "2"}}"#.into(),
            "attributes.a",
        ),
        (
            "PATCH",
            format!("/admin/projects/shop/users/{user}"),
            r#"{"name": "B", "name": "C"}"#.into(),
            "name",
        ),
        (
            "POST",
            "/admin/admin-keys".into(),
            r#"{"name": "k", "role": "auditor", "role": "owner"}"#.into(),
            "role",
        ),
        (
            "POST",
            "/projects/shop/api/attribute-update".into(),
            format!(r#"{{"user": "{user}", "set": {{"a": "1", "a": "2"}}}}"#),
            "set.a",
        ),
        (
            "POST",
            "/projects/shop/api/verifyaccesstoken".into(),
            format!(
                r#"{{"access_token": "{}", "required_attributes": {{"a": 1, "a": 1}}}}"#,
                tokens.get("access_token")
            ),
            "required_attributes.a",
        ),
        (
            "PUT",
            "/projects/shop/api/token-validity".into(),
            format!(r#"{{"client_id": "{client}", "units": {{"id_token": "days", "id_token": "days"}}}}"#),
            "units.id_token",
        ),
    ] {
        let request =
            app.http.request(method.parse().unwrap(), format!("{}{path}", app.base)).bearer_auth(&key);
        let description = format!("duplicate field {field}");
        send(request, &body).await.refused_for(400, "invalid_request", field, &description);
    }
    let users = app.admin_get(&key, "/projects/shop/users").await.ok();
    assert_eq!(users["items"].as_array().unwrap().len(), 1, "nothing was made");
}

async fn a_user_is_named_in_one_way(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "owner").await;
    for (user, field, description) in [
        (json!({"username": "alice", "id": shop.user}), "user.id", "unknown field user.id"),
        (json!({}), "user.username", "missing field user.username"),
        (json!("alice"), "user", "user must be an id or an object with a username"),
    ] {
        for endpoint in ["GlobalSignOut", "attribute-update", "delete-user"] {
            let mut body = json!({"user": user});
            if endpoint == "delete-user" {
                body["reason"] = json!("asked for it");
            }
            let answer = app.bearer(&shop, endpoint, &desk.key, body).await;
            answer.refused_for(400, "invalid_request", field, description);
        }
    }
    let named = json!({"user": {"username": "ALICE"}});
    app.bearer(&shop, "GlobalSignOut", &desk.key, named).await.ok();
}

async fn control_characters_are_refused_by_name(engine: Engine) {
    let app = TestApp::new(engine).await;
    app.shop("shop", "confidential").await;
    let key = app.key(None, "owner").await;
    for field in ["actor", "action", "target", "since", "user", "after"] {
        let answer = app.admin_get(&key, &format!("/projects/shop/audit?{field}=a%00b")).await;
        answer.refused_for(400, "invalid_request", field, &format!("{field} has no control characters"));
    }
    let answer = app.admin_get(&key, "/admin-keys?project=%00").await;
    let bound = "project has no control characters";
    answer.refused_for(400, "invalid_request", "project", bound);
    let body = json!({"name": "k", "role": "owner", "project": "shop\u{0}"});
    app.admin_post(&key, "/admin-keys", body).await.refused_for(400, "invalid_request", "project", bound);
    for reason in ["\u{0}", "a\u{7}", "a\tb"] {
        let answer = app.admin_post(&key, "/projects/shop/end-all-sessions", json!({"reason": reason})).await;
        let bound = "reason has at most 500 characters, none of them a control character but line breaks";
        answer.refused_for(400, "invalid_request", "reason", bound);
    }
    let lines = json!({"reason": "leaked\nat noon"});
    app.admin_post(&key, "/projects/shop/end-all-sessions", lines).await.ok();
}

const NUL: &str = "a\u{0}b";

/// A value of the schema with NUL in each text of it.
fn poisoned(schema: &Value) -> Option<Value> {
    if let Some(choices) = schema["oneOf"].as_array() {
        return choices.iter().rev().find_map(poisoned);
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds[0].as_str(),
        kind => kind.as_str(),
    };
    match kind? {
        "string" => Some(json!(NUL)),
        "array" => Some(json!([poisoned(&schema["items"])?])),
        "object" => match schema["properties"].as_object() {
            Some(members) => {
                let poisoned =
                    members.iter().filter_map(|(name, schema)| Some((name.clone(), poisoned(schema)?)));
                Some(Value::Object(poisoned.collect()))
            }
            None => Some(json!({NUL: NUL, "department": NUL})),
        },
        _ => None,
    }
}

/// What makes a good body of these members, as far as they must be there.
fn wholesome(shop: &Shop, tokens: &Tokens) -> Map<String, Value> {
    let body = json!({"code": "tco_x", "redirect_uri": REDIRECT, "refresh_token": tokens.get("refresh_token"),
        "access_token": tokens.get("access_token"), "user": shop.user, "reason": "asked for it",
        "deletion_id": uuid::Uuid::nil(), "client_id": shop.id, "slug": "new", "client_name": "New", "type": "public",
        "username": "new", "password": "correct horse battery", "name": "new", "description": "new", "role": "auditor",
        "grant_type": "refresh_token"});
    body.as_object().unwrap().clone()
}

/// Each text input of each operation in the document, one at a time.
async fn no_endpoint_stumbles_over_nul(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let key = app.key(None, "owner").await;
    app.desk(&shop, "admin").await.define(&["department"], &["buyer"], &[]).await;
    let mut tried = 0;
    for (path, item) in openapi::document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let tokens = app.sign_in(&shop).await;
            let good = wholesome(&shop, &tokens);
            let request = |path: &str, query: &str| {
                let user = shop.user.to_string();
                let path =
                    path.replace("{project}", "shop").replace("{user}", &user).replace("{name}", "buyer");
                let path = path.replace("{client_id}", &shop.id).replace("{slot}", "1");
                let path = path.replace(['{', '}'], "");
                let method: Method = method.to_uppercase().parse().unwrap();
                let request = app.http.request(method, format!("{}{path}{query}", app.base));
                match operation["security"][0]
                    .as_object()
                    .and_then(|one| one.keys().next())
                    .map(String::as_str)
                {
                    Some("client") => request.basic_auth(&shop.id, shop.secret.as_ref()),
                    Some("access_token") => request.bearer_auth(tokens.get("access_token")),
                    Some(_) => request.bearer_auth(&key),
                    None => request,
                }
            };
            let mut requests = Vec::new();
            for parameter in operation["parameters"].as_array().unwrap() {
                let name = parameter["name"].as_str().unwrap();
                match parameter["in"].as_str().unwrap() {
                    "path" => {
                        requests.push((name, request(&path.replace(&format!("{{{name}}}"), "a%00b"), "")))
                    }
                    "query" => requests.push((name, request(path, &format!("?{name}=a%00b")))),
                    _ => {}
                }
            }
            for (kind, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
                let schema = &content["schema"];
                let required: Vec<&str> =
                    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                for (name, member) in schema["properties"].as_object().into_iter().flatten() {
                    let Some(poisoned) = poisoned(member) else { continue };
                    let mut body = good.clone();
                    body.retain(|name, _| required.contains(&name.as_str()));
                    body.insert(name.clone(), poisoned);
                    let request = request(path, "");
                    let request =
                        if kind == "application/json" { request.json(&body) } else { request.form(&body) };
                    requests.push((name, request));
                }
            }
            for (name, request) in requests {
                let answer = request.send().await.unwrap();
                let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
                assert!(status < 500, "{method} {path}, {name}: {status} {body}");
                assert!(
                    !body.contains("cannot be stored"),
                    "{method} {path}, {name}: caught by the net alone: {body}"
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 150, "{tried}");
    // The pages.
    for parameter in
        ["client_id", "redirect_uri", "scope", "state", "nonce", "prompt", "login_hint", "code_challenge"]
    {
        for page in ["oauth2/authorize", "sign-in"] {
            let url = app.project_url(&shop, &format!("/{page}?{parameter}=a%00b&client_id={}", shop.id));
            let status = app.http.get(url).send().await.unwrap().status();
            assert!(status.as_u16() < 500, "{page}, {parameter}: {status}");
        }
    }
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    for who in [(NUL, "password"), ("alice", NUL)] {
        let status = app.submit_as(&shop, &cookie, &sealed, who).await.status();
        assert!(status.is_client_error(), "{status}");
    }
}
