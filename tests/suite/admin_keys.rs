//! `/admin/admin-keys`: who may make keys, how far they reach, and that a revoked one is dead.

use serde_json::{Value, json};

use crate::support::{Engine, TestApp, both_engines};

both_engines!(
    made_seen_and_revoked,
    bad_input_changes_nothing,
    an_owner_of_one_project_reaches_no_further,
    lesser_roles_make_none,
    revoked_keys_are_dead_on_every_node,
    a_key_and_its_maker_revoked_at_once,
);

const KEYS: &str = "/admin-keys";
const DEAD: &str = "the admin key is not valid here";

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

async fn made_seen_and_revoked(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "public").await;
    let owner = app.admin_key(None, "owner").await;
    let body = json!({"name": "support desk", "role": "user_manager", "project": "shop"});
    let made = app.admin_post(&owner, KEYS, body).await.created();
    let key = text(&made, "key");
    assert!(key.starts_with("tak_"));
    let shown = json!({"id": made["id"], "name": "support desk", "role": "user_manager", "project": shop.project,
        "created_at": "2027-01-15T08:00:00Z", "made_by": made["made_by"]});
    assert!(text(&made, "made_by").starts_with("admin_key:"), "{made}");
    // Once: nothing that is read later has the key.
    let path = format!("{KEYS}/{}", text(&made, "id"));
    assert_eq!(app.admin_get(&owner, &path).await.ok(), shown);
    assert_eq!(app.admin_get(&owner, &format!("{KEYS}?project=shop")).await.ok()["items"], json!([shown]));
    assert_eq!(app.admin_get(&owner, KEYS).await.ok()["items"].as_array().unwrap().len(), 2);
    let url = "/projects/shop/clients";
    app.admin_get(&key, url).await.refused(403, "forbidden", "the role user_manager may not do this");

    let revoked = app.admin_delete(&owner, &path).await.ok();
    assert_eq!(revoked, json!({"id": made["id"], "revoked_at": "2027-01-15T08:00:00Z"}));
    app.admin_get(&key, url).await.refused(401, "invalid_token", DEAD);
    app.admin_delete(&owner, &path).await.refused(404, "not_found", "no such admin key");
    app.admin_get(&owner, &path).await.refused(404, "not_found", "no such admin key");
    let events = app.admin_get(&owner, "/projects/shop/audit?order=asc").await.ok();
    let actions: Vec<_> =
        events["items"].as_array().unwrap().iter().map(|event| text(event, "action")).collect();
    assert_eq!(actions[actions.len() - 2..], ["admin_key.created", "admin_key.revoked"]);
}

async fn bad_input_changes_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let owner = app.admin_key(None, "owner").await;
    let post = |body: Value| app.admin_post(&owner, KEYS, body);
    let bound = "role must be one of owner, admin, user_manager, auditor";
    post(json!({"name": "x", "role": "root"})).await.refused_for(400, "invalid_request", "role", bound);
    post(json!({"role": "owner"})).await.refused_for(400, "invalid_request", "name", "missing field name");
    let null = post(json!({"name": "x", "role": "owner", "project": null})).await;
    null.refused_for(400, "invalid_request", "project", "project must be a string");
    let extra = post(json!({"name": "x", "role": "owner", "key": "tak_mine"})).await;
    extra.refused_for(400, "invalid_request", "key", "unknown field key");
    let unknown = post(json!({"name": "x", "role": "owner", "project": "nothing"})).await;
    unknown.refused_for(404, "not_found", "project", "no such project");
    assert_eq!(app.admin_get(&owner, KEYS).await.ok()["items"].as_array().unwrap().len(), 1);
    let nothing = app.admin_delete(&owner, &format!("{KEYS}/x")).await;
    nothing.refused(404, "not_found", "there is nothing at this address");
}

async fn an_owner_of_one_project_reaches_no_further(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "public").await, app.shop("other", "public").await);
    let everything = app.admin_key(None, "owner").await;
    let foreign = app.admin_key(Some(other.project), "owner").await;
    let own = app.admin_key(Some(shop.project), "owner").await;
    let ids = |listed: &Value| -> Vec<String> {
        listed["items"].as_array().unwrap().iter().map(|item| text(item, "id")).collect()
    };
    let all = ids(&app.admin_get(&everything, KEYS).await.ok());
    assert_eq!(all.len(), 3);
    let mine = ids(&app.admin_get(&own, KEYS).await.ok());
    assert_eq!(mine.len(), 1);

    // Neither a key for everything, nor one for another project, whichever way it is named.
    let narrow = "a key for one project makes keys for that project only: name it";
    let made = app.admin_post(&own, KEYS, json!({"name": "x", "role": "auditor"})).await;
    made.refused(403, "forbidden", narrow);
    for project in
        ["other".to_owned(), other.project.to_string(), uuid::Uuid::nil().to_string(), String::new()]
    {
        let body = json!({"name": "x", "role": "auditor", "project": project});
        app.admin_post(&own, KEYS, body).await.refused_for(404, "not_found", "project", "no such project");
        if !project.is_empty() {
            let listed = app.admin_get(&own, &format!("{KEYS}?project={project}")).await;
            listed.refused_for(404, "not_found", "project", "no such project");
        }
    }
    for id in all.iter().filter(|id| !mine.contains(id)) {
        let path = format!("{KEYS}/{id}");
        app.admin_get(&own, &path).await.refused(404, "not_found", "no such admin key");
        app.admin_delete(&own, &path).await.refused(404, "not_found", "no such admin key");
    }
    assert_eq!(ids(&app.admin_get(&everything, KEYS).await.ok()), all, "nothing was made or revoked");
    app.admin_get(&own, "/audit").await.refused(403, "forbidden", "a key for one project may not do this");

    // For its own project it makes what it likes, and the new key reaches no further.
    let body = json!({"name": "x", "role": "owner", "project": shop.project});
    let made = app.admin_post(&own, KEYS, body).await.created();
    assert_eq!(made["project"], shop.project.to_string());
    let made = text(&made, "key");
    assert_eq!(ids(&app.admin_get(&made, KEYS).await.ok()).len(), 2);
    let again = app.admin_post(&made, KEYS, json!({"name": "x", "role": "owner"})).await;
    again.refused(403, "forbidden", narrow);
    app.admin_get(&foreign, "/projects/shop").await.refused(401, "invalid_token", DEAD);
}

async fn lesser_roles_make_none(engine: Engine) {
    let app = TestApp::new(engine).await;
    let owner = app.admin_key(None, "owner").await;
    for role in ["admin", "user_manager", "auditor"] {
        let key = app.admin_key(None, role).await;
        let why = format!("the role {role} may not do this");
        app.admin_post(&key, KEYS, json!({"name": "x", "role": "owner"})).await.refused(
            403,
            "forbidden",
            &why,
        );
        app.admin_get(&key, KEYS).await.refused(403, "forbidden", &why);
        app.admin_delete(&key, &format!("{KEYS}/{}", uuid::Uuid::nil())).await.refused(
            403,
            "forbidden",
            &why,
        );
    }
    assert_eq!(app.admin_get(&owner, KEYS).await.ok()["items"].as_array().unwrap().len(), 4);
}

async fn revoked_keys_are_dead_on_every_node(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let node = app.second_node().await;
    let owner = app.admin_key(None, "owner").await;
    let body = json!({"name": "x", "role": "owner"});
    let made = app.admin_post(&owner, KEYS, body).await.created();
    let key = text(&made, "key");
    let verify = async |node: &TestApp| {
        node.bearer(&shop, "verifyaccesstoken", &key, json!({"access_token": "x"})).await
    };
    node.admin_get(&key, "/projects/shop").await.ok();
    verify(&node).await.ok();
    app.admin_delete(&key, &format!("{KEYS}/{}", text(&made, "id"))).await.ok();
    for node in [&node, &app] {
        node.admin_get(&key, "/projects/shop").await.refused(401, "invalid_token", DEAD);
        node.admin_post(&key, KEYS, json!({"name": "x", "role": "owner"})).await.refused(
            401,
            "invalid_token",
            DEAD,
        );
        verify(node).await.refused(401, "invalid_token", DEAD);
    }
}

/// A key that is being revoked leaves no heir: whatever it made before the revocation returned is there to be seen.
async fn a_key_and_its_maker_revoked_at_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let owner = app.admin_key(None, "owner").await;
    for _ in 0..6 {
        let maker = app.admin_post(&owner, KEYS, json!({"name": "maker", "role": "owner"})).await.created();
        let (key, path) = (text(&maker, "key"), format!("{KEYS}/{}", text(&maker, "id")));
        let (made, revoked) = tokio::join!(
            node.admin_post(&key, KEYS, json!({"name": "heir", "role": "owner"})),
            app.admin_delete(&owner, &path),
        );
        revoked.ok();
        assert!(matches!(made.status, 201 | 401), "{made:?}");
        let late = node.admin_post(&key, KEYS, json!({"name": "late", "role": "owner"})).await;
        late.refused(401, "invalid_token", DEAD);
        let listed = app.admin_get(&owner, KEYS).await.ok();
        let heirs: Vec<_> =
            listed["items"].as_array().unwrap().iter().filter(|key| key["name"] == "heir").collect();
        assert_eq!(heirs.len(), usize::from(made.status == 201));
        for heir in heirs {
            app.admin_delete(&owner, &format!("{KEYS}/{}", text(heir, "id"))).await.ok();
        }
    }
}
