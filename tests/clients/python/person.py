"""The demo server, clients registered for one check, and a person who signs in."""

import html
import json
import os
import re
from urllib.parse import urljoin

import requests

with open(os.environ["TESSERA_DEMO"], encoding="utf-8") as file:
    DEMO = json.load(file)
ISSUER = DEMO["issuer"]


def register(name, kind, **members):
    """Registers a client through the admin API."""
    url = f"{DEMO['base_url']}/admin/projects/{DEMO['project']}/clients"
    body = {"client_name": name, "type": kind, **members}
    answer = requests.post(url, json=body, headers={"Authorization": f"Bearer {DEMO['admin_key']}"}, timeout=10)
    assert answer.status_code == 201, answer.text
    return answer.json()


def form(page):
    """Where the first form of a page goes, and what is filled in already."""
    found = re.search(r"<form[^>]*>.*?</form>", page, re.S)
    assert found, f"a form is expected: {page}"
    action = html.unescape(re.search(r'action="([^"]*)"', found[0])[1])
    fields = {}
    for tag in re.findall(r"<input[^>]*>", found[0]):
        name = re.search(r'name="([^"]*)"', tag)
        if name:
            value = re.search(r'value="([^"]*)"', tag)
            fields[name[1]] = html.unescape(value[1] if value else "")
    return action, fields


class Person:
    """A person with a cookie jar, who follows redirects within the server."""

    def __init__(self):
        self.browser = requests.Session()

    def go(self, url, until):
        """Opens an address, signs in or agrees where asked, and gives the first address that begins with `until`."""
        answer = self.browser.get(url, allow_redirects=False, timeout=10)
        for _ in range(8):
            if 300 <= answer.status_code < 400:
                url = urljoin(url, answer.headers["location"])
                if url.startswith(until):
                    return url
                answer = self.browser.get(url, allow_redirects=False, timeout=10)
                continue
            assert answer.status_code == 200, answer.text
            action, fields = form(answer.text)
            if "password" in fields:
                fields |= DEMO["user"]
            # The first button is the one that goes on.
            button = re.search(r'<button[^>]*name="([^"]*)"[^>]*value="([^"]*)"', answer.text)
            if button:
                fields[button[1]] = button[2]
            answer = self.browser.post(urljoin(url, action), fields, allow_redirects=False, timeout=10)
        raise AssertionError("the person is led in a circle")
