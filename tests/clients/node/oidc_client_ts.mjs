// oidc-client-ts: a single-page application in a real browser, which calls the endpoints across origins.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { checks, demo, issuer, register } from './lib.mjs'

const library = fileURLToPath(new URL('node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js', import.meta.url))

const page = (settings) => `<!doctype html><title>Application</title><p id="said"></p>
<script src="/oidc.js"></script>
<script>
const manager = new oidc.UserManager({ ...${JSON.stringify(settings)}, loadUserInfo: true,
  userStore: new oidc.WebStorageStateStore({ store: localStorage }) })
const say = (text) => { document.getElementById('said').textContent = text }
const run = async () => {
  if (location.pathname === '/callback') {
    const user = await manager.signinCallback()
    const renewed = await manager.signinSilent()
    return 'signed in ' + user.profile.preferred_username + ' ' + (renewed.access_token !== user.access_token)
  }
  if (location.pathname === '/goodbye') { await manager.signoutCallback(); return 'signed out' }
  return 'ready'
}
run().then(say, (error) => say('failed: ' + error))
</script>`

/** The application's own web server. */
async function application(settings) {
  const server = createServer((request, response) => {
    const isLibrary = request.url === '/oidc.js'
    response.setHeader('content-type', isLibrary ? 'text/javascript' : 'text/html')
    response.end(isLibrary ? readFileSync(library) : page(settings(`http://127.0.0.1:${server.address().port}`)))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

async function singlePage() {
  const settings = { authority: issuer, scope: 'openid profile offline_access' }
  const server = await application((origin) => ({
    ...settings,
    redirect_uri: `${origin}/callback`,
    post_logout_redirect_uri: `${origin}/goodbye`,
  }))
  const origin = `http://127.0.0.1:${server.address().port}`
  const { client_id } = await register('oidc-client-ts', 'public', {
    redirect_uris: [`${origin}/callback`],
    post_logout_redirect_uris: [`${origin}/goodbye`],
    allowed_origins: [origin],
  })
  settings.client_id = client_id
  const browser = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), 'tessera-browser-')), {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  })
  try {
    const tab = await browser.newPage()
    const said = (text) => tab.waitForFunction((text) => document.getElementById('said')?.textContent === text, text)
    await tab.goto(`${origin}/`)
    await said('ready')
    await tab.evaluate(() => { manager.signinRedirect() })
    await tab.waitForSelector('input[name=password]')
    await tab.fill('input[name=username]', demo.user.username)
    await tab.fill('input[name=password]', demo.user.password)
    await tab.click('button[type=submit]')
    await tab.waitForURL(`${origin}/callback**`)
    await tab.waitForFunction(() => document.getElementById('said')?.textContent)
    assert.equal(await tab.textContent('#said'), `signed in ${demo.user.username} true`)
    await tab.evaluate(() => { manager.signoutRedirect() })
    await tab.waitForURL(`${origin}/goodbye**`)
    await said('signed out')
  } finally {
    await browser.close()
    server.close()
  }
}

await checks('oidc-client-ts', { 'code flow, userinfo, refresh and logout in a browser': singlePage })
