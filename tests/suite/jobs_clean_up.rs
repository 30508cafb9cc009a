//! The clean-up: what goes, what stays, and the same for every project.

use serde_json::json;
use tessera::ids::UserId;
use tessera::jobs::{Job, outbox::seal_mail};
use tessera::model::timestamp::Timestamp;
use tessera::projects;
use tessera::secret::Secret;
use tessera::store::db::{Conn, execute};
use tessera::store::outbox;
use tessera::store::used_jtis::{self, Kind};

use crate::jobs::{count, row, run_well};
use crate::support::{Engine, Shop, TestApp, both_engines, deletion_notice};

both_engines!(
    codes_go_a_day_after_they_expire,
    families_go_31_days_after_their_end,
    browser_sessions_go_an_hour_after_their_end,
    revocations_go_an_hour_after_their_tokens,
    used_ids_go_an_hour_after_what_they_stood_in,
    tombstones_go_after_31_days,
    unconfirmed_deletions_go_a_day_after_they_lapse,
    finished_messages_go_after_30_days,
    many_rows_go_in_batches,
);

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Two projects, for which the same rule holds.
async fn two_shops(engine: Engine) -> (TestApp, [Shop; 2]) {
    let app = TestApp::new(engine).await;
    let shops = [app.shop("shop", "confidential").await, app.shop("other", "confidential").await];
    (app, shops)
}

/// Runs the clean-up at a moment, and counts what is left in each project.
async fn left(app: &TestApp, shops: &[Shop; 2], at: Timestamp, table: &str) -> [i64; 2] {
    app.app.clock.advance(at.seconds_since(app.app.clock.now()));
    assert_eq!(app.app.clock.now(), at, "time does not run backwards");
    assert!(run_well(&app.app).await.iter().any(|outcome| outcome.job == Job::CleanUp), "it was due");
    [
        count(&app.app, shops[0].project, table, "TRUE").await,
        count(&app.app, shops[1].project, table, "TRUE").await,
    ]
}

/// The moments around an end: long enough before it for the next run to be due, and the end itself.
fn around(end: Timestamp) -> [Timestamp; 2] {
    [end.plus_seconds(-600), end]
}

async fn codes_go_a_day_after_they_expire(engine: Engine) {
    let (app, shops) = two_shops(engine).await;
    let [before, end] = around(app.app.clock.now().plus_seconds(60 + DAY));
    let (used, _) = app.code(&shops[0], "").await;
    app.exchange(&shops[0], &used).await.ok();
    for shop in &shops {
        app.code(shop, "").await;
    }
    app.app.clock.advance(DAY - HOUR);
    let (kept, _) = app.code(&shops[1], "").await;
    assert_eq!(left(&app, &shops, before, "authorization_codes").await, [2, 2]);
    // The second use of a code ends what the first got, as long as the code is there.
    let replayed = app.exchange(&shops[0], &used).await;
    replayed.refused(400, "invalid_grant", "the code has been used already");
    assert_eq!(left(&app, &shops, end, "authorization_codes").await, [0, 1]);
    app.exchange(&shops[0], &used).await.refused(400, "invalid_grant", "the code is unknown");
    let expired = app.exchange(&shops[1], &kept).await;
    expired.refused(400, "invalid_grant", "the code has expired or its sign-in has ended");
}

async fn families_go_31_days_after_their_end(engine: Engine) {
    let (app, shops) = two_shops(engine).await;
    let start = app.app.clock.now();
    let mut replayed = Vec::new();
    for shop in &shops {
        replayed.push(app.sign_in(shop).await);
        app.sign_in(shop).await;
    }
    app.app.clock.advance(DAY);
    // A replay ends the family.
    for (shop, tokens) in shops.iter().zip(&replayed) {
        let first = tokens.get("refresh_token");
        let next = app.refresh(shop, first).await.ok();
        app.refresh(shop, next["refresh_token"].as_str().unwrap()).await.ok();
    }
    app.app.clock.advance(MINUTE);
    for (shop, tokens) in shops.iter().zip(&replayed) {
        assert_eq!(app.refresh(shop, tokens.get("refresh_token")).await.status, 400);
    }
    let revoked = start.plus_seconds(DAY + MINUTE);
    let [before, end] = around(revoked.plus_seconds(31 * DAY));
    assert_eq!(left(&app, &shops, before, "token_families").await, [2, 2]);
    assert_eq!(left(&app, &shops, end, "token_families").await, [1, 1]);
    app.sign_in(&shops[1]).await;
    let [before, end] = around(start.plus_seconds((30 + 31) * DAY));
    assert_eq!(left(&app, &shops, before, "token_families").await, [1, 2]);
    assert_eq!(left(&app, &shops, end, "token_families").await, [0, 1]);
}

async fn browser_sessions_go_an_hour_after_their_end(engine: Engine) {
    let (app, shops) = two_shops(engine).await;
    let start = app.app.clock.now();
    for shop in &shops {
        app.code(shop, "").await;
        app.code(shop, "").await;
    }
    // One of each pair is ended by hand.
    let now = app.app.clock.now();
    for shop in &shops {
        let project = shop.project;
        let end_one = |conn: Conn| async move {
            execute!(
                conn,
                "UPDATE browser_sessions SET ended_at = $1 WHERE project_id = $2 AND id IN
                   (SELECT id FROM browser_sessions WHERE project_id = $2 ORDER BY id LIMIT 1)",
                now,
                project
            )
        };
        assert_eq!(app.app.db.write(end_one).await.unwrap(), 1);
    }
    let [before, end] = around(start.plus_seconds(HOUR));
    assert_eq!(left(&app, &shops, before, "browser_sessions").await, [2, 2]);
    assert_eq!(left(&app, &shops, end, "browser_sessions").await, [1, 1]);
    app.code(&shops[1], "").await;
    // The other one of each pair expired an hour after its sign-in.
    let [before, end] = around(start.plus_seconds(2 * HOUR));
    assert_eq!(left(&app, &shops, before, "browser_sessions").await, [1, 2]);
    assert_eq!(left(&app, &shops, end, "browser_sessions").await, [0, 1]);
}

async fn revocations_go_an_hour_after_their_tokens(engine: Engine) {
    let (app, shops) = two_shops(engine).await;
    let expires_at = app.app.clock.now().plus_seconds(HOUR);
    for shop in &shops {
        for (jti, expires_at) in [("short", expires_at), ("long", expires_at.plus_seconds(1))] {
            insert_revocation(&app, shop, jti, expires_at).await;
        }
    }
    let [before, end] = around(expires_at.plus_seconds(HOUR));
    assert_eq!(left(&app, &shops, before, "revoked_tokens").await, [2, 2]);
    assert_eq!(left(&app, &shops, end, "revoked_tokens").await, [1, 1]);
    assert_eq!(count(&app.app, shops[0].project, "revoked_tokens", "jti = 'long'").await, 1);
}

async fn insert_revocation(app: &TestApp, shop: &Shop, jti: &str, expires_at: Timestamp) {
    let project = shop.project;
    let insert = |conn: Conn| async move {
        execute!(
            conn,
            "INSERT INTO revoked_tokens (project_id, jti, expires_at) VALUES ($1, $2, $3)",
            project,
            jti,
            expires_at
        )
    };
    app.app.db.write(insert).await.unwrap();
}

/// The same id of another kind, or in another project, is another one.
async fn used_ids_go_an_hour_after_what_they_stood_in(engine: Engine) {
    let (app, shops) = two_shops(engine).await;
    let expires_at = app.app.clock.now().plus_seconds(MINUTE);
    for shop in &shops {
        let project = shop.project;
        let insert = async |kind: Kind, expires_at: Timestamp| {
            let one =
                |conn: Conn| async move { used_jtis::insert(&conn, project, kind, b"x", expires_at).await };
            app.app.db.write(one).await.unwrap()
        };
        let later = expires_at.plus_seconds(1);
        assert_eq!(insert(Kind::ClientAssertion, expires_at).await, 1);
        assert_eq!(insert(Kind::DpopProof, later).await, 1);
        assert_eq!(
            (insert(Kind::ClientAssertion, later).await, insert(Kind::DpopProof, later).await),
            (0, 0)
        );
    }
    let [before, end] = around(expires_at.plus_seconds(HOUR));
    assert_eq!(left(&app, &shops, before, "used_jtis").await, [2, 2]);
    assert_eq!(left(&app, &shops, end, "used_jtis").await, [1, 1]);
    assert_eq!(count(&app.app, shops[0].project, "used_jtis", "kind = 'dpop_proof'").await, 1);
}

async fn admin_key(app: &TestApp, shop: &Shop) -> String {
    let made = projects::create_admin_key(&app.app, Some(shop.project), "test", "admin").await.unwrap();
    made.1.expose().to_owned()
}

async fn ask_for_deletion(app: &TestApp, shop: &Shop, key: &str, user: UserId) -> String {
    let ask = json!({"user": user, "reason": "asked for it in writing"});
    let asked = app.bearer(shop, "delete-user", key, ask).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    asked.body["deletion_id"].as_str().unwrap().to_owned()
}

async fn tombstones_go_after_31_days(engine: Engine) {
    let (app, shops) = two_shops(engine).await;
    let deleted_at = app.app.clock.now();
    for shop in &shops {
        app.sign_in(shop).await;
        let key = admin_key(&app, shop).await;
        let id = ask_for_deletion(&app, shop, &key, shop.user).await;
        let confirm = json!({"deletion_id": id, "confirmation": "alice"});
        app.bearer(shop, "delete-user/confirm", &key, confirm).await.ok();
    }
    let password = Secret::new("another password");
    projects::create_user(&app.app, shops[0].project, "bob", None, password).await.unwrap();
    // What was written at the very moment of the deletion and came after it.
    let (project, user) = (shops[1].project, shops[1].user);
    let straggler = |conn: Conn| async move {
        execute!(
            conn,
            "INSERT INTO credentials (project_id, id, user_id, kind, secret, created_at, updated_at)
             VALUES ($1, $2, $2, 'password', 'x', $3, $3)",
            project,
            user,
            deleted_at
        )
    };
    app.app.db.write(straggler).await.unwrap();
    let [before, end] = around(deleted_at.plus_seconds(31 * DAY));
    assert_eq!(left(&app, &shops, before, "users").await, [2, 1]);
    assert_eq!(left(&app, &shops, end, "users").await, [1, 0]);
    assert_eq!(count(&app.app, shops[0].project, "users", "username = 'bob'").await, 1);
    assert_eq!(count(&app.app, shops[1].project, "credentials", "TRUE").await, 0);
}

async fn unconfirmed_deletions_go_a_day_after_they_lapse(engine: Engine) {
    let (app, shops) = two_shops(engine).await;
    let mut keys = Vec::new();
    for shop in &shops {
        let key = admin_key(&app, shop).await;
        ask_for_deletion(&app, shop, &key, shop.user).await;
        keys.push(key);
    }
    let executed = {
        let password = Secret::new("another password");
        let bob = projects::create_user(&app.app, shops[0].project, "bob", None, password).await.unwrap();
        let id = ask_for_deletion(&app, &shops[0], &keys[0], bob).await;
        let confirm = json!({"deletion_id": id, "confirmation": "bob"});
        app.bearer(&shops[0], "delete-user/confirm", &keys[0], confirm).await.ok();
        id
    };
    let [before, end] = around(app.app.clock.now().plus_seconds(15 * MINUTE + DAY));
    assert_eq!(left(&app, &shops, before, "deletions").await, [2, 1]);
    ask_for_deletion(&app, &shops[1], &keys[1], shops[1].user).await;
    assert_eq!(left(&app, &shops, end, "deletions").await, [1, 1]);
    assert_eq!(count(&app.app, shops[0].project, "deletions", "state = 'executed'").await, 1, "{executed}");
    assert_eq!(count(&app.app, shops[1].project, "deletions", "state = 'pending'").await, 1);
}

async fn finished_messages_go_after_30_days(engine: Engine) {
    let (app, shops) = two_shops(engine).await;
    let start = app.app.clock.now();
    for shop in &shops {
        let project = shop.project;
        let sealed = [1, 2]
            .map(|_| seal_mail(&app.app, project, start, &deletion_notice("Shop", "a@b.example")).unwrap());
        let sealed = &sealed;
        let enqueue = |conn: Conn| async move {
            for sealed in sealed {
                let kind = sealed.kind.as_str();
                outbox::enqueue(&conn, project, start, sealed.id, kind, &sealed.body).await?;
            }
            outbox::mark_delivered(&conn, project, start, sealed[0].id).await
        };
        app.app.db.unit(enqueue).await.unwrap();
    }
    let [before, end] = around(start.plus_seconds(30 * DAY));
    assert_eq!(left(&app, &shops, before, "outbox").await, [2, 2]);
    // The other one waited for its seven days and died then, or at the first look after them.
    assert_eq!(count(&app.app, shops[0].project, "outbox", "state = 'dead'").await, 1);
    assert_eq!(left(&app, &shops, end, "outbox").await, [1, 1]);
    assert_eq!(count(&app.app, shops[0].project, "outbox", "sealed_body IS NOT NULL").await, 0);
}

async fn many_rows_go_in_batches(engine: Engine) {
    let (app, shops) = two_shops(engine).await;
    let expires_at = app.app.clock.now();
    let project = shops[0].project;
    let insert = |conn: Conn| async move {
        for jti in 0..1201 {
            execute!(
                conn,
                "INSERT INTO revoked_tokens (project_id, jti, expires_at) VALUES ($1, $2, $3)",
                project,
                jti.to_string(),
                expires_at
            )?;
        }
        Ok(())
    };
    app.app.db.unit(insert).await.unwrap();
    run_well(&app.app).await;
    app.app.clock.advance(HOUR);
    let begun = app.app.db.statements().writes;
    run_well(&app.app).await;
    assert_eq!(count(&app.app, project, "revoked_tokens", "TRUE").await, 0);
    let with_rows = app.app.db.statements().writes - begun;
    assert_eq!(row(&app.app, Job::CleanUp).await.outcome.unwrap(), "ok: removed 1201 revoked_tokens");
    app.app.clock.advance(HOUR);
    let begun = app.app.db.statements().writes;
    run_well(&app.app).await;
    let without = app.app.db.statements().writes - begun;
    assert_eq!(with_rows - without, 2, "three statements instead of one");
}
