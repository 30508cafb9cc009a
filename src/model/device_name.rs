//! A user agent in plain words: which browser, on which system. It says what the device says of itself, and proves nothing.

use serde::Serialize;

/// As far as it is known; names are names in every language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceName {
    pub browser: Option<&'static str>,
    pub system: Option<&'static str>,
}

/// What a user agent contains, and what that is called. The first that fits counts: all of them say that they are Mozilla,
/// most that they are Safari, and many that they are Chrome.
const BROWSERS: [(&str, &str); 14] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];

const SYSTEMS: [(&str, &str); 8] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
    ("FreeBSD", "FreeBSD"),
];

/// `None`: nothing that we know.
pub fn device_name(user_agent: &str) -> Option<DeviceName> {
    let first = |known: &[(&str, &'static str)]| {
        known.iter().find(|(part, _)| user_agent.contains(part)).map(|(_, name)| *name)
    };
    let name = DeviceName { browser: first(&BROWSERS), system: first(&SYSTEMS) };
    (name.browser.is_some() || name.system.is_some()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_agents_have_plain_names() {
        let on = |browser, system| Some(DeviceName { browser, system });
        for (user_agent, name) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:131.0) Gecko/20100101 Firefox/131.0",
                on(Some("Firefox"), Some("Windows")),
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 \
                 Safari/605.1.15",
                on(Some("Safari"), Some("macOS")),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 \
                 Safari/537.36 Edg/129.0.0.0",
                on(Some("Edge"), Some("Windows")),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 CriOS/123.0 Mobile/15E148 Safari/604.1",
                on(Some("Chrome"), Some("iPhone")),
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/24.0 \
                 Chrome/117.0.0.0 Mobile Safari/537.36",
                on(Some("Samsung Internet"), Some("Android")),
            ),
            ("curl/8.5.0", on(Some("curl"), None)),
            ("Acme TV (Linux)", on(None, Some("Linux"))),
            ("", None),
            ("<script>alert(1)</script>", None),
        ] {
            assert_eq!(device_name(user_agent), name, "{user_agent}");
        }
    }
}
