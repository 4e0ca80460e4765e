"""A virtual host for the tests alone on a broker that others use too."""

import base64
import urllib.error
import urllib.request
from urllib.parse import quote, urlsplit

MANAGEMENT_PORT = 15672


class VirtualHost:
    """Made, and removed with everything in it, through the broker's management interface."""

    def __init__(self, broker_url: str, name: str) -> None:
        self._broker = urlsplit(broker_url)
        self._name = name

    @property
    def url(self) -> str:
        return self._broker._replace(path=f"/{quote(self._name, safe='')}").geturl()

    def create(self) -> bool:
        """False where the broker has no management interface, or does not let us."""
        user = quote(self._broker.username or "guest", safe="")
        permissions = f"/api/permissions/{quote(self._name, safe='')}/{user}"
        return self._call("PUT", self._path, b"{}") and self._call(
            "PUT", permissions, b'{"configure": ".*", "write": ".*", "read": ".*"}'
        )

    def remove(self) -> None:
        self._call("DELETE", self._path)

    @property
    def _path(self) -> str:
        return f"/api/vhosts/{quote(self._name, safe='')}"

    def _call(self, method: str, path: str, body: bytes | None = None) -> bool:
        credentials = f"{self._broker.username or 'guest'}:{self._broker.password or 'guest'}"
        request = urllib.request.Request(
            f"http://{self._broker.hostname}:{MANAGEMENT_PORT}{path}",
            data=body,
            method=method,
            headers={
                "Authorization": "Basic " + base64.b64encode(credentials.encode()).decode(),
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=3):  # noqa: S310 (the scheme is ours)
                return True
        except (urllib.error.URLError, TimeoutError):
            return False
