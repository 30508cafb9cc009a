//! The grouped read: everybody gets an answer, the own one, and never an older one than the question.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tessera::ids::{FamilyId, ProjectId, UserId};
use tessera::projects;
use tessera::store::db::execute;
use tessera::store::liveness::{MOST_QUESTIONS, Question, read, read_many};
use uuid::Uuid;

use crate::support::{Engine, Shop, TestApp, both_engines};

both_engines!(many_are_answered_as_one_is, those_who_wait_share_a_statement, who_hangs_up_holds_up_nobody);

/// The session of a token, and whose it is.
async fn question(app: &TestApp, shop: &Shop) -> (ProjectId, Question) {
    let tokens = app.sign_in(shop).await;
    let claims = app.verify(shop, tokens.get("access_token")).await["claims"].clone();
    let text = |name: &str| claims[name].as_str().unwrap().to_owned();
    let question = Question {
        family: text("sid").parse().ok(),
        user: text("sub").parse().ok(),
        jti: Some(text("jti")),
        actor: shop.id.parse().ok(),
        caller: shop.id.parse().ok(),
        admin_key: None,
        via: Vec::new(),
    };
    (shop.project, question)
}

async fn many_are_answered_as_one_is(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (own, foreign) = (question(&app, &shop).await, question(&app, &other).await);
    let key = projects::create_admin_key(&app.app, Some(shop.project), "test", "auditor").await.unwrap().1;
    let by_key = Question { admin_key: Some(key.sha256()), ..Question::default() };
    let revoked = own.1.jti.clone().unwrap();
    let (revoked, now) = (revoked.as_str(), app.app.clock.now());
    let revoke = app.app.db.write(|conn| async move {
        let sql = "INSERT INTO revoked_tokens (project_id, jti, expires_at) VALUES ($1, $2, $3)";
        execute!(conn, sql, shop.project, revoked, now)
    });
    revoke.await.unwrap();
    let nobody = ProjectId(Uuid::from_u128(7));
    let kinds = [
        own.clone(),
        foreign.clone(),
        // Another project's ids, whoever asks.
        (shop.project, foreign.1.clone()),
        (nobody, own.1.clone()),
        (shop.project, Question::default()),
        (shop.project, by_key.clone()),
        (other.project, by_key),
        (shop.project, Question { family: Some(FamilyId(Uuid::from_u128(1))), ..own.1.clone() }),
        (shop.project, Question { user: Some(UserId(Uuid::from_u128(2))), ..Question::default() }),
    ];
    for count in 1..=MOST_QUESTIONS {
        let asked: Vec<_> = kinds.iter().cycle().skip(count).take(count).cloned().collect();
        let asked = asked.as_slice();
        let many = app.app.db.read(|conn| async move { read_many(&conn, asked).await }).await.unwrap();
        assert_eq!(many.len(), count);
        for ((project, question), many) in asked.iter().zip(many) {
            let one = app.app.db.read(|conn| async move { read(&conn, *project, question).await });
            assert_eq!(format!("{many:?}"), format!("{:?}", one.await.unwrap()), "{question:?}");
        }
    }
}

async fn those_who_wait_share_a_statement(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (project, question) = question(&app, &shop).await;
    let before = app.app.db.statements().reads;
    let asks = (0..200).map(|number| {
        // Every tenth asks about the session that is there.
        let family = if number % 10 == 0 { question.family } else { Some(FamilyId(Uuid::from_u128(number))) };
        app.app.standings.ask(project, Question { family, ..question.clone() })
    });
    for (number, standing) in join_all(asks).await.into_iter().enumerate() {
        assert_eq!(standing.unwrap().unwrap().family.is_some(), number % 10 == 0, "{number}");
    }
    let reads = app.app.db.statements().reads - before;
    assert!((6..=20).contains(&reads), "{reads} statements for 181 questions");
    // One question of many is asked once; every one of them is answered.
    let before = app.app.db.statements().reads;
    let asks = (0..200).map(|_| app.app.standings.ask(project, question.clone()));
    let answers = join_all(asks).await;
    assert!(answers.into_iter().all(|standing| standing.unwrap().unwrap().family.is_some()));
    let reads = app.app.db.statements().reads - before;
    assert!((1..=12).contains(&reads), "{reads} statements for one question");
    // What was acknowledged before the question is in the answer.
    for _ in 0..20 {
        let tokens = app.sign_in(&shop).await;
        let noise = (0..40).map(|_| app.app.standings.ask(project, question.clone()));
        let signed_out = async {
            app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
            app.verify(&shop, tokens.get("access_token")).await
        };
        let (_, verdict) = tokio::join!(join_all(noise), signed_out);
        assert_eq!(verdict["reason"], "signed_out");
    }
}

async fn who_hangs_up_holds_up_nobody(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (project, question) = question(&app, &shop).await;
    for _ in 0..50 {
        let gone = tokio::time::timeout(Duration::ZERO, app.app.standings.ask(project, question.clone()));
        let _ = gone.await;
        assert!(app.app.standings.ask(project, question.clone()).await.unwrap().is_some());
    }
}
