//! A client library that others wrote, the crate openidconnect: discovery, code with PKCE, ID token, userinfo, refresh.

use openidconnect::core::{CoreClient, CoreProviderMetadata, CoreResponseType, CoreUserInfoClaims};
use openidconnect::{
    AccessTokenHash, AuthenticationFlow, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, RedirectUrl, Scope,
    TokenResponse,
};
use tessera::clock::Clock;

use crate::support::{Engine, PASSWORD, REDIRECT, TestApp, both_engines, code_of, cookie_of, sealed_of};

both_engines!(the_openidconnect_crate_works);

/// The library's requests, sent by ours.
async fn send(request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let response = client.execute(request.try_into()?).await?;
    let mut answer = openidconnect::http::Response::builder().status(response.status());
    answer.headers_mut().unwrap().extend(response.headers().clone());
    Ok(answer.body(response.bytes().await?.to_vec()).unwrap())
}

// C132
async fn the_openidconnect_crate_works(engine: Engine) {
    // The library has the system's clock.
    let app = TestApp::changed(engine, |app| app.clock = Clock::System).await;
    let shop = app.shop("shop", "confidential").await;
    let issuer = IssuerUrl::new(app.project_url(&shop, "")).unwrap();
    let metadata = CoreProviderMetadata::discover_async(issuer, &send).await.unwrap();
    let secret = shop.secret.clone().map(ClientSecret::new);
    let client = CoreClient::from_provider_metadata(metadata, ClientId::new(shop.id.clone()), secret)
        .set_redirect_uri(RedirectUrl::new(REDIRECT.into()).unwrap());

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
    let (url, state, nonce) = client
        .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
        .add_scopes(["profile", "email", "offline_access"].map(|scope| Scope::new(scope.into())))
        .set_pkce_challenge(challenge)
        .url();
    let page = app.http.get(url).send().await.unwrap();
    let cookie = cookie_of(&page);
    let sealed = sealed_of(&page.text().await.unwrap());
    let back = app.submit(&shop, &cookie, &sealed, PASSWORD).await;
    assert!(back.headers()["location"].to_str().unwrap().contains(state.secret()));

    let code = AuthorizationCode::new(code_of(&back));
    let tokens =
        client.exchange_code(code).unwrap().set_pkce_verifier(verifier).request_async(&send).await.unwrap();
    let (id_token, keys) = (tokens.id_token().unwrap(), client.id_token_verifier());
    let claims = id_token.claims(&keys, &nonce).unwrap();
    let key = id_token.signing_key(&keys).unwrap();
    let hash =
        AccessTokenHash::from_token(tokens.access_token(), id_token.signing_alg().unwrap(), key).unwrap();
    assert_eq!(Some(&hash), claims.access_token_hash());
    assert_eq!(claims.subject().as_str(), shop.user.to_string());

    let subject = Some(claims.subject().clone());
    let asked = client.user_info(tokens.access_token().clone(), subject).unwrap();
    let info: CoreUserInfoClaims = asked.request_async(&send).await.unwrap();
    assert_eq!(info.preferred_username().unwrap().as_str(), "alice");
    assert_eq!(info.email().unwrap().as_str(), "alice@example.com");

    let refresh = tokens.refresh_token().unwrap();
    let renewed = client.exchange_refresh_token(refresh).unwrap().request_async(&send).await.unwrap();
    assert_ne!(renewed.access_token().secret(), tokens.access_token().secret());
    // The library revokes at https addresses only, so that is left to others.
}
