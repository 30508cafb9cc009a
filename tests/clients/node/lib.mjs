// What the checks share: the demo server, clients registered for one check, and a person with a browser of few abilities.

import { readFileSync } from 'node:fs'
import assert from 'node:assert/strict'

/** `dev.json` of the running server. */
export const demo = JSON.parse(readFileSync(process.env.TESSERA_DEMO, 'utf8'))
export const issuer = demo.issuer

/** Calls the admin API; the answer has to be a success. */
export async function admin(method, path, body) {
  const response = await fetch(`${demo.base_url}/admin/projects/${demo.project}${path}`, {
    method,
    headers: { authorization: `Bearer ${demo.admin_key}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  })
  const text = await response.text()
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`)
  return text ? JSON.parse(text) : undefined
}

/** Registers a client for one check. */
export const register = (name, type, more) => admin('POST', '/clients', { client_name: name, type, ...more })

const unescaped = (text) =>
  text.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#34;', '"').replaceAll('&#x2F;', '/')

/** The first form of a page: where it goes, and what is filled in already. */
function form(html) {
  const found = /<form[^>]*>([\s\S]*?)<\/form>/.exec(html)
  assert.ok(found, `a form is expected: ${html}`)
  const action = unescaped(/action="([^"]*)"/.exec(found[0])[1])
  const fields = new URLSearchParams()
  for (const [tag] of found[1].matchAll(/<input[^>]*>/g)) {
    const name = /name="([^"]*)"/.exec(tag)?.[1]
    if (name) fields.append(name, unescaped(/value="([^"]*)"/.exec(tag)?.[1] ?? ''))
  }
  return { action, fields }
}

/** A person with a cookie jar, who follows redirects within the server. */
export class Person {
  cookies = new Map()

  /** The answer to a request, with the cookies that were set kept for the next one. */
  async request(url, options = {}) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { ...options, redirect: 'manual', headers: { ...options.headers, cookie } })
    for (const line of response.headers.getSetCookie()) {
      const [name, value] = line.split(';', 1)[0].split(/=(.*)/s)
      if (value) this.cookies.set(name, value)
      else this.cookies.delete(name)
    }
    return response
  }

  post = (url, fields) =>
    this.request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: fields.toString(),
    })

  /** Opens an address of the server, signs in or agrees where asked, and gives the first address that begins with `until`. */
  go = (url, until) => this.walk(url, (next) => next?.href.startsWith(until))

  /** The same, until a page asks for nothing. */
  finish = (url) => this.walk(url, (next, html) => html && !html.includes('<form'))

  async walk(url, isEnd) {
    let response = await this.request(url)
    for (let step = 0; step < 10; step++) {
      if (response.status >= 300 && response.status < 400) {
        url = new URL(response.headers.get('location'), url)
        if (isEnd(url)) return url
        response = await this.request(url)
        continue
      }
      const html = await response.text()
      assert.equal(response.status, 200, html)
      if (isEnd(undefined, html)) return html
      const { action, fields } = form(html)
      if (fields.has('password')) {
        fields.set('username', demo.user.username)
        fields.set('password', demo.user.password)
      }
      // The first button is the one that goes on.
      const button = /<button[^>]*name="([^"]*)"[^>]*value="([^"]*)"/.exec(html)
      if (button) fields.set(button[1], button[2])
      url = new URL(action, url)
      response = await this.post(url, fields)
    }
    assert.fail('the person is led in a circle')
  }
}

/** Runs the checks of a file one after the other and says so. */
export async function checks(library, list) {
  for (const [name, check] of Object.entries(list)) {
    await check()
    console.log(`${library}: ${name}`)
  }
}
