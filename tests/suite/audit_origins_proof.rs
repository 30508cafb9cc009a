//! The chain covers a commitment to where an act came from: what is changed of it is found, in the store and in an export, and
//! entries from before there was one are proven as ever.

use std::io::Cursor;

use serde_json::{Value, json};
use tessera::audit::{self, Demands, Verdict, verify, verify_export};
use tessera::ids::ProjectId;
use tessera::model::timestamp::Timestamp;
use tessera::secret::{decode_base64url, encode_base64url, sha256};

use crate::support::{Deleting, Engine, Hall, Shop, TestApp, both_engines, number, run};

both_engines!(
    what_is_changed_in_the_store_is_found,
    what_is_a_persons_goes_with_the_person,
    what_is_changed_in_an_export_is_found,
    erased_in_batches
);

/// A shop with entries of both kinds: the first ones of the command line, the last three of admins.
async fn shop(app: &TestApp) -> (Shop, i64) {
    let shop = app.shop("shop", "confidential").await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    for name in ["One", "Two", "Three"] {
        app.admin_patch(&admin, "/projects/shop", json!({"name": name})).await.ok();
    }
    match verify(&app.app.db, shop.project).await.unwrap() {
        Verdict::Whole { events } => (shop, events),
        broken @ Verdict::Broken { .. } => panic!("{broken:?}"),
    }
}

async fn what_is_changed_in_the_store_is_found(engine: Engine) {
    const FITS: &str = "its content does not fit its hash";
    const SEALS: &str = "what it seals does not fit its commitment";
    for n in 0..9 {
        let app = TestApp::new(engine).await;
        let (shop, events) = shop(&app).await;
        let (here, none) = (events - 1, 2);
        let anothers = |column: &str| {
            let own = "a.project_id = audit_log.project_id";
            format!("(SELECT a.{column} FROM audit_log a WHERE {own} AND a.seq = {events})")
        };
        let both =
            format!("origin = {}, origin_commitment = {}", anothers("origin"), anothers("origin_commitment"));
        let (change, seq, why) = [
            // Replaced: by something, by another entry's.
            ("origin = hash".to_owned(), here, SEALS),
            (format!("origin = {}", anothers("origin")), here, SEALS),
            ("origin_commitment = hash".into(), here, FITS),
            (both, here, FITS),
            // Taken away, alone and with what it is about.
            ("origin_commitment = NULL".into(), here, FITS),
            ("origin_commitment = NULL, origin = NULL".into(), here, FITS),
            // Put where there was none.
            ("origin = hash".into(), none, SEALS),
            ("origin_commitment = hash".into(), none, FITS),
            ("origin_commitment = substr(hash, 1, 0)".into(), none, FITS),
        ][n]
            .clone();
        let edit: &'static str = format!("UPDATE audit_log SET {change} WHERE seq = {seq}").leak();
        assert!(run(&app.app.db, edit).await >= 1, "{edit}");
        let verdict = verify(&app.app.db, shop.project).await.unwrap();
        assert_eq!(verdict, Verdict::Broken { seq, why }, "{edit}");
    }
    // Emptied of what is somebody's it is whole: so is what was erased. What is of a program nothing erases.
    let app = TestApp::new(engine).await;
    let (shop, events) = shop(&app).await;
    let first = "SELECT min(seq) AS n FROM audit_log WHERE actor_kind = 'admin_key'";
    let seq = number(&app.app.db, first).await;
    run(&app.app.db, "UPDATE audit_log SET origin = NULL WHERE actor_kind <> 'admin_key'").await;
    assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { events });
    run(&app.app.db, "UPDATE audit_log SET origin = NULL").await;
    let why = "from where it came has been taken away";
    assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Broken { seq, why });
}

/// Emptied entries look as an erasure leaves them; but an erasure is told of.
async fn what_is_a_persons_goes_with_the_person(engine: Engine) {
    const AWAY: &str = "what it seals has been taken away, and nobody was deleted";
    for edit in [
        "UPDATE audit_log SET origin = NULL WHERE action = 'user.signed_out'",
        "UPDATE audit_log SET sealed = NULL WHERE action = 'user.signed_out'",
        "UPDATE audit_log SET sealed = NULL, user_id = NULL, origin = NULL, origin_project = NULL, origin_user = NULL
         WHERE action = 'user.signed_out'",
    ] {
        let app = TestApp::new(engine).await;
        let shop = app.shop("shop", "confidential").await;
        let tokens = app.sign_in(&shop).await;
        app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
        let seq =
            number(&app.app.db, "SELECT seq AS n FROM audit_log WHERE action = 'user.signed_out'").await;
        assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
        assert_eq!(run(&app.app.db, edit).await, 1);
        let found = verify(&app.app.db, shop.project).await.unwrap();
        assert_eq!(found, Verdict::Broken { seq, why: AWAY }, "{edit}");
        // The same is right once she is deleted.
        Deleting::new(&app, &shop).await.delete().await;
        let found = verify(&app.app.db, shop.project).await.unwrap();
        assert!(matches!(found, Verdict::Whole { .. }), "{found:?}");
    }
}

fn judge(lines: &[String]) -> Verdict {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    verify_export(Cursor::new(text), None, &Demands::default()).unwrap().verdict
}

/// As docs/audit.md says that another tool does it.
fn hash_of(line: &Value) -> String {
    let text = |name: &str| line[name].as_str().unwrap().as_bytes().to_vec();
    let bytes = |name: &str| decode_base64url(line[name].as_str().unwrap()).unwrap();
    let project: ProjectId = line["project"].as_str().unwrap().parse().unwrap();
    let at: Timestamp = serde_json::from_value(line["at"].clone()).unwrap();
    let mut fields = vec![
        project.0.as_bytes().to_vec(),
        line["seq"].as_i64().unwrap().to_be_bytes().to_vec(),
        at.micros().to_be_bytes().to_vec(),
    ];
    fields.extend(["actor", "actor_kind", "action", "target", "reason", "detail", "request_id"].map(text));
    fields.extend(["commitment", "prev_hash"].map(bytes));
    let mut input = vec![1];
    if line.get("origin_commitment").is_some() {
        input = vec![2];
        fields.push(bytes("origin_commitment"));
    }
    for field in fields {
        input.extend((field.len() as u64).to_be_bytes());
        input.extend(field);
    }
    encode_base64url(&sha256(&input))
}

async fn what_is_changed_in_an_export_is_found(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, events) = shop(&app).await;
    let text = audit::export(&app.app.db, shop.project, 0, 500).await.unwrap().text;
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(judge(&lines), Verdict::Whole { events });
    let parsed: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &parsed {
        assert_eq!(line["hash"], hash_of(line), "{line}");
    }
    let of =
        |has: bool| parsed.iter().filter(move |line| line.get("origin_commitment").is_some() == has).count();
    assert!(of(true) == 3 && of(false) > 3);
    let place = lines.len() - 2;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut lines = lines.clone();
        let mut line = parsed[place].clone();
        change(&mut line);
        lines[place] = line.to_string();
        judge(&lines)
    };
    let broken = |why| Verdict::Broken { seq: events - 1, why };
    let fits = "its content does not fit its hash";
    let other = &parsed[place + 1]["origin_commitment"];
    assert_eq!(with(&|line| line["origin_commitment"] = other.clone()), broken(fits));
    assert_eq!(with(&|line| line["origin_commitment"] = json!("")), broken(fits));
    assert_eq!(with(&|line| line["origin_commitment"] = Value::Null), broken(fits));
    assert_eq!(with(&|line| drop(line.as_object_mut().unwrap().remove("origin_commitment"))), broken(fits));
    let unread = broken("the line cannot be read");
    assert_eq!(with(&|line| line["origin_commitment"] = json!("no base64 …")), unread);
    assert_eq!(with(&|line| line["origin"] = json!("198.51.100.7")), unread);
    // Into an entry that had none.
    let mut lines = lines.clone();
    let mut first = parsed[0].clone();
    first["origin_commitment"] = other.clone();
    lines[0] = first.to_string();
    assert_eq!(judge(&lines), Verdict::Broken { seq: 1, why: fits });
}

async fn erased_in_batches(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, _) = shop(&app).await;
    let hall = Hall::new(&app).await;
    let (ben, token) = hall.admin("ben", "admin", Some(shop.project)).await;
    let (_, colleague) = hall.admin("ann", "admin", Some(shop.project)).await;
    for name in ["Four", "Five", "Six"] {
        for (who, token) in [("Ben's", &token), ("Ann's", &colleague)] {
            app.admin_patch(token, "/projects/shop", json!({"name": format!("{who} {name}")})).await.ok();
        }
    }
    let home = hall.console.project;
    for expected in [2, 1, 0] {
        let erase = |conn| async move { audit::erase(&conn, home, ben, 2).await };
        assert_eq!(app.app.db.unit(erase).await.unwrap(), expected);
    }
    let left = "SELECT count(*) AS n FROM audit_log WHERE origin_user IS NOT NULL AND origin IS NOT NULL";
    assert_eq!(crate::support::number(&app.app.db, left).await, 3, "the colleague's");
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}
