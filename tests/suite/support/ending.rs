//! The acts that end what a person holds, as an admin or the person takes them, and what is answered from then on.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, REASON, Shop, TestApp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    SignOut,
    SignOutOfBrowsers,
    Disable,
    Delete,
    Reset,
}

impl End {
    pub const ALL: [Self; 5] =
        [Self::SignOut, Self::SignOutOfBrowsers, Self::Disable, Self::Delete, Self::Reset];

    /// What a token is refused for.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::SignOut | Self::SignOutOfBrowsers | Self::Reset => "signed_out",
            Self::Disable => "user_disabled",
            Self::Delete => "user_deleted",
        }
    }

    /// Whether the hosted cookie ends as well.
    pub fn ends_browsers(self) -> bool {
        self != Self::SignOut
    }

    /// Whether the password from before signs nobody in any more.
    pub fn ends_sign_ins(self) -> bool {
        matches!(self, Self::Disable | Self::Delete | Self::Reset)
    }

    /// The password from then on; `number` makes a reset's own.
    pub fn password_after(self, before: &str, number: usize) -> String {
        match self {
            Self::Reset => format!("password number {number}"),
            _ => before.to_owned(),
        }
    }

    /// Ends what alice holds, and returns when that has been answered. A sign-out is alice's own, given her token.
    pub async fn carry_out(self, node: &TestApp, shop: &Shop, key: &str, token: Option<&str>, number: usize) {
        let user = format!("/projects/{}/users/{}", shop.slug, shop.user);
        match self {
            Self::SignOut | Self::SignOutOfBrowsers => {
                let browsers = self == Self::SignOutOfBrowsers;
                let body = match token {
                    Some(_) => json!({"end_browser_sessions": browsers}),
                    None => json!({"end_browser_sessions": browsers, "user": shop.user}),
                };
                node.bearer(shop, "GlobalSignOut", token.unwrap_or(key), body).await.ok();
            }
            Self::Disable => {
                node.admin_patch(key, &user, json!({"status": "disabled"})).await.ok();
            }
            Self::Delete => {
                let ask = json!({"user": shop.user, "reason": REASON});
                let asked = node.bearer(shop, "delete-user", key, ask).await;
                assert_eq!(asked.status, 202, "{}", asked.body);
                let confirm = json!({"deletion_id": asked.body["deletion_id"], "confirmation": "alice"});
                let done = node.bearer(shop, "delete-user/confirm", key, confirm).await.ok();
                assert_eq!(done["state"], "executed");
            }
            Self::Reset => {
                let body = json!({"password": self.password_after("", number)});
                node.admin_post(key, &format!("{user}/set-password"), body).await.ok();
            }
        }
    }

    pub async fn enable(node: &TestApp, shop: &Shop, key: &str) {
        let user = format!("/projects/{}/users/{}", shop.slug, shop.user);
        let enabled: Value = node.admin(key, Method::PATCH, &user, json!({"status": "active"})).await.ok();
        assert_eq!(enabled["status"], "active");
    }

    /// The exact refusal of a refresh token that this has ended.
    pub fn refuses_refresh(self, answer: Answer) {
        let why = match self {
            // Its family is gone.
            Self::Delete => "the refresh token is not valid".to_owned(),
            _ => format!("the session has ended: {}", self.reason()),
        };
        answer.refused(400, "invalid_grant", &why);
    }

    /// The exact refusal of a code that this has ended. A deletion takes the codes away, but for one that was made in the
    /// same moment, which is worth nothing.
    pub fn refuses_code(self, answer: Answer) {
        let unknown = answer.body["error_description"] == "the code is unknown";
        let why = match self {
            Self::Delete if unknown => "the code is unknown",
            _ => "the code has expired or its sign-in has ended",
        };
        answer.refused(400, "invalid_grant", why);
    }
}
