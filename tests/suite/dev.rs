//! `tessera dev`, as a newcomer meets it: read what it prints, sign in, paste the lines.

use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::{Client as Http, redirect};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::process::{Server, run};
use crate::support::{Database, Engine, both_engines, code_of, cookie_of, sealed_of};

both_engines!(every_printed_line_works, started_again_it_keeps_everything, commands_work_beside_it);

/// A running `dev`, and what its dev.json says.
pub struct Dev {
    server: Server,
    demo: Value,
    http: Http,
}

impl Dev {
    /// On a free port.
    pub fn start(data: &Path, more: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", data, more)
    }

    fn start_at(address: &str, data: &Path, more: &[&str]) -> Self {
        let mut arguments = vec!["dev", "--listen", address, "--data", data.to_str().unwrap()];
        arguments.extend(more);
        let server = Server::start(&arguments, &[]);
        let demo = serde_json::from_slice(&std::fs::read(data.join("dev.json")).unwrap()).unwrap();
        let http = Http::builder().redirect(redirect::Policy::none()).build().unwrap();
        Self { server, demo, http }
    }

    /// Where it is.
    pub fn base(&self) -> String {
        self.demo["base_url"].as_str().unwrap().to_owned()
    }

    /// The links that are printed: for the confidential client, for the public one.
    fn links(&self) -> Vec<String> {
        let links = self
            .server
            .output()
            .iter()
            .filter_map(|line| line.split(' ').find(|word| word.contains("/sign-in?")));
        links.map(str::to_owned).collect()
    }

    /// Signs in at a link, and gives the address of the page that stands in for the application.
    async fn sign_in(&self, link: &str) -> String {
        let page = self.http.get(link).send().await.unwrap();
        let cookie = cookie_of(&page);
        let sealed = sealed_of(&page.text().await.unwrap());
        let form = [
            ("request", sealed.as_str()),
            ("username", self.demo["user"]["username"].as_str().unwrap()),
            ("password", self.demo["user"]["password"].as_str().unwrap()),
        ];
        let url = format!("{}/sign-in", self.demo["issuer"].as_str().unwrap());
        let response = self.http.post(url).header("cookie", cookie).form(&form).send().await.unwrap();
        assert!(code_of(&response).starts_with("tco_"));
        response.headers()["location"].to_str().unwrap().to_owned()
    }

    /// The line that the page shows.
    async fn line_on(&self, page: &str) -> Option<String> {
        let page = self.http.get(page).send().await.unwrap().text().await.unwrap();
        let line = page.split("<code>curl ").nth(1)?.split("</code>").next().unwrap();
        Some(format!("curl {}", line.replace("&#34;", "\"").replace("&#39;", "'").replace("&amp;", "&")))
    }
}

pub fn data() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Where the store lies: in the data directory, or in a database that is named.
pub fn place(database: &Database) -> Vec<&str> {
    if database.url.starts_with("postgres") { vec!["--database-url", &database.url] } else { Vec::new() }
}

/// What each line printed, read as JSON.
pub fn paste(script: &str) -> Vec<Value> {
    let output = Command::new("bash").args(["-euc", script]).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{script}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

async fn every_printed_line_works(engine: Engine) {
    let (data, database) = (data(), Database::new(engine).await);
    let dev = Dev::start(data.path(), &place(&database));
    let links = dev.links();
    // The public client: its page knows the client and the verifier, and a code that is gone gets no line.
    let page = dev.sign_in(&links[1]).await;
    let line = dev.line_on(&page).await.unwrap();
    let tokens = &paste(&line)[0];
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(dev.line_on(&page).await, None);

    // The confidential one: the line of the page, and the lines of the terminal.
    let page = dev.sign_in(&links[0]).await;
    let line = dev.line_on(&page).await.unwrap();
    assert!(line.contains(dev.demo["clients"][0]["client_secret"].as_str().unwrap()), "{line}");
    assert_eq!(paste(&line)[0]["token_type"], "Bearer");

    let page = dev.sign_in(&links[0]).await;
    let code = page.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let output = dev.server.output();
    let lines = output.iter().filter(|line| line.starts_with("    ")).map(|line| match line.trim() {
        line if line.starts_with("CODE=") => format!("CODE='{code}'"),
        line => line.to_owned(),
    });
    let answers = paste(&lines.collect::<Vec<_>>().join("\n"));
    let expected: [(&str, Value); 11] = [
        ("token_type", json!("Bearer")),
        ("active", json!(true)),
        ("preferred_username", json!("alice")),
        ("token_type", json!("Bearer")),
        ("access_token", json!(1)),
        ("access_token", json!(2)),
        ("attributes", json!({"department": "sales"})),
        ("families_ended", json!(3)),
        ("reason", json!("signed_out")),
        ("confirmation", json!({"method": "typed", "expires_at": answers[9]["confirmation"]["expires_at"]})),
        ("state", json!("executed")),
    ];
    assert_eq!(answers.len(), expected.len(), "{answers:#?}");
    for (answer, (field, value)) in answers.iter().zip(&expected) {
        assert_eq!(&answer[field], value, "{answer}");
    }
}

async fn started_again_it_keeps_everything(engine: Engine) {
    let (data, database) = (data(), Database::new(engine).await);
    let dev = Dev::start(data.path(), &place(&database));
    let first = dev.demo.clone();
    let page = dev.sign_in(&dev.links()[0]).await;
    let tokens = paste(&dev.line_on(&page).await.unwrap()).remove(0);
    let address = dev.server.address.to_string();
    // Only one at a time.
    let second = run(&["dev", "--data", data.path().to_str().unwrap(), "--fresh"], &[], "");
    assert_eq!(second.code, Some(1));
    assert!(second.err.contains("another `tessera dev` runs on"), "{}", second.err);
    dev.server.stop();

    // At the same address nothing at all changes.
    let dev = Dev::start_at(&address, data.path(), &place(&database));
    assert_eq!(dev.demo, first);
    verify(&dev, &tokens["access_token"], json!(null)).await;
    dev.server.stop();

    // On another port the projects follow, and the person stays signed in to the application.
    let dev = Dev::start(data.path(), &place(&database));
    assert_ne!(dev.demo["issuer"], first["issuer"]);
    for field in ["user", "admin_key", "project", "database_url"] {
        assert_eq!(dev.demo[field], first[field]);
    }
    assert_eq!(dev.demo["clients"][0]["client_secret"], first["clients"][0]["client_secret"]);
    verify(&dev, &tokens["access_token"], json!("wrong_issuer")).await;
    let renewed = call(&dev, "refresh", json!({"refresh_token": tokens["refresh_token"]})).await;
    verify(&dev, &renewed["access_token"], json!(null)).await;
    let page = dev.sign_in(&dev.links()[1]).await;
    assert!(page.starts_with(dev.demo["clients"][1]["redirect_uri"].as_str().unwrap()), "{page}");
    assert_eq!(paste(&dev.line_on(&page).await.unwrap())[0]["token_type"], "Bearer");
    let said =
        run(&["audit", "verify", "--database-url", dev.demo["database_url"].as_str().unwrap()], &[], "");
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.out.starts_with("(all projects): whole, 2 events\ndemo: whole, "), "{}", said.out);
}

async fn commands_work_beside_it(engine: Engine) {
    let (data, database) = (data(), Database::new(engine).await);
    let mut dev = Dev::start(data.path(), &place(&database));
    let place = ["--data", data.path().to_str().unwrap(), "--json"];
    let command = |arguments: &[&str], input: &str| {
        let said = run(&[arguments, &place].concat(), &[], input);
        assert_eq!(said.code, Some(0), "{}", said.err);
        serde_json::from_str::<Value>(&said.out).unwrap()
    };
    // No settings at all: the directory has the key, the address and, when it is not in it, the store.
    let made = command(&["project", "create", "second"], "");
    assert_eq!(made["issuer"], format!("{}/projects/second", dev.demo["base_url"].as_str().unwrap()));
    command(&["user", "create", "--project", "demo", "bob"], "bob's password\n");
    dev.demo["user"] = json!({"username": "bob", "password": "bob's password"});
    let page = dev.sign_in(&dev.links()[0]).await;
    assert_eq!(paste(&dev.line_on(&page).await.unwrap())[0]["token_type"], "Bearer");
}

/// Calls the session API as the confidential client.
async fn call(dev: &Dev, endpoint: &str, body: Value) -> Value {
    let client = &dev.demo["clients"][0];
    let request = dev.http.post(format!("{}/api/{endpoint}", dev.demo["issuer"].as_str().unwrap()));
    let request = request.basic_auth(client["client_id"].as_str().unwrap(), client["client_secret"].as_str());
    request.json(&body).send().await.unwrap().json().await.unwrap()
}

async fn verify(dev: &Dev, token: &Value, reason: Value) {
    let answer = call(dev, "verifyaccesstoken", json!({"access_token": token})).await;
    assert_eq!(answer["reason"], reason, "{answer}");
}

/// The tour of the README, pasted as it stands there.
#[tokio::test(flavor = "multi_thread")]
async fn the_tour_of_the_readme_works() {
    let parent = data();
    let dev = Dev::start(&parent.path().join(".tessera"), &[]);
    let page = dev.sign_in(&dev.links()[0]).await;
    let code = page.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let readme = include_str!("../../README.md");
    let tour = readme.split("## Five minutes").nth(1).unwrap().split("\n## ").next().unwrap();
    let lines = tour
        .lines()
        .filter_map(|line| line.strip_prefix("        "))
        .map(|line| if line.starts_with("CODE=") { format!("CODE='{code}'") } else { line.to_owned() });
    let script = format!("cd '{}'\n{}", parent.path().display(), lines.collect::<Vec<_>>().join("\n"));
    let answers = paste(&script);
    let shown: Vec<_> =
        ["token_type", "token_type", "active", "preferred_username", "access_token", "access_token"]
            .into_iter()
            .chain(["attributes", "families_ended", "reason", "deletion_id", "state"])
            .zip(&answers)
            .map(|(field, answer)| answer[field].clone())
            .collect();
    assert_eq!(answers.len(), 11, "{answers:#?}");
    let attributes = json!({"department": "sales"});
    let expected =
        json!(["Bearer", "Bearer", true, "alice", 1, 2, attributes, 1, "signed_out", shown[9], "executed"]);
    assert_eq!(json!(shown), expected);
}

#[test]
fn its_files_are_for_its_owner_alone_and_fresh_forgets_them() {
    use std::os::unix::fs::PermissionsExt;
    let parent = data();
    let data = parent.path().join("play");
    let dev = Dev::start(&data, &[]);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!((mode(&data.join("dev.json")), mode(&data.join("master.key"))), (0o600, 0o600));
    let first = dev.demo.clone();
    dev.server.stop();
    std::fs::write(data.join("notes.txt"), "mine").unwrap();
    let dev = Dev::start(&data, &["--fresh"]);
    assert_ne!(dev.demo["admin_key"], first["admin_key"]);
    assert!(data.join("notes.txt").exists());
    dev.server.stop();

    // What cannot be kept is said, and nothing is touched.
    std::fs::remove_file(data.join("tessera.db")).unwrap();
    let place = data.to_str().unwrap();
    let gone = run(&["dev", "--listen", "127.0.0.1:0", "--data", place], &[], "");
    assert!(gone.err.contains("a demo that is not in this store"), "{}", gone.err);
    std::fs::remove_file(data.join("master.key")).unwrap();
    let gone = run(&["dev", "--listen", "127.0.0.1:0", "--data", place], &[], "");
    assert!(gone.err.contains("master.key is gone"), "{}", gone.err);
    assert!(data.join("dev.json").exists());
}
