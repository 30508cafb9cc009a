//! Admins who are people: what they may do, who is none, and that whatever ends one ends at once.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::model::client::ClientSettings;
use tessera::model::sign_in_policy::SecondFactor;
use tessera::projects::admins::home;

use crate::support::{
    Answer, DEVICE_GRANT, Engine, Hall, PASSWORD, ProofKey, REDIRECT, STRANGER, Shop, TestApp, access,
    both_engines, number, sealed_of,
};

both_engines!(
    a_person_with_a_role_is_an_admin,
    roles_reach_as_far_as_they_were_given,
    tokens_that_are_none_of_an_admin,
    a_token_that_is_bound_to_a_key,
    whatever_ends_a_person_ends_the_admin,
    the_built_in_client,
    it_is_made_once,
    another_project_may_have_had_the_name,
);

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

async fn a_person_with_a_role_is_an_admin(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    let token = hall.token("alice").await;
    // Nobody is an admin by being there.
    app.admin_get(&token, "/projects/shop").await.refused(401, "invalid_token", STRANGER);
    hall.give(hall.console.user, "admin", Some(shop.project)).await;
    app.admin_patch(&token, "/projects/shop", json!({"name": "The Shop"})).await.ok();
    let event = app.admin_get(&token, "/projects/shop/audit").await.ok()["items"][0].clone();
    assert_eq!((text(&event, "action"), text(&event, "actor_kind")), ("project.changed", "admin"));
    assert!(text(&event, "actor").starts_with("admin:") && !event.to_string().contains("alice"), "{event}");
    let listed = app.admin_get(&hall.owner, "/admins").await.ok();
    assert_eq!(listed["items"][0]["name_in_log"], event["actor"]);

    // The admin's calls of the session API.
    let judged = app.bearer(&shop, "verifyaccesstoken", &token, json!({"access_token": "x"})).await.ok();
    assert_eq!(judged["reason"], "malformed");
    let user = json!({"user": shop.user});
    assert_eq!(app.bearer(&shop, "GlobalSignOut", &token, user.clone()).await.ok()["families_ended"], 0);
    app.bearer(&shop, "attribute-update", &token, user.clone()).await.ok();
    let rehearsed = json!({"user": shop.user, "dry_run": true});
    app.bearer(&shop, "delete-user", &token, rehearsed).await.ok();
    let url = format!("{}?client_id={}", app.project_url(&shop, "/api/token-validity"), shop.id);
    Answer::of(app.http.get(url).bearer_auth(&token).send().await.unwrap()).await.ok();

    // No further than the role.
    let why = "the role admin may not do this";
    app.admin_delete(&token, "/projects/shop").await.refused(403, "forbidden", why);
    app.admin_get(&token, "/admin-keys").await.refused(403, "forbidden", why);
    let why = "an admin of one project may not do this";
    app.admin_post(&token, "/projects", json!({"slug": "more"})).await.refused(403, "forbidden", why);
    // At the person's own project the same token is the user's own, unless somebody is named.
    let own = app.bearer(&hall.console, "GlobalSignOut", &token, json!({})).await.ok();
    assert_eq!(own["families_ended"], 1);
    let expected = json!({"error": "invalid_token", "error_description": "the session has ended", "reason": "signed_out"});
    let dead = app.admin_get(&token, "/projects/shop").await;
    assert_eq!((dead.status, dead.body), (401, expected));
}

async fn roles_reach_as_far_as_they_were_given(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "public").await, app.shop("other", "public").await);
    let third = app.shop("third", "public").await;
    let hall = Hall::new(&app).await;
    let (user, token) = hall.admin("ben", "owner", Some(shop.project)).await;
    hall.give(user, "user_manager", Some(other.project)).await;
    let slugs = |listed: Value| -> Vec<String> {
        let mut slugs: Vec<String> =
            listed["items"].as_array().unwrap().iter().map(|item| text(item, "slug").to_owned()).collect();
        slugs.sort();
        slugs
    };
    // Managing users is not reading the project.
    assert_eq!(slugs(app.admin_get(&token, "/projects").await.ok()), ["shop"]);
    hall.give(user, "auditor", Some(third.project)).await;
    assert_eq!(slugs(app.admin_get(&token, "/projects").await.ok()), ["shop", "third"]);
    // Page by page, each once.
    let first = app.admin_get(&token, "/projects?limit=1").await.ok();
    let next = format!("/projects?limit=1&after={}", text(&first, "next"));
    let mut paged = [slugs(first), slugs(app.admin_get(&token, &next).await.ok())].concat();
    paged.sort();
    assert_eq!(paged, ["shop", "third"]);

    app.admin_get(&token, "/projects/other/users").await.ok();
    let why = "the role user_manager may not do this";
    app.admin_get(&token, "/projects/other/clients").await.refused(403, "forbidden", why);
    let users = format!("/projects/third/users/{}", third.user);
    let why = "the role auditor may not do this";
    app.admin_patch(&token, &users, json!({"nickname": "x"})).await.refused(403, "forbidden", why);
    // A user of one project is none of another's.
    let foreign = format!("/projects/other/users/{}", shop.user);
    app.admin_patch(&token, &foreign, json!({"nickname": "x"})).await.refused(
        404,
        "not_found",
        "no such user",
    );
    let out = app.bearer(&other, "GlobalSignOut", &token, json!({"user": shop.user})).await;
    out.refused(404, "not_found", "no such user");

    // An owner of one project makes keys for that project alone, and gives roles there alone.
    let why = "an admin of one project makes keys for that project only: name it";
    let key = json!({"name": "x", "role": "auditor"});
    app.admin_post(&token, "/admin-keys", key).await.refused(403, "forbidden", why);
    let key = json!({"name": "x", "role": "auditor", "project": "other"});
    let refused = app.admin_post(&token, "/admin-keys", key).await;
    refused.refused_for(404, "not_found", "project", "no such project");
    app.admin_post(&token, "/admin-keys", json!({"name": "x", "role": "owner", "project": "shop"}))
        .await
        .created();
    let carl = hall.person("carl").await;
    let why = "an owner of one project gives roles in that project only: name it";
    let role = json!({"user": carl, "role": "auditor"});
    app.admin_post(&token, "/admins", role).await.refused(403, "forbidden", why);
    let role = json!({"user": carl, "role": "auditor", "project": "other"});
    let refused = app.admin_post(&token, "/admins", role).await;
    refused.refused_for(404, "not_found", "project", "no such project");
    let role = json!({"user": {"username": "carl"}, "role": "owner", "project": "shop"});
    let made = app.admin_post(&token, "/admins", role.clone()).await.created();
    assert_eq!((&made["username"], &made["project"]), (&json!("carl"), &json!(shop.project)));
    let why = "this person has a role there already; revoke it first";
    app.admin_post(&token, "/admins", role).await.refused(409, "conflict", why);
    let own = json!({"user": user, "role": "owner", "project": "shop"});
    app.admin_post(&token, "/admins", own).await.refused(403, "forbidden", "nobody gives themselves a role");
    // What is given elsewhere is not there for them.
    let listed = app.admin_get(&token, "/admins").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let elsewhere = hall.give(carl, "auditor", None).await;
    let path = format!("/admins/{elsewhere}");
    app.admin_get(&token, &path).await.refused(404, "not_found", "no such role of an admin");
    app.admin_delete(&token, &path).await.refused(404, "not_found", "no such role of an admin");
    app.admin_get(&hall.owner, &path).await.ok();
    let chain = app.admin_get(&hall.owner, "/audit?action=admin.granted").await.ok();
    assert_eq!(chain["items"][0]["detail"], json!({"role": "auditor", "project": null}));
    // With the project its roles go.
    app.admin_delete(&hall.owner, "/projects/shop").await.ok();
    assert_eq!(slugs(app.admin_get(&token, "/projects").await.ok()), ["third"]);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM admin_grants WHERE role = 'owner'").await, 0);
}

async fn tokens_that_are_none_of_an_admin(engine: Engine) {
    let app = TestApp::new(engine).await;
    let hall = Hall::new(&app).await;
    let alice = hall.console.user;
    hall.give(alice, "owner", None).await;
    let refused = async |token: &str| {
        app.admin_get(token, "/projects").await.refused(401, "invalid_token", STRANGER);
    };
    app.admin_get(&hall.token("alice").await, "/projects").await.ok();
    // Another kind of token, and one without the scope.
    let tokens = hall.tokens("alice", "openid+admin").await;
    refused(text(&tokens, "id_token")).await;
    refused(text(&tokens, "refresh_token")).await;
    refused(&access(&hall.tokens("alice", "openid").await)).await;
    refused("x").await;
    // Another project's, whatever it is called: with a scope of that name, and a user of that name.
    for slug in ["admin-2", "admins", "shop-admin"] {
        let settings = ClientSettings {
            redirect_uris: vec![REDIRECT.into()],
            require_pkce: false,
            ..ClientSettings::default()
        };
        let shop = app.shop_with(slug, "confidential", settings).await;
        let desk = app.desk(&shop, "owner").await;
        assert_eq!(desk.post("/scopes", json!({"name": "admin"})).await.status, 201);
        desk.patch(&format!("/clients/{}", shop.id), json!({"scope": "openid admin"})).await.ok();
        let (code, _) = app.code(&shop, "&scope=openid+admin").await;
        let token = access(&app.exchange(&shop, &code).await.ok());
        refused(&token).await;
        let out = app.bearer(&shop, "verifyaccesstoken", &token, json!({"access_token": "x"})).await;
        assert_eq!((out.status, text(&out.body, "error")), (401, "invalid_client"));
    }
    applications_of_others(&app, &hall).await;
    // A program, and what is got in exchange.
    let machine =
        app.form(&hall.console, "token", &[("grant_type", "client_credentials"), ("scope", "admin")]).await;
    if machine.status == 200 {
        refused(&access(&machine.body)).await;
    }
    let exchange = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", text(&tokens, "access_token")),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("scope", "admin"),
    ];
    refused(&access(&app.form(&hall.console, "token", &exchange).await.ok())).await;
    resource_servers(&app, &hall).await;
}

/// Applications of others, and such as register themselves, do not get the scope; nor does one that becomes another's.
async fn applications_of_others(app: &TestApp, hall: &Hall<'_>) {
    let clients = "/projects/admin/clients";
    let bound = "scope names admin for a first-party client with people only";
    let new = json!({"client_name": "Theirs", "type": "confidential", "redirect_uris": [REDIRECT], "require_pkce": false,
        "first_party": false, "scope": "openid admin"});
    let refused = app.admin_post(&hall.owner, clients, new).await;
    refused.refused_for(400, "invalid_request", "scope", bound);
    let new = json!({"client_name": "Program", "type": "service", "scope": "admin"});
    let refused = app.admin_post(&hall.owner, clients, new).await;
    refused.refused_for(400, "invalid_request", "scope", bound);
    let path = format!("{clients}/{}", hall.console.id);
    let refused = app.admin_patch(&hall.owner, &path, json!({"first_party": false})).await;
    assert_eq!((refused.status, text(&refused.body, "field")), (400, "scope"));

    let on = json!({"settings": {"dynamic_registration": "initial_access_token"}});
    app.admin_patch(&hall.owner, "/projects/admin", on).await.ok();
    let made =
        app.admin_post(&hall.owner, "/projects/admin/initial-access-tokens", json!({"name": "x"})).await;
    let request = app.http.post(app.project_url(&hall.console, "/oauth2/register"));
    let metadata =
        json!({"redirect_uris": [REDIRECT], "scope": "openid admin", "token_endpoint_auth_method": "none"});
    let request = request.bearer_auth(text(&made.created(), "token")).json(&metadata);
    let answer = request.send().await.unwrap();
    let registered: Value = answer.json().await.unwrap();
    assert!(!registered["scope"].as_str().unwrap_or_default().contains("admin"), "{registered}");
}

/// A token that a resource server was handed is not for this.
async fn resource_servers(app: &TestApp, hall: &Hall<'_>) {
    let server = json!({"identifier": "https://api.example/", "scopes": ["admin"]});
    app.admin_post(&hall.owner, "/projects/admin/resource-servers", server).await.created();
    let path = format!("/projects/admin/clients/{}", hall.console.id);
    app.admin_patch(&hall.owner, &path, json!({"resource_servers": ["https://api.example/"]})).await.ok();
    let (code, _) = app.code(&hall.console, "&scope=openid+admin&resource=https://api.example/").await;
    let tokens = app.oauth_exchange(&hall.console, &code).await;
    let refused = app.admin_get(tokens.get("access_token"), "/projects").await;
    refused.refused(401, "invalid_token", STRANGER);
}

async fn a_token_that_is_bound_to_a_key(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    hall.give(hall.console.user, "auditor", None).await;
    let key = ProofKey::new().await;
    let (code, _) = app.code(&hall.console, "&scope=openid+admin").await;
    let url = app.project_url(&hall.console, "/oauth2/token");
    let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", REDIRECT)];
    let request =
        app.post_as(&hall.console, "/oauth2/token", &form).header("dpop", key.proof(&app, "POST", &url));
    let token = access(&Answer::of(request.send().await.unwrap()).await.ok());
    let url = format!("{}/admin/projects/shop", app.base);
    let call = async |proof: Option<String>| {
        let request = app.http.get(&url).header("authorization", format!("DPoP {token}"));
        let request = proof.into_iter().fold(request, |request, proof| request.header("dpop", proof));
        Answer::of(request.send().await.unwrap()).await
    };
    let proof = key.proof_with(&app, "GET", &url, &token);
    call(Some(proof.clone())).await.ok();
    call(Some(proof)).await.refused(401, "invalid_dpop_proof", "the DPoP proof was used already");
    call(None).await.refused(401, "invalid_dpop_proof", "the request has no DPoP header");
    let bare = app.admin_get(&token, "/projects/shop").await;
    assert_eq!((bare.status, text(&bare.body, "reason")), (401, "missing_proof"));
    let elsewhere = key.proof_with(&app, "GET", &format!("{}/admin/projects", app.base), &token);
    assert_eq!(call(Some(elsewhere)).await.status, 401);
    // A refusal that leaves a trace looks at the proof once.
    let url = app.project_url(&shop, "/api/delete-user");
    let request = app.http.post(&url).header("authorization", format!("DPoP {token}"));
    let request = request.header("dpop", key.proof_with(&app, "POST", &url, &token)).json(&json!({}));
    let refused = Answer::of(request.send().await.unwrap()).await;
    refused.refused(403, "forbidden", "the role auditor may not do this");
    let event = app.admin_get(&hall.owner, "/projects/shop/audit").await.ok()["items"][0].clone();
    assert_eq!((text(&event, "action"), text(&event, "actor_kind")), ("user.deletion_refused", "admin"));
}

async fn whatever_ends_a_person_ends_the_admin(engine: Engine) {
    let app = TestApp::new(engine).await;
    app.shop("shop", "confidential").await;
    let (hall, node) = (Hall::new(&app).await, app.second_node().await);
    let user = hall.person("ben").await;
    let fresh = async || {
        let token = hall.token("ben").await;
        node.admin_get(&token, "/projects/shop").await.ok();
        token
    };
    let role = hall.give(user, "owner", None).await;
    let token = fresh().await;
    app.admin_delete(&hall.owner, &format!("/admins/{role}")).await.ok();
    node.admin_get(&token, "/projects/shop").await.refused(401, "invalid_token", STRANGER);
    let again = app.admin_delete(&hall.owner, &format!("/admins/{role}")).await;
    again.refused(404, "not_found", "no such role of an admin");
    hall.give(user, "owner", None).await;
    let one = format!("/projects/admin/users/{user}");
    let dead = async |token: &str, reason: &str| {
        for node in [&node, &app] {
            let answer = node.admin_get(token, "/projects/shop").await;
            assert_eq!((answer.status, text(&answer.body, "reason")), (401, reason));
        }
    };
    let token = fresh().await;
    hall.out(user).await.ok();
    dead(&token, "signed_out").await;
    let token = fresh().await;
    app.admin_patch(&hall.owner, &one, json!({"status": "disabled"})).await.ok();
    dead(&token, "user_disabled").await;
    app.admin_patch(&hall.owner, &one, json!({"status": "active"})).await.ok();
    dead(&token, "signed_out").await;
    let token = fresh().await;
    let password = json!({"password": PASSWORD});
    app.admin_post(&hall.owner, &format!("{one}/set-password"), password).await.ok();
    dead(&token, "signed_out").await;
    let token = fresh().await;
    app.admin(&hall.owner, Method::DELETE, &format!("{one}/factors"), json!({})).await.ok();
    dead(&token, "signed_out").await;
    let token = fresh().await;
    let form = [("token", token.as_str())];
    let revoked = app.post_as(&hall.console, "/oauth2/revoke", &form).send().await.unwrap();
    assert!(revoked.status().is_success());
    dead(&token, "session_revoked").await;
    let token = fresh().await;
    app.admin_post(&hall.owner, "/projects/admin/end-all-sessions", json!({})).await.ok();
    dead(&token, "signed_out").await;
    // An owner may end everything, the own session among it.
    let token = fresh().await;
    app.admin_post(&token, "/projects/admin/end-all-sessions", json!({"reason": "drill"})).await.ok();
    dead(&token, "signed_out").await;
    let token = fresh().await;
    app.app.clock.advance(3600);
    dead(&token, "expired").await;
    // Whoever is deleted leaves no role behind.
    let asked = json!({"user": user, "reason": "left the company"});
    let asked = app.bearer(&hall.console, "delete-user", &hall.owner, asked).await;
    let confirm = json!({"deletion_id": asked.body["deletion_id"], "confirmation": "ben"});
    app.bearer(&hall.console, "delete-user/confirm", &hall.owner, confirm).await.ok();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM admin_grants").await, 0);
}

/// Code with PKCE, and a device: what `tessera-admin` is registered for.
async fn the_built_in_client(engine: Engine) {
    let app = TestApp::new(engine).await;
    app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    hall.give(hall.console.user, "auditor", None).await;
    let (client, redirect) = (&hall.built_in, "http://127.0.0.1:47110/callback");
    let verifier = "a".repeat(43);
    let challenge = tessera::secret::encode_base64url(&tessera::secret::sha256(verifier.as_bytes()));
    let url = app.project_url(client, "/oauth2/authorize");
    let url = format!(
        "{url}?response_type=code&client_id={}&redirect_uri={redirect}&scope=openid+admin&code_challenge={challenge}&code_challenge_method=S256",
        client.id
    );
    let page = app.http.get(url).send().await.unwrap();
    let cookie = crate::support::cookie_of(&page);
    let sealed = sealed_of(&page.text().await.unwrap());
    let code = crate::support::code_of(&app.submit(client, &cookie, &sealed, PASSWORD).await);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", redirect),
        ("code_verifier", verifier.as_str()),
    ];
    let tokens = app.form(client, "token", &form).await.ok();
    assert_eq!((text(&tokens, "scope"), &tokens["expires_in"]), ("openid admin", &json!(900)));
    app.admin_get(&access(&tokens), "/projects/shop").await.ok();

    let device = app.device(client, "openid admin").await;
    app.allow(client, &device).await;
    let form = [("grant_type", DEVICE_GRANT), ("device_code", device.get("device_code"))];
    let tokens = app.form(client, "token", &form).await.ok();
    app.admin_get(&access(&tokens), "/projects/shop").await.ok();
    // It is the program's own.
    let path = format!("/projects/admin/clients/{}", client.id);
    let why = "the built-in client tessera-admin never changes";
    app.admin_patch(&hall.owner, &path, json!({"redirect_uris": [REDIRECT]}))
        .await
        .refused(409, "conflict", why);
    app.admin_patch(&hall.owner, &path, json!({"status": "disabled"})).await.refused(409, "conflict", why);
    app.admin_delete(&hall.owner, &path).await.refused(409, "conflict", why);
}

async fn it_is_made_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let (one, other) = tokio::join!(
        home::ensure(&app.app, SecondFactor::Required),
        home::ensure(&node.app, SecondFactor::Required)
    );
    let (one, other) = (one.unwrap().unwrap(), other.unwrap().unwrap());
    assert_eq!((one.project, one.client), (other.project, other.client));
    let owner = app.admin_key(None, "owner").await;
    let project = app.admin_get(&owner, "/projects/admin").await.ok();
    assert_eq!(project["settings"]["sign_in"]["second_factor"], "required");
    assert_eq!((text(&project, "kind"), text(&project, "name")), ("live", "Admins"));
    let bound = "the slug admin is kept for the built-in project";
    let taken = app.admin_post(&owner, "/projects", json!({"slug": "admin"})).await;
    taken.refused_for(400, "invalid_request", "slug", bound);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM admin_home").await, 1);
}

/// Before there was a built-in project, the name was anybody's: whoever has it keeps it, and is nobody's admin by it.
async fn another_project_may_have_had_the_name(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop: Shop = app.shop("shop", "confidential").await;
    let renamed = "UPDATE projects SET slug = 'admin' WHERE slug = 'shop'";
    crate::support::run(&app.app.db, renamed).await;
    assert!(home::ensure(&app.app, SecondFactor::Required).await.unwrap().is_none());
    let owner = app.admin_key(Some(shop.project), "owner").await;
    let path = format!("/projects/{}", shop.project);
    app.admin_patch(&owner, &path, json!({"name": "Ours"})).await.ok();
    let why = "there is no built-in project admin: it is made when the server starts, unless another project has its name";
    app.admin_get(&owner, "/admins").await.refused(409, "conflict", why);
    app.admin_delete(&owner, &path).await.ok();
}
