use super::*;
use crate::http::hosted::assets::STYLESHEET;
use crate::texts::english;

const HOSTILE: &str = "\"><script>alert('x')</script><p style=\"x\" onclick=x>&";

fn frame(name: &str) -> Frame<'_> {
    Frame { name: Some(name), ui_locales: Some("en"), ..Frame::bare(english()) }
}

fn sign_in<'a>(text: &'a str, error: Option<&'a str>) -> String {
    let page = SignInPage {
        t: english(),
        frame: frame(text),
        client_name: Some(text),
        action: "/p/acme/sign-in",
        request: text,
        username: text,
        is_known: false,
        error,
        forgotten: text,
        sign_up: Some(text),
        host: text,
        passkey: None,
    };
    page.render().unwrap()
}

fn select_account(text: &str) -> String {
    let page = SelectAccountPage {
        t: english(),
        frame: frame(text),
        client_name: text,
        action: text,
        request: text,
        username: text,
    };
    page.render().unwrap()
}

fn consent(text: &str, uri: Option<&str>) -> String {
    let page = ConsentPage {
        t: english(),
        frame: frame(text),
        client_name: text,
        client_uri: uri,
        policy_uri: uri,
        tos_uri: uri,
        action: text,
        request: text,
        username: text,
        allowances: &[text.to_owned()],
        servers: &[text.to_owned()],
        back: text,
    };
    page.render().unwrap()
}

fn signed_in(text: &str) -> String {
    let page = SignedInPage {
        t: english(),
        frame: frame(text),
        client_name: text,
        application: Some(text),
        other: text,
    };
    page.render().unwrap()
}

fn error_page(text: &str) -> String {
    let page = ErrorPage {
        t: english(),
        frame: frame(text),
        title: text,
        message: text,
        again: Some(text),
        request_id: text,
    };
    page.render().unwrap()
}

fn demo(code: Option<&str>, error: Option<&str>) -> String {
    let page = DemoCallbackPage {
        t: english(),
        frame: frame("Tessera demo"),
        code,
        error,
        error_description: error,
        client: code.unwrap_or_default(),
        line: code.unwrap_or_default(),
        lost: None,
        login_link: Some("/sign-in?a=1&b=2"),
    };
    page.render().unwrap()
}

fn devices(text: &str) -> [String; 3] {
    let code = DeviceCodePage {
        t: english(),
        frame: frame(text),
        action: "/device",
        request: text,
        code: text,
        error: Some(text),
    };
    let confirm = DeviceConfirmPage {
        t: english(),
        frame: frame(text),
        client_name: text,
        action: "/device/confirm",
        request: text,
        code: text,
        username: text,
        other: text,
        scopes: &[text.to_owned()],
        servers: &[text.to_owned()],
        is_for_admins: true,
    };
    let done = DeviceDonePage { t: english(), frame: frame(text), title: text, message: text };
    [code.render().unwrap(), confirm.render().unwrap(), done.render().unwrap()]
}

#[test]
fn hostile_text_stays_text() {
    let [code, confirm, done] = devices(HOSTILE);
    let pages = [
        code,
        confirm,
        done,
        sign_in(HOSTILE, Some(HOSTILE)),
        sign_in(HOSTILE, None),
        select_account(HOSTILE),
        consent(HOSTILE, Some(HOSTILE)),
        signed_in(HOSTILE),
        error_page(HOSTILE),
        demo(Some(HOSTILE), None),
        demo(None, Some(HOSTILE)),
    ];
    for page in pages {
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("<p style"), "{page}");
        assert!(page.contains("&#60;script&#62;"), "{page}");
    }
}

#[test]
fn pages_are_small_and_have_no_script_or_inline_style() {
    for page in [
        sign_in("Acme", Some("No.")),
        sign_in("", None),
        select_account("x"),
        consent("x", Some("https://app.example")),
        consent("x", None),
        signed_in("x"),
        error_page("x"),
        demo(Some("c"), None),
        demo(None, None),
    ] {
        assert!(page.len() < 10_000);
        assert!(!page.contains("<script") && !page.contains(" style=") && !page.contains("<style"));
        assert!(page.contains(&format!("href=\"{}\"", STYLESHEET.path())));
        assert_eq!(page.matches("<h1>").count(), 1);
    }
}

#[test]
fn the_first_field_to_fill_has_the_focus_and_an_error_is_announced() {
    let empty = sign_in("", None);
    assert_eq!(empty.matches(" autofocus").count(), 1);
    assert!(empty.find(" autofocus").unwrap() < empty.find("id=\"password\"").unwrap());
    assert!(!empty.contains("role=\"alert\"") && !empty.contains("aria-describedby"));
    let again = sign_in("ada", Some("That did not match."));
    assert_eq!(again.matches(" autofocus").count(), 1);
    assert!(again.find(" autofocus").unwrap() > again.find("id=\"password\"").unwrap());
    assert!(again.contains("role=\"alert\">That did not match.</p>"));
    assert_eq!(again.matches("aria-describedby=\"problem\"").count(), 2);
}

#[test]
fn responses_carry_their_headers() {
    let page = error(Frame::bare(english()), &crate::error::invalid_request("x"));
    assert_eq!(page.status(), 400);
    assert_eq!(page.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(page.headers()[header::X_FRAME_OPTIONS], "DENY");
    assert_eq!(page.headers()[header::REFERRER_POLICY], "no-referrer");
}
