//! Pairwise subjects: each sector knows people by names of its own (OpenID Connect Core, 8.1).

use serde_json::{Value, json};
use tessera::keys::master::MasterKeys;
use tessera::keys::rewrap::rewrap;
use tessera::model::client::{ClientSettings, SubjectType};
use tessera::secret::decode_base64url;

use crate::support::{
    Engine, REDIRECT, Reaction, Receiver, Shop, TestApp, both_engines, location_of, parameter, status,
};

both_engines!(
    sectors_know_people_by_their_own_names,
    the_name_is_the_same_everywhere,
    hints_and_named_subjects,
    // C054
    it_survives_another_master_key,
    deleted_people,
    registrations_have_a_sector,
    a_sector_says_who_belongs_to_it,
    the_account_is_shown_under_its_own_name,
    another_project_has_other_names,
);

fn settings(uri: &str) -> ClientSettings {
    ClientSettings {
        redirect_uris: vec![uri.into()],
        require_pkce: false,
        subject_type: SubjectType::Pairwise,
        ..ClientSettings::default()
    }
}

async fn tokens(app: &TestApp, shop: &Shop) -> Value {
    let (code, _) = app.code(shop, "&scope=openid+profile").await;
    app.exchange(shop, &code).await.ok()
}

fn subject(token: &Value) -> String {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&decode_base64url(payload).unwrap()).unwrap();
    claims["sub"].as_str().unwrap().to_owned()
}

async fn sectors_know_people_by_their_own_names(engine: Engine) {
    let app = TestApp::new(engine).await;
    let public = app.shop("shop", "confidential").await;
    let first = app.second_client(&public, settings(REDIRECT)).await;
    let same = app.second_client(&public, settings(REDIRECT)).await;
    let other = app.second_client(
        &public,
        ClientSettings {
            redirect_uris: vec![REDIRECT.replace("localhost", "127.0.0.1")],
            ..settings(REDIRECT)
        },
    );
    let other = other.await;
    let plain = subject(&tokens(&app, &public).await["id_token"]);
    assert_eq!(plain, public.user.to_string());
    let here = subject(&tokens(&app, &first).await["id_token"]);
    assert_eq!(subject(&tokens(&app, &same).await["id_token"]), here);
    let (_, cookie) = app.code(&first, "").await;
    let uri = REDIRECT.replace("localhost", "127.0.0.1");
    let url = app.authorize_url(&other, "").replace(REDIRECT, &uri);
    let to = location_of(&app.http.get(url).header("cookie", cookie).send().await.unwrap());
    let body = json!({"code": parameter(&to, "code").unwrap(), "redirect_uri": uri});
    let there = subject(&app.call(&other, "GetTokenFromCode", body).await.ok()["id_token"]);
    assert!(here != there && here != plain && here.len() == 43 && here.is_ascii());
}

async fn the_name_is_the_same_everywhere(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop_with("shop", "confidential", settings(REDIRECT)).await;
    let first = tokens(&app, &shop).await;
    let me = subject(&first["id_token"]);
    assert_eq!(subject(&first["access_token"]), me);
    let second = app.refresh(&shop, first["refresh_token"].as_str().unwrap()).await.ok();
    assert_eq!((subject(&second["id_token"]), subject(&second["access_token"])), (me.clone(), me.clone()));
    let access = second["access_token"].as_str().unwrap();
    assert_eq!(app.verify(&shop, access).await["claims"]["sub"], json!(me));
    let url = app.project_url(&shop, "/oauth2/userinfo");
    let told: Value = app.http.get(url).bearer_auth(access).send().await.unwrap().json().await.unwrap();
    assert_eq!(told["sub"], json!(me));
    let own = app.bearer(&shop, "userinfofromaccesstoken", access, json!({})).await.ok();
    assert_eq!(own["sub"], json!(me));
    assert!(!told.to_string().contains(&shop.user.to_string()));
    // What a session was told stays true for it when the client becomes public.
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/clients/{}", shop.id), json!({"subject_type": "public"})).await.ok();
    let third = app.refresh(&shop, second["refresh_token"].as_str().unwrap()).await.ok();
    assert_eq!(subject(&third["id_token"]), me);
    assert_eq!(app.verify(&shop, third["access_token"].as_str().unwrap()).await["active"], true);
    assert_eq!(subject(&tokens(&app, &shop).await["id_token"]), shop.user.to_string());
    app.bearer(&shop, "GlobalSignOut", third["access_token"].as_str().unwrap(), json!({})).await.ok();
    assert_eq!(app.verify(&shop, third["access_token"].as_str().unwrap()).await["reason"], "signed_out");
}

async fn hints_and_named_subjects(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop_with("shop", "confidential", settings(REDIRECT)).await;
    let (code, cookie) = app.code(&shop, "").await;
    let id_token = app.exchange(&shop, &code).await.ok()["id_token"].clone();
    let me = subject(&id_token);
    for (more, error) in [
        (format!("&id_token_hint={}", id_token.as_str().unwrap()), None),
        (format!("&claims={{\"id_token\":{{\"sub\":{{\"value\":\"{me}\"}}}}}}"), None),
        (
            format!("&claims={{\"id_token\":{{\"sub\":{{\"value\":\"{}\"}}}}}}", shop.user),
            Some("login_required"),
        ),
    ] {
        let url = app.authorize_url(&shop, &format!("&prompt=none{more}"));
        let to = location_of(&app.http.get(url).header("cookie", &cookie).send().await.unwrap());
        assert_eq!(parameter(&to, "error").as_deref(), error, "{more}");
    }
}

async fn it_survives_another_master_key(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop_with("shop", "confidential", settings(REDIRECT)).await;
    let me = subject(&tokens(&app, &shop).await["id_token"]);
    let (old, new) = (format!("test:{}", "A".repeat(43)), format!("new:{}", "E".repeat(43)));
    let both = MasterKeys::parse(&format!("{new},{old}")).unwrap();
    let done = rewrap(&app.app.db, &app.app.entropy, &both, app.app.clock.now()).await.unwrap();
    assert_eq!((done.unreadable, done.moved > 0), (0, true));
    // The old key is thrown away.
    let node = app.second_node_changed(|app| app.master_keys = MasterKeys::parse(&new).unwrap()).await;
    assert_eq!(subject(&tokens(&node, &shop).await["id_token"]), me);
}

async fn deleted_people(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop_with("shop", "confidential", settings(REDIRECT)).await;
    let access = tokens(&app, &shop).await["access_token"].as_str().unwrap().to_owned();
    let key = app.admin_key(Some(shop.project), "owner").await;
    let request = json!({"user": {"username": "alice"}, "reason": "asked for it by letter"});
    let asked = app.bearer(&shop, "delete-user", &key, request).await;
    let confirm = json!({"deletion_id": asked.body["deletion_id"], "confirmation": "alice"});
    app.bearer(&shop, "delete-user/confirm", &key, confirm).await.ok();
    assert_eq!(app.verify(&shop, &access).await["reason"], "user_deleted");
}

async fn registrations_have_a_sector(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let bound = "subject_type pairwise needs redirect_uris of one host, or a sector_identifier_uri";
    for uris in
        [json!(["https://a.example/cb", "https://b.example/cb"]), json!(["com.example.app:/cb"]), json!([])]
    {
        let new =
            json!({"client_name": "x", "type": "public", "subject_type": "pairwise", "redirect_uris": uris});
        desk.post("/clients", new).await.refused_for(400, "invalid_request", "subject_type", bound);
    }
    let uris = json!(["https://a.example/cb", "https://a.example:8443/other"]);
    let new =
        json!({"client_name": "x", "type": "public", "subject_type": "pairwise", "redirect_uris": uris});
    assert_eq!(desk.post("/clients", new).await.created()["subject_type"], "pairwise");
}

fn document(body: &str) -> Reaction {
    Reaction::Says(format!("HTTP/1.1 200 ok\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

/// OpenID Connect Registration, 5.
async fn a_sector_says_who_belongs_to_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let sector = Receiver::start().await;
    let (here, there) = (REDIRECT, "https://b.example/cb");
    let new = json!({"client_name": "x", "type": "confidential", "require_pkce": false, "subject_type": "pairwise",
        "redirect_uris": [here, there], "sector_identifier_uri": sector.url("/sector.json")});
    for (reaction, why) in [
        (status(404), "sector_identifier_uri answers 404"),
        (document("{}"), "sector_identifier_uri is not a JSON list of redirect URIs"),
        (
            document(&json!([here]).to_string()),
            "sector_identifier_uri does not list every one of redirect_uris",
        ),
    ] {
        sector.react(reaction);
        desk.post("/clients", new.clone()).await.refused_for(
            400,
            "invalid_request",
            "sector_identifier_uri",
            why,
        );
    }
    assert_eq!(desk.get("/clients").await.ok()["items"].as_array().unwrap().len(), 1);
    sector.react(document(&json!([there, here]).to_string()));
    let made = desk.post("/clients", new).await.created();
    let secret = made["client_secret"].as_str().map(str::to_owned);
    let (path, asked) =
        (format!("/clients/{}", made["client_id"].as_str().unwrap()), sector.received().len());
    // What stays is not asked for again; what is new has to be listed.
    desk.patch(&path, json!({"client_name": "y"})).await.ok();
    assert_eq!(sector.received().len(), asked);
    let more = json!({"redirect_uris": [here, there, "https://c.example/cb"]});
    let why = "sector_identifier_uri does not list every one of redirect_uris";
    desk.patch(&path, more).await.refused_for(400, "invalid_request", "sector_identifier_uri", why);
    assert_eq!(sector.received().len(), asked + 1);
    // Its host is the sector, which it shares with whoever has redirect URIs there.
    let first = Shop {
        project: shop.project,
        slug: shop.slug.clone(),
        id: path["/clients/".len()..].to_owned(),
        secret,
        user: shop.user,
    };
    let same = app.second_client(&shop, settings(REDIRECT)).await;
    let name = subject(&tokens(&app, &first).await["id_token"]);
    assert_eq!(name, subject(&tokens(&app, &same).await["id_token"]));
}

/// `attribute-update` with a token gives away no other name, and nothing that the token does not show.
async fn the_account_is_shown_under_its_own_name(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop_with("shop", "confidential", settings(REDIRECT)).await;
    let desk = app.desk(&shop, "admin").await;
    desk.define(&["tier"], &["cook"], &[]).await;
    let writable = json!({"name": "nickname", "type": "string", "user_writable": true});
    desk.post("/attribute-definitions", writable).await.created();
    let change = json!({"user": shop.user, "set": {"tier": "gold"}, "roles": {"add": ["cook"]}});
    let whole = desk.update(change).await.ok();
    assert_eq!((&whole["id"], &whole["roles"]), (&json!(shop.user), &json!(["cook"])));
    for (scope, more) in [
        ("openid", json!({})),
        ("openid+email", json!({"email": "alice@example.com", "email_verified": false})),
    ] {
        let (code, _) = app.code(&shop, &format!("&scope={scope}")).await;
        let tokens = app.exchange(&shop, &code).await.ok();
        let access = tokens["access_token"].as_str().unwrap();
        let change = json!({"set": {"nickname": "Al"}});
        let answer = app.bearer(&shop, "attribute-update", access, change).await;
        assert_eq!(answer.etag.as_deref(), Some("\"3\""));
        let mut expected =
            json!({"id": subject(&tokens["id_token"]), "version": 3, "attributes": {"nickname": "Al"}});
        expected.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(answer.ok(), expected);
    }
}

async fn another_project_has_other_names(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (one, two) = (
        app.shop_with("one", "confidential", settings(REDIRECT)).await,
        app.shop_with("two", "confidential", settings(REDIRECT)).await,
    );
    let names =
        [subject(&tokens(&app, &one).await["id_token"]), subject(&tokens(&app, &two).await["id_token"])];
    assert_ne!(names[0], names[1]);
    // Made once, however many clients need it.
    let again = app.second_client(&one, settings(REDIRECT)).await;
    assert_eq!(subject(&tokens(&app, &again).await["id_token"]), names[0]);
}
