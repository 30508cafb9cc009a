//! `attribute-update`: all or nothing, typed, and seen at once by whoever verifies.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::model::client::ClientSettings;

use crate::support::{Answer, Engine, REDIRECT, Shop, TestApp, Tokens, both_engines};

both_engines!(
    sets_and_removes,
    all_or_nothing,
    seen_by_tokens,
    demands_are_judged_on_the_record,
    by_the_user,
    not_by_strangers,
    guarded_by_if_match,
    nothing_is_lost
);

async fn sets_and_removes(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (admin, desk) = (app.desk(&shop, "admin").await, app.desk(&shop, "user_manager").await);
    admin.define(&["department"], &["buyer", "seller"], &["eu"]).await;
    for (name, kind) in [("size", "number"), ("agreed", "boolean"), ("tags", "string_list")] {
        admin.post("/attribute-definitions", json!({"name": name, "type": kind})).await.created();
    }
    let update = json!({
        "user": {"username": "ALICE"}, "set": {"department": "sales", "size": 4.5, "agreed": false, "tags": ["b", "a"]},
        "roles": {"add": ["seller", "buyer"]}, "groups": {"add": ["eu"]},
    });
    let answer = desk.update(update.clone()).await;
    assert_eq!(answer.etag.as_deref(), Some("\"2\""));
    let user = answer.ok();
    let attributes = json!({"department": "sales", "size": 4.5, "agreed": false, "tags": ["b", "a"]});
    assert_eq!((&user["id"], &user["attributes"]), (&json!(shop.user), &attributes));
    assert_eq!((&user["roles"], &user["groups"]), (&json!(["buyer", "seller"]), &json!(["eu"])));
    assert_eq!(admin.get(&format!("/users/{}", shop.user)).await.ok(), user);
    // What stands so already is no change.
    assert_eq!(desk.update(update).await.ok()["version"], 2);

    let back = json!({"user": shop.user, "set": {"department": "it"}, "remove": ["size", "tags", "tags"],
        "roles": {"remove": ["buyer"]}, "groups": {"remove": ["eu"]}});
    let user = desk.update(back.clone()).await.ok();
    assert_eq!(
        (&user["attributes"], &user["version"]),
        (&json!({"department": "it", "agreed": false}), &json!(3))
    );
    assert_eq!((&user["roles"], &user["groups"]), (&json!(["seller"]), &json!([])));
    assert_eq!(desk.update(back).await.ok()["version"], 3);
    assert_eq!(admin.get("/groups/eu/users").await.ok()["items"], json!([]));
    assert_eq!(
        desk.update(json!({"user": shop.user})).await.ok()["version"],
        3,
        "nothing asked, nothing done"
    );
}

async fn all_or_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    desk.define(&["department"], &["buyer"], &["eu"]).await;
    desk.post("/attribute-definitions", json!({"name": "size", "type": "number"})).await.created();
    for (body, field, description) in [
        (json!({"set": {"size": "4"}}), "set.size", "set.size is a number"),
        (json!({"set": {"size": null}}), "set.size", "set.size must not be null: remove takes a value away"),
        (json!({"set": {"department": ["x"]}}), "set.department", "set.department is a string"),
        (
            json!({"set": {"department": "x".repeat(2049)}}),
            "set.department",
            "set.department has at most 2048 bytes",
        ),
        (json!({"set": {"colour": "red"}}), "set.colour", "there is no attribute colour"),
        (json!({"set": {"a\u{0}": "red"}}), "set.a\u{0}", "there is no attribute a\u{0}"),
        (json!({"remove": ["colour"]}), "remove.colour", "there is no attribute colour"),
        (json!({"set": {"size": 1}, "remove": ["size"]}), "remove.size", "size is both set and removed"),
        (json!({"roles": {"add": ["king"]}}), "roles.add", "there is no role king"),
        (json!({"roles": {"remove": ["king"]}}), "roles.remove", "there is no role king"),
        (json!({"groups": {"add": ["eu", "us"]}}), "groups.add", "there is no group us"),
        (
            json!({"groups": {"add": ["eu"], "remove": ["eu"]}}),
            "groups.remove",
            "eu is both added and removed",
        ),
        (json!({"groups": {"add": vec!["eu"; 101]}}), "groups.add", "groups.add has at most 100 names"),
        (json!({"groups": {"set": []}}), "groups.set", "unknown field groups.set"),
        (json!({"roles": {"add": "buyer"}}), "roles.add", "roles.add must be a list"),
        (json!({"email": "x@y"}), "email", "unknown field email"),
    ] {
        // A good part beside the bad one is not done either.
        let mut body = body;
        body["user"] = json!(shop.user);
        if body["set"].is_null() {
            body["set"] = json!({"department": "sales"});
        } else if body["roles"].is_null() {
            body["roles"] = json!({"add": ["buyer"]});
        }
        desk.update(body).await.refused_for(400, "invalid_request", field, description);
    }
    let user = desk.get(&format!("/users/{}", shop.user)).await.ok();
    assert_eq!((&user["version"], &user["attributes"], &user["roles"]), (&json!(1), &json!({}), &json!([])));
    assert_eq!(desk.get("/roles/buyer/users").await.ok()["items"], json!([]));
    let full = json!({"user": shop.user, "set": {"department": "x".repeat(2048)}});
    assert_eq!(desk.update(full).await.ok()["version"], 2);
    let missing = desk.update(json!({"set": {"department": "x"}})).await;
    missing.refused_for(400, "invalid_request", "user", "user is missing");
    for user in [json!({"username": "bob"}), json!({"username": "\u{0}"}), json!(uuid::Uuid::nil())] {
        desk.update(json!({"user": user})).await.refused(404, "not_found", "no such user");
    }
}

async fn seen_by_tokens(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    desk.define(&["secret"], &["buyer"], &["eu"]).await;
    let shown = json!({"name": "department", "type": "string", "in_access_token": true});
    desk.post("/attribute-definitions", shown).await.created();
    let tokens = app.sign_in(&shop).await;
    let node = app.second_node().await;
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["claims_stale"], false);

    let update = json!({"user": shop.user, "set": {"department": "sales", "secret": "x"}, "roles": {"add": ["buyer"]},
        "groups": {"add": ["eu"]}});
    desk.update(update).await.ok();
    // The old token says what it said, and that it is old.
    let verified = node.verify(&shop, tokens.get("access_token")).await;
    assert_eq!((&verified["active"], &verified["claims_stale"]), (&json!(true), &json!(true)));
    assert_eq!((&verified["claims"]["roles"], verified["claims"].get("attributes")), (&json!([]), None));
    // userinfo says what is.
    let info =
        node.bearer(&shop, "userinfofromaccesstoken", tokens.get("access_token"), json!({})).await.ok();
    assert_eq!((&info["roles"], &info["groups"]), (&json!(["buyer"]), &json!(["eu"])));
    assert_eq!(info["attributes"], json!({"department": "sales", "secret": "x"}));
    // The next token is fresh, and carries what its definition lets it carry.
    let renewed = Tokens(node.refresh(&shop, tokens.get("refresh_token")).await.ok());
    let verified = app.verify(&shop, renewed.get("access_token")).await;
    let claims = &verified["claims"];
    assert_eq!((&verified["claims_stale"], &claims["user_version"]), (&json!(false), &json!(2)));
    assert_eq!(claims["attributes"], json!({"department": "sales"}));
    assert_eq!((&claims["roles"], &claims["groups"]), (&json!(["buyer"]), &json!(["eu"])));
    // So does one from a sign-in; and another definition counts from the next token on, on the other node too.
    desk.patch("/attribute-definitions/department", json!({"in_access_token": false})).await.ok();
    desk.patch("/attribute-definitions/secret", json!({"description": "still secret"})).await.ok();
    let (code, _) = node.code(&shop, "").await;
    let fresh = Tokens(node.exchange(&shop, &code).await.ok());
    assert_eq!(node.verify(&shop, fresh.get("access_token")).await["claims"].get("attributes"), None);
}

async fn demands_are_judged_on_the_record(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    desk.define(&["department"], &["buyer"], &["eu"]).await;
    desk.post("/attribute-definitions", json!({"name": "size", "type": "number"})).await.created();
    let tokens = app.sign_in(&shop).await;
    let judge = async |demands: Value| {
        let mut body = demands;
        body["access_token"] = json!(tokens.get("access_token"));
        let verdict = app.call(&shop, "verifyaccesstoken", body).await.ok();
        verdict.get("reason").unwrap_or(&verdict["active"]).clone()
    };
    let all = json!({"required_roles": ["buyer"], "required_groups": ["eu"],
        "required_attributes": {"department": "sales", "size": 3}});
    assert_eq!(judge(all.clone()).await, "missing_role");
    desk.update(json!({"user": shop.user, "roles": {"add": ["buyer"]}})).await.ok();
    assert_eq!(judge(all.clone()).await, "missing_group");
    desk.update(json!({"user": shop.user, "groups": {"add": ["eu"]}})).await.ok();
    assert_eq!(judge(all.clone()).await, "attribute_mismatch");
    desk.update(json!({"user": shop.user, "set": {"department": "sales", "size": 3.0}})).await.ok();
    assert_eq!(judge(all.clone()).await, true, "a token without any of it passes: the record has it");
    assert_eq!(judge(json!({"required_attributes": {"department": "Sales"}})).await, "attribute_mismatch");
    assert_eq!(judge(json!({"required_attributes": {"size": "3"}})).await, "attribute_mismatch");
    desk.update(json!({"user": shop.user, "roles": {"remove": ["buyer"]}})).await.ok();
    assert_eq!(judge(all).await, "missing_role");
}

/// With the token of the user that it changes.
async fn own(app: &TestApp, shop: &Shop, token: &str, body: Value) -> Answer {
    app.bearer(shop, "attribute-update", token, body).await
}

async fn by_the_user(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    desk.define(&["department"], &["buyer"], &["eu"]).await;
    let writable = json!({"name": "nickname", "type": "string", "user_writable": true});
    desk.post("/attribute-definitions", writable).await.created();
    let tokens = app.sign_in(&shop).await;
    let token = tokens.get("access_token");
    let user = own(&app, &shop, token, json!({"set": {"nickname": "Al"}})).await.ok();
    assert_eq!((&user["attributes"], &user["version"]), (&json!({"nickname": "Al"}), &json!(2)));
    own(&app, &shop, token, json!({"remove": ["nickname"]})).await.ok();

    for (body, field, description) in [
        (
            json!({"set": {"nickname": "Al", "department": "boss"}}),
            "set.department",
            "department is not for users to write",
        ),
        (json!({"remove": ["department"]}), "remove.department", "department is not for users to write"),
        (json!({"roles": {"add": ["buyer"]}}), "roles", "roles are changed by admin keys only"),
        (json!({"groups": {"remove": ["eu"]}}), "groups", "groups are changed by admin keys only"),
    ] {
        own(&app, &shop, token, body).await.refused_for(403, "forbidden", field, description);
    }
    let other = own(&app, &shop, token, json!({"user": shop.user})).await;
    let why = "user is for admin keys; a token changes its own user";
    other.refused_for(400, "invalid_request", "user", why);
    assert_eq!(
        desk.get(&format!("/users/{}", shop.user)).await.ok()["version"],
        3,
        "nothing of this was done"
    );
    // Taken from users, it is theirs no longer: on every node, with the next request.
    let node = app.second_node().await;
    desk.patch("/attribute-definitions/nickname", json!({"user_writable": false})).await.ok();
    let refused = own(&node, &shop, token, json!({"set": {"nickname": "Al"}})).await;
    refused.refused_for(403, "forbidden", "set.nickname", "nickname is not for users to write");

    app.bearer(&shop, "GlobalSignOut", token, json!({})).await.ok();
    let dead = own(&node, &shop, token, json!({})).await;
    assert_eq!((dead.status, &dead.body["reason"]), (401, &json!("signed_out")));
}

async fn not_by_strangers(engine: Engine) {
    let app = TestApp::new(engine).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        ..ClientSettings::default()
    };
    let shop = app.shop_with("shop", "confidential", settings).await;
    let other = app.shop("other", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let writable = json!({"name": "nickname", "type": "string", "user_writable": true});
    desk.post("/attribute-definitions", writable).await.created();
    let set = json!({"set": {"nickname": "Al"}});
    // Somebody else's application does not act on the account.
    let tokens = app.sign_in(&shop).await;
    desk.patch(&format!("/clients/{}", shop.id), json!({"first_party": false})).await.ok();
    let refused = own(&app, &shop, tokens.get("access_token"), set.clone()).await;
    refused.refused(403, "insufficient_scope", "only first-party clients act on the account");
    desk.patch(&format!("/clients/{}", shop.id), json!({"first_party": true})).await.ok();
    let allowed = app.sign_in(&shop).await;
    own(&app, &shop, allowed.get("access_token"), set.clone()).await.ok();
    // Another project's token, an ID token, nothing, another project's key, a key that only reads.
    let crossed = own(&app, &other, allowed.get("access_token"), set.clone()).await;
    assert_eq!((crossed.status, &crossed.body["reason"]), (401, &json!("unknown_key")));
    let wrong = own(&app, &shop, allowed.get("id_token"), set.clone()).await;
    assert_eq!((wrong.status, &wrong.body["reason"]), (401, &json!("wrong_token_use")));
    let url = app.project_url(&shop, "/api/attribute-update");
    let nothing = Answer::of(app.http.post(url).json(&set).send().await.unwrap()).await;
    nothing.refused(401, "invalid_token", "the request carries no access token");
    let update = json!({"user": shop.user, "set": {"nickname": "Bo"}});
    let foreign = app.desk(&other, "owner").await.on(&shop);
    foreign.update(update.clone()).await.refused(401, "invalid_token", "the admin key is not valid here");
    let auditor = app.desk(&shop, "auditor").await;
    auditor.update(update).await.refused(403, "forbidden", "the role auditor may not do this");
    let user = desk.get(&format!("/users/{}", shop.user)).await.ok();
    assert_eq!(user["attributes"], json!({"nickname": "Al"}));
}

async fn guarded_by_if_match(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    desk.define(&["department"], &[], &[]).await;
    let send = async |etag: &str, value: &str| {
        let url = app.project_url(&shop, "/api/attribute-update");
        let body = json!({"user": shop.user, "set": {"department": value}});
        let request = app.http.request(Method::POST, url).bearer_auth(&desk.key).header("if-match", etag);
        Answer::of(request.json(&body).send().await.unwrap()).await
    };
    assert_eq!(send("\"1\"", "a").await.etag.as_deref(), Some("\"2\""));
    let stale = "it was changed since the version that If-Match names";
    send("\"1\"", "b").await.refused(412, "precondition_failed", stale);
    send("\"9\"", "b").await.refused(412, "precondition_failed", stale);
    assert_eq!(send("*", "c").await.ok()["version"], 3);
    let form = "If-Match is one ETag as we gave it, such as \"3\"";
    send("3", "d").await.refused_for(400, "invalid_request", "If-Match", form);
    // Of two who have seen the same version one comes through.
    let (one, two) = tokio::join!(send("\"3\"", "x"), send("\"3\"", "y"));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

/// Many at once, on two nodes: each change is there in the end, and the lists agree with the row.
async fn nothing_is_lost(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (desk, node) = (app.desk(&shop, "admin").await, app.second_node().await);
    let names: Vec<String> = (0..8).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    desk.define(&names, &names, &names).await;
    let elsewhere = desk.at(&node);
    let update = |n: usize| {
        let desk = if n.is_multiple_of(2) { &desk } else { &elsewhere };
        let name = names[n];
        let body = json!({"user": shop.user, "set": {name: "x"}, "roles": {"add": [name]}, "groups": {"add": [name]}});
        async move { desk.update(body).await.ok() }
    };
    tokio::join!(update(0), update(1), update(2), update(3), update(4), update(5), update(6), update(7));
    let user = desk.get(&format!("/users/{}", shop.user)).await.ok();
    assert_eq!((&user["roles"], &user["groups"]), (&json!(names), &json!(names)));
    assert_eq!((user["attributes"].as_object().unwrap().len(), &user["version"]), (8, &json!(9)));
    for name in &names {
        assert_eq!(
            desk.get(&format!("/roles/{name}/users")).await.ok()["items"].as_array().unwrap().len(),
            1
        );
    }
}
