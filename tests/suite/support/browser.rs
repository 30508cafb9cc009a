//! A real browser: Chromium without a window, driven over WebDriver.

use std::io::{BufRead, BufReader};
use std::panic::AssertUnwindSafe;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use futures_util::FutureExt;
use serde_json::json;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel};
use tokio::sync::Mutex;
use url::Url;

use super::look::{devtools, webdriver};

/// One test with browsers at a time: a small machine has no room for more.
static TURN: Mutex<()> = Mutex::const_new(());

/// chromedriver, on a port of its own choice; ends with this value.
struct Driver {
    process: Child,
    url: String,
}

impl Driver {
    /// On a busy machine a port that was free may be taken by the time it is wanted.
    fn start() -> Self {
        let started = (0..3).find_map(|_| Self::try_to_start());
        started.expect("chromedriver did not say on which port it listens")
    }

    fn try_to_start() -> Option<Self> {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver does not start: install it, or run scripts/test, which does");
        // "ChromeDriver was started successfully on port 40123."
        let mut lines =
            BufReader::new(process.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let port = line.split_once("successfully on port ")?.1.trim_end_matches('.').parse::<u16>();
            port.ok()
        });
        let mut driver = Self { process, url: String::new() };
        driver.url = format!("http://127.0.0.1:{}", port?);
        // Read to the end, or a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Some(driver)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a test in a fresh browser, and closes the browser however the test ends.
pub async fn in_browser(test: impl AsyncFnOnce(&WebDriver)) {
    let _turn = TURN.lock().await;
    in_window(&Driver::start(), test).await;
}

/// Runs a test in two browsers that know nothing of each other.
pub async fn in_two_browsers(test: impl AsyncFnOnce(&WebDriver, &WebDriver)) {
    let _turn = TURN.lock().await;
    let driver = Driver::start();
    in_window(&driver, async |one: &WebDriver| {
        in_window(&driver, async |other: &WebDriver| test(one, other).await).await;
    })
    .await;
}

/// A browser with a profile of its own.
async fn in_window(driver: &Driver, test: impl AsyncFnOnce(&WebDriver)) {
    let profile = tempfile::tempdir().unwrap();
    let mut capabilities = DesiredCapabilities::chrome();
    for argument in [
        "--headless=new",
        // Neither root nor a container has what the sandbox and /dev/shm need.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-extensions",
        "--disable-background-networking",
        "--no-first-run",
        "--window-size=1280,800",
        &format!("--user-data-dir={}", profile.path().display()),
    ] {
        capabilities.add_arg(argument).unwrap();
    }
    capabilities.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
    let browser = WebDriver::new(&driver.url, capabilities).await;
    let browser = browser.expect("Chromium does not start: install it, or run scripts/test, which does");
    let outcome = AssertUnwindSafe(test(&browser)).catch_unwind().await;
    let closed = browser.quit().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    closed.unwrap();
}

/// An application's page at its redirect URI, on an origin of its own.
pub async fn application() -> String {
    let page = "<!doctype html><title>The application</title><link rel=icon href='data:,'><h1 id=welcome>Welcome back</h1>";
    let router = Router::new().route("/callback", get(move || async move { Html(page) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/callback", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    uri
}

/// Waits until the browser stands at a page of `start`; gives its whole address.
pub async fn arrived(browser: &WebDriver, start: &str) -> Url {
    let mut url = browser.current_url().await.unwrap();
    for _ in 0..200 {
        if url.as_str().starts_with(start) {
            return url;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        url = browser.current_url().await.unwrap();
    }
    panic!("the browser stands at {url}, not at {start}");
}

/// The element, once the page that has it is there: a key that is pressed does not wait for what it leads to.
pub async fn find(browser: &WebDriver, css: &str) -> WebElement {
    let mut found = browser.find(By::Css(css)).await;
    for _ in 0..200 {
        if found.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        found = browser.find(By::Css(css)).await;
    }
    found.unwrap_or_else(|error| panic!("{css}: {error}"))
}

/// What the browser complained of: refused styles, scripts, frames and forms, and what it could not load.
pub async fn complaints(browser: &WebDriver) -> Vec<String> {
    browser.browser_log().await.unwrap().into_iter().map(|entry| entry.message).collect()
}

/// An authenticator of the browser's own (Web Authentication, 11.5), that verifies its person without asking: its address.
pub async fn give_authenticator(browser: &WebDriver) -> String {
    let about = json!({"protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
        "hasUserVerification": true, "isUserVerified": true});
    let id = webdriver(browser, reqwest::Method::POST, "/webauthn/authenticator", Some(about)).await;
    format!("/webauthn/authenticator/{}", id.as_str().unwrap())
}

/// It has none of its passkeys any more (11.9).
pub async fn lose_passkeys(browser: &WebDriver, authenticator: &str) {
    let path = format!("{authenticator}/credentials");
    webdriver(browser, reqwest::Method::DELETE, &path, None).await;
}

/// Whether the script that asks for passkeys arrives. Without it a page is as without any script; and we still look at it.
pub async fn run_passkeys(browser: &WebDriver, yes: bool) {
    devtools(browser, "Network.enable", json!({})).await;
    let urls = if yes { json!([]) } else { json!(["*/assets/passkeys-*"]) };
    devtools(browser, "Network.setBlockedURLs", json!({"urls": urls})).await;
    devtools(browser, "Network.setCacheDisabled", json!({"cacheDisabled": !yes})).await;
}

/// Whether scripts of pages run.
pub async fn run_scripts(browser: &WebDriver, yes: bool) {
    devtools(browser, "Emulation.setScriptExecutionDisabled", json!({"value": !yes})).await;
}
