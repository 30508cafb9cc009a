// express-openid-connect: a web application that keeps its session in a cookie.

import assert from 'node:assert/strict'
import express from 'express'
import openidConnect from 'express-openid-connect'
import { Person, checks, demo, issuer, register } from './lib.mjs'

async function webApplication() {
  const app = express()
  const server = await new Promise((resolve) => {
    const server = app.listen(0, '127.0.0.1', () => resolve(server))
  })
  const baseURL = `http://127.0.0.1:${server.address().port}`
  const { client_id, client_secret } = await register('express-openid-connect', 'confidential', {
    redirect_uris: [`${baseURL}/callback`],
    // What the library expects unless it is told otherwise.
    id_token_signed_response_alg: 'RS256',
    post_logout_redirect_uris: [baseURL],
  })
  app.use(openidConnect.auth({
    issuerBaseURL: issuer,
    baseURL,
    clientID: client_id,
    clientSecret: client_secret,
    secret: 'a secret of this application alone',
    idpLogout: true,
    authorizationParams: { response_type: 'code', response_mode: 'query', scope: 'openid profile email' },
  }))
  app.get('/', openidConnect.requiresAuth(), async (request, response) => {
    response.json(await request.oidc.fetchUserInfo())
  })
  try {
    // The application and the server are one browser's affair.
    const person = new Person()
    let response = await person.request(`${baseURL}/`)
    const back = await person.go(response.headers.get('location'), `${baseURL}/callback`)
    response = await person.request(back)
    assert.equal(response.status, 302, await response.text())
    response = await person.request(`${baseURL}/`)
    assert.equal((await response.json()).preferred_username, demo.user.username)
    response = await person.request(`${baseURL}/logout`)
    await person.go(response.headers.get('location'), baseURL)
    response = await person.request(`${baseURL}/`)
    assert.equal(response.status, 302)
  } finally {
    server.close()
  }
}

await checks('express-openid-connect', { 'sign-in, userinfo and logout of a web application': webApplication })
