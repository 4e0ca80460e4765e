import re

from flask.testing import FlaskClient

REFERENCES = re.compile(r"""(?:src|href)=["']([^"']+)["']""")


def test_page_refers_to_nothing_outside(client: FlaskClient) -> None:
    page = client.get("/docs/").get_data(as_text=True)
    references = REFERENCES.findall(page)
    assert references
    for reference in references:
        assert reference.startswith("/docs/")
        with client.get(reference) as response:
            assert response.status_code == 200
    assert "http" not in page


def test_browser_is_told_to_load_nothing_from_outside(client: FlaskClient) -> None:
    policy = client.get("/docs/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "*" not in policy


def test_no_outside_validator_is_asked_about_the_document(client: FlaskClient) -> None:
    assert '"validatorUrl": null' in client.get("/docs/").get_data(as_text=True)


def test_page_shows_our_document(client: FlaskClient) -> None:
    assert '"url": "/openapi.json"' in client.get("/docs/").get_data(as_text=True)
