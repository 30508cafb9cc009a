//! The address of a call, as far as its text tells.

use url::{Host, Url};

use super::Fault;

const MOST_BYTES: usize = 2048;

/// A URL that can be called.
#[derive(Debug)]
pub(super) struct Target {
    url: Url,
    pub host: Host,
    pub port: u16,
}

impl Target {
    /// # Errors
    /// Another scheme, user information, or the port of another protocol.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let refused = Fault::Refused;
        let url = Some(text).filter(|text| text.len() <= MOST_BYTES).and_then(|text| Url::parse(text).ok());
        let url = url.ok_or(refused("the address is not a URL"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(refused("the address is neither https nor http"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("the address holds user information"));
        }
        let host = url.host().ok_or(refused("the address names no host"))?.to_owned();
        let port = url.port_or_known_default().unwrap_or_default();
        // Below 1024 listen mail, shells and databases, which a request could be made to look like.
        if !matches!(port, 80 | 443 | 1024..) {
            return Err(refused("the port of the address belongs to another protocol"));
        }
        Ok(Self { url, host, port })
    }

    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Host and, unless it is the scheme's own, port (RFC 9110, 7.2).
    pub fn authority(&self) -> &str {
        self.url.authority()
    }

    /// Path and query (RFC 9112, 3.2.1).
    pub fn path(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_called() {
        let target = Target::parse("https://app.example/a%20b?c=d#e").unwrap();
        assert_eq!((target.authority(), target.port), ("app.example", 443));
        assert_eq!((target.path().as_str(), target.is_encrypted()), ("/a%20b?c=d", true));
        assert_eq!(Target::parse("https://app.example:8443").unwrap().authority(), "app.example:8443");
        // Numbers are addresses, however they are written.
        for one in [
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://0x7F.0.0.1/",
            "http://１２７。０.0.1/",
            "http://%31%32%37.0.0.1/",
        ] {
            assert_eq!(
                Target::parse(one).unwrap().host,
                Host::<String>::Ipv4("127.0.0.1".parse().unwrap()),
                "{one}"
            );
        }
    }

    #[test]
    fn what_cannot() {
        for bad in
            ["", "/a", "ftp://a/", "file:///etc/passwd", "gopher://a:70/", "https://u@a/", "https://u:p@a/"]
        {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
        for bad in ["https://a:22/", "https://a:25/", "https://a:0/", "https://a:1023/", "https:///"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
        // Zones of addresses, numbers that are none, what a name or a host has not.
        for bad in [
            "https://[fe80::1%25eth0]/",
            "https://[fe80::1%eth0]/",
            "https://256.0.0.1/",
            "https://1.2.3.4.5/",
        ] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
        for bad in
            ["https://a b/", "https://a%00b/", "https://a%2fb/", "https://a:65536/", "https://a%0d%0ab/"]
        {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
        assert!(Target::parse(&format!("https://a/{}", "b".repeat(2048))).is_err());
    }

    #[test]
    fn what_stands_before_the_host_is_not_the_host() {
        for (text, authority) in [
            ("https://a.example\\@b.example/", "a.example"),
            ("https://a.example#@b.example/", "a.example"),
            ("https://a.example?@b.example/", "a.example"),
            ("https://a.example/@b.example/", "a.example"),
        ] {
            assert_eq!(Target::parse(text).unwrap().authority(), authority, "{text}");
        }
        for bad in
            ["https://a.example@b.example/", "https://a.example:443@b.example/", "https://%61@b.example/"]
        {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
        // Nothing of it splits a line of the request.
        let target = Target::parse("https://a.example/b\r\nc d?e\tf g").unwrap();
        assert_eq!(target.path(), "/bc%20d?ef%20g");
    }
}
