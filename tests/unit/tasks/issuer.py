"""A small OpenID Connect issuer: real keys, and a real server that publishes them."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "tokenmill-tests"


class Issuer:
    """Publishes what ``jwks`` holds, and signs tokens with whatever key it is told to."""

    def __init__(self) -> None:
        self.jwks: dict[str, Any] = {"keys": [public_jwk("rsa"), public_jwk("ec")]}
        self.fetches = 0
        self.status = 200
        self.claimed_issuer: str | None = None
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += self.path == "/keys"
                body = issuer.jwks if self.path == "/keys" else issuer.description
                self.send_response(issuer.status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, format: str, *args: object) -> None:
                """Tests have enough to say."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def description(self) -> dict[str, Any]:
        return {"issuer": self.claimed_issuer or self.url, "jwks_uri": f"{self.url}/keys"}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Those of a good token; None takes one away."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "iat": now, "nbf": now, "exp": now + 300}
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, key: str = "rsa", key_id: str | None = None, **changes: Any) -> str:
        algorithm = "ES256" if key.startswith("ec") else "RS256"
        headers = {"kid": key_id or key}
        return jwt.encode(self.claims(**changes), private_key(key), algorithm, headers)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    try:
        yield issuer
    finally:
        issuer.close()


@cache
def private_key(name: str) -> Any:
    """The same key for the same name, for as long as the tests run."""
    if name.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 1024 if name == "rsa-weak" else 2048)


def public_jwk(name: str, **changes: Any) -> dict[str, Any]:
    algorithm = ECAlgorithm if name.startswith("ec") else RSAAlgorithm
    jwk: dict[str, Any] = algorithm.to_jwk(private_key(name).public_key(), as_dict=True)
    return {**jwk, "kid": name, "use": "sig", **changes}
