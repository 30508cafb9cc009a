//! Attribute definitions, roles and groups: defined, bounded, listed, and taken back from everybody.

use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};

use crate::support::{Engine, TestApp, both_engines};

both_engines!(
    attributes_are_defined_and_changed,
    attributes_are_bounded,
    labels_are_listed_with_their_users,
    labels_are_bounded,
    deleting_takes_it_from_everybody,
    deleting_from_many,
    deleting_while_it_is_given,
    roles_may_do_what_they_may,
    unseen_by_other_projects
);

async fn attributes_are_defined_and_changed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let body =
        json!({"name": "department", "type": "string", "description": "where", "in_access_token": true});
    let made = desk.post("/attribute-definitions", body.clone()).await.created();
    let expected = json!({"name": "department", "type": "string", "description": "where", "user_writable": false,
        "in_access_token": true, "max_bytes": 256, "created_at": "2027-01-15T08:00:00Z"});
    assert_eq!(made, expected);
    let again = desk.post("/attribute-definitions", body).await;
    again.refused_for(409, "conflict", "name", "this attribute is defined already");
    let size = desk.post("/attribute-definitions", json!({"name": "size", "type": "number"})).await.created();
    assert_eq!(size["max_bytes"], 2048);

    let change = json!({"user_writable": true, "max_bytes": 300});
    let changed = desk.patch("/attribute-definitions/department", change).await.ok();
    assert_eq!((&changed["user_writable"], &changed["max_bytes"]), (&json!(true), &json!(300)));
    assert_eq!(changed["description"], "where");
    assert_eq!(desk.get("/attribute-definitions/department").await.ok(), changed);
    let all = desk.get("/attribute-definitions").await.ok();
    assert_eq!(all, json!({"items": [changed, size], "next": null}));
    let none = "no such attribute";
    desk.get("/attribute-definitions/colour").await.refused(404, "not_found", none);
    desk.patch("/attribute-definitions/colour", json!({})).await.refused(404, "not_found", none);
    desk.delete("/attribute-definitions/colour%00").await.refused(404, "not_found", none);
}

async fn attributes_are_bounded(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let name = "name has 1 to 64 of A-Z, a-z, 0-9 and . _ : -, and begins with a letter or digit";
    let bytes = "max_bytes must lie between 1 and 2048";
    for (body, field, description) in [
        (json!({"name": "a"}), "type", "missing field type"),
        (json!({"name": "é", "type": "string"}), "name", name),
        (json!({"name": "a\u{0}", "type": "string"}), "name", name),
        (
            json!({"name": "a", "type": "date"}),
            "type",
            "type must be one of string, number, boolean, string_list",
        ),
        (json!({"name": "a", "type": "string", "max_bytes": 2049}), "max_bytes", bytes),
        (json!({"name": "a", "type": "string", "max_bytes": 0}), "max_bytes", bytes),
        (json!({"name": "a", "type": "string", "unique": true}), "unique", "unknown field unique"),
        (
            json!({"name": "a", "type": "string", "description": "x".repeat(501)}),
            "description",
            "description has at most 500 characters, none of them NUL",
        ),
    ] {
        desk.post("/attribute-definitions", body).await.refused_for(
            400,
            "invalid_request",
            field,
            description,
        );
    }
    for n in 0..2 {
        let body = json!({"name": format!("large{n}"), "type": "string", "in_access_token": true, "max_bytes": 2048});
        desk.post("/attribute-definitions", body).await.created();
    }
    let together = |sum: i64| {
        format!(
            "attributes in access tokens have at most 4096 bytes together; their max_bytes would be {sum}"
        )
    };
    let one = json!({"name": "one", "type": "boolean", "in_access_token": true, "max_bytes": 5});
    let refused = desk.post("/attribute-definitions", one).await;
    refused.refused_for(400, "invalid_request", "in_access_token", &together(4101));
    desk.post("/attribute-definitions", json!({"name": "one", "type": "boolean", "max_bytes": 5}))
        .await
        .created();
    let refused = desk.patch("/attribute-definitions/one", json!({"in_access_token": true})).await;
    refused.refused_for(400, "invalid_request", "in_access_token", &together(4101));
    assert_eq!(
        desk.get("/attribute-definitions/one").await.ok()["in_access_token"],
        false,
        "nothing changed"
    );
    for (change, field, description) in [
        (json!({"max_bytes": 4}), "max_bytes", "max_bytes must not be less than 5, as values are there"),
        (json!({"type": "string"}), "type", "unknown field type"),
        (json!({"user_writable": null}), "user_writable", "user_writable must be a boolean"),
    ] {
        let refused = desk.patch("/attribute-definitions/one", change).await;
        refused.refused_for(400, "invalid_request", field, description);
    }
    for n in 3..50 {
        let body = json!({"name": format!("a{n}"), "type": "boolean"});
        desk.post("/attribute-definitions", body).await.created();
    }
    let refused = desk.post("/attribute-definitions", json!({"name": "more", "type": "boolean"})).await;
    refused.refused_for(400, "invalid_request", "name", "a project has at most 50 attributes");
}

async fn labels_are_listed_with_their_users(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    for list in ["/roles", "/groups"] {
        for name in ["b", "B", "a", "c.1"] {
            desk.post(list, json!({"name": name, "description": name})).await.created();
        }
        let page = desk.get(&format!("{list}?limit=3")).await.ok();
        let names = |page: &Value| {
            page["items"].as_array().unwrap().iter().map(|label| label["name"].clone()).collect::<Vec<_>>()
        };
        assert_eq!((json!(names(&page)), &page["next"]), (json!(["B", "a", "b"]), &json!("b")));
        let rest = desk.get(&format!("{list}?after=b")).await.ok();
        assert_eq!((json!(names(&rest)), &rest["next"]), (json!(["c.1"]), &Value::Null));
        let changed = desk.patch(&format!("{list}/a"), json!({"description": "other"})).await.ok();
        assert_eq!(desk.get(&format!("{list}/a")).await.ok(), changed);
        assert_eq!(changed["description"], "other");
    }
    let mut ids = vec![shop.user.to_string()];
    for name in ["bo", "cy"] {
        // Lists follow the ids, and so the moments in which people came.
        app.app.clock.advance(1);
        let made =
            desk.post("/users", json!({"username": name, "groups": ["a"], "roles": ["b"]})).await.created();
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let found = async |path: &str| {
        let page = desk.get(path).await.ok();
        let ids = page["items"].as_array().unwrap().iter().map(|user| user["id"].clone());
        (ids.collect::<Vec<_>>(), page["next"].clone())
    };
    assert_eq!(found("/groups/a/users").await, (vec![json!(ids[1]), json!(ids[2])], Value::Null));
    assert_eq!(found("/groups/a/users?limit=1").await, (vec![json!(ids[1])], json!(ids[1])));
    let next = format!("/roles/b/users?limit=1&after={}", ids[1]);
    assert_eq!(found(&next).await, (vec![json!(ids[2])], Value::Null));
    assert_eq!(found("/groups/b/users").await, (Vec::new(), Value::Null));
    desk.get("/groups/x/users").await.refused(404, "not_found", "no such group");
    desk.get("/roles/x%00/users").await.refused(404, "not_found", "no such role");
}

async fn labels_are_bounded(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let name = "name has 1 to 64 of A-Z, a-z, 0-9 and . _ : -, and begins with a letter or digit";
    for (list, noun) in [("/roles", "role"), ("/groups", "group")] {
        for bad in ["", "a b", "a\n", "\u{FF41}dmin", &"a".repeat(65)] {
            let refused = desk.post(list, json!({"name": bad})).await;
            refused.refused_for(400, "invalid_request", "name", name);
        }
        desk.post(list, json!({"name": "admin"})).await.created();
        let again = desk.post(list, json!({"name": "admin"})).await;
        again.refused_for(409, "conflict", "name", &format!("this {noun} exists already"));
        let unknown = desk.post(list, json!({"name": "x", "parent": "y"})).await;
        unknown.refused_for(400, "invalid_request", "parent", "unknown field parent");
        let none = format!("no such {noun}");
        desk.patch(&format!("{list}/x"), json!({"description": ""})).await.refused(404, "not_found", &none);
        desk.delete(&format!("{list}/x")).await.refused(404, "not_found", &none);
        let after = desk.get(&format!("{list}?after=.a")).await;
        after.refused_for(400, "invalid_request", "after", "after is what next of the page before says");
    }
}

async fn deleting_takes_it_from_everybody(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    desk.define(&["department", "city"], &["buyer", "seller"], &["eu", "us"]).await;
    let update = json!({"user": shop.user, "set": {"department": "sales", "city": "Porto"},
        "roles": {"add": ["buyer", "seller"]}, "groups": {"add": ["eu", "us"]}});
    assert_eq!(desk.update(update).await.ok()["version"], 2);
    let tokens = app.sign_in(&shop).await;
    let node = app.second_node().await;
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["active"], true);

    for path in ["/attribute-definitions/department", "/roles/buyer", "/groups/eu"] {
        let rehearsed = desk.delete(&format!("{path}?dry_run=true")).await.ok();
        assert_eq!(rehearsed, json!({"impact": {"users": 1}}));
        desk.get(path).await.ok();
        assert_eq!(desk.delete(path).await.ok(), json!({"impact": {"users": 1}}));
        assert_eq!(desk.delete(path).await.status, 404);
    }
    let user = desk.get(&format!("/users/{}", shop.user)).await.ok();
    assert_eq!(user["attributes"], json!({"city": "Porto"}));
    assert_eq!((&user["roles"], &user["groups"]), (&json!(["seller"]), &json!(["us"])));
    assert_eq!(user["version"], 5);
    // The session lives on; its token is older than the record, on the other node as well.
    let verified = node.verify(&shop, tokens.get("access_token")).await;
    assert_eq!((&verified["active"], &verified["claims_stale"]), (&json!(true), &json!(true)));
    for (demand, reason) in [
        (json!({"required_roles": ["buyer"]}), "missing_role"),
        (json!({"required_groups": ["eu"]}), "missing_group"),
        (json!({"required_attributes": {"department": "sales"}}), "attribute_mismatch"),
    ] {
        let mut body = demand;
        body["access_token"] = json!(tokens.get("access_token"));
        assert_eq!(node.call(&shop, "verifyaccesstoken", body).await.ok()["reason"], reason);
    }
    // What is defined again is nobody's.
    desk.define(&["department"], &["buyer"], &["eu"]).await;
    let user = desk.get(&format!("/users/{}", shop.user)).await.ok();
    assert_eq!((&user["attributes"], &user["roles"]), (&json!({"city": "Porto"}), &json!(["seller"])));
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}

/// More users than one unit takes.
async fn deleting_from_many(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    desk.define(&["department"], &["buyer"], &[]).await;
    for n in 0..105 {
        let body =
            json!({"username": format!("u{n}"), "roles": ["buyer"], "attributes": {"department": "sales"}});
        desk.post("/users", body).await.created();
    }
    for path in ["/roles/buyer", "/attribute-definitions/department"] {
        assert_eq!(desk.delete(path).await.ok(), json!({"impact": {"users": 105}}));
    }
    let users = desk.get("/users?limit=200").await.ok();
    for user in users["items"].as_array().unwrap() {
        assert_eq!((&user["roles"], &user["attributes"]), (&json!([]), &json!({})), "{user}");
    }
}

async fn roles_may_do_what_they_may(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    for role in ["user_manager", "auditor"] {
        let desk = app.desk(&shop, role).await;
        let why = format!("the role {role} may not do this");
        for path in ["/attribute-definitions", "/roles", "/groups"] {
            desk.get(path).await.ok();
            desk.post(path, json!({"name": "x"})).await.refused(403, "forbidden", &why);
            desk.patch(&format!("{path}/x"), json!({})).await.refused(403, "forbidden", &why);
            desk.delete(&format!("{path}/x?dry_run=true")).await.refused(403, "forbidden", &why);
        }
    }
    let mut nobody = app.desk(&shop, "owner").await;
    nobody.key = "tak_nothing".into();
    nobody.get("/roles").await.refused(401, "invalid_token", "the admin key is not valid here");
}

async fn unseen_by_other_projects(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (desk, foreign) = (app.desk(&shop, "admin").await, app.desk(&other, "admin").await);
    desk.define(&["department"], &["buyer"], &["eu"]).await;
    for (path, noun) in [
        ("/attribute-definitions/department", "attribute"),
        ("/roles/buyer", "role"),
        ("/groups/eu", "group"),
    ] {
        foreign.on(&shop).delete(path).await.refused(401, "invalid_token", "the admin key is not valid here");
        foreign.delete(path).await.refused(404, "not_found", &format!("no such {noun}"));
        foreign.get(path).await.refused(404, "not_found", &format!("no such {noun}"));
    }
    for path in ["/attribute-definitions", "/roles", "/groups"] {
        assert_eq!(foreign.get(path).await.ok(), json!({"items": [], "next": null}));
    }
    let given = foreign.update(json!({"user": other.user, "roles": {"add": ["buyer"]}})).await;
    given.refused_for(400, "invalid_request", "roles.add", "there is no role buyer");
    // The same name twice is two things.
    foreign.define(&["department"], &["buyer"], &["eu"]).await;
    foreign.delete("/roles/buyer").await.ok();
    desk.get("/roles/buyer").await.ok();
}

/// A role, a group and an attribute are given to many users while they are deleted, on two nodes: in the end nobody
/// holds what is not there.
async fn deleting_while_it_is_given(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (desk, node) = (app.desk(&shop, "admin").await, app.second_node().await);
    let elsewhere = &desk.at(&node);
    let mut users = Vec::new();
    for n in 0..6 {
        let made = desk.post("/users", json!({"username": format!("u{n}")})).await.created();
        users.push(made["id"].clone());
    }
    for _ in 0..6 {
        desk.define(&["a"], &["r"], &["g"]).await;
        let give = |n: usize| {
            let body = json!({"user": users[n], "set": {"a": "x"}, "roles": {"add": ["r"]}, "groups": {"add": ["g"]}});
            async move {
                let answer = elsewhere.update(body).await;
                // Either it came first, or there is no such thing any more.
                assert!(matches!(answer.status, 200 | 400), "{}", answer.body);
            }
        };
        let (_, _, attribute, _, _, role, _, group, _) = tokio::join!(
            give(0),
            give(1),
            desk.delete("/attribute-definitions/a"),
            give(2),
            give(3),
            desk.delete("/roles/r"),
            give(4),
            desk.delete("/groups/g"),
            give(5),
        );
        for deleted in [attribute, role, group] {
            deleted.ok();
        }
        let all = desk.get("/users").await.ok();
        for user in all["items"].as_array().unwrap() {
            let held = (&user["attributes"], &user["roles"], &user["groups"]);
            assert_eq!(held, (&json!({}), &json!([]), &json!([])), "{user}");
        }
    }
}
