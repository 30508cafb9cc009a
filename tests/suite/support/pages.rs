//! What people see, as tests read it.

use reqwest::Response;

/// A page: its status, its headers, and its text.
pub struct Seen {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Seen {
    /// Takes a page, which is never kept, framed or scripted, and leads nowhere by itself.
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("content-type"), Some("text/html; charset=utf-8"), "{text}");
        assert_eq!(header("cache-control"), Some("no-store"));
        assert_eq!(header("x-frame-options"), Some("DENY"));
        assert_eq!(header("referrer-policy"), Some("no-referrer"));
        assert_eq!(header("x-content-type-options"), Some("nosniff"));
        let policy = header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'")
        );
        assert!(policy.ends_with("; frame-ancestors 'none'; base-uri 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"));
        assert!(!headers.contains_key("location") && !headers.contains_key("access-control-allow-origin"));
        // The one script there may be is ours, and asks for a passkey.
        let scripts = text.matches("<script").count();
        assert_eq!((scripts, policy.matches("script-src").count()), (scripts.min(1), scripts));
        assert_eq!(text.matches(r#"<script src="/assets/passkeys-"#).count(), scripts);
        assert!(text.len() < 50_000);
        Self { status, headers, text }
    }

    /// The message of an error page, without the markup.
    pub fn message(&self) -> String {
        between(&self.text, r#"<p class="message">"#, "</p>").replace("&#39;", "'")
    }

    /// What the sign-in page says that went wrong.
    pub fn alert(&self) -> &str {
        between(&self.text, r#"role="alert">"#, "</p>")
    }

    /// The user name that stands in the form.
    pub fn username(&self) -> &str {
        between(&self.text, r#"name="username" type="text" value=""#, "\"")
    }

    /// A page with this status and message, that signs nobody in.
    pub fn refused(&self, status: u16, message: &str) {
        assert_eq!((self.status, self.message().as_str()), (status, message));
        assert!(!self.headers.contains_key("set-cookie"));
    }

    /// The form again, with this complaint, for the browser's cookie as it was: it is set with every form.
    pub fn asks_again(&self, status: u16, alert: &str) {
        assert_eq!((self.status, self.alert()), (status, alert));
        let cookie = self.headers["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Lax; Max-Age=3600"), "{cookie}");
    }

    /// Whether the page sets this cookie again, and no other.
    pub fn keeps_cookie(&self, cookie: &str) -> bool {
        let set: Vec<_> = self.headers.get_all("set-cookie").iter().collect();
        set.len() == 1 && set[0].to_str().unwrap().split(';').next() == Some(cookie)
    }
}

pub fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).unwrap().0
}
