//! An authenticator in software (Web Authentication, 6), which does as it is told: also what none should.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use tessera::secret::{decode_base64url, encode_base64url, sha256};

use super::{Answer, Engine, Shop, TestApp, between, sealed_of};

/// How an answer is made. What is `None` is as it should be.
#[derive(Clone, Default)]
pub struct Way {
    pub origin: Option<&'static str>,
    pub cross_origin: bool,
    pub rp_id: Option<&'static str>,
    /// `webauthn.get` or `webauthn.create`.
    pub kind: Option<&'static str>,
    pub challenge: Option<String>,
    pub counter: Option<u32>,
    pub unverified: bool,
    pub absent: bool,
    /// The user handle; `Some(None)`: without one.
    pub handle: Option<Option<Vec<u8>>>,
    /// What was signed is not what is sent.
    pub tampered: bool,
    /// The id that the answer names, and the one that a new passkey gets.
    pub id: Option<Vec<u8>>,
    /// The key may leave its device.
    pub synced: bool,
}

/// A passkey, with the browser that it is used in.
#[derive(Clone)]
pub struct SoftPasskey {
    pub id: Vec<u8>,
    pub handle: Vec<u8>,
    pub counter: u32,
    origin: String,
    rp_id: String,
    key: Vec<u8>,
    synced: bool,
}

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;

pub fn random<const N: usize>() -> Vec<u8> {
    let mut bytes = vec![0; N];
    SystemRandom::new().fill(&mut bytes).unwrap();
    bytes
}

/// CBOR (RFC 8949, 3): a byte string.
fn byte_string(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let head = match bytes.len() {
        0..24 => vec![0x40 | length[1]],
        24..256 => vec![0x58, length[1]],
        _ => vec![0x59, length[0], length[1]],
    };
    [head, bytes.to_vec()].concat()
}

/// And a text of less than 24 bytes.
fn text(text: &str) -> Vec<u8> {
    [vec![0x60 | u8::try_from(text.len()).unwrap()], text.as_bytes().to_vec()].concat()
}

impl SoftPasskey {
    /// Makes a passkey as `options` ask, with a browser at `origin`; and what the browser sends of it.
    pub fn create(origin: &str, options: &Value, way: &Way) -> (Self, Value) {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        let passkey = Self {
            id: way.id.clone().unwrap_or_else(random::<32>),
            handle: decode_base64url(options["user"]["id"].as_str().unwrap()).unwrap(),
            counter: way.counter.unwrap_or(1),
            origin: origin.to_owned(),
            rp_id: options["rp"]["id"].as_str().unwrap().to_owned(),
            key: key.unwrap().as_ref().to_vec(),
            synced: way.synced,
        };
        let client_data = passkey.client_data("webauthn.create", options, way);
        let length = u16::try_from(passkey.id.len()).unwrap().to_be_bytes();
        let attested = [&[0; 16][..], &length, &passkey.id, &passkey.cose_key()].concat();
        let data = [passkey.data(ATTESTED, passkey.counter, way), attested].concat();
        let attestation = [
            vec![0xa3],
            text("fmt"),
            text("none"),
            text("attStmt"),
            vec![0xa0],
            text("authData"),
            byte_string(&data),
        ];
        let response = json!({
            "clientDataJSON": encode_base64url(&client_data),
            "attestationObject": encode_base64url(&attestation.concat()),
            "transports": ["internal"],
        });
        let sent = passkey.sent(&passkey.id, response);
        (passkey, sent)
    }

    /// Answers the question of `options`; the counter grows.
    pub fn answer(&mut self, options: &Value, way: &Way) -> Value {
        self.counter = way.counter.unwrap_or(self.counter + 1);
        let client_data = self.client_data("webauthn.get", options, way);
        let data = self.data(0, self.counter, way);
        let signed = [&data[..], &sha256(&client_data)].concat();
        let signature = self.pair().sign(&SystemRandom::new(), &signed).unwrap();
        let client_data = match way.tampered {
            true => [&client_data[..client_data.len() - 1], br#","more":1}"#].concat(),
            false => client_data,
        };
        let handle = way.handle.clone().unwrap_or_else(|| Some(self.handle.clone()));
        let response = json!({
            "clientDataJSON": encode_base64url(&client_data),
            "authenticatorData": encode_base64url(&data),
            "signature": encode_base64url(signature.as_ref()),
            "userHandle": handle.map(|handle| encode_base64url(&handle)),
        });
        self.sent(way.id.as_ref().unwrap_or(&self.id), response)
    }

    fn sent(&self, id: &[u8], response: Value) -> Value {
        let id = encode_base64url(id);
        json!({"id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {}})
    }

    fn client_data(&self, kind: &str, options: &Value, way: &Way) -> Vec<u8> {
        let challenge = way.challenge.as_deref().or(options["challenge"].as_str());
        json!({
            "type": way.kind.unwrap_or(kind),
            "challenge": challenge,
            "origin": way.origin.unwrap_or(&self.origin),
            "crossOrigin": way.cross_origin,
        })
        .to_string()
        .into_bytes()
    }

    /// Web Authentication, 6.1.
    fn data(&self, more: u8, counter: u32, way: &Way) -> Vec<u8> {
        let rp_id = way.rp_id.unwrap_or(&self.rp_id);
        let present = if way.absent { 0 } else { PRESENT };
        let verified = if way.unverified { 0 } else { VERIFIED };
        let synced = if self.synced { BACKUP_ELIGIBLE | BACKED_UP } else { 0 };
        let flags = [present | verified | synced | more];
        [&sha256(rp_id.as_bytes())[..], &flags, &counter.to_be_bytes()].concat()
    }

    fn pair(&self) -> EcdsaKeyPair {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.key).unwrap()
    }

    /// RFC 9053, 7.1.1: an EC2 key for ES256, on P-256.
    fn cose_key(&self) -> Vec<u8> {
        let pair = self.pair();
        let point = pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21][..], &byte_string(x), &[0x22], &byte_string(y)].concat()
    }
}

/// What a page asks the browser for, as the API would say it.
pub fn question_of(page: &str) -> Value {
    let options = between(page, r#"data-options=""#, "\"").replace("&#34;", "\"").replace("&quot;", "\"");
    let challenge = between(page, r#"name="challenge" value=""#, "\"");
    json!({"options": serde_json::from_str::<Value>(&options).unwrap(), "challenge": challenge})
}

impl TestApp {
    /// A passkey that a browser makes for a page, and what its form is posted with.
    pub fn make_passkey(&self, page: &str, way: &Way) -> (SoftPasskey, Vec<(&'static str, String)>) {
        let question = question_of(page);
        let (passkey, made) = SoftPasskey::create(&self.app.base_url, &question["options"], way);
        let challenge = question["challenge"].as_str().unwrap().to_owned();
        let form =
            vec![("request", sealed_of(page)), ("challenge", challenge), ("credential", made.to_string())];
        (passkey, form)
    }

    /// A node under a name: at an address there are no passkeys.
    pub async fn named(engine: Engine) -> Self {
        Self::changed(engine, |app| app.base_url = app.base_url.replace("127.0.0.1", "localhost")).await
    }

    /// A call about the passkeys of a token's user.
    pub async fn passkeys(
        &self,
        shop: &Shop,
        token: &str,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let url = self.project_url(shop, &format!("/api/account/passkeys{path}"));
        let request = self.http.request(method, url).bearer_auth(token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Answer::of(request.send().await.unwrap()).await
    }

    pub async fn begin_passkey(&self, shop: &Shop, token: &str) -> Value {
        self.passkeys(shop, token, reqwest::Method::POST, "/begin", None).await.ok()
    }

    pub async fn finish_passkey(
        &self,
        shop: &Shop,
        token: &str,
        begun: &Value,
        credential: &Value,
    ) -> Answer {
        let body = json!({"challenge": begun["challenge"], "credential": credential, "name": "Laptop"});
        self.passkeys(shop, token, reqwest::Method::POST, "/finish", Some(body)).await
    }

    /// A passkey of the token's user, made and registered.
    pub async fn new_passkey(&self, shop: &Shop, token: &str, way: &Way) -> SoftPasskey {
        let begun = self.begin_passkey(shop, token).await;
        let (passkey, credential) = SoftPasskey::create(&self.app.base_url, &begun["options"], way);
        self.finish_passkey(shop, token, &begun, &credential).await.created();
        passkey
    }
}
