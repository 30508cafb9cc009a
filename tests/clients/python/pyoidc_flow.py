"""pyoidc (`oic`): a confidential web application."""

import secrets

from oic import rndstr
from oic.oic import Client
from oic.oic.message import AuthorizationResponse, RegistrationResponse
from oic.utils.authn.client import CLIENT_AUTHN_METHOD
from person import DEMO, ISSUER, Person, register

REDIRECT_URI = "http://127.0.0.1:9/callback"
GOODBYE = "http://127.0.0.1:9/goodbye"


def check():
    """Discovery, code flow with PKCE, userinfo, refresh, logout."""
    registered = register(
        "pyoidc",
        "confidential",
        redirect_uris=[REDIRECT_URI],
        post_logout_redirect_uris=[GOODBYE],
        # What the library expects unless it is told otherwise.
        id_token_signed_response_alg="RS256",
    )
    challenge = {"code_challenge": {"length": 64, "method": "S256"}}
    client = Client(client_authn_method=CLIENT_AUTHN_METHOD, config=challenge)
    client.provider_config(ISSUER)
    client.store_registration_info(
        RegistrationResponse(
            client_id=registered["client_id"],
            client_secret=registered["client_secret"],
            redirect_uris=[REDIRECT_URI],
            id_token_signed_response_alg="RS256",
        )
    )
    asked, verifier = client.add_code_challenge()
    state, nonce = rndstr(), secrets.token_urlsafe(16)
    asked |= {
        "response_type": "code",
        "scope": "openid profile email offline_access",
        "redirect_uri": REDIRECT_URI,
        "state": state,
        "nonce": nonce,
    }
    request = client.construct_AuthorizationRequest(request_args=asked)
    person = Person()
    back = person.go(request.request(client.authorization_endpoint), REDIRECT_URI)
    answer = client.parse_response(AuthorizationResponse, info=back.split("?", 1)[1], sformat="urlencoded")
    assert answer["state"] == state, answer
    tokens = client.do_access_token_request(
        state=state,
        request_args={"code": answer["code"], "redirect_uri": REDIRECT_URI, "code_verifier": verifier},
        authn_method="client_secret_basic",
    )
    assert tokens["id_token"]["iss"] == ISSUER and tokens["id_token"]["nonce"] == nonce, tokens
    info = client.do_user_info_request(method="GET", state=state)
    assert info["sub"] == tokens["id_token"]["sub"], info
    assert info["preferred_username"] == DEMO["user"]["username"], info

    refreshed = client.do_access_token_refresh(state=state, authn_method="client_secret_basic")
    assert refreshed["access_token"] != tokens["access_token"], refreshed
    leaving = client.construct_EndSessionRequest(
        state=state, request_args={"post_logout_redirect_uri": GOODBYE, "state": "left"}
    )
    left = person.go(leaving.request(client.end_session_endpoint), GOODBYE)
    assert left == f"{GOODBYE}?state=left", left
    print("pyoidc: code flow, userinfo, refresh, logout")


check()
