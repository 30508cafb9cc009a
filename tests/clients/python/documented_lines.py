"""The lines of docs/oauth.md, pasted one after the other as a reader does."""

import hashlib
import json
import os
import re
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import requests
from joserfc import jwt
from joserfc.jwk import ECKey
from person import DEMO, ISSUER, Person

ROOT = Path(__file__).resolve().parents[3]
CLIENT, PUBLIC = DEMO["clients"][0], DEMO["clients"][1]
KEY = ECKey.generate_key("P-256")
VERIFIER = "a" * 43
# What a line answers, by the name of the variable that further lines have.
ANSWERS = ["device_code", "registration_client_uri", "registration_access_token"]
# Until somebody has decided about the device.
EXPECTED_ERRORS = ["authorization_pending"]


def encoded(data):
    """base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def proof(method, url, token=None):
    """A DPoP proof (RFC 9449, 4.2)."""
    claims = {"jti": str(uuid.uuid4()), "htm": method, "htu": url, "iat": int(time.time())}
    if token:
        claims["ath"] = encoded(hashlib.sha256(token.encode()).digest())
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": KEY.as_dict(private=False)}
    return jwt.encode(header, claims, KEY, algorithms=["ES256"])


class Reader:
    """Somebody with a terminal, who signs in where a line needs a code or a token."""

    def __init__(self, directory):
        self.directory = directory
        users = f"{DEMO['base_url']}/admin/projects/{DEMO['project']}/users"
        listed = requests.get(users, headers={"Authorization": f"Bearer {DEMO['admin_key']}"}, timeout=10).json()
        self.known = {
            "ISSUER": ISSUER,
            "BASE": DEMO["base_url"],
            "ADMIN_KEY": DEMO["admin_key"],
            "CLIENT_ID": CLIENT["client_id"],
            "CLIENT_SECRET": CLIENT["client_secret"],
            "PUBLIC_CLIENT_ID": PUBLIC["client_id"],
            "REDIRECT_URI": CLIENT["redirect_uri"],
            "VERIFIER": VERIFIER,
            "CHALLENGE": encoded(hashlib.sha256(VERIFIER.encode()).digest()),
            "USER_ID": listed["items"][0]["id"],
        }

    def sign_in(self):
        """A code, by the browser."""
        known = self.known
        query = f"response_type=code&client_id={known['CLIENT_ID']}&redirect_uri={quote(known['REDIRECT_URI'], safe='')}"
        query += f"&scope=openid+profile+offline_access&code_challenge={known['CHALLENGE']}&code_challenge_method=S256"
        back = Person().go(f"{ISSUER}/oauth2/authorize?{query}", known["REDIRECT_URI"])
        known["CODE"] = parse_qs(urlsplit(back).query)["code"][0]

    def tokens(self):
        """Tokens of a new session."""
        self.sign_in()
        form = {
            "grant_type": "authorization_code",
            "code": self.known["CODE"],
            "redirect_uri": self.known["REDIRECT_URI"],
            "code_verifier": VERIFIER,
        }
        auth = (CLIENT["client_id"], CLIENT["client_secret"])
        tokens = requests.post(f"{ISSUER}/oauth2/token", form, auth=auth, timeout=10).json()
        self.known |= {"ACCESS_TOKEN": tokens["access_token"], "REFRESH_TOKEN": tokens["refresh_token"]}

    def prepare(self, line):
        """What the line needs and no line before it has given."""
        if "$CODE" in line:
            self.sign_in()
        elif "$PROOF_WITH_ATH" in line:
            token = self.known["ACCESS_TOKEN"]
            self.known["PROOF_WITH_ATH"] = proof("GET", f"{ISSUER}/oauth2/userinfo", token)
        elif "$ACCESS_TOKEN" in line or "$REFRESH_TOKEN" in line:
            self.tokens()
        if "$PROOF\"" in line:
            self.known["PROOF"] = proof("POST", f"{ISSUER}/oauth2/token")

    def paste(self, line):
        """Runs it, and remembers what it answers."""
        self.prepare(line)
        missing = [name for name in re.findall(r"\$([A-Z_]+)", line) if name not in self.known]
        assert not missing, f"{line}\nnobody has said what {missing} is"
        run = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            env=os.environ | self.known,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert run.returncode == 0 and run.stdout.strip(), f"{line}\n{run.stdout}{run.stderr}"
        self.judge(line, run.stdout)

    def judge(self, line, output):
        """No line ends in an error; a line that shows headers is judged by those."""
        if " -si " in line:
            assert not re.search(r"^HTTP/\S+ [45]", output), f"{line}\n{output}"
            return
        if "token-introspection+jwt" in line:
            assert output.count(".") == 2, f"{line}\n{output}"
            return
        if line.startswith("tessera "):
            return
        answer = json.loads(output)
        assert answer.get("error") in [None, *EXPECTED_ERRORS], f"{line}\n{output}"
        self.known |= {name.upper(): answer[name] for name in ANSWERS if name in answer}
        if "access_token" in answer and "DPoP" in line:
            self.known["ACCESS_TOKEN"] = answer["access_token"]
        if "/initial-access-tokens" in line:
            self.known["INITIAL_ACCESS_TOKEN"] = answer["token"]
        if '"type": "service"' in line:
            self.known |= {"SERVICE_ID": answer["client_id"], "SERVICE_SECRET": answer["client_secret"]}


def check():
    """Every fenced block of the shell, in order."""
    text = (ROOT / "docs/oauth.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    with tempfile.TemporaryDirectory() as directory:
        reader = Reader(directory)
        set_up = Path(directory, "bin")
        set_up.mkdir()
        command = Path(set_up, "tessera")
        binary = Path(os.environ["TESSERA_BINARY"]).resolve()
        data = Path(os.environ["TESSERA_DEMO"]).resolve().parent
        command.write_text(f'#!/bin/sh\nexec "{binary}" "$@" --data "{data}"\n', encoding="utf-8")
        command.chmod(0o755)
        os.environ["PATH"] = f"{set_up}:{os.environ['PATH']}"
        key = ECKey.generate_key("P-256", {"kid": "nightly", "use": "sig"}).as_dict(private=False)
        Path(directory, "nightly.jwks.json").write_text(json.dumps({"keys": [key]}), encoding="utf-8")
        for line in lines:
            reader.paste(line)
    assert len(lines) > 25, len(lines)
    print(f"docs/oauth.md: {len(lines)} lines")


check()
