//! A critical look at the page that a browser shows: as a desktop and as a phone, in light and in dark, from right to left.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use thirtyfour::prelude::*;

/// axe-core, which `scripts/browser-tools` puts there.
static AXE: LazyLock<String> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("target/browser-tools/node_modules/axe-core/axe.min.js");
    if !file.exists() {
        let done = Command::new(root.join("scripts/browser-tools")).status();
        assert!(
            done.is_ok_and(|status| status.success()),
            "scripts/browser-tools could not install axe-core"
        );
    }
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
});

/// Name, width and height of a screen.
const SCREENS: [(&str, u32, u32); 2] = [("desktop", 1280, 800), ("phone", 375, 740)];
const SCHEMES: [&str; 2] = ["light", "dark"];

/// The whole page is less than this, with everything that it loads.
const MOST_BYTES: u64 = 50_000;

/// Looks at pages, and says what is wrong with them.
pub struct Looker<'a> {
    browser: &'a WebDriver,
    /// Where pictures go, if somebody wants them.
    pictures: Option<PathBuf>,
}

impl<'a> Looker<'a> {
    pub fn new(browser: &'a WebDriver) -> Self {
        Self { browser, pictures: std::env::var_os("TESSERA_SCREENSHOTS").map(PathBuf::from) }
    }

    /// Looks at the page that is shown, which `name`, its template, made. `variant`: which face of it, if there are several.
    pub async fn look(&self, name: &str, variant: &str) {
        let what = if variant.is_empty() { name.to_owned() } else { format!("{name}-{variant}") };
        self.execute(&AXE, &[]).await;
        self.assert_well_made(&what).await;
        for (screen, width, height) in SCREENS {
            for scheme in SCHEMES {
                self.show_as(width, height, scheme).await;
                let what = format!("{what}-{screen}-{scheme}");
                self.assert_accessible(&what).await;
                self.assert_nothing_overflows(&what).await;
                self.picture(&what, width, height).await;
            }
        }
        self.show_as(375, 740, "light").await;
        self.execute("document.documentElement.dir = 'rtl'", &[]).await;
        self.assert_accessible(&format!("{what}-rtl")).await;
        self.assert_nothing_overflows(&format!("{what}-rtl")).await;
        self.picture(&format!("{what}-rtl"), 375, 740).await;
        self.execute("document.documentElement.dir = 'ltr'", &[]).await;
        self.show_as(1280, 800, "light").await;
    }

    /// The page as others see it who say it in other words: only whether it holds.
    pub async fn glance(&self, name: &str, variant: &str) {
        let what = format!("{name}-{variant}");
        self.execute(&AXE, &[]).await;
        self.assert_well_made(&what).await;
        self.show_as(375, 740, "light").await;
        self.assert_accessible(&what).await;
        self.assert_nothing_overflows(&what).await;
        self.picture(&what, 375, 740).await;
        self.show_as(1280, 800, "light").await;
    }

    async fn execute(&self, script: &str, arguments: &[Value]) -> Value {
        self.browser.execute(script, arguments.to_vec()).await.unwrap().json().clone()
    }

    async fn show_as(&self, width: u32, height: u32, scheme: &str) {
        let screen = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        devtools(self.browser, "Emulation.setDeviceMetricsOverride", screen).await;
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        devtools(self.browser, "Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    async fn assert_accessible(&self, what: &str) {
        let code = "const done = arguments[0];
            axe.run(document, {resultTypes: ['violations'], rules: {'target-size': {enabled: true}}}).then(
                found => done(found.violations.map(one =>
                    one.id + ': ' + one.nodes.map(node => node.html + ' ' + node.failureSummary).join('; '))),
                error => done([String(error)]))";
        let found = self.browser.execute_async(code, Vec::new()).await.unwrap().json().clone();
        assert_eq!(found, json!([]), "{what}");
    }

    async fn assert_nothing_overflows(&self, what: &str) {
        let code = "const wide = document.documentElement.clientWidth;
            const outside = [...document.querySelectorAll('body *')].filter(one => {
                const box = one.getBoundingClientRect();
                return box.width > 0 && (box.left < -1 || box.right > wide + 1);
            });
            if (document.documentElement.scrollWidth > wide) outside.push(document.body);
            return outside.map(one => one.outerHTML.slice(0, 200))";
        assert_eq!(self.execute(code, &[]).await, json!([]), "{what} overflows");
    }

    /// What holds whatever the screen.
    async fn assert_well_made(&self, what: &str) {
        let code = "const all = css => [...document.querySelectorAll(css)];
            const wrong = [];
            const expect = (good, why) => good || wrong.push(why);
            expect(document.title.trim().length > 0, 'no title');
            expect(document.documentElement.lang.length > 1, 'no language');
            expect(['ltr', 'rtl'].includes(document.documentElement.dir), 'no direction');
            expect(all('h1').length === 1, 'not one h1');
            expect(all('main').length === 1, 'not one main');
            expect(all('link[rel=stylesheet]').length === 1, 'not one stylesheet');
            expect(all('script:not([src]), style, [style], iframe, object, embed').length === 0, 'inline script or style');
            for (const one of all('*')) for (const {name} of one.attributes)
                expect(!name.startsWith('on'), one.outerHTML);
            for (const one of all('input:not([type=hidden], [hidden]), select, textarea'))
                expect(one.labels.length > 0 && one.labels[0].textContent.trim().length > 0, 'no label: ' + one.outerHTML);
            for (const one of all('form')) expect(one.method === 'post', 'a form that is not posted');
            expect(!/\\{[a-z_]+\\}/.test(document.body.innerText + document.title), 'an empty place in a text');
            const bytes = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
            const weight = bytes.reduce((sum, one) => sum + one.encodedBodySize, 0);
            expect(weight > 1000 && weight < arguments[0], 'it weighs ' + weight);
            // The policy is asked for what it must not allow.
            const script = document.createElement('script');
            script.textContent = 'window.ran = true';
            document.head.append(script);
            const style = document.createElement('style');
            style.textContent = 'main { position: fixed }';
            document.head.append(style);
            expect(!window.ran && getComputedStyle(all('main')[0]).position !== 'fixed', 'the policy allows it');
            script.remove();
            style.remove();
            // What is folded or hidden takes no focus.
            const folded = all('details:not([open])');
            folded.forEach(one => one.open = true);
            document.activeElement.blur();
            for (const one of all('a[href], button, input:not([type=hidden]), select, textarea, summary')) {
                if (!one.checkVisibility()) continue;
                one.focus({focusVisible: true});
                const {outlineStyle, outlineWidth} = getComputedStyle(one);
                expect(outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2, 'no focus: ' + one.outerHTML);
            }
            document.activeElement.blur();
            folded.forEach(one => one.open = false);
            return wrong";
        assert_eq!(self.execute(code, &[json!(MOST_BYTES)]).await, json!([]), "{what}");
    }

    async fn picture(&self, what: &str, width: u32, height: u32) {
        let Some(pictures) = &self.pictures else { return };
        let tall = self.execute("return document.documentElement.scrollHeight", &[]).await.as_u64().unwrap();
        let tall = tall.max(u64::from(height));
        let clip = json!({"x": 0, "y": 0, "width": width, "height": tall, "scale": 1});
        let asked = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let answer = devtools(self.browser, "Page.captureScreenshot", asked).await;
        let png = BASE64_STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all(pictures).unwrap();
        std::fs::write(pictures.join(format!("{what}.png")), png).unwrap();
    }
}

/// A command of the Chrome DevTools Protocol.
pub async fn devtools(browser: &WebDriver, command: &str, parameters: Value) -> Value {
    let body = json!({"cmd": command, "params": parameters});
    webdriver(browser, reqwest::Method::POST, "/goog/cdp/execute", Some(body)).await
}

/// Sends a command of the session that thirtyfour has no word for, such as those of WebAuthn, 11.
pub async fn webdriver(
    browser: &WebDriver,
    method: reqwest::Method,
    path: &str,
    body: Option<Value>,
) -> Value {
    let driver = browser.handle().server_url().as_str().trim_end_matches('/').to_owned();
    let url = format!("{driver}/session/{}{path}", browser.handle().session_id());
    let request = reqwest::Client::new().request(method, url);
    let request = if let Some(body) = body { request.json(&body) } else { request };
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert!(answer["value"]["error"].is_null(), "{path}: {answer}");
    answer["value"].clone()
}

/// Which language the browser asks for.
pub async fn speak(browser: &WebDriver, language: &str) {
    devtools(browser, "Network.enable", json!({})).await;
    let headers = json!({"headers": {"Accept-Language": language}});
    devtools(browser, "Network.setExtraHTTPHeaders", headers).await;
}
