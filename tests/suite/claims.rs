//! What applications see of a person: by scope, and claim by claim.

use serde_json::{Value, json};
use tessera::secret::decode_base64url;

use crate::support::{
    Engine, PASSWORD, Seen, Shop, TestApp, both_engines, location_of, parameter, sealed_of,
};

both_engines!(
    // C061 C062
    standard_scopes_show_their_claims,
    // C060
    single_claims_can_be_asked_for,
    claims_are_held_to_the_registration,
    malformed_claims_are_refused,
    // C052
    a_named_subject_has_to_be_that_person,
    an_essential_acr_has_to_be_met,
    what_is_asked_for_stays_with_the_session,
);

async fn person(app: &TestApp, shop: &Shop) {
    let desk = app.desk(shop, "admin").await;
    let profile = json!({"name": "Alice Lima", "given_name": "Alice", "family_name": "Lima", "nickname": "Al",
        "picture": "https://example.com/a.png", "birthdate": "1990-01-02", "locale": "pt-PT",
        "phone_number": "+351210000000", "phone_number_verified": true, "email_verified": true,
        "address": {"country": "PT", "locality": "Lisboa"}});
    desk.patch(&format!("/users/{}", shop.user), profile).await.ok();
}

async fn userinfo(app: &TestApp, shop: &Shop, tokens: &Value) -> Value {
    let url = app.project_url(shop, "/oauth2/userinfo");
    let request = app.http.get(url).bearer_auth(tokens["access_token"].as_str().unwrap());
    request.send().await.unwrap().json().await.unwrap()
}

async fn tokens(app: &TestApp, shop: &Shop, more: &str) -> Value {
    let (code, _) = app.code(shop, more).await;
    app.exchange(shop, &code).await.ok()
}

fn id_token(tokens: &Value) -> Value {
    let payload = tokens["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&decode_base64url(payload).unwrap()).unwrap()
}

fn names(claims: &Value) -> Vec<String> {
    let mut names: Vec<String> = claims.as_object().unwrap().keys().cloned().collect();
    names.sort_unstable();
    names
}

async fn standard_scopes_show_their_claims(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    person(&app, &shop).await;
    let desk = app.desk(&shop, "admin").await;
    desk.define(&["tier"], &["cook"], &[]).await;
    desk.update(json!({"user": {"username": "alice"}, "set": {"tier": "gold"}, "roles": {"add": ["cook"]}}))
        .await
        .ok();
    for (scope, expected) in [
        ("openid", vec!["sub"]),
        ("openid+email", vec!["email", "email_verified", "sub"]),
        ("openid+phone", vec!["phone_number", "phone_number_verified", "sub"]),
        ("openid+address", vec!["address", "sub"]),
        (
            "openid+profile",
            vec![
                "birthdate",
                "family_name",
                "given_name",
                "locale",
                "name",
                "nickname",
                "picture",
                "preferred_username",
                "sub",
                "updated_at",
            ],
        ),
    ] {
        let told = userinfo(&app, &shop, &tokens(&app, &shop, &format!("&scope={scope}")).await).await;
        assert_eq!(names(&told), expected, "{scope}");
    }
    let all = tokens(&app, &shop, "&scope=openid+profile+email+phone+address").await;
    let told = userinfo(&app, &shop, &all).await;
    assert!(told["email_verified"].is_boolean() && told["phone_number_verified"].is_boolean());
    assert!(told["updated_at"].is_i64(), "{told}");
    assert_eq!(told["address"], json!({"country": "PT", "locality": "Lisboa"}));
    // None of them in the ID token.
    let id = id_token(&all);
    assert!(["name", "email", "address"].iter().all(|claim| id.get(claim).is_none()), "{id}");
    // The session API shows a project's own application what else the project knows.
    let own = app.bearer(&shop, "userinfofromaccesstoken", all["access_token"].as_str().unwrap(), json!({}));
    let own = own.await.ok();
    assert_eq!((&own["roles"], &own["attributes"]), (&json!(["cook"]), &json!({"tier": "gold"})));
}

fn claims(document: &Value) -> String {
    let text = document.to_string();
    format!(
        "&scope=openid&claims={}",
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
    )
}

async fn single_claims_can_be_asked_for(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    person(&app, &shop).await;
    let document = json!({
        "userinfo": {"given_name": {"essential": true}, "email": null, "email_verified": {"essential": true},
            "colour": null, "http://example.info/claims/groups": null, "name#ja": null, "website": {"essential": true}},
        "id_token": {"auth_time": {"essential": true}, "birthdate": null, "acr": {"values": ["7"]},
            "nickname": {"value": "somebody"}, "middle_name": {"essential": true}, "iss": null, "roles": null},
        "verified_claims": {"anything": true}
    });
    let got = tokens(&app, &shop, &claims(&document)).await;
    assert_eq!(names(&userinfo(&app, &shop, &got).await), ["email", "email_verified", "given_name", "sub"]);
    let id = id_token(&got);
    assert_eq!(
        (&id["birthdate"], &id["nickname"], &id["roles"]),
        (&json!("1990-01-02"), &json!("Al"), &json!([]))
    );
    assert_eq!((id.get("given_name"), id.get("middle_name")), (None, None));
    assert_eq!(
        (id["iss"].as_str(), id["nonce"].as_str()),
        (Some(app.project_url(&shop, "").as_str()), Some("n1"))
    );
    // Beside a scope, and for one place only.
    let more = claims(&json!({"id_token": {"email": null}})).replace("scope=openid", "scope=openid+phone");
    let got = tokens(&app, &shop, &more).await;
    assert_eq!(names(&userinfo(&app, &shop, &got).await), ["phone_number", "phone_number_verified", "sub"]);
    assert_eq!(id_token(&got)["email"], "alice@example.com");
}

async fn claims_are_held_to_the_registration(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    person(&app, &shop).await;
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/clients/{}", shop.id), json!({"scope": "openid profile"})).await.ok();
    let document = json!({"userinfo": {"name": {"essential": true}, "email": {"essential": true}, "phone_number": null}});
    let got = tokens(&app, &shop, &claims(&document)).await;
    assert_eq!(names(&userinfo(&app, &shop, &got).await), ["name", "sub"]);
}

async fn malformed_claims_are_refused(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    for text in [
        "x",
        "[]",
        "null",
        "{\"userinfo\":[]}",
        "{\"userinfo\":null}",
        "{\"id_token\":{\"sub\":\"me\"}}",
        "{\"id_token\":{\"sub\":{\"value\":7}}}",
        "{\"id_token\":{\"sub\":{\"value\":\"a\",\"values\":[\"b\"]}}}",
        "{\"id_token\":{\"acr\":{\"essential\":true,\"values\":[1]}}}",
        "{\"id_token\":{\"name\":{\"essential\":\"yes\"}}}",
        "{\"userinfo\":{\"name\":{\"values\":\"x\"}}}",
        &"[".repeat(2000),
    ] {
        let text: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let url = app.authorize_url(&shop, &format!("&claims={text}"));
        let to = location_of(&app.http.get(url).header("cookie", &cookie).send().await.unwrap());
        assert_eq!(parameter(&to, "error").as_deref(), Some("invalid_request"), "{text}");
        let why = "claims is not a JSON document as OpenID Connect Core, 5.5 has it";
        assert_eq!(parameter(&to, "error_description").as_deref(), Some(why), "{text}");
        assert_eq!(parameter(&to, "state").as_deref(), Some("s1"));
    }
}

async fn error_of(app: &TestApp, shop: &Shop, document: &Value, cookie: &str) -> Option<String> {
    let url = app.authorize_url(shop, &format!("&prompt=none{}", claims(document)));
    let to = location_of(&app.http.get(url).header("cookie", cookie).send().await.unwrap());
    parameter(&to, "error")
}

async fn a_named_subject_has_to_be_that_person(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, cookie) = app.code(&shop, "").await;
    let hint = app.exchange(&shop, &code).await.ok()["id_token"].as_str().unwrap().to_owned();
    let me = shop.user.to_string();
    let named = |value: &Value| json!({"id_token": {"sub": value}});
    for right in [json!({"value": me}), json!({"values": ["x", me]}), json!({"essential": true}), json!(null)]
    {
        assert_eq!(error_of(&app, &shop, &named(&right), &cookie).await, None, "{right}");
    }
    for wrong in [json!({"value": "x"}), json!({"values": []}), json!({"value": me.to_uppercase()})] {
        let error = error_of(&app, &shop, &named(&wrong), &cookie).await;
        assert_eq!(error.as_deref(), Some("login_required"), "{wrong}");
    }
    // Two places that name two people mean nobody, and a hint has to agree.
    let both = json!({"id_token": {"sub": {"value": me}}, "userinfo": {"sub": {"value": "x"}}});
    assert_eq!(error_of(&app, &shop, &both, &cookie).await.as_deref(), Some("login_required"));
    let url =
        format!("{}&id_token_hint={hint}", app.authorize_url(&shop, &claims(&named(&json!({"value": "x"})))));
    let page = Seen::of(app.http.get(url).header("cookie", &cookie).send().await.unwrap()).await;
    let answer = app.submit(&shop, &cookie, &sealed_of(&page.text), PASSWORD).await;
    assert_eq!(parameter(&location_of(&answer), "error").as_deref(), Some("login_required"));
}

async fn an_essential_acr_has_to_be_met(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    let acr = |value: &Value| json!({"id_token": {"acr": value}});
    for met in [
        json!({"essential": true, "values": ["urn:mfa", "1"]}),
        json!({"essential": true}),
        json!({"values": ["urn:mfa"]}),
        json!({"value": "urn:mfa", "essential": false}),
    ] {
        assert_eq!(error_of(&app, &shop, &acr(&met), &cookie).await, None, "{met}");
    }
    for unmet in [json!({"essential": true, "values": ["urn:mfa"]}), json!({"essential": true, "value": "0"})]
    {
        for cookie in [cookie.as_str(), "x=y"] {
            let error = error_of(&app, &shop, &acr(&unmet), cookie).await;
            assert_eq!(error.as_deref(), Some("unmet_authentication_requirements"), "{unmet}");
        }
    }
}

async fn what_is_asked_for_stays_with_the_session(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    person(&app, &shop).await;
    let document = json!({"userinfo": {"nickname": null}, "id_token": {"given_name": null}});
    let first = tokens(&app, &shop, &claims(&document)).await;
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/users/{}", shop.user), json!({"given_name": "Alicia", "nickname": "Ali"}))
        .await
        .ok();
    let second = app.refresh(&shop, first["refresh_token"].as_str().unwrap()).await.ok();
    assert_eq!(
        (&id_token(&first)["given_name"], &id_token(&second)["given_name"]),
        (&json!("Alice"), &json!("Alicia"))
    );
    assert_eq!(userinfo(&app, &shop, &second).await["nickname"], "Ali");
    // Another sign-in that asks for nothing gets nothing of it.
    let plain = tokens(&app, &shop, "&scope=openid").await;
    assert_eq!(names(&userinfo(&app, &shop, &plain).await), ["sub"]);
}
