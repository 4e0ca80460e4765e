"""Tokens of an issuer: what is refused, and how often it is asked for its keys."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from tasks import identity_tokens
from tasks.errors import AuthenticationFailed, IdentityProviderUnavailable, PermissionDenied
from tasks.identity import Identity, identity_of
from tasks.settings import Settings, settings
from tests.unit.tasks.issuer import AUDIENCE, Issuer, private_key, public_jwk, running_issuer


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    with running_issuer() as running:
        monkeypatch.setenv("TOKENMILL_OIDC_ISSUER", running.url)
        monkeypatch.setenv("TOKENMILL_OIDC_AUDIENCE", AUDIENCE)
        _forget()
        yield running
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    settings.cache_clear()
    identity_tokens._issuer_keys.cache_clear()


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("key", ["rsa", "ec"])
def test_token_of_the_issuer_is_believed(issuer: Issuer, key: str) -> None:
    assert identity_tokens.verify(issuer.token(key))["sub"] == "ada"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": 1}, "token_expired"),
        ({"nbf": 4_000_000_000}, "token_not_valid_yet"),
        ({"aud": "somebody-else"}, "invalid_token"),
        ({"aud": None}, "invalid_token"),
        ({"iss": "https://elsewhere.example"}, "invalid_token"),
        ({"iss": None}, "invalid_token"),
        ({"exp": None}, "invalid_token"),
        ({"sub": None}, "invalid_token"),
    ],
)
def test_token_with_wrong_claims_is_refused(issuer: Issuer, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(AuthenticationFailed) as refused:
        identity_tokens.verify(issuer.token(**changes))
    assert refused.value.code == code


def test_clocks_may_differ_a_little(issuer: Issuer) -> None:
    now = int(time.time())
    assert identity_tokens.verify(issuer.token(exp=now - 2, nbf=now + 2))


def test_token_without_a_signature_is_refused(issuer: Issuer) -> None:
    token = f"{part({'alg': 'none', 'kid': 'rsa'})}.{part(issuer.claims())}."
    with pytest.raises(AuthenticationFailed, match="RS256 or ES256"):
        identity_tokens.verify(token)


@pytest.mark.parametrize("claimed", ["HS256", "RS256"])
def test_public_key_is_no_secret_to_sign_with(issuer: Issuer, claimed: str) -> None:
    public = private_key("rsa").public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part({'alg': claimed, 'kid': 'rsa'})}.{part(issuer.claims())}"
    mac = base64.urlsafe_b64encode(hmac.new(pem, signed.encode(), hashlib.sha256).digest()).rstrip(b"=")
    with pytest.raises(AuthenticationFailed):
        identity_tokens.verify(f"{signed}.{mac.decode()}")


def test_token_signed_by_another_key_under_a_known_id_is_forged(issuer: Issuer) -> None:
    with pytest.raises(AuthenticationFailed, match="signature"):
        identity_tokens.verify(issuer.token("rsa-other", key_id="rsa"))
    with pytest.raises(AuthenticationFailed):
        identity_tokens.verify(issuer.token("rsa", key_id="ec"))


def test_changed_claims_break_the_signature(issuer: Issuer) -> None:
    header, _, signature = issuer.token().split(".")
    with pytest.raises(AuthenticationFailed, match="signature"):
        identity_tokens.verify(f"{header}.{part(issuer.claims(sub='eve'))}.{signature}")


@pytest.mark.parametrize("token", ["..", "a.b.c", "é.ü.ö", f"{part({'alg': 'RS256'})}.e30.e30"])
def test_what_is_no_token_is_refused(issuer: Issuer, token: str) -> None:
    with pytest.raises(AuthenticationFailed):
        identity_tokens.verify(token)


@pytest.mark.parametrize(
    "jwk",
    [
        public_jwk("rsa", use="enc"),
        public_jwk("rsa", alg="RS512"),
        public_jwk("rsa-weak", kid="rsa"),
        {"kty": "oct", "kid": "rsa", "k": "c2VjcmV0"},
        {"kty": "RSA", "kid": "rsa", "n": "!", "e": "AQAB"},
        {"kid": "rsa"},
    ],
)
def test_key_that_is_not_for_this_is_none(issuer: Issuer, jwk: dict[str, Any]) -> None:
    issuer.jwks = {"keys": [jwk, 7]}
    with pytest.raises(AuthenticationFailed, match="no such key"):
        identity_tokens.verify(issuer.token())


def test_known_keys_are_fetched_once_and_unknown_ones_looked_for_rarely(issuer: Issuer) -> None:
    for _ in range(3):
        identity_tokens.verify(issuer.token())
        with pytest.raises(AuthenticationFailed, match="no such key"):
            identity_tokens.verify(issuer.token("rsa-other"))
    assert issuer.fetches == 1


def test_new_key_of_the_issuer_is_found(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENMILL_OIDC_REFRESH_SECONDS", "0.01")
    settings.cache_clear()
    identity_tokens.verify(issuer.token())
    issuer.jwks = {"keys": [public_jwk("rsa-other")]}
    time.sleep(0.02)
    assert identity_tokens.verify(issuer.token("rsa-other"))
    with pytest.raises(AuthenticationFailed, match="no such key"):
        identity_tokens.verify(issuer.token("rsa"))


def test_issuer_that_is_away_is_our_trouble_and_known_keys_stay_good(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENMILL_OIDC_REFRESH_SECONDS", "0.01")
    settings.cache_clear()
    issuer.status = 500
    with pytest.raises(IdentityProviderUnavailable):
        identity_tokens.verify(issuer.token())
    issuer.status = 200
    time.sleep(0.02)
    identity_tokens.verify(issuer.token())
    issuer.status = 500
    time.sleep(0.02)
    with pytest.raises(IdentityProviderUnavailable):
        identity_tokens.verify(issuer.token("rsa-other"))
    assert identity_tokens.verify(issuer.token())


def test_description_of_another_issuer_is_not_believed(issuer: Issuer) -> None:
    issuer.claimed_issuer = "https://elsewhere.example"
    with pytest.raises(IdentityProviderUnavailable):
        identity_tokens.verify(issuer.token())


def test_keys_may_be_fetched_without_discovery(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer.claimed_issuer = "https://elsewhere.example"
    monkeypatch.setenv("TOKENMILL_OIDC_JWKS_URL", f"{issuer.url}/keys")
    _forget()
    assert identity_tokens.verify(issuer.token())


@pytest.mark.parametrize(
    "values",
    [
        {"oidc_issuer": "https://id.example"},
        {"oidc_issuer": "http://id.example", "oidc_audience": "us"},
        {"oidc_issuer": "https://id.example", "oidc_audience": "us", "oidc_jwks_url": "file:///etc/passwd"},
        {"oidc_roles": {"admins": "emperor"}},
        {"trusted_proxies": "10.0.0.0/8,proxy"},
    ],
)
def test_settings_that_would_trust_too_much_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**values)


def test_claims_become_an_identity(issuer: Issuer) -> None:
    claims = issuer.claims(project="acme", role=["guest", "viewer", "admin"])
    assert identity_of(claims) == Identity(issuer.url, "ada", "acme", "admin")


def test_translated_roles_alone_count(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENMILL_OIDC_ROLES", '{"ml-team": "developer"}')
    settings.cache_clear()
    assert identity_of(issuer.claims(project="acme", role="ml-team")).role == "developer"
    with pytest.raises(PermissionDenied, match="no role"):
        identity_of(issuer.claims(project="acme", role="owner"))


def test_role_that_is_not_said_is_the_default_where_there_is_one(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PermissionDenied) as refused:
        identity_of(issuer.claims(project="acme"))
    assert refused.value.code == "no_role"
    monkeypatch.setenv("TOKENMILL_OIDC_DEFAULT_ROLE", "end_user")
    settings.cache_clear()
    assert identity_of(issuer.claims(project="acme")).role == "end_user"


@pytest.mark.parametrize("project", [None, "", 7, ["acme"], "a\nb", "x" * 300])
def test_token_without_a_project_is_refused(issuer: Issuer, project: object) -> None:
    with pytest.raises(PermissionDenied) as refused:
        identity_of(issuer.claims(project=project, role="owner"))
    assert refused.value.code == "no_project"


@pytest.mark.parametrize("subject", ["", "a\r\nSet-Cookie: b", "a\x00", "x" * 300])
def test_subject_that_could_not_be_shown_is_refused(issuer: Issuer, subject: str) -> None:
    with pytest.raises(AuthenticationFailed, match="subject"):
        identity_of(issuer.claims(sub=subject, project="acme", role="owner"))
