//! A project's own words in its letters, and what cannot be done with them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Desk, Engine, TestApp, both_engines, link_of};

both_engines!(
    a_project_has_words_of_its_own,
    templates_are_checked,
    previews_show_what_arrives,
    templates_are_the_project_s,
);

async fn put(desk: &Desk<'_>, path: &str, subject: &str, text: &str) -> Answer {
    let body = json!({"subject": subject, "text": text});
    desk.send(Method::PUT, &format!("/mail-templates/{path}"), Some(body), None).await
}

async fn a_project_has_words_of_its_own(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.verify_alice(&shop).await;
    let before = desk.get("/mail-templates/new_password/en").await.ok();
    assert_eq!(
        (&before["own"], &before["placeholders"]),
        (&json!(false), &json!(["project", "username", "link", "minutes"]))
    );
    let text = "Dear {username},\r\n\r\n{link}\n\nYours, {project}";
    let set = put(&desk, "new_password/en", "A way back to {project}", text).await.ok();
    assert_eq!((&set["own"], &set["text"]), (&json!(true), &json!(text.replace('\r', ""))));
    app.forget(&shop, "alice").await;
    let letter = mailbox.one(&app, "alice@example.com").await;
    assert_eq!(letter.subject, "A way back to shop");
    assert!(letter.text.starts_with("Dear alice,\n\n") && letter.text.ends_with("\n\nYours, shop\n"));
    link_of(&app, &letter);
    // In another language it says what it always said.
    desk.patch(&format!("/users/{}", shop.user), json!({"locale": "de"})).await;
    app.forget(&shop, "alice").await;
    assert_eq!(mailbox.one(&app, "alice@example.com").await.subject, "Neues Passwort für shop wählen");
    let listed = desk.get("/mail-templates").await.ok();
    let own: Vec<&Value> =
        listed["items"].as_array().unwrap().iter().filter(|shown| shown["own"] == true).collect();
    assert_eq!((own.len(), &own[0]["kind"], &own[0]["language"]), (1, &json!("new_password"), &json!("en")));
    let removed = desk.delete("/mail-templates/new_password/en").await.ok();
    assert_eq!(removed["subject"], before["subject"]);
    let none = "the project has no words of its own for this letter";
    desk.delete("/mail-templates/new_password/en").await.refused(404, "not_found", none);
    let audit = desk.get("/audit?order=asc").await.ok();
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().filter_map(|event| event["action"].as_str()).collect();
    assert!(actions.contains(&"mail_template.changed") && actions.contains(&"mail_template.removed"));
}

async fn templates_are_checked(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let places = "it knows {project} {username} {link} {minutes}";
    let (long, longer) = ("x".repeat(201), format!("{{link}}{}", "x".repeat(8187)));
    for (subject, text, field, why) in [
        ("Hello", "no link", "text", "text needs the placeholder {link}".to_owned()),
        ("Hello", "{link} {password}", "text", format!("text has no place for {{password}}: {places}")),
        ("Hello", "{link} {}", "text", format!("text has no place for {{}}: {places}")),
        (
            "{link}",
            "{link}",
            "subject",
            "subject has no place for {link}: it knows {project} {username} {minutes}".into(),
        ),
        ("", "{link}", "subject", "subject is one line of 1 to 200 characters".into()),
        (&long, "{link}", "subject", "subject is one line of 1 to 200 characters".into()),
        (
            "Hello\r\nBcc: eve@example.com",
            "{link}",
            "subject",
            "subject is one line of 1 to 200 characters".into(),
        ),
        (
            "Hello",
            "{link}\u{0}",
            "text",
            "text has 1 to 8192 bytes and no control characters but line ends".into(),
        ),
        ("Hello", &longer, "text", "text has 1 to 8192 bytes and no control characters but line ends".into()),
    ] {
        put(&desk, "new_password/en", subject, text).await.refused_for(400, "invalid_request", field, &why);
    }
    for (path, why) in [
        ("nothing/en", "there is no such letter"),
        ("new_password/tlh", "letters are not written in this language"),
        ("new_password/EN", "letters are not written in this language"),
    ] {
        put(&desk, path, "Hello", "{link}").await.refused(404, "not_found", why);
        desk.get(&format!("/mail-templates/{path}")).await.refused(404, "not_found", why);
    }
    let more = json!({"subject": "Hello", "text": "{link}", "html": "<b>{link}</b>"});
    let more = desk.send(Method::PUT, "/mail-templates/new_password/en", Some(more), None).await;
    assert_eq!(more.status, 400);
    assert_eq!(desk.get("/mail-templates/new_password/en").await.ok()["own"], false);
}

async fn previews_show_what_arrives(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let listed = desk.get("/mail-templates").await.ok();
    for shown in listed["items"].as_array().unwrap() {
        let path = format!(
            "/mail-templates/{}/{}/preview",
            shown["kind"].as_str().unwrap(),
            shown["language"].as_str().unwrap()
        );
        let preview = desk.get(&path).await.ok();
        let text = preview["text"].as_str().unwrap();
        assert!(
            !text.contains('{') && preview["html"].as_str().unwrap().starts_with("<!doctype html>"),
            "{text}"
        );
    }
    let text = "<script>alert(1)</script> & {username}\n\n{code}";
    put(&desk, "email_code/en", "<b>", text).await.ok();
    let preview = desk.get("/mail-templates/email_code/en/preview").await.ok();
    let html = preview["html"].as_str().unwrap();
    assert!(!html.contains("<script") && !html.contains("<b>") && html.contains("123456"), "{html}");
}

async fn templates_are_the_project_s(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    app.verify_alice(&shop).await;
    let theirs = app.desk(&other, "admin").await;
    put(&theirs, "new_password/en", "Theirs", "{link}").await.ok();
    app.forget(&shop, "alice").await;
    assert_eq!(mailbox.one(&app, "alice@example.com").await.subject, "Choose a new password for shop");
    assert_eq!(put(&theirs.on(&shop), "new_password/en", "Theirs", "{link}").await.status, 401);
    for role in ["auditor", "user_manager"] {
        let desk = app.desk(&shop, role).await;
        assert_eq!(put(&desk, "new_password/en", "Hello", "{link}").await.status, 403, "{role}");
    }
}
