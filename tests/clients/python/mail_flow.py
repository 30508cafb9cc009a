"""A forgotten password, by way of a mail server that insists on encryption and a login."""

import email
import email.policy
import html
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import requests
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

BINARY, TLS = sys.argv[1:3]
CERTIFICATES = "tests/suite/support/smtp_tls"
USER, PASSWORD = b"tessera", b"let me post"


class Mailbox:
    """What arrived, how, and over which connection."""

    def __init__(self):
        self.letters = []
        self.peers = []
        self.server = None

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address == "bob@example.com":
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 go on"

    async def handle_DATA(self, server, session, envelope):
        assert TLS == "implicit" or session.ssl, "not encrypted"
        assert session.authenticated, "not logged in"
        self.peers.append(session.peer)
        self.server = server
        self.letters.append((envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=email.policy.default)))
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (USER, PASSWORD))


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def mail_server(mailbox):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{CERTIFICATES}/localhost.pem", f"{CERTIFICATES}/localhost.key")
    usual = {"authenticator": authenticate, "auth_required": True, "hostname": "127.0.0.1", "port": free_port()}
    if TLS == "implicit":
        return Controller(mailbox, ssl_context=context, auth_require_tls=False, **usual)
    return Controller(mailbox, tls_context=context, require_starttls=True, **usual)


def until(what, find):
    for _ in range(300):
        found = find()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(what)


def answers(url):
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def post(browser, page, fields):
    """Fills in the form of a page."""
    action = html.unescape(re.search(r'<form[^>]*action="([^"]*)"', page.text)[1])
    sealed = re.search(r'name="request" value="([^"]*)"', page.text)[1]
    return browser.post(BASE + action, {"request": sealed, **fields}, timeout=10)


mailbox = Mailbox()
controller = mail_server(mailbox)
controller.start()
directory = tempfile.TemporaryDirectory()
listen = free_port()
BASE = f"http://localhost:{listen}"
settings = {
    "BASE_URL": BASE,
    "LISTEN": f"127.0.0.1:{listen}",
    "DATA_DIR": directory.name,
    "MASTER_KEY": "test:" + "A" * 43,
    "MAIL__FROM": "Tessera <no-reply@id.example>",
    "MAIL__SMTP__HOST": "localhost",
    "MAIL__SMTP__PORT": str(controller.port),
    "MAIL__SMTP__TLS": TLS,
    "MAIL__SMTP__USERNAME": USER.decode(),
    "MAIL__SMTP__PASSWORD": PASSWORD.decode(),
    "MAIL__SMTP__CA_FILE": f"{CERTIFICATES}/ca.pem",
}
environment = os.environ | {f"TESSERA__{name}": value for name, value in settings.items()}


def tessera(*arguments, stdin=None):
    subprocess.run([BINARY, *arguments], env=environment, input=stdin, text=True, check=True, stdout=subprocess.DEVNULL)


tessera("migrate")
tessera("project", "create", "shop")
user = ["user", "create", "--project", "shop", "alice", "--email", "alice@example.com", "--email-verified"]
tessera(*user, stdin="correct horse battery\n")
tessera("user", "create", "--project", "shop", "bob", "--email", "bob@example.com", "--email-verified", stdin="correct horse battery\n")
server = subprocess.Popen([BINARY, "serve"], env=environment, stdout=subprocess.DEVNULL)
try:
    until("the server does not answer", lambda: answers(f"{BASE}/health"))
    browser = requests.Session()
    page = browser.get(f"{BASE}/projects/shop/forgotten-password", timeout=10)
    assert "Look into your mail" in post(browser, page, {"who": "alice"}).text
    until("no letter came", lambda: mailbox.letters)
    recipients, letter = mailbox.letters.pop()
    assert recipients == ["alice@example.com"], recipients
    assert letter["subject"] == "Choose a new password for shop", letter["subject"]
    text = letter.get_body(("plain",)).get_content()
    link = re.search(r"http\S+", text)[0]
    assert f'href="{link}"' in letter.get_body(("html",)).get_content()
    page = browser.get(link, timeout=10)
    done = post(browser, page, {"password": "violet stapler harbour", "again": "violet stapler harbour"})
    assert done.status_code == 200 and "Your password is changed" in done.text, done.text
    until("the owner is not told", lambda: mailbox.letters)
    _, letter = mailbox.letters.pop()
    assert letter["subject"] == "Your password for shop has been changed", letter["subject"]
    assert mailbox.peers[0] == mailbox.peers[1], "the connection is kept"

    def ask(who):
        page = browser.get(f"{BASE}/projects/shop/forgotten-password", timeout=10)
        assert "Look into your mail" in post(browser, page, {"who": who}).text
        until("no letter came", lambda: who == "bob" or mailbox.letters)

    # The server drops the connection while it is idle.
    controller.loop.call_soon_threadsafe(mailbox.server.transport.close)
    ask("alice")
    assert len(set(mailbox.peers)) == 2, mailbox.peers
    # A recipient that is refused leaves the letters after it right.
    mailbox.letters.clear()
    ask("bob")
    ask("alice")
    recipients, letter = mailbox.letters.pop()
    assert recipients == ["alice@example.com"] and not mailbox.letters, recipients
    assert letter["subject"] == "Choose a new password for shop", letter["subject"]
finally:
    server.terminate()
    server.wait(20)
    assert mailbox.server.transport is None or mailbox.server.transport.is_closing(), "a shutdown says goodbye"
    controller.stop()
print(f"aiosmtpd took letters by {TLS}, with a login")
