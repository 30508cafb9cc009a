//! The walk-through of docs/admin.md, pasted as it is printed there, with a person who opens its links.

use std::path::Path;

use reqwest::{Client as Http, Response, redirect};
use serde_json::{Value, json};
use tessera::clock::Clock;
use totp_rs::{Builder, Secret, Totp};

use crate::dev::{Dev, data, paste};
use crate::support::process::{self, master_key};
use crate::support::{between, cookie_of, sealed_of};

const PASSWORD: &str = "seven quiet harbours";

/// The blocks of the walk-through, a step each.
fn steps() -> Vec<String> {
    let guide = include_str!("../../docs/admin.md");
    let part = guide.split("### Signing in with curl").nth(1).unwrap();
    let part = part.split("\n## ").next().unwrap();
    let blocks = part.split("```sh").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.map(|block| block.lines().map(str::trim_start).collect::<Vec<_>>().join("\n")).collect()
}

/// Somebody with a browser.
struct Ada {
    http: Http,
    cookie: String,
    phone: Option<Totp>,
}

impl Ada {
    async fn open(&mut self, link: &str) -> Response {
        let request = self.http.get(link);
        let request = if self.cookie.is_empty() { request } else { request.header("cookie", &self.cookie) };
        self.keep(request.send().await.unwrap())
    }

    async fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Response {
        let request = self.http.post(url).header("cookie", &self.cookie).form(form);
        self.keep(request.send().await.unwrap())
    }

    fn keep(&mut self, response: Response) -> Response {
        if response.headers().contains_key("set-cookie") {
            self.cookie = cookie_of(&response);
        }
        response
    }

    /// The page that an answer leads to.
    async fn follow(&mut self, response: Response, base: &str) -> String {
        let mut response = response;
        while let Some(location) = response.headers().get("location") {
            let location = location.to_str().unwrap().to_owned();
            let link = if location.starts_with('/') { format!("{base}{location}") } else { location };
            response = self.open(&link).await;
        }
        response.text().await.unwrap()
    }

    /// What the phone shows in the next time step, which is as good as this one and was never used.
    fn code(&self, steps: u64) -> String {
        let now = u64::try_from(Clock::System.now().unix()).unwrap();
        self.phone.as_ref().unwrap().generate(now + 30 * steps).to_string()
    }

    /// From the link to the end: the code of the device, the password, a second factor, and yes.
    async fn allow(&mut self, device: &Value, base: &str) {
        let issuer = format!("{base}/projects/admin");
        let page =
            self.open(device["verification_uri_complete"].as_str().unwrap()).await.text().await.unwrap();
        let form =
            [("request", sealed_of(&page)), ("user_code", device["user_code"].as_str().unwrap().to_owned())];
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = self.post(&format!("{issuer}/device"), &form).await;
        let page = self.follow(answer, base).await;
        let sealed = sealed_of(&page);
        let form = [("request", sealed.as_str()), ("username", "ada"), ("password", PASSWORD)];
        let answer = self.post(&format!("{issuer}/sign-in"), &form).await;
        let page = self.follow(answer, base).await;
        let answer = if self.phone.is_none() {
            let page = self.open(&format!("{issuer}/enrol?with=totp")).await.text().await.unwrap();
            let sealed = sealed_of(&page);
            let key = between(&page, r#"<pre id="key" dir="ltr">"#, "</pre>").replace(' ', "");
            self.phone =
                Some(Builder::new().with_secret(Secret::try_from_base32(key).unwrap()).build().unwrap());
            let code = self.code(0);
            let codes = self.post(&format!("{issuer}/enrol"), &[("request", &sealed), ("code", &code)]).await;
            let sealed = sealed_of(&codes.text().await.unwrap());
            self.post(&format!("{issuer}/second-factor"), &[("request", &sealed)]).await
        } else {
            let sealed = sealed_of(&page);
            let code = self.code(1);
            let form = [("request", sealed.as_str()), ("factor", "totp"), ("code", code.as_str())];
            self.post(&format!("{issuer}/second-factor"), &form).await
        };
        let page = self.follow(answer, base).await;
        assert!(page.contains("Administer this server"), "{page}");
        let form = [("request", sealed_of(&page)), ("decision", "allow".to_owned())];
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(self.post(&format!("{issuer}/device/confirm"), &form).await.status(), 200);
    }
}

/// Runs the next steps in the same shell as those before, which is to say with all their lines again but their effects.
fn run(folder: &Path, before: &[(&str, String)], step: &str) -> Vec<Value> {
    let known: Vec<String> = before.iter().map(|(name, value)| format!("{name}='{value}'")).collect();
    let tessera = format!("tessera() {{ '{}' \"$@\"; }}", env!("CARGO_BIN_EXE_tessera"));
    let functions = steps().join("\n");
    let functions = functions.lines().filter(|line| line.contains("() {")).collect::<Vec<_>>().join("\n");
    let place = r#"BASE_URL=$(field base_url < .tessera/dev.json) ADMIN_KEY=$(field admin_key < .tessera/dev.json)
CLIENT=00000000-0000-7000-8000-0061646d696e; OAUTH=$BASE_URL/projects/admin/oauth2"#;
    paste(&format!(
        "cd '{}'\n{tessera}\n{functions}\n{place}\n{}\n{step}",
        folder.display(),
        known.join("\n")
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walk_through_works_as_printed() {
    let parent = data();
    let dev = Dev::start(&parent.path().join(".tessera"), &[]);
    let (folder, steps) = (parent.path(), steps());
    assert_eq!(steps.len(), 6);
    let base = dev.base();
    let http = Http::builder().redirect(redirect::Policy::none()).build().unwrap();
    let mut ada = Ada { http, cookie: String::new(), phone: None };

    let made = run(folder, &[], &steps[0]);
    assert_eq!((&made[0]["role"], &made[0]["username"]), (&json!("owner"), &json!("ada")));
    assert_eq!(made[1]["settings"]["sign_in"]["second_factor"], "required");
    let device = run(folder, &[], &steps[1]).remove(0);
    ada.allow(&device, &base).await;
    let show = format!("{}\nprintf '{{\"token\": \"%s\"}}\\n' \"$TOKEN\"", steps[2]);
    let shown = run(folder, &[("DEVICE", device.to_string())], &show);
    assert_eq!(shown[0]["slug"], "demo", "{shown:#?}");
    let token = ("TOKEN", shown[1]["token"].as_str().unwrap().to_owned());

    let shown = run(folder, std::slice::from_ref(&token), &steps[3]);
    assert_eq!(shown[0]["settings"]["deletion_confirmation"], "second_factor");
    assert_eq!(shown[1]["confirmation"]["method"], "second_factor");
    assert_eq!(
        (&shown[2]["error"], &shown[2]["max_age"]),
        (&json!("insufficient_user_authentication"), &json!(0))
    );
    let deletion = ("DELETION", shown[1]["deletion_id"].as_str().unwrap().to_owned());

    let device = run(folder, &[], &steps[4]).remove(0);
    ada.allow(&device, &base).await;
    let shown = run(folder, &[("DEVICE", device.to_string()), deletion], &steps[5]);
    assert_eq!(shown[0]["state"], "executed", "{shown:#?}");
}

/// Beside a server or before its first start.
#[test]
fn commands_give_and_take_roles() {
    let directory = data();
    let settings = [
        ("TESSERA__DATA_DIR", directory.path().to_str().unwrap().to_owned()),
        ("TESSERA__MASTER_KEY", master_key()),
    ];
    let json = |arguments: &[&str], input: &str| -> Vec<Value> {
        let said = process::run(&[arguments, &["--json"]].concat(), &settings, input);
        assert_eq!(said.code, Some(0), "{arguments:?}: {}", said.err);
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(process::run(&["migrate"], &settings, "").code, Some(0));
    let made = json(&["admin", "create", "ada", "--role", "owner"], "seven quiet harbours\n").remove(0);
    assert_eq!(
        (&made["username"], &made["role"], &made["project"]),
        (&json!("ada"), &json!("owner"), &json!(null))
    );
    let shop = json(&["project", "create", "shop"], "").remove(0);
    let given = json(&["admin", "grant", "ada", "--role", "auditor", "--project", "shop"], "").remove(0);
    assert_eq!((&given["user"], &given["project"]), (&made["user"], &shop["id"]));
    assert_eq!(json(&["admin", "list"], ""), [made.clone(), given.clone()]);
    assert_eq!(json(&["admin", "list", "--project", "shop"], ""), std::slice::from_ref(&given));
    let id = given["id"].as_str().unwrap();
    assert!(json(&["admin", "revoke", id], "").remove(0)["revoked_at"].is_string());
    assert_eq!(json(&["admin", "list"], ""), [made]);
    for (arguments, why) in [
        (&["admin", "revoke", id][..], "error: no such role of an admin\n"),
        (
            &["admin", "grant", "ada", "--role", "owner"],
            "error: this person has a role there already; revoke it first\n",
        ),
        (&["admin", "grant", "bob", "--role", "owner"], "error: no such user\n"),
        (
            &["admin", "create", "bob", "--role", "root"],
            "error: role must be owner, admin, user_manager or auditor\n",
        ),
        (&["project", "create", "admin"], "error: the slug admin is kept for the built-in project\n"),
    ] {
        let said = process::run(arguments, &settings, "seven quiet harbours\n");
        assert_eq!((said.code, said.err.as_str()), (Some(1), why), "{arguments:?}");
    }
}
