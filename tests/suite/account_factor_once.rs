//! An enrolment adds one app, however often its form comes: a seed that was kept twice would accept each code twice.

use serde_json::json;

use crate::support::{
    Account, Authenticator, Engine, Seen, TestApp, Visit, between, both_engines, number, sealed_of,
};

both_engines!(of_two_confirmations_one_adds_an_app, of_two_forms_one_adds_an_app);

const APPS: &str = "SELECT count(*) AS n FROM totp_factors";

async fn of_two_confirmations_one_adds_an_app(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.desk(&shop, "owner").await.count_no_factor().await;
    let node = app.second_node().await;
    let tokens = app.sign_in(&shop).await;
    let (alice, there) = (Account::with(&app, &shop, &tokens), Account::with(&node, &shop, &tokens));
    let begun = alice.post("/factors/app", json!({})).await.ok();
    let code = Authenticator::of(begun["key"].as_str().unwrap()).code(&app);
    let body = json!({"enrolment": begun["enrolment"], "code": code, "name": "Phone"});
    let path = "/factors/app/confirm";
    let (one, other) = tokio::join!(alice.post(path, body.clone()), there.post(path, body.clone()));
    let (added, refused) = if one.status == 201 { (one, other) } else { (other, one) };
    let why = "the code is not right, or the enrolment is too old";
    refused.refused_for(403, "confirmation_failed", "code", why);
    let id = added.created()["factor"]["id"].as_str().unwrap().to_owned();
    assert_eq!(number(&app.app.db, APPS).await, 1);
    // Nor does its code bring back an app that was removed.
    alice.delete(&format!("/factors/{id}")).await.ok();
    alice.post(path, body).await.refused_for(403, "confirmation_failed", "code", why);
    assert_eq!(number(&app.app.db, APPS).await, 0);
    let added = app.desk(&shop, "auditor").await.get("/audit?action=factor.added").await.ok();
    assert_eq!(added["items"].as_array().unwrap().len(), 1);
}

async fn of_two_forms_one_adds_an_app(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.desk(&shop, "owner").await.count_no_factor().await;
    let visit = Visit::new(&app, &shop).await;
    let page = visit.open("/factors/app").await.text;
    let code = Authenticator::of(between(&page, r#"<code dir="ltr">"#, "</code>")).code(&app);
    let enrolment = between(&page, r#"name="enrolment" value=""#, "\"");
    let form = [("enrolment", enrolment), ("code", code.as_str()), ("name", "Phone")];
    let sealed = sealed_of(&page);
    let post = async || Seen::of(visit.post("/factors/app", &sealed, &form).await).await;
    let (one, other) = tokio::join!(post(), post());
    let (added, refused) = if one.status == 200 { (one, other) } else { (other, one) };
    assert!(added.status == 200 && added.text.contains("they are not shown again"), "{}", added.text);
    let wrong = "The code is not right. Please enter the one that the app shows now.";
    assert_eq!((refused.status, refused.alert()), (400, wrong));
    assert_eq!(number(&app.app.db, APPS).await, 1);
}
