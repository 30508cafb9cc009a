//! `kill -9` at each step of what may come before the end: the request, the cancellation, the objection. Each is done as a whole,
//! or nothing of it is.

use serde_json::json;
use sqlx::FromRow;
use tessera::audit::{Actor, Verdict, verify};
use tessera::ids::{DeletionId, OutboxId, UserId};
use tessera::jobs::outbox::open_caught;
use tessera::session::delete_user::{self, Notify};
use tessera::store::db::Conn;

use crate::delete_user_kill::{Act, Scene, kill};
use crate::support::{Deleting, Engine, REASON, both_engines};

both_engines!(a_request_is_killed, a_cancellation_is_killed, an_objection_is_killed);

/// Whether it was asked for, which is all of these or none.
async fn is_asked_for(scene: &Scene, user: UserId, at: u32) -> bool {
    let asked = scene
        .count("SELECT count(*) AS n FROM deletions WHERE state = 'pending' AND user_id = $1", user)
        .await;
    let events =
        "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deletion_requested' AND target = $2";
    assert_eq!(scene.count(events, user).await, asked, "killed at {at}");
    // Nothing has happened to the person.
    let whole = "SELECT count(*) AS n FROM users WHERE id = $1 AND status = 'active'";
    assert_eq!(scene.count(whole, user).await, 1, "killed at {at}");
    asked == 1
}

/// Whether it was called off, which is all of these or none.
async fn is_called_off(scene: &Scene, user: UserId, at: u32) -> bool {
    let off = scene.count("SELECT count(*) AS n FROM users WHERE id = $1 AND status = 'active'", user).await;
    let counted = [
        ("SELECT count(*) AS n FROM deletions WHERE state = 'cancelled' AND user_id = $1", off),
        ("SELECT count(*) AS n FROM deletions WHERE state = 'scheduled' AND user_id = $1", 1 - off),
        ("SELECT count(*) AS n FROM audit_log WHERE action = 'user.deletion_cancelled' AND target = $2", off),
        ("SELECT count(*) AS n FROM mail_links WHERE user_id = $1 AND deletion_id IS NOT NULL", 1 - off),
        ("SELECT count(*) AS n FROM outbox WHERE user_id = $1 AND kind = 'mail'", 1 + off),
    ];
    for (sql, n) in counted {
        assert_eq!(scene.count(sql, user).await, n, "{sql}, killed at {at}");
    }
    off == 1
}

async fn is_whole(scene: &Scene) {
    let verdict = verify(&scene.app.app.db, scene.shop.project).await.unwrap();
    assert!(matches!(verdict, Verdict::Whole { .. }));
}

/// Somebody whose deletion waits for its day.
async fn scheduled(scene: &Scene, n: u32) -> (UserId, DeletionId) {
    let (user, name) = scene.person(n).await;
    let (ctx, actor) = (scene.app.ctx(&scene.shop).await, &Actor::command_line());
    let asked = delete_user::request(&ctx, actor, user, REASON, Notify::default()).await.unwrap();
    delete_user::confirm(&ctx, actor, asked.deletion_id, Some(&name)).await.unwrap();
    assert!(scene.is_scheduled(user, n).await);
    (user, asked.deletion_id)
}

async fn with_a_window(engine: Engine) -> Scene {
    let scene = Scene::new(engine).await;
    let admin = Deleting::new(&scene.app, &scene.shop).await;
    admin.settings(json!({"deletion_restore_days": 1, "deletion_mass_threshold": 1000})).await;
    scene
}

async fn a_request_is_killed(engine: Engine) {
    let scene = Scene::new(engine).await;
    let (mut n, mut killed) = (0, true);
    while killed {
        n += 1;
        let (user, _) = scene.person(n).await;
        killed = kill(&scene.order(Act::Request(user), n));
        let was_done = is_asked_for(&scene, user, n).await;
        // Whoever asked gets no answer, and asks again.
        let (ctx, actor) = (scene.app.ctx(&scene.shop).await, &Actor::command_line());
        let again = delete_user::request(&ctx, actor, user, REASON, Notify::default()).await;
        assert_eq!(again.is_err(), was_done, "killed at {n}");
        assert!(is_asked_for(&scene, user, n).await);
        is_whole(&scene).await;
    }
    assert!(n > 8, "{n} statements");
}

async fn a_cancellation_is_killed(engine: Engine) {
    let scene = with_a_window(engine).await;
    let (mut n, mut killed) = (0, true);
    while killed {
        n += 1;
        let (user, deletion) = scheduled(&scene, n).await;
        killed = kill(&scene.order(Act::Cancel(deletion), n));
        if !is_called_off(&scene, user, n).await {
            let ctx = scene.app.ctx(&scene.shop).await;
            delete_user::cancel(&ctx, &Actor::command_line(), deletion).await.unwrap();
        }
        assert!(is_called_off(&scene, user, n).await);
        is_whole(&scene).await;
    }
    assert!(n > 8, "{n} statements");
}

/// The path of the link that waits for the person.
async fn link_path(scene: &Scene, user: UserId) -> String {
    #[derive(FromRow)]
    struct Waiting {
        id: OutboxId,
        sealed_body: Vec<u8>,
    }
    let read = |conn: Conn| async move {
        tessera::fetch_one!(&conn, Waiting, "SELECT id, sealed_body FROM outbox WHERE user_id = $1", user)
    };
    let app = &scene.app.app;
    let Waiting { id, sealed_body } = app.db.read(read).await.unwrap();
    let letter = open_caught(app, scene.shop.project, id, &sealed_body).unwrap().to_string();
    let start = letter.find("/projects/shop/link/").unwrap();
    letter[start..].split('"').next().unwrap().to_owned()
}

async fn an_objection_is_killed(engine: Engine) {
    let scene = with_a_window(engine).await;
    let (mut n, mut killed) = (0, true);
    while killed {
        n += 1;
        let (user, _) = scheduled(&scene, n).await;
        let path = link_path(&scene, user).await;
        killed = kill(&scene.order(Act::Object(path.clone()), n));
        if !is_called_off(&scene, user, n).await {
            // The person sees no page, and follows the link again.
            let link = format!("{}{path}", scene.app.base);
            assert_eq!(scene.app.follow_link(&link, &[]).await.status, 200, "killed at {n}");
        }
        assert!(is_called_off(&scene, user, n).await);
        is_whole(&scene).await;
    }
    assert!(n > 10, "{n} statements");
}
