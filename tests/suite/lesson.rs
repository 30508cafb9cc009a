//! The lesson of docs/deletion.md, pasted as it is printed there.

use serde_json::{Value, json};

use crate::dev::{Dev, data, paste};

/// The lines of the lesson's blocks.
fn lines() -> String {
    let guide = include_str!("../../docs/deletion.md");
    let lesson = guide.split("## A lesson in ten steps").nth(1).unwrap();
    let blocks = lesson.split("```sh").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.flat_map(str::lines).map(str::trim_start).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ten_steps_work_as_printed() {
    let parent = data();
    let _dev = Dev::start(&parent.path().join(".tessera"), &[]);
    let script = format!("cd '{}'\n{}", parent.path().display(), lines());
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
