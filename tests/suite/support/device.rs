//! A device and its person (RFC 8628).

use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tessera::model::client::{ClientSettings, GrantType};

use super::{Answer, PASSWORD, REDIRECT, Seen, Shop, TestApp, cookie_of, sealed_of};

pub const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

impl TestApp {
    /// A client that serves devices and browsers.
    pub async fn device_shop(&self, slug: &str, kind: &str) -> Shop {
        let settings = ClientSettings {
            redirect_uris: vec![REDIRECT.into()],
            require_pkce: kind == "public",
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::DeviceCode],
            ..ClientSettings::default()
        };
        self.shop_with(slug, kind, settings).await
    }

    /// A device begins.
    pub async fn device(&self, shop: &Shop, scope: &str) -> Device {
        let answer = self.post_as(shop, "/oauth2/device_authorization", &[("scope", scope)]).send().await;
        Device(Answer::of(answer.unwrap()).await.ok())
    }

    /// A device asks whether it may go on.
    pub async fn poll(&self, shop: &Shop, device: &Device) -> Answer {
        Answer::of(self.poll_request(shop, device).send().await.unwrap()).await
    }

    pub fn poll_request(&self, shop: &Shop, device: &Device) -> RequestBuilder {
        let form = [("grant_type", DEVICE_GRANT), ("device_code", device.get("device_code"))];
        self.post_as(shop, "/oauth2/token", &form)
    }

    /// Opens the page for the code: the cookie of the browser, and what the form carries.
    pub async fn device_page(&self, shop: &Shop, cookie: Option<&str>) -> (String, String) {
        let request = self.http.get(self.project_url(shop, "/device"));
        let request = cookie.into_iter().fold(request, |request, cookie| request.header("cookie", cookie));
        let page = request.send().await.unwrap();
        let cookie = cookie.map_or_else(|| cookie_of(&page), str::to_owned);
        (cookie, sealed_of(&Seen::of(page).await.text))
    }

    /// Types a code in.
    pub async fn enter_code(&self, shop: &Shop, (cookie, sealed): &(String, String), code: &str) -> Response {
        let request = self.http.post(self.project_url(shop, "/device")).header("cookie", cookie);
        request.form(&[("request", sealed.as_str()), ("user_code", code)]).send().await.unwrap()
    }

    /// Follows a link of ours with a cookie.
    pub async fn follow(&self, location: &Response, cookie: &str) -> Response {
        let to = location.headers()["location"].to_str().unwrap();
        let to = if to.starts_with('/') { format!("{}{to}", self.base) } else { to.to_owned() };
        self.http.get(to).header("cookie", cookie).send().await.unwrap()
    }

    /// From the code to the page that asks to allow it, past the sign-in of alice: her cookie and the form.
    pub async fn named_device(&self, shop: &Shop, device: &Device) -> (String, String, Seen) {
        let page = self.device_page(shop, None).await;
        let entered = self.enter_code(shop, &page, device.get("user_code")).await;
        let form = self.follow(&entered, &page.0).await.text().await.unwrap();
        let signed_in = self.submit(shop, &page.0, &sealed_of(&form), PASSWORD).await;
        let cookie = cookie_of(&signed_in);
        let confirm = Seen::of(self.follow(&signed_in, &cookie).await).await;
        (cookie, sealed_of(&confirm.text), confirm)
    }

    /// Answers the page that asks.
    pub async fn decide(&self, shop: &Shop, cookie: &str, sealed: &str, decision: &str) -> Seen {
        let request = self.http.post(self.project_url(shop, "/device/confirm")).header("cookie", cookie);
        let answer = request.form(&[("request", sealed), ("decision", decision)]).send().await.unwrap();
        Seen::of(answer).await
    }

    /// All of it: alice allows the device.
    pub async fn allow(&self, shop: &Shop, device: &Device) -> String {
        let (cookie, sealed, _) = self.named_device(shop, device).await;
        let done = self.decide(shop, &cookie, &sealed, "allow").await;
        assert_eq!(done.status, 200, "{}", done.text);
        cookie
    }
}

/// What a device got at the beginning.
pub struct Device(pub Value);

impl Device {
    pub fn get(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }
}
