//! What a person and their clients hold, and that all of it is refused once it has ended.

use futures_util::future::join_all;
use serde_json::json;

use super::{End, Shop, TestApp, location_of, parameter};

/// Tokens that were given out, codes that were not used, and cookies.
#[derive(Default)]
pub struct Granted {
    pub access: Vec<String>,
    pub refresh: Vec<String>,
    pub codes: Vec<String>,
    pub cookies: Vec<String>,
}

impl Granted {
    /// Nothing is accepted, and the node says why.
    pub async fn check_ended(&self, node: &TestApp, shop: &Shop, end: End) {
        join_all(self.access.iter().map(|token| check_access(node, shop, token, end.reason()))).await;
        for token in &self.refresh {
            end.refuses_refresh(node.refresh(shop, token).await);
        }
        for code in &self.codes {
            end.refuses_code(node.exchange(shop, code).await);
        }
        for cookie in &self.cookies {
            let code = silent_code(node, shop, cookie).await;
            assert_eq!(code.is_none(), end.ends_browsers(), "{end:?}");
        }
    }

    /// Enabling gives nothing back.
    pub async fn check_enabled(&self, node: &TestApp, shop: &Shop) {
        join_all(self.access.iter().map(|token| check_access(node, shop, token, "signed_out"))).await;
        for token in &self.refresh {
            let why = "the session has ended: signed_out";
            node.refresh(shop, token).await.refused(400, "invalid_grant", why);
        }
        for code in &self.codes {
            End::Disable.refuses_code(node.exchange(shop, code).await);
        }
        for cookie in &self.cookies {
            assert_eq!(silent_code(node, shop, cookie).await, None);
        }
    }
}

async fn check_access(node: &TestApp, shop: &Shop, token: &str, reason: &str) {
    let verdict = node.verify(shop, token).await;
    assert_eq!((&verdict["active"], &verdict["reason"]), (&json!(false), &json!(reason)));
    let told = node.bearer(shop, "userinfofromaccesstoken", token, json!({})).await;
    assert_eq!((told.status, &told.body["reason"]), (401, &json!(reason)));
}

/// A code without asking; `None` once the browser is not signed in any more.
pub async fn silent_code(node: &TestApp, shop: &Shop, cookie: &str) -> Option<String> {
    let url = node.authorize_url(shop, "&prompt=none&scope=openid+profile");
    let answer = node.http.get(url).header("cookie", cookie).send().await.unwrap();
    let to = location_of(&answer);
    let error = parameter(&to, "error");
    assert!(error.as_deref().is_none_or(|error| error == "login_required"), "{to}");
    error.is_none().then(|| parameter(&to, "code").unwrap())
}
