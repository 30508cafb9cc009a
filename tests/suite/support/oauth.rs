//! OAuth's endpoints as client libraries call them, and clients that prove themselves by a key.

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tessera::keys::generate::{NewKey, RsaSize, generate};
use tessera::keys::signing::Signer;
use tessera::model::client::{AuthMethod, ClientSettings, GrantType};
use tessera::model::signing_key::Alg;
use tessera::projects;
use tessera::secret::decode_base64url;

use super::{Answer, Shop, TestApp};

pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a JWT says, whoever made it.
pub fn claims_of(token: &str) -> Value {
    serde_json::from_slice(&decode_base64url(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

impl TestApp {
    /// A form that the client posts: by HTTP Basic, or by its name where it has no secret.
    pub fn post_as(&self, shop: &Shop, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let request = self.http.post(self.project_url(shop, path));
        match &shop.secret {
            Some(secret) => request.basic_auth(&shop.id, Some(secret)).form(form),
            None => request.form(&[form, &[("client_id", shop.id.as_str())]].concat()),
        }
    }

    /// Posts a form to `oauth2/…` as the client.
    pub async fn form(&self, shop: &Shop, endpoint: &str, form: &[(&str, &str)]) -> Answer {
        let request = self.post_as(shop, &format!("/oauth2/{endpoint}"), form);
        Answer::of(request.send().await.unwrap()).await
    }

    pub async fn introspect(&self, shop: &Shop, token: &str) -> Value {
        self.form(shop, "introspect", &[("token", token)]).await.ok()
    }

    /// Another client of the same project.
    pub async fn client(&self, shop: &Shop, kind: &str, settings: ClientSettings) -> Shop {
        let (client, secret) =
            projects::create_client(&self.app, shop.project, "Another", kind, settings).await.unwrap();
        let secret = secret.map(|secret| secret.expose().to_owned());
        let slug = shop.slug.clone();
        Shop { project: shop.project, slug, id: client.id.to_string(), secret, user: shop.user }
    }

    /// A service that gets tokens by these grants.
    pub async fn service(&self, shop: &Shop, grants: &[GrantType], scope: Option<&str>) -> Shop {
        let settings = ClientSettings {
            grant_types: grants.to_vec(),
            scope: scope.map(str::to_owned),
            ..ClientSettings::default()
        };
        self.client(shop, "service", settings).await
    }

    /// A service that proves itself by a key.
    pub async fn signing_service(&self, shop: &Shop, alg: Alg) -> (Shop, NewKey) {
        let key = generate(alg, RsaSize::default()).await.unwrap();
        let settings = ClientSettings {
            grant_types: vec![GrantType::ClientCredentials],
            token_endpoint_auth_method: Some(AuthMethod::PrivateKeyJwt),
            jwks: Some(jwks_of(&[&key])),
            ..ClientSettings::default()
        };
        (self.client(shop, "service", settings).await, key)
    }

    /// The claims of a good assertion (RFC 7523, 3).
    pub fn assertion_claims(&self, shop: &Shop, jti: &str) -> Value {
        let now = self.app.clock.now().unix();
        json!({"iss": shop.id, "sub": shop.id, "aud": self.project_url(shop, ""), "jti": jti, "iat": now,
            "exp": now + 60})
    }
}

/// A JWK Set with the public halves.
pub fn jwks_of(keys: &[&NewKey]) -> Value {
    let keys: Vec<Value> = keys.iter().map(|key| serde_json::from_str(&key.public_jwk).unwrap()).collect();
    json!({"keys": keys})
}

pub fn sign(key: &NewKey, claims: &Value) -> String {
    Signer::new(key.alg, &key.kid, &key.private_der).unwrap().sign("JWT", claims).unwrap()
}
