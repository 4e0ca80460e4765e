"""Receipts of an installation that nobody has configured."""

import time

from tasks.receipts.signing import PublicKey
from tests.acceptance.conftest import LiveServer


def test_receipt_of_a_job_is_signed_with_the_installations_own_key(live_server: LiveServer) -> None:
    job = live_server.ended(live_server.submit(prompt="One, two,", max_tokens=2)["id"])
    until = time.monotonic() + 30
    while (answer := live_server.http.get(f"/v1/jobs/{job['id']}/receipt")).status_code == 503:
        assert time.monotonic() < until
        time.sleep(0.2)
    receipt = answer.json()
    assert receipt["receipt"]["cost_usd"] == job["cost_usd"]
    assert receipt["receipt"]["model"]["fingerprint"].startswith("fp_")
    key = live_server.http.get("/v1/receipts/key").json()
    assert PublicKey.read(key["public_key"].encode()).id == receipt["receipt"]["key_id"]
    assert (live_server.data_dir / "receipt-key.pem").stat().st_mode & 0o777 == 0o600
