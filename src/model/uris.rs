//! URIs that an application may register.

use crate::error::{Error, Result};

/// A URI that a browser may be sent back to: absolute, without a fragment (RFC 6749, 3.1.2), https or loopback http,
/// or a private-use scheme that contains a dot (RFC 8252, 7.1).
///
/// # Errors
/// `invalid_request` naming the bound.
pub fn check_return_uri(field: &'static str, uri: &str) -> Result<()> {
    let refuse = |why: &'static str| Err(Error::invalid_field(field, why));
    if uri.len() > 2048 || !is_spelled_as_uri(uri) {
        return refuse("a redirect URI has at most 2048 characters, of those that RFC 3986 knows");
    }
    let Ok(url) = url::Url::parse(uri) else { return refuse("a redirect URI must be an absolute URI") };
    if uri.contains('#') || !url.username().is_empty() || url.password().is_some() {
        return refuse("a redirect URI has neither fragment nor user information");
    }
    match url.scheme() {
        "http" | "https" if is_web(uri, &url) => Ok(()),
        scheme if scheme.contains('.') => Ok(()),
        _ => {
            refuse("a redirect URI is https, http on a loopback address, or a private-use scheme with a dot")
        }
    }
}

/// A page of the application: https (for the start of a sign-in OpenID Connect Core, 4 says so), or http on a loopback
/// address.
///
/// # Errors
/// `invalid_request` naming the field and the bound.
pub fn check_web_uri(field: &'static str, uri: &str) -> Result<()> {
    let spelled = uri.len() <= 2048 && is_spelled_as_uri(uri) && !uri.contains('#');
    let web = url::Url::parse(uri)
        .is_ok_and(|url| is_web(uri, &url) && url.username().is_empty() && url.password().is_none());
    if spelled && web {
        return Ok(());
    }
    let bound = "is https or http on a loopback address, of at most 2048 characters that RFC 3986 knows, without fragment or user information";
    Err(Error::invalid_field(field, format!("{field} {bound}")))
}

/// The characters of RFC 3986, 2: unreserved, reserved, and bytes as `%XX`. What else there is, browsers rewrite, each as it
/// likes.
fn is_spelled_as_uri(uri: &str) -> bool {
    let mut bytes = uri.bytes();
    while let Some(byte) = bytes.next() {
        let good = match byte {
            b'%' => [bytes.next(), bytes.next()].iter().all(|b| b.is_some_and(|b| b.is_ascii_hexdigit())),
            byte => byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte),
        };
        if !good {
            return false;
        }
    }
    true
}

/// Whether the host stands where everybody reads it, and is one that nobody decodes first: a name of letters, digits, dots
/// and hyphens, or an IPv6 address in brackets.
fn has_plain_host(uri: &str) -> bool {
    let Some((_, rest)) = uri.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_port = |text: &str| {
        text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
    };
    if let Some((address, port)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok() && is_port(port);
    }
    let (name, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
    is_name && is_port(port)
}

fn is_web(uri: &str, url: &url::Url) -> bool {
    if !has_plain_host(uri) {
        return false;
    }
    match url.scheme() {
        "https" => true,
        "http" => matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_that_may_be_registered() {
        for good in ["https://app.example/cb?x=1", "http://127.0.0.1:8080/cb", "com.example.app:/cb"] {
            assert!(check_return_uri("redirect_uris", good).is_ok(), "{good}");
        }
        for bad in [
            "/cb",
            "http://app.example/cb",
            "https://a/#f",
            "https://u@a/",
            "javascript:alert(1)",
            "https://a/\r\n",
            "https://app.e\"xample/",
            "https://a/<b>",
        ] {
            assert!(check_return_uri("redirect_uris", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn uris_are_spelled_as_rfc_3986_says() {
        for good in [
            "https://app.example/a-b_c~d!$&'()*+,;=:@/%7e%2F?q=[1]",
            "https://[2001:db8::1]:8443/cb",
            "https://xn--bcher-kva.example:/cb",
            "http://[::1]:9/cb",
            "com.example.app:/cb?a=%20",
        ] {
            assert!(check_return_uri("redirect_uris", good).is_ok(), "{good}");
        }
        for character in ['"', '<', '>', '\\', '^', '`', '{', '|', '}', ' ', '\0', '\u{7f}', 'ä'] {
            for scheme in ["https://app.example/cb", "https://app.example/cb?x=", "com.example.app:/cb"] {
                let uri = format!("{scheme}{character}");
                assert!(check_return_uri("redirect_uris", &uri).is_err(), "{uri}");
                assert!(check_web_uri("client_uri", &uri).is_err(), "{uri}");
            }
        }
        for escape in ["%", "%2", "%g0", "%0g", "%%20", "%2%30"] {
            let uri = format!("https://app.example/{escape}");
            assert!(check_return_uri("redirect_uris", &uri).is_err(), "{uri}");
            assert!(check_web_uri("client_uri", &uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn hosts_are_plain() {
        for host in [
            "",
            "a_b.example",
            "ex%61mple.com",
            "a*.example",
            "a,b",
            "a;b",
            "[::1",
            "[v1.x]",
            "[::1]x",
            "a:b",
            "a:1:2",
            "(a)",
            "[fe80::1%25en0]",
            "a'b.example",
            "a!b",
            "a=b",
            "a~b",
        ] {
            let uri = format!("https://{host}/cb");
            assert!(check_return_uri("redirect_uris", &uri).is_err(), "{uri}");
            assert!(check_web_uri("client_uri", &uri).is_err(), "{uri}");
        }
        for elsewhere in ["https:app.example/cb", "https:/app.example/cb", "https:///app.example/cb"] {
            assert!(check_return_uri("redirect_uris", elsewhere).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn pages_are_of_the_web() {
        for good in ["https://app.example/login?tenant=1", "http://localhost:3000/login"] {
            assert!(check_web_uri("client_uri", good).is_ok(), "{good}");
        }
        for bad in ["/login", "http://app.example/", "com.example.app:/login", "https://a/#f", "https://u@a/"]
        {
            assert!(check_web_uri("client_uri", bad).is_err(), "{bad}");
        }
    }
}
