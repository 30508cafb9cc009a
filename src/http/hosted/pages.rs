//! The pages that people see, their stylesheet, and the headers both are sent with.
//!
//! No page has a script or an inline style, so the policy can forbid both.

use std::fmt::Write;
use std::sync::LazyLock;

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Asks for a username and a password, and says which application is waiting.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage<'a> {
    pub project_name: &'a str,
    pub client_name: &'a str,
    /// Where the form is posted to.
    pub action: &'a str,
    /// The sealed authorization request, carried in a hidden field.
    pub request: &'a str,
    /// What was typed before, or the login hint.
    pub username: &'a str,
    /// Must read the same whether or not the account exists.
    pub error: Option<&'a str>,
    pub asset_base: &'a str,
    pub request_id: &'a str,
}

/// What happened and what to do, when there is nobody to redirect to.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage<'a> {
    pub project_name: Option<&'a str>,
    pub title: &'a str,
    pub message: &'a str,
    pub asset_base: &'a str,
    pub request_id: &'a str,
}

/// Stands in for an application at the development server's redirect URI.
#[derive(Template)]
#[template(path = "demo_callback.html")]
pub struct DemoCallbackPage<'a> {
    pub code: Option<&'a str>,
    pub error: Option<&'a str>,
    pub error_description: Option<&'a str>,
    /// The command that exchanges the code for tokens.
    pub curl: &'a str,
    pub login_link: &'a str,
    pub asset_base: &'a str,
}

pub const STYLESHEET: &str = include_str!("style.css");

static STYLESHEET_NAME: LazyLock<String> = LazyLock::new(|| {
    let mut name = String::from("style-");
    for byte in crate::secret::sha256(STYLESHEET.as_bytes()).iter().take(6) {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name.push_str(".css");
    name
});

/// The stylesheet's file name, which changes with its content; served at `{asset_base}/assets/{name}`.
pub fn stylesheet_name() -> &'static str {
    &STYLESHEET_NAME
}

/// The stylesheet, which may be kept for a year because its name is its hash.
pub fn stylesheet() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, STYLESHEET).into_response()
}

/// A page with its security headers.
///
/// Browsers hold the redirect that follows a posted form to `form-action` too, so `form_action` names the origin
/// that the client is sent back to. Anything that is not plainly an origin is left out.
pub fn html(status: u16, body: String, form_action: &[&str]) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    set(headers, header::CONTENT_TYPE, "text/html; charset=utf-8");
    set(headers, header::CACHE_CONTROL, "no-store");
    set(headers, header::REFERRER_POLICY, "no-referrer");
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::X_FRAME_OPTIONS, "DENY");
    set(headers, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(
        headers,
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    );
    let policy = content_security_policy(form_action);
    // Only characters that a header may carry get into the policy; were that ever wrong, nothing is allowed.
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

fn content_security_policy(form_action: &[&str]) -> String {
    let mut policy =
        String::from("default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'");
    for origin in form_action.iter().filter(|origin| is_source(origin)) {
        policy.push(' ');
        policy.push_str(origin);
    }
    policy.push_str("; frame-ancestors 'none'; base-uri 'none'");
    policy
}

/// Whether this is `scheme://host[:port]`, or a bare `scheme:` of an application's own.
fn is_source(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(plain) {
        return false;
    }
    if rest.is_empty() {
        // A bare scheme lets the form go anywhere that speaks it, so never one that a web page is reached with.
        const SHARED: [&str; 10] =
            ["http", "https", "ws", "wss", "data", "blob", "javascript", "file", "filesystem", "about"];
        return !SHARED.iter().any(|shared| scheme.eq_ignore_ascii_case(shared));
    }
    let Some(authority) = rest.strip_prefix("//") else { return false };
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let Some((address, port)) = inner.split_once(']') else { return false };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (address, port.strip_prefix(':').or(port.is_empty().then_some("0")))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("0")),
        },
    };
    !host.is_empty()
        && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:".contains(c))
        && port.is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "\"><script>alert('x')</script><p style=\"x\" onclick=x>&";

    fn sign_in<'a>(text: &'a str, error: Option<&'a str>) -> String {
        SignInPage {
            project_name: text,
            client_name: text,
            action: "/p/acme/sign-in",
            request: text,
            username: text,
            error,
            asset_base: "/p/acme",
            request_id: text,
        }
        .render()
        .unwrap()
    }

    fn error_page(text: &str) -> String {
        ErrorPage {
            project_name: Some(text),
            title: text,
            message: text,
            asset_base: "/p/acme",
            request_id: text,
        }
        .render()
        .unwrap()
    }

    fn demo(code: Option<&str>, error: Option<&str>) -> String {
        DemoCallbackPage {
            code,
            error,
            error_description: error,
            curl: code.unwrap_or_default(),
            login_link: "/authorize?a=1&b=2",
            asset_base: "",
        }
        .render()
        .unwrap()
    }

    #[test]
    fn hostile_text_stays_text() {
        let pages = [
            sign_in(HOSTILE, Some(HOSTILE)),
            sign_in(HOSTILE, None),
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
            error_page("x"),
            demo(Some("c"), None),
            demo(None, None),
        ] {
            assert!(page.len() + STYLESHEET.len() < 50_000);
            assert!(!page.contains("<script") && !page.contains(" style=") && !page.contains("<style"));
            assert!(page.contains(&format!("/assets/{}\"", stylesheet_name())));
            assert_eq!(page.matches("<h1>").count(), 1);
        }
        assert!(!STYLESHEET.contains("url(") && !STYLESHEET.contains("@import"));
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
        assert_eq!(again.matches("aria-describedby=\"sign-in-error\"").count(), 2);
    }

    #[test]
    fn the_policy_is_exact_and_takes_only_origins() {
        let given = [
            "https://app.example:8443",
            "http://[::1]:3000",
            "com.example.app:",
            "https://app.example/callback",
            "https://app.example; script-src *",
            "https://*",
            "https:",
            "javascript:",
            "https://user@app.example",
            "https://a.example:99999",
            "https://",
            "*",
            "'unsafe-inline'",
            "",
            "https://a.example\r\nX: y",
        ];
        let response = html(200, String::new(), &given);
        assert_eq!(
            response.headers()[header::CONTENT_SECURITY_POLICY],
            "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self' \
             https://app.example:8443 http://[::1]:3000 com.example.app:; frame-ancestors 'none'; base-uri 'none'"
        );
        assert_eq!(
            content_security_policy(&[]),
            "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
             frame-ancestors 'none'; base-uri 'none'"
        );
    }

    #[test]
    fn responses_carry_their_headers() {
        let page = html(400, "x".into(), &[]);
        assert_eq!(page.status(), 400);
        assert_eq!(page.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(page.headers()[header::X_FRAME_OPTIONS], "DENY");
        assert_eq!(page.headers()["cross-origin-opener-policy"], "same-origin");
        let sheet = stylesheet();
        assert_eq!(sheet.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
        assert!(sheet.headers()[header::CACHE_CONTROL].to_str().unwrap().ends_with("immutable"));
        assert_eq!(stylesheet_name().len(), "style-".len() + 12 + ".css".len());
    }
}
