//! docs/deletion.md, the guide and the lesson: every block and every command line of it, pasted as it is printed there.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tessera::model::timestamp::Timestamp;
use tessera::store::db::{Conn, Db, Settings};

use crate::dev::{Dev, data, paste, place};
use crate::support::oauth::claims_of;
use crate::support::{Database, Engine, both_engines};

both_engines!(every_line_works_as_printed);

/// A piece of the guide that somebody can paste.
struct Block {
    heading: String,
    /// `sh`, `json`, `python`; `lines` for what is only indented; `line` for a command within a sentence.
    kind: String,
    text: String,
    taken: bool,
}

/// All of them, in their order.
struct Guide(Vec<Block>);

impl Guide {
    fn read() -> Self {
        let (mut blocks, mut heading, mut open) = (Vec::<Block>::new(), String::new(), None::<String>);
        let mut was_indented = false;
        for line in include_str!("../../docs/deletion.md").lines() {
            let add = |blocks: &mut Vec<Block>, kind: &str, text: &str| {
                let (kind, text) = (kind.to_owned(), text.to_owned());
                blocks.push(Block { heading: heading.clone(), kind, text, taken: false });
            };
            let indented =
                open.is_none() && line.starts_with("    ") && !line.trim_start().starts_with("```");
            if let Some(language) = line.trim_start().strip_prefix("```") {
                open = match open {
                    Some(_) => None,
                    None => Some(language.to_owned()),
                };
                if let Some(language) = &open {
                    add(&mut blocks, language, "");
                }
            } else if open.is_some() || (indented && was_indented) {
                let text = &mut blocks.last_mut().unwrap().text;
                *text += &format!("{}\n", line.trim_start());
            } else if indented {
                add(&mut blocks, "lines", &format!("{}\n", line.trim_start()));
            } else if let Some(name) = line.strip_prefix("## ") {
                heading = name.to_owned();
            } else {
                // The name of a command alone is no line to paste.
                let spans = line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("tessera "));
                for span in spans.filter(|span| span.contains(" --")) {
                    add(&mut blocks, "line", span);
                }
            }
            was_indented = indented;
        }
        Self(blocks)
    }

    /// The blocks of a kind under a heading, which are run now.
    fn take(&mut self, heading: &str, kind: &str) -> Vec<String> {
        let wanted = self.0.iter_mut().filter(|block| block.heading == heading && block.kind == kind);
        wanted
            .map(|block| {
                block.taken = true;
                block.text.clone()
            })
            .collect()
    }

    /// A block that is added to the guide is added here.
    fn check_all_taken(&self) {
        let forgotten: Vec<_> = self.0.iter().filter(|block| !block.taken).map(|block| &block.text).collect();
        assert_eq!((forgotten, self.0.len()), (Vec::<&String>::new(), 25));
    }
}

/// Somebody with a terminal beside a running `dev`.
struct Reader {
    guide: Guide,
    parent: TempDir,
    dev: Dev,
    db: Db,
}

impl Reader {
    async fn new(engine: Engine) -> (Self, Database) {
        let (parent, database) = (data(), Database::new(engine).await);
        let directory = parent.path().join(".tessera");
        let dev = Dev::start(&directory, &place(&database));
        let said: Value = serde_json::from_str(&file(&directory, "dev.json")).unwrap();
        let db = Db::connect(&Settings::new(said["database_url"].as_str().unwrap())).await.unwrap();
        (Self { guide: Guide::read(), parent, dev, db }, database)
    }

    /// The lines with what a reader has in hand: the directory, and the program by its name.
    fn script(&self, lines: &str) -> String {
        let (parent, program) = (self.parent.path().display(), env!("CARGO_BIN_EXE_tessera"));
        format!("cd '{parent}'\ntessera() {{ '{program}' \"$@\"; }}\n{lines}")
    }

    fn paste(&self, lines: &str) -> Vec<Value> {
        paste(&self.script(lines))
    }

    fn file(&self, name: &str) -> String {
        file(self.parent.path(), name)
    }
}

fn file(directory: &Path, name: &str) -> String {
    std::fs::read_to_string(directory.join(name)).unwrap()
}

/// Of each answer what a pointer leads to, or all of it.
fn shown(answers: &[Value], pointers: &[&str]) -> Value {
    assert_eq!(answers.len(), pointers.len(), "{answers:#?}");
    let all = pointers.iter().zip(answers);
    all.map(|(pointer, answer)| answer.pointer(pointer).cloned().unwrap_or_else(|| answer.clone())).collect()
}

async fn every_line_works_as_printed(engine: Engine) {
    let (mut reader, _database) = Reader::new(engine).await;
    the_ten_steps(&mut reader);
    the_lines(&mut reader);
    the_record(&mut reader);
    many_at_once(&mut reader).await;
    reader.guide.check_all_taken();
}

fn the_ten_steps(reader: &mut Reader) {
    let steps = reader.guide.take("A lesson in ten steps", "sh");
    assert_eq!(steps.len(), 10);
    let answers = reader.paste(&steps.concat());
    let pointers = [
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
    ];
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
    assert_eq!(shown(&answers, &pointers), expected, "{answers:#?}");
}

fn the_lines(reader: &mut Reader) {
    let lines = reader.guide.take("The lines", "sh").concat();
    let answers = reader.paste(&lines);
    let pointers = [
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
    ];
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
    assert_eq!(shown(&answers, &pointers), expected, "{answers:#?}");
    let export: Value = serde_json::from_str(&reader.file("paula.json")).unwrap();
    assert_eq!(export["user"]["email"], "paula@example.com");
    // The same keys check the export.
    assert_eq!(claims_of(reader.file("paula.jwt").trim())["data"]["user"], export["user"]);
}

/// The record that the lines have left, as it is shown and as it is checked.
fn the_record(reader: &mut Reader) {
    let lines = reader.guide.take("The erasure record", "lines").concat();
    std::fs::remove_file(reader.parent.path().join("jwks.json")).unwrap();
    let lines =
        lines.replace("https://id.example/projects/shop", &format!("{}/projects/guide", reader.dev.base()));
    let output = Command::new("bash").args(["-euc", &reader.script(&lines)]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let export: Value = serde_json::from_str(&reader.file("paula.json")).unwrap();
    let first = format!("{} was erased at ", export["name_in_log"].as_str().unwrap());
    assert!(output.status.success() && said.starts_with(&first), "{said}");

    let printed: Value =
        serde_json::from_str(&reader.guide.take("The erasure record", "json").concat()).unwrap();
    let mut record = claims_of(reader.file("erasure.jwt").trim());
    // Of somebody whom nobody told, and of whom that has a reason.
    record.as_object_mut().unwrap().remove("notify_reason");
    for place in ["", "/impact", "/event"] {
        let names = |of: &Value| {
            let members = of.pointer(place).unwrap().as_object().unwrap();
            let mut names: Vec<String> = members.keys().cloned().collect();
            names.sort_unstable();
            names
        };
        assert_eq!(names(&printed), names(&record), "{place}");
    }
    // scripts/check-clients runs it, with the library.
    assert!(reader.guide.take("The erasure record", "python")[0].starts_with("import jwt\n"));
}

async fn many_at_once(reader: &mut Reader) {
    prepare(reader).await;
    // The terminal of the guide, and another admin.
    let setting = "field() { sed -n 's/.*\"'$1'\": *\"\\([^\"]*\\)\".*/\\1/p' | head -1; }
        BASE_URL=$(field base_url < .tessera/dev.json) ADMIN_KEY=$(field admin_key < .tessera/dev.json)
        OTHER_ADMIN_KEY=$(tessera admin-key create --data .tessera --json --name other --role admin --project shop | sed 's/.*\"key\":\"\\([^\"]*\\)\".*/\\1/')\n";
    let id = "sed 's/.*\"confirmation_id\":\"\\([^\"]*\\)\".*/\\1/'";
    let blocks = reader.guide.take("Many at once", "sh");
    assert_eq!(blocks.len(), 2);
    let script = format!("{setting}{}CONFIRMATION_ID=$(echo \"$ASKED\" | {id})\n{}", blocks[0], blocks[1]);
    let answers = reader.paste(&script);
    let pointers = ["/impact/users", "/state"];
    assert_eq!(shown(&answers, &pointers), json!([17, "running"]), "{answers:#?}");

    let lines = reader.guide.take("Many at once", "line");
    assert_eq!(lines.len(), 2, "{lines:?}");
    // One that waits is called off by the first of them; the second deletes a list.
    let again = "ASKED=$(curl -s \"$BASE_URL/projects/shop/api/delete-users\" -H \"Authorization: Bearer $ADMIN_KEY\" \
        -H 'Content-Type: application/json' -d '{\"filter\": {\"username_prefix\": \"gone\"}, \"reason\": \"left the company\"}')
        ID=$(echo \"$ASKED\" | sed 's/.*\"deletion_id\":\"\\([^\"]*\\)\".*/\\1/')\n";
    let stop = format!("{} --data .tessera --json", lines[0].replace(" ID", " \"$ID\""));
    assert!(stop.starts_with("tessera delete-users --project shop --cancel "), "{stop}");
    let answers = reader.paste(&format!("{setting}{again}{stop}"));
    assert_eq!(shown(&answers, &["/state"]), json!(["cancelled"]));
    the_list(reader, setting, &lines[1]);
}

/// The last line waits for another admin, whom it names the confirmation.
fn the_list(reader: &Reader, setting: &str, line: &str) {
    let names = ["gone-1", "gone-2"].join("\n");
    std::fs::write(reader.parent.path().join("gone.txt"), names).unwrap();
    let line = format!("{line} --data .tessera --json");
    let mut waiting = Command::new("bash");
    waiting.args(["-euc", &reader.script(&line)]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut waiting = waiting.spawn().unwrap();
    let mut said = BufReader::new(waiting.stderr.take().unwrap()).lines().map_while(Result::ok);
    let asked = said.find(|line| line.contains("/confirmations/")).unwrap();
    let id = asked.rsplit('/').next().unwrap();
    let confirm = format!(
        "curl -s \"$BASE_URL/admin/projects/shop/confirmations/{id}\" -H \"Authorization: Bearer $ADMIN_KEY\" \
         -H 'Content-Type: application/json' -d '{{}}'"
    );
    let answers = reader.paste(&format!("{setting}{confirm}"));
    assert_eq!(shown(&answers, &["/state"]), json!(["running"]));
    std::thread::spawn(move || said.for_each(drop));
    let output = waiting.wait_with_output().unwrap();
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success());
    assert_eq!((&done["state"], &done["outcomes"]), (&json!("done"), &json!({"executed": 2})), "{done}");
}

/// A project with seventeen people who have not been there for years, and two who are gone.
async fn prepare(reader: &Reader) {
    let setting = "field() { sed -n 's/.*\"'$1'\": *\"\\([^\"]*\\)\".*/\\1/p' | head -1; }
        BASE_URL=$(field base_url < .tessera/dev.json) ADMIN_KEY=$(field admin_key < .tessera/dev.json)
        make() { curl -sf \"$BASE_URL/admin/projects$1\" -H \"Authorization: Bearer $ADMIN_KEY\" \
          -H 'Content-Type: application/json' -d \"$2\" > made.json; }\n";
    let make = |names: Vec<String>| {
        let users = names.iter().map(|name| format!("make /shop/users '{{\"username\": \"{name}\"}}'\n"));
        users.collect::<String>()
    };
    let old = make((0..17).map(|n| format!("old-{n}")).collect());
    let script = format!("{setting}make '' '{{\"slug\": \"shop\"}}'\n{old}");
    assert_eq!(reader.paste(&script), [Value::Null; 0]);
    let years_ago = Timestamp::from_unix(1_577_836_800);
    let age = |conn: Conn| async move {
        let sql = "UPDATE users SET created_at = $1 WHERE project_id = (SELECT id FROM projects WHERE slug = 'shop')";
        tessera::execute!(&conn, sql, years_ago)
    };
    assert_eq!(reader.db.write(age).await.unwrap(), 17);
    let gone = make(vec!["gone-1".into(), "gone-2".into()]);
    assert_eq!(reader.paste(&format!("{setting}{gone}")), [Value::Null; 0]);
}
