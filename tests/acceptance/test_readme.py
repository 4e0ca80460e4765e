"""The tour that the README gives of the SDK, as a newcomer would paste it."""

import contextlib
import io
import re

import pytest

from tests.acceptance.conftest import ROOT, LiveServer, RunTokenmill

BLOCKS = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_every_python_block_of_the_readme_runs(
    live_server: LiveServer, tokenmill: RunTokenmill, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin_key = tokenmill("admin-keys", "create", DATABASE_URL=live_server.database_url).stdout.strip()
    monkeypatch.setenv("OPENAI_ADMIN_KEY", admin_key)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{live_server.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", live_server.key)
    blocks = BLOCKS.findall((ROOT / "README.md").read_text())
    assert len(blocks) >= 6
    names: dict[str, object] = {}
    for block in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block, "README.md", "exec"), names)  # noqa: S102 - our own documentation
        assert printed.getvalue().strip(), block
