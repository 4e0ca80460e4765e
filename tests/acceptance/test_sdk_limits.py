"""Rate limits, as the OpenAI client changes and meets them."""

import functools
import time

import openai
import pytest
from openai import OpenAI

from tests.acceptance.conftest import LiveServer, RunTokenmill

MODEL = "smollm2-135m-instruct"


def test_client_changes_a_limit_and_the_client_of_the_project_meets_it(
    live_server: LiveServer, tokenmill: RunTokenmill
) -> None:
    created = tokenmill("admin-keys", "create", DATABASE_URL=live_server.database_url)
    url = f"{live_server.url}/v1"
    with OpenAI(base_url=url, api_key="none", admin_api_key=created.stdout.strip(), max_retries=0) as admin:
        organization = admin.admin.organization
        project = organization.projects.create(name="limited")
        limits = organization.projects.rate_limits
        listed = {limit.id: limit for limit in limits.list_rate_limits(project.id, limit=2)}
        assert listed[f"rl-{MODEL}"].object == "project.rate_limit"
        assert {limit.model for limit in listed.values()} >= {"*", MODEL}
        changed = limits.update_rate_limit(
            f"rl-{MODEL}", project_id=project.id, max_requests_per_1_minute=2, max_tokens_per_1_minute=1000
        )
        assert (changed.max_requests_per_1_minute, changed.max_tokens_per_1_minute) == (2, 1000)
        account = organization.projects.service_accounts.create(project.id, name="program")
    assert account.api_key is not None
    time.sleep(1.1)
    with OpenAI(base_url=url, api_key=account.api_key.value, max_retries=0) as program:
        ask = functools.partial(program.completions.create, model=MODEL, prompt="Once", max_tokens=4)
        raw = program.completions.with_raw_response.create(model=MODEL, prompt="Once", max_tokens=4)
        assert raw.headers["x-ratelimit-limit-requests"] == "2"
        ask()
        with pytest.raises(openai.RateLimitError) as refused:
            ask()
        assert (refused.value.code, refused.value.type) == ("rate_limit_exceeded", "rate_limit_error")
        assert "2 requests per minute of the model" in refused.value.message
        headers = refused.value.response.headers
        assert 1 <= int(headers["retry-after"]) <= 60
        # What the two did not generate was given back: at most four tokens and the prompt of each are gone.
        assert int(headers["x-ratelimit-remaining-tokens"]) >= 1000 - 2 * 10
        assert program.models.list().data
