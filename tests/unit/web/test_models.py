from decimal import Decimal

import pytest
from flask.testing import FlaskClient

from tests.unit.web.conftest import AUTHORIZED, MakeApp

DOTTED = """
[models."tiny.v1"]
source = "org/tiny.v1"
context_length = 128
aliases = ["tiny"]
prices = { input_usd = 0.1, cached_input_usd = 0.05, output_usd = 1 }
"""


def test_models_are_listed_in_the_shape_that_openai_clients_know(client: FlaskClient) -> None:
    listed = client.get("/v1/models", headers=AUTHORIZED).get_json()
    assert listed["object"] == "list"
    model = listed["data"][0]
    assert model["object"] == "model"
    assert isinstance(model["created"], int)
    assert isinstance(model["owned_by"], str)
    assert model["context_length"] > 0


def test_model_is_read_by_name_or_alias_and_prices_are_exact_text(make_app: MakeApp) -> None:
    client = make_app(catalog_overrides=DOTTED).test_client()
    for name in ("tiny.v1", "tiny"):
        model = client.get(f"/v1/models/{name}", headers=AUTHORIZED).get_json()
        assert model["id"] == "tiny.v1"
        assert model["prices"] == {"input_usd": "0.1", "cached_input_usd": "0.05", "output_usd": "1"}
        assert Decimal(model["prices"]["input_usd"]) == Decimal("0.1")


PINNED = """
[models."tiny.v1"]
source = "org/tiny.v1"
revision = "refs/pr/1"
context_length = 128
aliases = ["tiny"]
prices = { input_usd = 0.1, cached_input_usd = 0.05, output_usd = 1 }
"""


def test_pinned_revision_is_shown_and_names_the_model_too(make_app: MakeApp) -> None:
    client = make_app(catalog_overrides=PINNED).test_client()
    for name in ("tiny.v1", "tiny.v1@refs/pr/1", "tiny@refs/pr/1", "tiny.v1%40refs%2Fpr%2F1"):
        model = client.get(f"/v1/models/{name}", headers=AUTHORIZED).get_json()
        assert (model["id"], model["revision"]) == ("tiny.v1", "refs/pr/1")


@pytest.mark.parametrize("name", ["tiny.v1@main", "smollm2@main", "smollm2@"])
def test_revision_that_is_not_pinned_is_no_model(make_app: MakeApp, name: str) -> None:
    client = make_app(catalog_overrides=PINNED).test_client()
    assert client.get(f"/v1/models/{name}", headers=AUTHORIZED).status_code == 404


def test_models_say_what_they_are_for(client: FlaskClient) -> None:
    listed = client.get("/v1/models", headers=AUTHORIZED).get_json()["data"]
    assert {model["id"]: model["task"] for model in listed} == {
        "smollm2-135m-instruct": "generate",
        "all-minilm-l6-v2": "embed",
    }


def test_embeddings_cost_what_goes_in(client: FlaskClient) -> None:
    prices = client.get("/v1/models/minilm", headers=AUTHORIZED).get_json()["prices"]
    assert prices == {"input_usd": "0.005", "cached_input_usd": "0.005", "output_usd": "0"}


def test_unknown_model_is_a_404_that_names_it(client: FlaskClient) -> None:
    response = client.get("/v1/models/gpt-9", headers=AUTHORIZED)
    assert response.status_code == 404
    error = response.get_json()["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "gpt-9" in error["message"]
