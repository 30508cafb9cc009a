"""idpyoidc: its handler of relying parties, which does each step by itself."""

import os
import tempfile
from urllib.parse import parse_qsl, urlsplit

from idpyoidc.client.rp_handler import RPHandler
from person import DEMO, ISSUER, Person, register

ORIGIN = "http://127.0.0.1:9"
REDIRECT_URI = f"{ORIGIN}/callback"
GOODBYE = f"{ORIGIN}/goodbye"


def check():
    """Discovery, code flow with PKCE, userinfo, refresh, logout."""
    registered = register(
        "idpyoidc",
        "confidential",
        redirect_uris=[REDIRECT_URI],
        post_logout_redirect_uris=[GOODBYE],
        # What the library expects unless it is told otherwise.
        id_token_signed_response_alg="RS256",
    )
    party = {
        "issuer": ISSUER,
        "client_type": "oidc",
        "client_id": registered["client_id"],
        "client_secret": registered["client_secret"],
        "redirect_uris": [REDIRECT_URI],
        "post_logout_redirect_uris": [GOODBYE],
        "response_types_supported": ["code"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "client_authn_methods": {
            "client_secret_basic": "idpyoidc.client.client_auth.ClientSecretBasic",
            "bearer_header": "idpyoidc.client.client_auth.BearerHeader",
        },
        "services": {
            "discovery": {"class": "idpyoidc.client.oidc.provider_info_discovery.ProviderInfoDiscovery"},
            "authorization": {"class": "idpyoidc.client.oidc.authorization.Authorization"},
            "accesstoken": {"class": "idpyoidc.client.oidc.access_token.AccessToken"},
            "userinfo": {"class": "idpyoidc.client.oidc.userinfo.UserInfo"},
            "refresh": {"class": "idpyoidc.client.oidc.refresh_access_token.RefreshAccessToken"},
            "end_session": {"class": "idpyoidc.client.oidc.end_session.EndSession"},
        },
        "add_ons": {
            "pkce": {
                "function": "idpyoidc.client.oauth2.add_on.pkce.add_support",
                "kwargs": {"code_challenge_length": 64, "code_challenge_method": "S256"},
            }
        },
    }
    # It writes keys of its own where it runs.
    os.chdir(tempfile.mkdtemp())
    handler = RPHandler(base_url=ORIGIN, client_configs={"tessera": party})
    url = handler.begin("tessera")
    assert "code_challenge_method=S256" in url, url
    person = Person()
    back = dict(parse_qsl(urlsplit(person.go(url, REDIRECT_URI)).query))
    seen = handler.finalize(ISSUER, back)
    assert "error" not in seen, seen
    state = seen["state"]
    assert seen["userinfo"]["preferred_username"] == DEMO["user"]["username"], seen["userinfo"]
    refreshed = handler.refresh_access_token(state)
    assert refreshed["access_token"] != seen["token"], refreshed
    left = handler.logout(state, post_logout_redirect_uri=GOODBYE)["url"]
    assert person.go(left, GOODBYE).startswith(GOODBYE)
    print("idpyoidc: code flow, userinfo, refresh, logout")


check()
