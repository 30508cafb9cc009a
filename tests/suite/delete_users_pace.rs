//! A deletion of many takes its time, and leaves it to whoever signs in.

use std::time::{Duration, Instant};

use tessera::jobs::run_due;

use crate::support::{Engine, Many, TestApp, both_engines, number};

both_engines!(so_many_a_second_and_no_more);

async fn so_many_a_second_and_no_more(engine: Engine) {
    let app = TestApp::changed(engine, |app| app.deletions_per_second = 10).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let names: Vec<String> = (0..10).map(|n| format!("user-{n}")).collect();
    let users = many.people(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    many.confirmed(&many.ask(&users).await.body).await;
    let working = app.app.clone();
    let work = tokio::spawn(async move {
        let begun = Instant::now();
        run_due(&working).await.unwrap();
        begun.elapsed()
    });
    let mut signed_in = 0;
    while !work.is_finished() {
        app.sign_in(&shop).await;
        signed_in += 1;
    }
    let took = work.await.unwrap();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM users WHERE status = 'deleted'").await, 10);
    assert!(took >= Duration::from_millis(900), "ten users, ten a second: {took:?}");
    assert!(signed_in > 1, "{signed_in} sign-ins");
}
