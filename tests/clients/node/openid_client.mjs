// openid-client: everything that a confidential web application may want.

import assert from 'node:assert/strict'
import * as client from 'openid-client'
import { Person, checks, demo, issuer, register } from './lib.mjs'

const redirect_uri = 'http://127.0.0.1:9/callback'
const goodbye = 'http://127.0.0.1:9/goodbye'
const insecure = { execute: [client.allowInsecureRequests] }

const configure = (registered, authentication) =>
  client.discovery(new URL(issuer), registered.client_id, registered.client_secret, authentication, insecure)

/** Parameters of a request with PKCE, and what has to be known at its end. */
async function request(more) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()]
  const parameters = {
    redirect_uri,
    scope: 'openid profile email offline_access',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    nonce: expectedNonce,
    ...more,
  }
  return { parameters, checks: { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true } }
}

async function codeFlow() {
  const registered = await register('openid-client', 'confidential', {
    redirect_uris: [redirect_uri],
    post_logout_redirect_uris: [goodbye],
    refresh_rotation: true,
  })
  const config = await configure(registered)
  const { parameters, checks } = await request()
  const person = new Person()
  const back = await person.go(client.buildAuthorizationUrl(config, parameters), redirect_uri)
  const tokens = await client.authorizationCodeGrant(config, back, checks)
  const { sub } = tokens.claims()
  const info = await client.fetchUserInfo(config, tokens.access_token, sub)
  assert.equal(info.preferred_username, demo.user.username)

  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
  assert.notEqual(refreshed.refresh_token, tokens.refresh_token)
  assert.equal(refreshed.claims().sub, sub)

  const seen = await client.tokenIntrospection(config, refreshed.access_token)
  assert.equal(seen.active, true)
  await client.tokenRevocation(config, refreshed.refresh_token)
  assert.deepEqual(await client.tokenIntrospection(config, refreshed.access_token), { active: false })

  const end = client.buildEndSessionUrl(config, {
    id_token_hint: refreshed.id_token,
    post_logout_redirect_uri: goodbye,
    state: 'left',
  })
  const left = await person.go(end, goodbye)
  assert.equal(left.searchParams.get('state'), 'left')
}

async function privateKeyJwtAndPushedRequests() {
  const { publicKey, privateKey } = await crypto.subtle.generateKey(
    { name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const jwk = { ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: 'one', use: 'sig', alg: 'ES256' }
  delete jwk.key_ops
  delete jwk.ext
  const registered = await register('openid-client with a key', 'confidential', {
    redirect_uris: [redirect_uri],
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [jwk] },
    require_pushed_authorization_requests: true,
  })
  const config = await configure(registered, client.PrivateKeyJwt({ key: privateKey, kid: 'one' }))
  const { parameters, checks } = await request()
  const url = await client.buildAuthorizationUrlWithPAR(config, parameters)
  const back = await new Person().go(url, redirect_uri)
  const tokens = await client.authorizationCodeGrant(config, back, checks)
  assert.ok(tokens.claims().sub)
}

async function dpop() {
  const registered = await register('openid-client with DPoP', 'public', {
    redirect_uris: [redirect_uri],
    dpop_bound_access_tokens: true,
  })
  const config = await configure(registered, client.None())
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  const { parameters, checks } = await request({ dpop_jkt: await DPoP.calculateThumbprint() })
  const back = await new Person().go(client.buildAuthorizationUrl(config, parameters), redirect_uri)
  const tokens = await client.authorizationCodeGrant(config, back, checks, undefined, { DPoP })
  assert.equal(tokens.token_type, 'dpop')
  const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP })
  assert.equal(info.preferred_username, demo.user.username)
  await assert.rejects(client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub))
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
  assert.equal(refreshed.token_type, 'dpop')
}

async function device() {
  const registered = await register('openid-client on a device', 'public', {
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
  })
  const config = await configure(registered, client.None())
  const started = await client.initiateDeviceAuthorization(config, { scope: 'openid profile offline_access' })
  const polling = client.pollDeviceAuthorizationGrant(config, started)
  await new Person().finish(new URL(started.verification_uri_complete))
  const tokens = await polling
  assert.ok(tokens.claims().sub)
}

async function machine() {
  const registered = await register('openid-client without a person', 'service', {
    grant_types: ['client_credentials'],
  })
  const config = await configure(registered)
  const tokens = await client.clientCredentialsGrant(config)
  assert.equal(tokens.refresh_token, undefined)
}

await checks('openid-client', {
  'code flow, userinfo, refresh, introspection, revocation, logout': codeFlow,
  'private_key_jwt and pushed authorization requests': privateKeyJwtAndPushedRequests,
  'DPoP': dpop,
  'device flow': device,
  'client credentials': machine,
})
