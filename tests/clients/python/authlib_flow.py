"""Authlib, with joserfc for the ID token: a confidential web application with requests."""

import os
import secrets

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet
from person import DEMO, ISSUER, Person, register

# Authlib refuses plain http otherwise; the demo listens on loopback.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "true"

REDIRECT_URI = "http://127.0.0.1:9/callback"
GOODBYE = "http://127.0.0.1:9/goodbye"


def check():
    """Code flow with PKCE, userinfo, refresh, introspection, revocation, logout."""
    registered = register(
        "Authlib", "confidential", redirect_uris=[REDIRECT_URI], post_logout_redirect_uris=[GOODBYE]
    )
    server = requests.get(f"{ISSUER}/.well-known/openid-configuration", timeout=10).json()
    client = OAuth2Session(
        registered["client_id"],
        registered["client_secret"],
        scope="openid profile email offline_access",
        redirect_uri=REDIRECT_URI,
        code_challenge_method="S256",
        token_endpoint=server["token_endpoint"],
    )
    verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    url, state = client.create_authorization_url(
        server["authorization_endpoint"], code_verifier=verifier, nonce=nonce
    )
    person = Person()
    back = person.go(url, REDIRECT_URI)
    token = client.fetch_token(
        server["token_endpoint"], authorization_response=back, code_verifier=verifier, state=state
    )
    keys = KeySet.import_key_set(requests.get(server["jwks_uri"], timeout=10).json())
    decoded = jwt.decode(token["id_token"], keys, algorithms=server["id_token_signing_alg_values_supported"])
    claims = CodeIDToken(
        decoded.claims,
        decoded.header,
        {"iss": {"essential": True, "value": ISSUER}},
        {"nonce": nonce, "client_id": registered["client_id"], "access_token": token["access_token"]},
    )
    claims.validate()
    info = client.get(server["userinfo_endpoint"], timeout=10).json()
    assert info["sub"] == claims["sub"] and info["preferred_username"] == DEMO["user"]["username"], info

    refreshed = client.refresh_token(server["token_endpoint"])
    assert refreshed["access_token"] != token["access_token"]
    seen = client.introspect_token(server["introspection_endpoint"], refreshed["access_token"])
    assert seen.json()["active"] is True, seen.text
    assert client.revoke_token(server["revocation_endpoint"], refreshed["refresh_token"]).status_code == 200
    seen = client.introspect_token(server["introspection_endpoint"], refreshed["access_token"])
    assert seen.json() == {"active": False}, seen.text

    query = {"id_token_hint": token["id_token"], "post_logout_redirect_uri": GOODBYE, "state": "left"}
    left = requests.Request("GET", server["end_session_endpoint"], params=query).prepare().url
    assert person.go(left, GOODBYE) == f"{GOODBYE}?state=left"
    print("Authlib: code flow, userinfo, refresh, introspection, revocation, logout")


check()
