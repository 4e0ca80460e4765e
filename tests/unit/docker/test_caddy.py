"""What stands in front of the web processes."""

import re

from tests.unit.docker.compose import DOCKER, environment, services
from web import server

CADDYFILE = (DOCKER / "Caddyfile").read_text()


def test_it_passes_requests_on_to_where_web_listens() -> None:
    assert "web" in services()
    assert re.search(r"name web\n\s+port (\d+)", CADDYFILE)[1] == environment("web")["TOKENMILL_PORT"]  # type: ignore[index]


def test_figures_are_not_for_the_world() -> None:
    assert "respond /metrics 404" in CADDYFILE


def test_an_idle_connection_is_given_up_before_web_closes_it() -> None:
    found = re.search(r"keepalive (\d+)s", CADDYFILE)
    assert found
    assert int(found[1]) < server._KEEPALIVE_SECONDS


def test_the_health_check_asks_a_port_that_is_not_published() -> None:
    check = services()["caddy"]["healthcheck"]["test"][-1]
    assert check == "http://127.0.0.1:8080/up"
    assert "http://127.0.0.1:8080 {" in CADDYFILE
    assert not any("8080" in port for port in services()["caddy"]["ports"])
