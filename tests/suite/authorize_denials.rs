//! Every denial of the authorization endpoint, in its exact words.

use reqwest::StatusCode;
use tessera::execute;
use tessera::model::client::ClientSettings;

use crate::support::{Engine, REDIRECT, Seen, TestApp, both_engines, location_of, parameter};

both_engines!(
    // C028 C029 C030 C032 C034
    nothing_is_redirected_before_the_proof,
    // C014 C022 C023 C024 C025 C026 C027 C028 C038 C039 C040 C043 C045 C050 C051
    denials_are_redirected_after_it,
);

async fn nothing_is_redirected_before_the_proof(engine: Engine) {
    let app = TestApp::new(engine).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into(), "https://app.example/cb?tenant=1".into()],
        require_pkce: false,
        ..ClientSettings::default()
    };
    let shop = app.shop_with("shop", "confidential", settings).await;
    let other = app.shop("other", "confidential").await;
    let id = &shop.id;
    let (unknown, unregistered) = (
        "This application is not known here.",
        "The application asked to return to an address that is not registered.",
    );
    for (query, message) in [
        (String::new(), unknown),
        (format!("redirect_uri={REDIRECT}"), unknown),
        (format!("client_id=shop&redirect_uri={REDIRECT}"), unknown),
        (format!("client_id={}&redirect_uri={REDIRECT}", shop.project), unknown),
        (format!("client_id={}&redirect_uri={REDIRECT}", other.id), unknown),
        (
            format!("client_id={id}&client_id={id}&redirect_uri={REDIRECT}"),
            "The application named itself twice.",
        ),
        (
            format!("client_id={id}&%63lient_id={id}&redirect_uri={REDIRECT}"),
            "The application named itself twice.",
        ),
        (
            format!("client_id={id}&redirect_uri={REDIRECT}&redirect_uri={REDIRECT}"),
            "The application gave two addresses to return to.",
        ),
        (format!("client_id={id}"), "The application did not say where to return to."),
        (format!("client_id={id}&redirect_uri="), "The application did not say where to return to."),
        (format!("client_id={id}&redirect_uri=https://app.example/cb"), unregistered),
        (format!("client_id={id}&redirect_uri=https://app.example/cb%3Ftenant=2"), unregistered),
        (
            format!("client_id={id}&redirect_uri={REDIRECT}&response_type=token&request=x&client_id="),
            "The application named itself twice.",
        ),
        (
            format!("client_id={id}&redirect_uri={REDIRECT}&state=%FF"),
            "The application's request is not UTF-8.",
        ),
    ] {
        let url = format!("{}?response_type=code&{query}", app.project_url(&shop, "/oauth2/authorize"));
        Seen::of(app.http.get(url).send().await.unwrap()).await.refused(400, message);
    }
    let sql = "UPDATE clients SET status = 'disabled' WHERE client_name = 'Shop'";
    app.app.db.write(|conn| async move { execute!(&conn, sql) }).await.unwrap();
    Seen::of(app.http.get(app.authorize_url(&shop, "")).send().await.unwrap()).await.refused(400, unknown);
}

async fn denials_are_redirected_after_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "public").await;
    let challenge = "a".repeat(43);
    let pkce = format!("code_challenge={challenge}&code_challenge_method=S256");
    let (missing, method, shape) = (
        "code_challenge is missing: this client must use PKCE with S256",
        "code_challenge_method must be S256",
        "code_challenge has 43 base64url characters",
    );
    let max_age = "max_age is a number of seconds from 0 to 4294967295";
    let state = Some("s 1&ü");
    for (query, state, error, description) in [
        ("".into(), state, "invalid_request", "response_type is missing"),
        (
            "response_type=token".into(),
            state,
            "unsupported_response_type",
            "only response_type=code is supported",
        ),
        (
            "response_type=code+id_token".into(),
            state,
            "unsupported_response_type",
            "only response_type=code is supported",
        ),
        ("response_type=code".into(), state, "invalid_request", missing),
        (
            "response_type=code&code_challenge=&code_challenge_method=S256".into(),
            state,
            "invalid_request",
            missing,
        ),
        (format!("response_type=code&code_challenge={challenge}"), state, "invalid_request", method),
        (
            format!("response_type=code&code_challenge={challenge}&code_challenge_method=plain"),
            state,
            "invalid_request",
            method,
        ),
        (
            format!("response_type=code&code_challenge={challenge}&code_challenge_method=s256"),
            state,
            "invalid_request",
            method,
        ),
        (
            "response_type=code&code_challenge=short&code_challenge_method=S256".into(),
            state,
            "invalid_request",
            shape,
        ),
        (
            format!("response_type=code&code_challenge={challenge}%3D&code_challenge_method=S256"),
            state,
            "invalid_request",
            shape,
        ),
        (
            format!("response_type=code&{pkce}&prompt=none"),
            state,
            "login_required",
            "the person has to sign in",
        ),
        (
            format!("response_type=code&{pkce}&prompt=none+login"),
            state,
            "invalid_request",
            "prompt=none stands alone",
        ),
        (
            format!("response_type=code&{pkce}&prompt=dance"),
            state,
            "invalid_request",
            "prompt is none, login, select_account or consent",
        ),
        (format!("response_type=code&{pkce}&max_age=-1"), state, "invalid_request", max_age),
        (format!("response_type=code&{pkce}&max_age=%2B1"), state, "invalid_request", max_age),
        (format!("response_type=code&{pkce}&max_age=4294967296"), state, "invalid_request", max_age),
        (
            format!("response_type=code&{pkce}&response_mode=fragment"),
            state,
            "invalid_request",
            "response_mode is query or form_post",
        ),
        (
            format!("response_type=code&{pkce}&request_uri=http://localhost/r"),
            state,
            "request_uri_not_supported",
            "request_uri is not supported",
        ),
        (
            format!("response_type=code&{pkce}&registration={{}}"),
            state,
            "registration_not_supported",
            "registration is not supported",
        ),
        (
            format!("response_type=code&{pkce}&nonce=a%00b"),
            state,
            "invalid_request",
            "nonce has no control characters",
        ),
        (
            format!("response_type=code&{pkce}&scope=openid&scope=openid"),
            state,
            "invalid_request",
            "a parameter is given twice",
        ),
        // Of two states neither is sent back.
        (
            format!("response_type=code&{pkce}&state=s2"),
            None,
            "invalid_request",
            "a parameter is given twice",
        ),
    ] {
        let start = app.project_url(&shop, "/oauth2/authorize");
        let proof = format!("client_id={}&redirect_uri={REDIRECT}&state=s+1%26%C3%BC", shop.id);
        let answer = app.http.get(format!("{start}?{proof}&{query}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{query}");
        assert!(!answer.headers().contains_key("set-cookie"));
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
        let url = location_of(&answer);
        assert!(url.as_str().starts_with(&format!("{REDIRECT}?error={error}&")), "{url}");
        assert_eq!(parameter(&url, "error_description").as_deref(), Some(description), "{query}");
        assert_eq!(parameter(&url, "state").as_deref(), state);
        assert_eq!(parameter(&url, "iss"), Some(app.project_url(&shop, "")));
    }
}
