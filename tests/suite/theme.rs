//! What a project may make of its pages, and what it cannot.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::browser::{find, in_browser};
use crate::support::{Answer, Engine, PASSWORD, Seen, Shop, TestApp, between, both_engines};

both_engines!(
    a_project_has_its_colours_and_its_logo,
    what_is_no_picture_is_refused,
    settings_have_bounds,
    nothing_that_a_project_says_becomes_markup,
    a_logo_is_its_project_s_alone,
    a_change_meanwhile_is_not_overwritten,
);

const LOGO: &[u8] = include_bytes!("support/pictures/logo.png");

struct Owner<'a> {
    app: &'a TestApp,
    shop: Shop,
    key: String,
}

impl<'a> Owner<'a> {
    async fn new(app: &'a TestApp, slug: &str, role: &str) -> Self {
        let shop = app.shop(slug, "confidential").await;
        let key = app.key(Some(shop.project), role).await;
        Self { app, shop, key }
    }

    async fn upload(&self, content_type: &str, picture: &[u8], if_match: Option<&str>) -> Answer {
        let url = format!("{}/admin/projects/{}/logo", self.app.base, self.shop.slug);
        let request = self.app.http.put(url).bearer_auth(&self.key).header("content-type", content_type);
        let request = if_match.into_iter().fold(request, |request, etag| request.header("if-match", etag));
        Answer::of(request.body(picture.to_vec()).send().await.unwrap()).await
    }

    async fn brand(&self, brand: Value) -> Answer {
        let url = format!("{}/admin/projects/{}", self.app.base, self.shop.slug);
        let body = json!({"settings": {"brand": brand}});
        let request = self.app.http.patch(url).bearer_auth(&self.key).json(&body);
        Answer::of(request.send().await.unwrap()).await
    }

    async fn remove(&self) -> Answer {
        let url = format!("{}/admin/projects/{}/logo", self.app.base, self.shop.slug);
        let request = self.app.http.request(Method::DELETE, url).bearer_auth(&self.key);
        Answer::of(request.send().await.unwrap()).await
    }

    async fn page(&self) -> Seen {
        let url = self.app.project_url(&self.shop, &format!("/sign-in?client_id={}", self.shop.id));
        Seen::of(self.app.http.get(url).send().await.unwrap()).await
    }

    async fn file(&self, path: &str) -> Response {
        self.app.http.get(format!("{}{path}", self.app.base)).send().await.unwrap()
    }
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

async fn a_project_has_its_colours_and_its_logo(engine: Engine) {
    let app = TestApp::new(engine).await;
    let owner = Owner::new(&app, "shop", "admin").await;
    let plain = owner.page().await.text;
    assert!(plain.contains("href=\"/assets/style-") && !plain.contains("<img"));

    let project = owner.upload("image/png", LOGO, None).await.ok();
    let logo = project["settings"]["brand"]["logo"].as_str().unwrap().to_owned();
    assert!(logo.starts_with("logo-") && logo.ends_with(".png"), "{logo}");
    let links = json!({"terms_uri": "https://shop.example/terms", "privacy_uri": "https://shop.example/privacy?a=1&b=2"});
    let mut brand = json!({"accent": "#ffe600", "radius": 3, "scheme": "light"});
    brand.as_object_mut().unwrap().extend(links.as_object().unwrap().clone());
    // The logo is not named, and stays.
    let project = owner.brand(brand).await.ok();
    assert_eq!(project["settings"]["brand"]["logo"], json!(logo));

    let page = owner.page().await.text;
    let src = format!("/projects/shop/brand/{logo}");
    assert!(page.contains(&format!("<img class=\"logo\" src=\"{src}\" alt=\"\"")), "{page}");
    assert!(page.contains("<a href=\"https://shop.example/terms\""), "{page}");
    assert!(page.contains("<a href=\"https://shop.example/privacy?a=1&#38;b=2\""), "{page}");
    assert!(page.contains("<meta name=\"color-scheme\" content=\"light\">"));
    let picture = owner.file(&src).await;
    assert_eq!((picture.status().as_u16(), header(&picture, "content-type")), (200, "image/png"));
    assert_eq!(header(&picture, "x-content-type-options"), "nosniff");
    assert_eq!(header(&picture, "content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(header(&picture, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(picture.bytes().await.unwrap(), LOGO);

    let css = between(&page, "<link rel=\"stylesheet\" href=\"", "\"");
    assert!(css.starts_with("/projects/shop/brand/theme-"), "{css}");
    let sheet = owner.file(css).await;
    assert_eq!((sheet.status().as_u16(), header(&sheet, "content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(header(&sheet, "cache-control"), "public, max-age=31536000, immutable");
    let text = sheet.text().await.unwrap();
    assert!(text.contains("--radius: 3px;") && !text.contains("prefers-color-scheme"));
    // Yellow on white is nothing to read: it was made darker.
    assert!(text.contains("--accent: #") && !text.contains("#ffe600"), "{text}");

    // Another brand is another address; the old one is gone, and so is the logo once it is taken away.
    owner.brand(json!({"accent": "#0b6e4f"})).await.ok();
    assert_eq!(owner.file(css).await.status(), 404);
    // Letters wear it, too.
    let preview =
        app.desk(&owner.shop, "admin").await.get("/mail-templates/new_password/en/preview").await.ok();
    assert!(preview["html"].as_str().unwrap().contains("#0b6e4f"), "{preview}");
    let gone = owner.remove().await.ok();
    assert!(gone["settings"]["brand"]["logo"].is_null(), "{gone}");
    assert_eq!(owner.file(&src).await.status(), 404);
    assert!(!owner.page().await.text.contains("<img"));
    assert_eq!(owner.remove().await.ok()["version"], gone["version"]);

    let events = app.desk(&owner.shop, "auditor").await.get("/audit?action=project.changed").await.ok();
    assert_eq!(events["items"].as_array().unwrap().len(), 4, "{events}");
}

async fn what_is_no_picture_is_refused(engine: Engine) {
    let app = TestApp::new(engine).await;
    let owner = Owner::new(&app, "shop", "admin").await;
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>";
    for content_type in ["image/svg+xml", "text/html", "application/json", "image/png; x=y", "IMAGE/PNG", ""]
    {
        let refused = owner.upload(content_type, LOGO, None).await;
        assert_eq!(
            (refused.status, &refused.body["error"]),
            (415, &json!("unsupported_media_type")),
            "{content_type}"
        );
    }
    let kinds = "the logo is a PNG, JPEG or WebP picture";
    let page = [LOGO, b"<script>alert(1)</script>"].concat();
    for picture in [&svg[..], b"", b"GIF89a", &LOGO[..40], &page] {
        owner.upload("image/png", picture, None).await.refused_for(400, "invalid_request", "logo", kinds);
    }
    let large = [&LOGO[..33], &[0; 24 * 1024], &LOGO[33..]].concat();
    let bound = "the logo has at most 24 KiB";
    owner.upload("image/png", &large, None).await.refused_for(400, "invalid_request", "logo", bound);
    assert_eq!(owner.upload("image/png", &[0; 65 * 1024], None).await.status, 413);
    let mut broad = LOGO.to_vec();
    broad[16..20].copy_from_slice(&5000u32.to_be_bytes());
    let bound = "the logo has 1 to 2048 pixels in each direction";
    owner.upload("image/png", &broad, None).await.refused_for(400, "invalid_request", "logo", bound);
    assert!(!owner.page().await.text.contains("<img"));

    let helper = Owner { key: app.key(Some(owner.shop.project), "user_manager").await, ..owner };
    assert_eq!(helper.upload("image/png", LOGO, None).await.status, 403);
    assert_eq!(helper.remove().await.status, 403);
}

async fn settings_have_bounds(engine: Engine) {
    let app = TestApp::new(engine).await;
    let owner = Owner::new(&app, "shop", "admin").await;
    for (brand, field) in [
        (json!({"accent": "red"}), "settings.brand.accent"),
        (json!({"accent": "#fff"}), "settings.brand.accent"),
        (json!({"accent": "#00000g"}), "settings.brand.accent"),
        (json!({"accent": "#000000;} body{display:none}"}), "settings.brand.accent"),
        (json!({"accent": "url(https://evil.example)"}), "settings.brand.accent"),
        (json!({"radius": 25}), "settings.brand.radius"),
        (json!({"radius": -1}), "settings.brand.radius"),
        (json!({"radius": "8px"}), "settings.brand.radius"),
        (json!({"scheme": "sepia"}), "settings.brand.scheme"),
        (json!({"css": "body{}"}), "settings.brand.css"),
        (json!({"terms_uri": "http://shop.example/"}), "settings.brand.terms_uri"),
        (json!({"terms_uri": "javascript:alert(1)"}), "settings.brand.terms_uri"),
        (json!({"terms_uri": "data:text/html,x"}), "settings.brand.terms_uri"),
        (json!({"privacy_uri": "https://shop.example/\"><script>"}), "settings.brand.privacy_uri"),
        (json!({"privacy_uri": "https://user@shop.example/"}), "settings.brand.privacy_uri"),
        (json!({"privacy_uri": "//shop.example/"}), "settings.brand.privacy_uri"),
        (
            json!({"privacy_uri": format!("https://shop.example/{}", "x".repeat(2048))}),
            "settings.brand.privacy_uri",
        ),
        (json!({"logo": "../../../etc/passwd"}), "settings.brand.logo"),
        (json!({"logo": "logo-AAAAAAAAAAAAAAAA.png"}), "settings.brand.logo"),
    ] {
        let refused = owner.brand(brand.clone()).await;
        let told = (refused.status, refused.body["field"].as_str().unwrap_or_default());
        assert_eq!(told, (400, field), "{brand} {}", refused.body);
    }
    let made = json!({"slug": "other", "settings": {"brand": {"logo": "logo-AAAAAAAAAAAAAAAA.png"}}});
    let request =
        app.http.post(format!("{}/admin/projects", app.base)).bearer_auth(app.key(None, "owner").await);
    let refused = Answer::of(request.json(&made).send().await.unwrap()).await;
    assert_eq!((refused.status, &refused.body["field"]), (400, &json!("settings.brand.logo")));
}

async fn nothing_that_a_project_says_becomes_markup(engine: Engine) {
    let app = TestApp::new(engine).await;
    let owner = Owner::new(&app, "shop", "admin").await;
    let url = format!("{}/admin/projects/shop", app.base);
    let name = "\"><img src=x onerror=\"window.ran=1\"></style><script>window.ran=1</script>{{7*7}}{client}";
    let body = json!({"name": name, "settings": {"sign_in": {"second_factor": "required"}, "brand": {
        "accent": "#0b6e4f",
        "terms_uri": "https://shop.example/?a='onmouseover=window.ran=1'&b=)",
    }}});
    let renamed = app.http.patch(url).bearer_auth(&owner.key).json(&body).send().await.unwrap();
    Answer::of(renamed).await.ok();
    owner.upload("image/png", LOGO, None).await.ok();
    in_browser(async |browser| {
        let link = app.project_url(&owner.shop, &format!("/sign-in?client_id={}", owner.shop.id));
        browser.goto(&link).await.unwrap();
        assert_eq!(browser.title().await.unwrap(), format!("Sign in – {name}"));
        let code =
            "return [window.ran || 0, document.querySelectorAll('script, style, [style], [onerror]').length,
            document.querySelectorAll('img').length, document.querySelector('.logo').naturalWidth,
            document.querySelector('.brand bdi').textContent,
            document.querySelector('.foot a').getAttribute('href'),
            getComputedStyle(document.querySelector('.primary')).backgroundColor]";
        let seen = browser.execute(code, Vec::new()).await.unwrap().json().clone();
        let terms = "https://shop.example/?a='onmouseover=window.ran=1'&b=)";
        assert_eq!(seen, json!([0, 0, 1, 240, name, terms, "rgb(11, 110, 79)"]));
        // Where the name stands in a link and in a picture as well.
        find(browser, "#username").await.send_keys("alice").await.unwrap();
        find(browser, "#password").await.send_keys(PASSWORD).await.unwrap();
        find(browser, "button.primary").await.click().await.unwrap();
        find(browser, ".qr svg path").await;
        let seen = browser.execute(code, Vec::new()).await.unwrap().json().clone();
        assert_eq!(seen, json!([0, 0, 1, 240, name, terms, "rgb(11, 110, 79)"]));
        let code =
            "return [document.querySelectorAll('.qr *').length, document.querySelector('.qr').textContent,
            document.querySelector('a[href^=\"otpauth:\"]').search.split('issuer=')[1]]";
        let seen = browser.execute(code, Vec::new()).await.unwrap().json().clone();
        let issuer = "%22%3E%3Cimg%20src%3Dx%20onerror%3D%22window%2Eran%3D1%22%3E%3C%2Fst";
        assert_eq!(seen, json!([3, "", issuer]));
    })
    .await;
}

async fn a_logo_is_its_project_s_alone(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (owner, other) = (Owner::new(&app, "shop", "admin").await, Owner::new(&app, "other", "admin").await);
    let project = owner.upload("image/png", LOGO, None).await.ok();
    let logo = project["settings"]["brand"]["logo"].as_str().unwrap();
    owner.brand(json!({"accent": "#0b6e4f"})).await.ok();
    let css = between(&owner.page().await.text, "/brand/theme-", "\"").to_owned();
    assert_eq!(owner.file(&format!("/projects/shop/brand/{logo}")).await.status(), 200);
    assert_eq!(owner.file(&format!("/projects/other/brand/{logo}")).await.status(), 404);
    assert_eq!(owner.file(&format!("/projects/other/brand/theme-{css}")).await.status(), 404);
    assert!(!other.page().await.text.contains("<img"));
    // A key of another project is none here.
    let stranger =
        Owner { app: &app, shop: app.second_client(&owner.shop, Default::default()).await, key: other.key };
    assert_eq!(stranger.upload("image/png", LOGO, None).await.status, 401);
    // Nor is anything else found beside it.
    for file in ["logo-.png", "..%2f..%2fstyle.css", "theme-.css", "logo-%00.png", ".png"] {
        assert_eq!(owner.file(&format!("/projects/shop/brand/{file}")).await.status(), 404, "{file}");
    }
    // A project that is switched off shows nothing.
    let desk = app.desk(&owner.shop, "admin").await;
    desk.patch("", json!({"status": "disabled"})).await.ok();
    assert_eq!(owner.file(&format!("/projects/shop/brand/{logo}")).await.status(), 404);
}

async fn a_change_meanwhile_is_not_overwritten(engine: Engine) {
    let app = TestApp::new(engine).await;
    let owner = Owner::new(&app, "shop", "admin").await;
    let first = owner.upload("image/png", LOGO, None).await.ok();
    let etag = format!("\"{}\"", first["version"]);
    owner.brand(json!({"radius": 4})).await.ok();
    let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc2\0\x0b\x08\0\x10\0\x20\x01\0\0\0\xff\xd9";
    let stale = owner.upload("image/jpeg", jpeg, Some(&etag)).await;
    assert_eq!((stale.status, &stale.body["error"]), (412, &json!("precondition_failed")));
    // Many at once: each answer is a picture that was stored or a conflict, and the last one stored is shown.
    let all = (0..6).map(|_| owner.upload("image/jpeg", jpeg, None));
    for answer in futures_util::future::join_all(all).await {
        assert!(matches!(answer.status, 200 | 409), "{}", answer.body);
    }
    let logo = between(&owner.page().await.text, "src=\"", "\"").to_owned();
    assert_eq!(owner.file(&logo).await.bytes().await.unwrap(), &jpeg[..]);
}
