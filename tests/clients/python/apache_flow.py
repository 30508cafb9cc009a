"""A person's way through an Apache that asks the server who they are."""

import os
from urllib.parse import quote

from person import DEMO, ISSUER, Person

ORIGIN = os.environ["ORIGIN"]


def check():
    """Sign in, see one's name, sign out at both, and be asked again."""
    person = Person()
    page = person.browser.get(f"{ORIGIN}/private/index.html", allow_redirects=False, timeout=10)
    assert page.status_code == 302 and page.headers["location"].startswith(ISSUER), page.headers
    back = person.go(page.headers["location"], f"{ORIGIN}/private/callback")
    page = person.browser.get(back, timeout=10)
    assert page.text.strip() == DEMO["user"]["username"], page.text
    goodbye = quote(f"{ORIGIN}/index.html", safe="")
    out = person.browser.get(f"{ORIGIN}/private/callback?logout={goodbye}", allow_redirects=False, timeout=10)
    assert out.headers["location"].startswith(f"{ISSUER}/oauth2/logout"), out.headers
    person.go(out.headers["location"], f"{ORIGIN}/index.html")
    page = person.browser.get(f"{ORIGIN}/private/index.html", allow_redirects=False, timeout=10)
    assert page.status_code == 302, page.text
    print("Apache with mod_auth_openidc: sign-in, claims and logout")


check()
