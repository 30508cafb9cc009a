//! One deletion after the other, and who else may delete: user managers where the project says so.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Account, Answer, Desk, Engine, REASON, Shop, TestApp, admin_key, both_engines};

both_engines!(
    user_managers_delete_where_they_may,
    beyond_the_threshold_the_strongest_is_asked_for,
    asked_for_before_and_confirmed_after,
    confirmed_all_at_once,
    scheduled_ones_count,
    alone_one_goes_on_by_typing,
    those_who_delete_themselves_do_not_count,
);

const MORE: &str = "the project asks for more to confirm a deletion by now; ask again";

/// A shop with people in it.
struct Crowd<'a> {
    app: &'a TestApp,
    shop: &'a Shop,
    owner: Desk<'a>,
}

impl<'a> Crowd<'a> {
    async fn new(app: &'a TestApp, shop: &'a Shop, settings: Value) -> Self {
        let owner = app.desk(shop, "owner").await;
        owner.patch("", json!({"settings": settings})).await.ok();
        Self { app, shop, owner }
    }

    async fn person(&self, name: &str) -> String {
        let made = self.owner.post("/users", json!({"username": name})).await.created();
        made["id"].as_str().unwrap().to_owned()
    }

    async fn ask(&self, key: &str, user: &str) -> Answer {
        self.app.bearer(self.shop, "delete-user", key, json!({"user": user, "reason": REASON})).await
    }

    /// Asks for somebody new: the method, and what confirms it.
    async fn asked(&self, key: &str, name: &str) -> (String, Value) {
        let user = self.person(name).await;
        let asked = self.ask(key, &user).await;
        assert_eq!(asked.status, 202, "{}", asked.body);
        let method = asked.body["confirmation"]["method"].as_str().unwrap().to_owned();
        (method, json!({"deletion_id": asked.body["deletion_id"], "confirmation": name}))
    }

    async fn confirm(&self, app: &TestApp, key: &str, body: &Value) -> Answer {
        app.bearer(self.shop, "delete-user/confirm", key, body.clone()).await
    }

    /// Asks and confirms by typing.
    async fn delete(&self, key: &str, name: &str) {
        let (method, body) = self.asked(key, name).await;
        assert_eq!(method, "typed", "{name}");
        self.confirm(self.app, key, &body).await.ok();
    }
}

async fn user_managers_delete_where_they_may(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let crowd = Crowd::new(&app, &shop, json!({})).await;
    let manager = admin_key(&app, shop.project, "user_manager").await;
    let theirs = admin_key(&app, other.project, "user_manager").await;
    let user = crowd.person("ann").await;
    let why = "the role user_manager may not do this";
    crowd.ask(&manager, &user).await.refused(403, "forbidden", why);
    // Only an owner lets them.
    let field = "settings.user_managers_may_delete";
    let lenient = json!({"settings": {"user_managers_may_delete": true}});
    let admin = app.desk(&shop, "admin").await;
    let why_not = format!("only the role owner may weaken {field}: it binds those who delete users");
    admin.patch("", lenient.clone()).await.refused_for(403, "forbidden", field, &why_not);
    let everywhere = app.admin_key(None, "admin").await;
    let new = json!({"slug": "third", "settings": {"user_managers_may_delete": true}});
    let made = app.admin_post(&everywhere, "/projects", new).await;
    let why_not = "only the role owner lets user managers delete users";
    made.refused_for(403, "forbidden", field, why_not);
    crowd.owner.patch("", lenient).await.ok();
    let asked = crowd.ask(&manager, &user).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let id = asked.body["deletion_id"].as_str().unwrap();
    let body = json!({"deletion_id": id, "confirmation": "ann"});
    let done = crowd.confirm(&app, &manager, &body).await.ok();
    assert_eq!(done["state"], "executed");
    let url = app.project_url(&shop, &format!("/api/delete-user/{id}"));
    let read = Answer::of(app.http.get(url).bearer_auth(&manager).send().await.unwrap()).await.ok();
    assert_eq!(read["state"], "executed");
    // Nobody of another project, and no more than that.
    let user = crowd.person("bea").await;
    crowd.ask(&theirs, &user).await.refused(403, "forbidden", why);
    let auditor = admin_key(&app, shop.project, "auditor").await;
    crowd.ask(&auditor, &user).await.refused(403, "forbidden", "the role auditor may not do this");
    for (answer, body) in [
        (app.admin_ask_to_delete(&manager, &format!("/projects/shop/clients/{}", shop.id)).await, why),
        (app.admin_ask_to_delete(&manager, "/projects/shop").await, why),
    ] {
        answer.refused(403, "forbidden", body);
    }
    // What is taken back is taken back for what waits, too.
    let asked = crowd.ask(&manager, &user).await.body;
    crowd.owner.patch("", json!({"settings": {"user_managers_may_delete": null}})).await.ok();
    let body = json!({"deletion_id": asked["deletion_id"], "confirmation": "bea"});
    crowd.confirm(&app, &manager, &body).await.refused(403, "forbidden", why);
}

async fn beyond_the_threshold_the_strongest_is_asked_for(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let crowd = Crowd::new(&app, &shop, json!({"deletion_mass_threshold": 2})).await;
    let (first, second) =
        (admin_key(&app, shop.project, "admin").await, admin_key(&app, shop.project, "admin").await);
    // Whoever deletes: the project's are counted.
    crowd.delete(&first, "ann").await;
    crowd.delete(&second, "bea").await;
    let (method, body) = crowd.asked(&first, "cid").await;
    assert_eq!(method, "second_person");
    let own = "another admin's key has to confirm this deletion";
    crowd.confirm(&app, &first, &body).await.refused(403, "forbidden", own);
    crowd.confirm(&app, &second, &body).await.ok();
    let fourth = admin_key(&app, shop.project, "owner").await;
    assert_eq!(crowd.asked(&fourth, "dan").await.0, "second_person");
    app.app.clock.advance(3600);
    crowd.delete(&first, "eve").await;
    // Only owners allow more.
    let admin = app.desk(&shop, "admin").await;
    let field = "settings.deletion_mass_threshold";
    let set = |number: i64| json!({"settings": {"deletion_mass_threshold": number}});
    let why = format!("only the role owner may weaken {field}: it binds those who delete users");
    admin.patch("", set(3)).await.refused_for(403, "forbidden", field, &why);
    admin.patch("", set(1)).await.ok();
    for number in [0, 1001] {
        let bound = "settings.deletion_mass_threshold must lie between 1 and 1000";
        crowd.owner.patch("", set(number)).await.refused_for(400, "invalid_request", field, bound);
    }
}

async fn asked_for_before_and_confirmed_after(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let crowd = Crowd::new(&app, &shop, json!({"deletion_mass_threshold": 2})).await;
    let key = admin_key(&app, shop.project, "admin").await;
    let mut waiting = Vec::new();
    for name in ["ann", "bea", "cid", "dan"] {
        let (method, body) = crowd.asked(&key, name).await;
        assert_eq!(method, "typed");
        waiting.push(body);
    }
    crowd.confirm(&app, &key, &waiting[0]).await.ok();
    crowd.confirm(&app, &key, &waiting[1]).await.ok();
    crowd.confirm(&app, &key, &waiting[2]).await.refused(409, "conflict", MORE);
    crowd.confirm(&app, &key, &waiting[2]).await.refused(
        409,
        "conflict",
        "this deletion has expired; ask again",
    );
    // What nobody can confirm any more costs nobody an hour: it is confirmed once there is room again, in its time.
    app.app.clock.advance(800);
    crowd.confirm(&app, &key, &waiting[3]).await.refused(409, "conflict", MORE);
}

async fn confirmed_all_at_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let shop = app.shop("shop", "confidential").await;
    let crowd = Crowd::new(&app, &shop, json!({"deletion_mass_threshold": 3})).await;
    let keys = [admin_key(&app, shop.project, "admin").await, admin_key(&app, shop.project, "admin").await];
    let mut waiting = Vec::new();
    for number in 0..10 {
        waiting.push(crowd.asked(&keys[number % 2], &format!("user-{number}")).await.1);
    }
    let calls = waiting.iter().enumerate().map(|(number, body)| {
        let app = if number % 3 == 0 { &node } else { &app };
        crowd.confirm(app, &keys[number % 2], body)
    });
    let answers = join_all(calls).await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 3, "{answers:?}");
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.refused(409, "conflict", MORE);
    }
}

async fn scheduled_ones_count(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let settings = json!({"deletion_mass_threshold": 2, "deletion_restore_days": 1});
    let crowd = Crowd::new(&app, &shop, settings).await;
    let key = admin_key(&app, shop.project, "admin").await;
    let mut last = Value::Null;
    for name in ["ann", "bea"] {
        let (method, body) = crowd.asked(&key, name).await;
        assert_eq!(method, "typed");
        assert_eq!(crowd.confirm(&app, &key, &body).await.ok()["state"], "scheduled");
        last = body["deletion_id"].clone();
    }
    assert_eq!(crowd.asked(&key, "cid").await.0, "second_person");
    // One that is called off is none.
    app.bearer(&shop, "delete-user/cancel", &key, json!({"deletion_id": last})).await.ok();
    assert_eq!(crowd.asked(&key, "dan").await.0, "typed");
    // The day on which they go counts as well.
    for name in ["eve", "fay"] {
        let (_, body) = crowd.asked(&key, name).await;
        let confirmed = crowd.confirm(&app, &key, &body).await;
        assert_eq!(confirmed.status, if name == "eve" { 200 } else { 403 });
    }
    app.app.clock.advance(86_460);
    tessera::jobs::run_due(&app.app).await.unwrap();
    assert_eq!(crowd.asked(&key, "gus").await.0, "second_person");
}

async fn alone_one_goes_on_by_typing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let crowd = Crowd::new(&app, &shop, json!({"deletion_mass_threshold": 1})).await;
    for name in ["ann", "bea", "cid"] {
        crowd.delete(&crowd.owner.key, name).await;
    }
}

/// Neither at once nor scheduled, nor on the day on which they go.
async fn those_who_delete_themselves_do_not_count(engine: Engine) {
    let app = TestApp::new(engine).await;
    for (slug, days) in [("shop", 0), ("other", 1)] {
        let shop = app.shop(slug, "confidential").await;
        let settings =
            json!({"deletion_mass_threshold": 1, "deletion_restore_days": days, "self_deletion": true});
        let crowd = Crowd::new(&app, &shop, settings).await;
        admin_key(&app, shop.project, "admin").await;
        let alice = Account::new(&app, &shop).await;
        let left = alice.post("/delete", json!({"confirmation": "alice"})).await;
        assert!([200, 202].contains(&left.status), "{}", left.body);
        assert_eq!(crowd.asked(&crowd.owner.key, "ann").await.0, "typed");
        app.app.clock.advance(days * 86_460);
        tessera::jobs::run_due(&app.app).await.unwrap();
        let gone = crowd.owner.get(&format!("/users/{}", shop.user)).await;
        gone.refused(404, "not_found", "no such user");
        crowd.delete(&crowd.owner.key, "bea").await;
        // One of an admin's does.
        assert_eq!(crowd.asked(&crowd.owner.key, "cid").await.0, "second_person");
    }
}
