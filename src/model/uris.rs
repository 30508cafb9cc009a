//! URIs that an application may register.

use crate::error::{Error, Result};

/// A URI that a browser may be sent back to: absolute, without a fragment (RFC 6749, 3.1.2), https or loopback http,
/// or a private-use scheme that contains a dot (RFC 8252, 7.1).
///
/// # Errors
/// `invalid_request` naming the bound.
pub fn check_return_uri(field: &'static str, uri: &str) -> Result<()> {
    let refuse = |why: &'static str| Err(Error::invalid_field(field, why));
    if uri.len() > 2048 || !uri.bytes().all(|b| b.is_ascii_graphic()) {
        return refuse("a redirect URI has at most 2048 visible ASCII characters");
    }
    // RFC 3986, 2: no part of a URI has them, and a host with one would be taken for a name.
    if uri.contains(['"', '<', '>']) {
        return refuse("a redirect URI has neither quotes nor angle brackets");
    }
    let Ok(url) = url::Url::parse(uri) else { return refuse("a redirect URI must be an absolute URI") };
    if uri.contains('#') || !url.username().is_empty() || url.password().is_some() {
        return refuse("a redirect URI has neither fragment nor user information");
    }
    match url.scheme() {
        "http" | "https" if is_web(&url) => Ok(()),
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
    let visible = uri.len() <= 2048 && uri.bytes().all(|b| b.is_ascii_graphic()) && !uri.contains('#');
    let web = url::Url::parse(uri)
        .is_ok_and(|url| is_web(&url) && url.username().is_empty() && url.password().is_none());
    if visible && web {
        return Ok(());
    }
    let bound = "is https or http on a loopback address, of at most 2048 visible ASCII characters, without fragment or user information";
    Err(Error::invalid_field(field, format!("{field} {bound}")))
}

fn is_web(url: &url::Url) -> bool {
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
