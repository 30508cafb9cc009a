//! The lines of docs/deletion.md, the guide and the lesson, pasted as they are printed there.

use serde_json::{Value, json};

use crate::dev::{Dev, data, paste};
use crate::support::oauth::claims_of;
use crate::support::process::run;

/// The lines of the blocks under a heading.
fn lines(heading: &str) -> String {
    let guide = include_str!("../../docs/deletion.md");
    let part = guide.split(&format!("\n## {heading}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let blocks = part.split("```sh").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.flat_map(str::lines).map(str::trim_start).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ten_steps_work_as_printed() {
    let parent = data();
    let _dev = Dev::start(&parent.path().join(".tessera"), &[]);
    let script = format!("cd '{}'\n{}", parent.path().display(), lines("A lesson in ten steps"));
    let answers = paste(&script);
    let shown: Vec<Value> = [
        "/kind",
        "/username",
        "/users",
        "/impact/families",
        "/error",
        "/confirmation/method",
        "/error",
        "/state",
        "/state",
        "/state",
        "/deletions_executed",
        "/state",
        "/items/0/content/to",
        "/items/0/action",
        "/users",
    ]
    .iter()
    .zip(&answers)
    .map(|(pointer, answer)| answer.pointer(pointer).cloned().unwrap_or_else(|| answer.clone()))
    .collect();
    let expected = json!([
        "sandbox",
        "paul",
        1,
        0,
        "invalid_request",
        "typed",
        "confirmation_failed",
        "scheduled",
        "cancelled",
        "scheduled",
        1,
        "executed",
        "paul@example.com",
        "user.deleted",
        1
    ]);
    assert_eq!((json!(shown), answers.len()), (expected, 15), "{answers:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_works_as_printed() {
    let parent = data();
    let _dev = Dev::start(&parent.path().join(".tessera"), &[]);
    let script = format!("cd '{}'\n{}", parent.path().display(), lines("The lines"));
    let answers = paste(&script);
    let shown: Vec<Value> = [
        "/kind",
        "/impact/families",
        "/confirmation/method",
        "/state",
        "/state",
        "/state",
        "/reason",
        "/error",
        "/lifted",
        "/slug",
        "/notify",
        "/state",
        "/items/0/detail/notify_reason",
    ]
    .iter()
    .zip(&answers)
    .map(|(pointer, answer)| answer.pointer(pointer).cloned().unwrap_or_else(|| answer.clone()))
    .collect();
    let expected = json!([
        "live",
        0,
        "typed",
        "scheduled",
        "scheduled",
        "cancelled",
        "case 4711 of the court",
        "legal_hold",
        true,
        "guide",
        false,
        "executed",
        "told on the phone, ticket 1234"
    ]);
    assert_eq!((json!(shown), answers.len()), (expected, 13), "{answers:#?}");
    let file = |name: &str| std::fs::read_to_string(parent.path().join(name)).unwrap();
    let export: Value = serde_json::from_str(&file("paula.json")).unwrap();
    assert_eq!(export["user"]["email"], "paula@example.com");
    let path = |name: &str| parent.path().join(name).to_str().unwrap().to_owned();
    let said = run(&["deletion", "verify", &path("erasure.jwt"), "--jwks", &path("jwks.json")], &[], "");
    let first = format!("{} was erased at ", export["name_in_log"].as_str().unwrap());
    assert!(said.code == Some(0) && said.out.starts_with(&first), "{} {}", said.out, said.err);
    // The same keys check the export.
    assert_eq!(claims_of(file("paula.jwt").trim())["data"]["user"], export["user"]);
}
