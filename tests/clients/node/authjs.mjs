// Auth.js, by its Express integration: a web application that lets the library do all of it.

import assert from 'node:assert/strict'
import { ExpressAuth, getSession } from '@auth/express'
import express from 'express'
import { Person, checks, demo, issuer, register } from './lib.mjs'

async function webApplication() {
  const app = express()
  const server = await new Promise((resolve) => {
    const server = app.listen(0, '127.0.0.1', () => resolve(server))
  })
  const base = `http://127.0.0.1:${server.address().port}`
  const { client_id, client_secret } = await register('Auth.js', 'confidential', {
    redirect_uris: [`${base}/auth/callback/tessera`],
    // What the library expects unless it is told otherwise.
    id_token_signed_response_alg: 'RS256',
  })
  let refreshToken
  const config = {
    trustHost: true,
    secret: 'a secret of this application alone, and long enough',
    providers: [{
      id: 'tessera',
      name: 'Tessera',
      type: 'oidc',
      issuer,
      clientId: client_id,
      clientSecret: client_secret,
      checks: ['pkce', 'state', 'nonce'],
      authorization: { params: { scope: 'openid profile email offline_access' } },
      idToken: false,
    }],
    callbacks: {
      jwt({ token, account, profile }) {
        refreshToken ??= account?.refresh_token
        return profile ? { ...token, username: profile.preferred_username } : token
      },
      session: ({ session, token }) => ({ ...session, username: token.username }),
    },
  }
  app.use('/auth', ExpressAuth(config))
  app.get('/', async (request, response) => response.json(await getSession(request, config)))
  try {
    const person = new Person()
    const session = async () => (await person.request(`${base}/`)).json()
    const csrf = async () => (await (await person.request(`${base}/auth/csrf`)).json()).csrfToken
    assert.equal(await session(), null)
    const begun = await person.post(`${base}/auth/signin/tessera`, new URLSearchParams({ csrfToken: await csrf() }))
    const url = begun.headers.get('location')
    assert.ok(url.startsWith(`${issuer}/oauth2/authorize`), url)
    const back = await person.go(url, `${base}/auth/callback/tessera`)
    const done = await person.request(back)
    assert.equal(done.status, 302, await done.text())
    assert.ok(!done.headers.get('location').includes('error'), done.headers.get('location'))
    assert.equal((await session()).username, demo.user.username)
    // It leaves refreshing to the application.
    const form = { grant_type: 'refresh_token', refresh_token: refreshToken, client_id, client_secret }
    const refreshed = await fetch(`${issuer}/oauth2/token`, { method: 'POST', body: new URLSearchParams(form) })
    assert.ok((await refreshed.json()).access_token)
    await person.post(`${base}/auth/signout`, new URLSearchParams({ csrfToken: await csrf() }))
    assert.equal(await session(), null)
  } finally {
    server.close()
  }
}

await checks('Auth.js', { 'sign-in with PKCE, state and nonce, userinfo, refresh, sign-out': webApplication })
