//! The Content-Security-Policy: no script, no inline style, no frame, and a form that leads to us and to the application.

use url::Url;

use crate::model::client::Client;

/// Where the form of a client's sign-in may lead. Browsers hold the redirect that follows a posted form to `form-action`
/// too, so these are the origins of the redirect URIs that the client has registered. Those on the web count for browsers that
/// are answered with a redirect, because they do not say what they will do with the answer.
pub fn form_targets(client: &Client) -> Vec<String> {
    let mut targets: Vec<String> =
        client.settings.redirect_uris.iter().filter_map(|uri| origin_of(uri)).collect();
    targets.sort_unstable();
    targets.dedup();
    targets
}

/// The web origin of the first redirect URI: where the application lives, as far as we know.
pub fn web_origin(client: &Client) -> Option<String> {
    client
        .settings
        .redirect_uris
        .first()
        .and_then(|uri| origin_of(uri))
        .filter(|origin| origin.contains("//"))
}

pub fn origin_of(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok()?;
    match url.origin() {
        origin if origin.is_tuple() => Some(origin.ascii_serialization()),
        _ => Some(format!("{}:", url.scheme())),
    }
}

/// For the page that sends the answer on by POST: one script, and a form that leads to the redirect URI. The application may
/// answer it with a redirect to wherever it likes, which is held to this policy and which nobody can name beforehand; so it names
/// schemes. The page has no field, and no script but the one that presses its button.
pub fn form_post_policy(redirect_uri: &str, script: &str) -> String {
    let scheme = redirect_uri.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    let targets = match scheme.as_str() {
        "https" => "https:".to_owned(),
        // An application on this very machine, which may go on to another port of it.
        "http" => "http: https:".to_owned(),
        _ => Some(format!("{scheme}:")).filter(|own| is_source(own)).unwrap_or("'none'".to_owned()),
    };
    format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src {script}; form-action {targets}; \
         frame-ancestors 'none'; base-uri 'none'"
    )
}

/// Like [`content_security_policy`], for a page that loads one script of ours.
pub fn policy_with_script(form_targets: &[String], script: &str) -> String {
    let (before, after) = ("; frame-ancestors", format!("; script-src {script}; frame-ancestors"));
    content_security_policy(form_targets).replacen(before, &after, 1)
}

/// Anything that is not plainly an origin is left out of `form-action`.
pub fn content_security_policy(form_targets: &[String]) -> String {
    let mut policy = String::from("default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'");
    for origin in form_targets.iter().filter(|origin| is_source(origin)) {
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
        assert_eq!(
            content_security_policy(&given.map(String::from)),
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' \
             https://app.example:8443 http://[::1]:3000 com.example.app:; frame-ancestors 'none'; base-uri 'none'"
        );
        assert_eq!(
            content_security_policy(&[]),
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
             frame-ancestors 'none'; base-uri 'none'"
        );
    }

    #[test]
    fn a_form_that_carries_an_answer_leads_where_the_application_leads_on() {
        for (uri, targets) in [
            ("https://app.example/cb?tenant=1", "https:"),
            ("HTTPS://app.example/cb", "https:"),
            ("http://127.0.0.1:3000/cb", "http: https:"),
            ("com.example.app:/cb", "com.example.app:"),
            ("javascript:alert(1)", "'none'"),
            ("nothing", "'none'"),
        ] {
            assert_eq!(
                form_post_policy(uri, "https://id.example/assets/x.js"),
                format!(
                    "default-src 'none'; style-src 'self'; img-src 'self'; \
                     script-src https://id.example/assets/x.js; form-action {targets}; \
                     frame-ancestors 'none'; base-uri 'none'"
                )
            );
        }
    }

    #[test]
    fn a_script_is_named() {
        assert_eq!(
            policy_with_script(&["https://app.example".into()], "https://id.example/assets/x.js"),
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' https://app.example; \
             script-src https://id.example/assets/x.js; frame-ancestors 'none'; base-uri 'none'"
        );
    }

    #[test]
    fn origins_are_what_browsers_compare() {
        for (uri, origin) in [
            ("https://App.example:443/cb?x=1", "https://app.example"),
            ("http://localhost:9/callback", "http://localhost:9"),
            ("com.example.app:/cb", "com.example.app:"),
        ] {
            assert_eq!(origin_of(uri).as_deref(), Some(origin));
        }
    }
}
