//! A password waits in the queue of one node while the other one ends everything of its person: the sign-in that comes out
//! of the queue is worth nothing.

use serde_json::json;
use tessera::identity::passwords::Hasher;
use tessera::store::db::{execute, fetch_one};

use crate::support::{
    End, Engine, PASSWORD, Seen, Shop, TestApp, both_engines, hold_queue, location_of, parameter,
    until_somebody_waits,
};

both_engines!(to_be_checked, to_be_hashed_anew, for_an_address_that_goes);

const WRONG: &str = "That user name and password do not match.";

/// A node with one worker. `memory_kib`: other costs than those of the stored hash, so that it is made anew.
async fn slow_node(app: &TestApp, memory_kib: u32) -> TestApp {
    app.second_node_changed(|app| app.hasher = Hasher::new(&app.entropy, memory_kib, 1, 1, 64).unwrap()).await
}

/// A node that ends, and another one where alice signs in.
async fn nodes(engine: Engine, memory_kib: u32) -> (TestApp, TestApp, Shop, String) {
    let app = TestApp::new(engine).await;
    let node = slow_node(&app, memory_kib).await;
    let (shop, key) = (app.shop("shop", "confidential").await, app.key(None, "owner").await);
    (app, node, shop, key)
}

async fn to_be_checked(engine: Engine) {
    for end in End::ALL {
        let (app, node, shop, key) = nodes(engine, 8).await;
        let (cookie, sealed) = node.sign_in_page(&shop, "").await;
        let go = hold_queue(&node.app.hasher, 1).await;
        let ending = async {
            // The proof has been read when its password waits.
            until_somebody_waits(&node.app.hasher).await;
            end.carry_out(&app, &shop, &key, None, 1).await;
            drop(go);
        };
        let (answer, ()) = tokio::join!(node.submit(&shop, &cookie, &sealed, PASSWORD), ending);
        Seen::of(answer).await.asks_again(400, WRONG);
        came_to_nothing(&app, &node, &shop, &key, end).await;
    }
}

/// The password was right, and waits again to be hashed with today's costs.
async fn to_be_hashed_anew(engine: Engine) {
    for end in End::ALL {
        let (app, node, shop, key) = nodes(engine, 16).await;
        let (cookie, sealed) = node.sign_in_page(&shop, "").await;
        let first = hold_queue(&node.app.hasher, 1).await;
        let ending = async {
            until_somebody_waits(&node.app.hasher).await;
            let hasher = node.app.hasher.clone();
            let second = tokio::spawn(async move { hold_queue(&hasher, 1).await });
            while node.app.hasher.waiting() < 2 {
                tokio::task::yield_now().await;
            }
            drop(first);
            // Its turn came after the check.
            let second = second.await.unwrap();
            until_somebody_waits(&node.app.hasher).await;
            end.carry_out(&app, &shop, &key, None, 1).await;
            drop(second);
        };
        let (answer, ()) = tokio::join!(node.submit(&shop, &cookie, &sealed, PASSWORD), ending);
        Seen::of(answer).await.asks_again(400, WRONG);
        came_to_nothing(&app, &node, &shop, &key, end).await;
    }
}

async fn came_to_nothing(app: &TestApp, node: &TestApp, shop: &Shop, key: &str, end: End) {
    for sql in ["SELECT count(*) FROM browser_sessions", "SELECT count(*) FROM authorization_codes"] {
        let count = app.app.db.read(|conn| async move { fetch_one!(conn, (i64,), sql) }).await.unwrap();
        assert_eq!(count, (0,), "{end:?}: {sql}");
    }
    // Whoever may sign in afterwards does, with the password of today.
    let tried = async |password: &str| {
        let (cookie, sealed) = node.sign_in_page(shop, "").await;
        let answer = node.submit(shop, &cookie, &sealed, password).await;
        (answer.status() == 303).then(|| parameter(&location_of(&answer), "code").unwrap())
    };
    if end == End::Disable {
        assert_eq!(tried(PASSWORD).await, None);
        End::enable(app, shop, key).await;
    }
    let now = end.password_after(PASSWORD, 1);
    let code = tried(&now).await;
    assert_eq!(code.is_some(), end != End::Delete, "{end:?}");
    if let Some(code) = code {
        app.exchange(shop, &code).await.ok();
    }
    if end == End::Reset {
        assert_eq!(tried(PASSWORD).await, None, "the password from before the reset");
    }
    if end == End::Delete {
        let kept =
            app.app.db.write(|conn| async move { execute!(conn, "UPDATE credentials SET secret = secret") });
        assert_eq!(kept.await.unwrap(), 0, "no hash came back");
    }
}

/// A redirect URI that is taken away while the password waits gets no code.
async fn for_an_address_that_goes(engine: Engine) {
    let (app, node, shop, key) = nodes(engine, 8).await;
    let (cookie, sealed) = node.sign_in_page(&shop, "").await;
    let go = hold_queue(&node.app.hasher, 1).await;
    let changing = async {
        until_somebody_waits(&node.app.hasher).await;
        let uris = json!({"redirect_uris": ["http://localhost:9/elsewhere"]});
        app.admin_patch(&key, &format!("/projects/shop/clients/{}", shop.id), uris).await.ok();
        drop(go);
    };
    let (answer, ()) = tokio::join!(node.submit(&shop, &cookie, &sealed, PASSWORD), changing);
    let why = "The application asked to return to an address that is not registered.";
    Seen::of(answer).await.refused(400, why);
}
