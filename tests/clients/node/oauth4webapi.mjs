// oauth4webapi: the protocol step by step, each answer judged by the library.

import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'
import { Person, checks, demo, issuer as issuerUrl, register } from './lib.mjs'

const redirect_uri = 'http://127.0.0.1:9/callback'
const goodbye = 'http://127.0.0.1:9/goodbye'
const issuer = new URL(issuerUrl)
const insecure = { [oauth.allowInsecureRequests]: true }

const server = await oauth
  .discoveryRequest(issuer, { algorithm: 'oidc', ...insecure })
  .then((response) => oauth.processDiscoveryResponse(issuer, response))

/** A whole code flow: `pushed` sends the request ahead, `DPoP` binds what is got. */
async function signIn(client, authentication, person, { pushed, DPoP } = {}) {
  const verifier = oauth.generateRandomCodeVerifier()
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()]
  const parameters = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri,
    response_type: 'code',
    scope: 'openid profile email offline_access',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  })
  const url = new URL(server.authorization_endpoint)
  if (pushed) {
    const response = await oauth.pushedAuthorizationRequest(server, client, authentication, parameters, { DPoP, ...insecure })
    const { request_uri } = await oauth.processPushedAuthorizationResponse(server, client, response)
    url.search = new URLSearchParams({ client_id: client.client_id, request_uri })
  } else {
    url.search = parameters
  }
  const back = await person.go(url, redirect_uri)
  const answer = oauth.validateAuthResponse(server, client, back, state)
  const exchange = () =>
    oauth.authorizationCodeGrantRequest(server, client, authentication, answer, redirect_uri, verifier, { DPoP, ...insecure })
  const judge = (response) =>
    oauth.processAuthorizationCodeResponse(server, client, response, { expectedNonce: nonce, requireIdToken: true })
  let response = await exchange()
  const tokens = await judge(response).catch(async (error) => {
    // The first answer may only bring a nonce; the code is still good.
    if (!oauth.isDPoPNonceError(error)) throw error
    response = await exchange()
    return judge(response)
  })
  await oauth.validateApplicationLevelSignature(server, response, insecure)
  return tokens
}

async function codeFlow() {
  const { client_id, client_secret } = await register('oauth4webapi', 'confidential', {
    redirect_uris: [redirect_uri],
    post_logout_redirect_uris: [goodbye],
  })
  const [client, person] = [{ client_id }, new Person()]
  const authentication = oauth.ClientSecretBasic(client_secret)
  const tokens = await signIn(client, authentication, person)
  const { sub } = oauth.getValidatedIdTokenClaims(tokens)
  const info = await oauth
    .userInfoRequest(server, client, tokens.access_token, insecure)
    .then((response) => oauth.processUserInfoResponse(server, client, sub, response))
  assert.equal(info.preferred_username, demo.user.username)
  const refreshed = await oauth
    .refreshTokenGrantRequest(server, client, authentication, tokens.refresh_token, insecure)
    .then((response) => oauth.processRefreshTokenResponse(server, client, response))
  const seen = await oauth
    .introspectionRequest(server, client, authentication, refreshed.access_token, insecure)
    .then((response) => oauth.processIntrospectionResponse(server, client, response))
  assert.equal(seen.active, true)
  const revoked = await oauth.revocationRequest(server, client, authentication, refreshed.refresh_token, insecure)
  await oauth.processRevocationResponse(revoked)
  const end = new URL(server.end_session_endpoint)
  end.search = new URLSearchParams({ id_token_hint: tokens.id_token, post_logout_redirect_uri: goodbye, state: 'left' })
  assert.equal((await person.go(end, goodbye)).searchParams.get('state'), 'left')
}

async function keysAndPushedRequests() {
  const { publicKey, privateKey } = await oauth.generateKeyPair('ES256', { extractable: true })
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', publicKey)
  const { client_id } = await register('oauth4webapi with a key', 'confidential', {
    redirect_uris: [redirect_uri],
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [{ kty, crv, x, y, kid: 'one', alg: 'ES256', use: 'sig' }] },
  })
  const authentication = oauth.PrivateKeyJwt({ key: privateKey, kid: 'one' })
  const tokens = await signIn({ client_id }, authentication, new Person(), { pushed: true })
  assert.ok(oauth.getValidatedIdTokenClaims(tokens).sub)
}

async function dpop() {
  const { client_id } = await register('oauth4webapi with DPoP', 'public', { redirect_uris: [redirect_uri] })
  const client = { client_id }
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
  const tokens = await signIn(client, oauth.None(), new Person(), { DPoP })
  assert.equal(tokens.token_type, 'dpop')
  const { sub } = oauth.getValidatedIdTokenClaims(tokens)
  const info = () => oauth.userInfoRequest(server, client, tokens.access_token, { DPoP, ...insecure })
  const claims = await info()
    // The first answer may only bring a nonce.
    .then((response) => (response.status === 401 ? info() : response))
    .then((response) => oauth.processUserInfoResponse(server, client, sub, response))
  assert.equal(claims.preferred_username, demo.user.username)
}

async function device() {
  const { client_id } = await register('oauth4webapi on a device', 'public', {
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
  })
  const client = { client_id }
  const started = await oauth
    .deviceAuthorizationRequest(server, client, oauth.None(), new URLSearchParams({ scope: 'openid profile' }), insecure)
    .then((response) => oauth.processDeviceAuthorizationResponse(server, client, response))
  const poll = async () => {
    const response = await oauth.deviceCodeGrantRequest(server, client, oauth.None(), started.device_code, insecure)
    return oauth.processDeviceCodeResponse(server, client, response)
  }
  await assert.rejects(poll(), (error) => error.error === 'authorization_pending')
  await new Person().finish(new URL(started.verification_uri_complete))
  await new Promise((resolve) => setTimeout(resolve, (started.interval + 1) * 1000))
  assert.ok(oauth.getValidatedIdTokenClaims(await poll()).sub)
}

await checks('oauth4webapi', {
  'code flow, userinfo, refresh, introspection, revocation, logout': codeFlow,
  'private_key_jwt and pushed authorization requests': keysAndPushedRequests,
  'DPoP': dpop,
  'device flow': device,
})
