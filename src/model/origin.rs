//! Web origins (RFC 6454), as browsers write them: compared as text.

use url::Url;

/// No longer than a name of a host with scheme and port can be.
const MOST_BYTES: usize = 300;

/// `https://host[:port]`, or http on a loopback address.
pub fn is_origin(text: &str) -> bool {
    text.len() <= MOST_BYTES
        && !text.contains('*')
        && Url::parse(text).is_ok_and(|url| {
            let is_ours = match url.scheme() {
                "https" => true,
                "http" => matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")),
                _ => false,
            };
            is_ours && url.origin().ascii_serialization() == text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_do() {
        for good in
            ["https://app.example", "https://app.example:8443", "http://localhost:3000", "http://[::1]:3000"]
        {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "null",
            "*",
            "https://app.example/",
            "https://app.example:443",
            "https://App.example",
            "https://*.example",
            "https://u@app.example",
            "https://app.example?x",
            "http://app.example",
            "http://127.0.0.2",
            "com.example.app:",
            "app.example",
            "https://app.example https://b.example",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
