"""The lines of docs/deletion.md that check an erasure record with PyJWT, as they are printed there."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import requests
from person import DEMO, ISSUER

ROOT = Path(__file__).resolve().parents[3]
ADMIN = {"Authorization": f"Bearer {DEMO['admin_key']}"}


def call(method, url, body=None):
    """An answer of the admin or the session API."""
    answer = requests.request(method, url, json=body, headers=ADMIN, timeout=10)
    assert answer.ok, f"{url}: {answer.text}"
    return answer


def printed():
    """The one block of Python in the guide."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/deletion.md").read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 1, blocks
    return blocks[0]


def run(directory, lines):
    """The lines in a Python of their own, beside the files that they read."""
    command = [os.environ.get("PYTHON", sys.executable), "-c", lines]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=30, check=False)


def main():
    users = f"{DEMO['base_url']}/admin/projects/{DEMO['project']}/users"
    user = call("POST", users, {"username": "paula"}).json()["id"]
    asked = call("POST", f"{ISSUER}/api/delete-user", {"user": user, "reason": "asked for it, ticket 1234"}).json()
    deletion = asked["deletion_id"]
    call("POST", f"{ISSUER}/api/delete-user/confirm", {"deletion_id": deletion, "confirmation": "paula"})
    record = call("GET", f"{ISSUER}/api/delete-user/{deletion}/record").text.strip()
    keys = call("GET", f"{ISSUER}/.well-known/jwks.json").text
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "jwks.json").write_text(keys, encoding="utf-8")
        (directory / "erasure.jwt").write_text(f"{record}\n", encoding="utf-8")
        checked = run(directory, printed())
        assert checked.returncode == 0 and deletion in checked.stdout, checked.stdout + checked.stderr
        # One that somebody has changed is none.
        head, claims, signature = record.split(".")
        changed = signature[:-8] + ("A" if signature[-8] != "A" else "B") + signature[-7:]
        (directory / "erasure.jwt").write_text(f"{head}.{claims}.{changed}\n", encoding="utf-8")
        refused = run(directory, printed())
        assert refused.returncode != 0 and "InvalidSignatureError" in refused.stderr, refused.stdout
    print("the erasure record is checked with PyJWT as printed")


main()
