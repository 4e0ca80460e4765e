"""Receipts as files: canonical, chained, signed, and every way in which one can be wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tasks.receipts import signing
from tasks.receipts.canonical import canonical, sha256_of
from tasks.receipts.document import tokens_sha256
from tasks.receipts.errors import ReceiptKeyInvalid, ReceiptsNotConfigured
from tasks.receipts.signing import PublicKey, SigningKey
from tasks.receipts.verify import verify_receipts
from tasks.settings import settings

Lines = list[bytes]


def new_key() -> SigningKey:
    private = Ed25519PrivateKey.generate()
    return SigningKey(private, PublicKey.of(private.public_key()))


KEY, OTHER = new_key(), new_key()


def signed(content: dict[str, Any], key: SigningKey = KEY) -> dict[str, Any]:
    document = canonical(content)
    return {"receipt": content, "sha256": sha256_of(document), "signature": key.sign(document)}


def chain(length: int = 4, project_id: str = "proj_1") -> list[dict[str, Any]]:
    receipts: list[dict[str, Any]] = []
    for sequence in range(1, length + 1):
        content = {
            "project_id": project_id,
            "sequence": sequence,
            "previous_sha256": receipts[-1]["sha256"] if receipts else None,
            "key_id": KEY.public.id,
            "cost_usd": "0.25",
        }
        receipts.append(signed(content))
    return receipts


def lines(receipts: list[dict[str, Any]]) -> Lines:
    return [json.dumps(receipt, indent=None).encode() + b"\n" for receipt in receipts]


def test_chain_that_nobody_touched_is_right() -> None:
    found = verify_receipts(lines(chain()), [OTHER.public, KEY.public])
    assert found.wrong is None
    assert (found.chains["proj_1"].receipts, str(found.chains["proj_1"].cost_usd)) == (4, "1.00")
    assert found.chains["proj_1"].last_sha256 == chain_hash(4)


def chain_hash(length: int) -> str:
    digest: str = chain(length)[-1]["sha256"]
    return digest


def test_chains_of_several_projects_may_be_mixed() -> None:
    one, two = lines(chain()), lines(chain(project_id="proj_2"))
    found = verify_receipts([line for pair in zip(one, two, strict=True) for line in pair], [KEY.public])
    assert found.wrong is None
    assert sorted(found.chains) == ["proj_1", "proj_2"]


def tampered_field(receipts: list[dict[str, Any]]) -> None:
    receipts[1]["receipt"]["cost_usd"] = "0.01"


def tampered_field_and_hash(receipts: list[dict[str, Any]]) -> None:
    receipts[1]["receipt"]["cost_usd"] = "0.01"
    receipts[1]["sha256"] = sha256_of(canonical(receipts[1]["receipt"]))


def foreign_signature(receipts: list[dict[str, Any]]) -> None:
    receipts[1] = signed(receipts[1]["receipt"], OTHER)


def signature_that_is_none(receipts: list[dict[str, Any]]) -> None:
    receipts[1]["signature"] = "not base64"


def fraction(receipts: list[dict[str, Any]]) -> None:
    receipts[1]["receipt"]["more"] = 0.5


def wrong_key(receipts: list[dict[str, Any]]) -> None:
    receipts[1] = signed(receipts[1]["receipt"] | {"key_id": OTHER.public.id}, OTHER)


def missing(receipts: list[dict[str, Any]]) -> None:
    del receipts[1]


def missing_first(receipts: list[dict[str, Any]]) -> None:
    del receipts[0]


def reordered(receipts: list[dict[str, Any]]) -> None:
    receipts[1], receipts[2] = receipts[2], receipts[1]


def repeated(receipts: list[dict[str, Any]]) -> None:
    receipts.insert(2, receipts[1])


def forked(receipts: list[dict[str, Any]]) -> None:
    """Signed with the right key, but instead of another one."""
    receipts[1] = signed(receipts[1]["receipt"] | {"previous_sha256": "00" * 32})


def malformed(receipts: list[dict[str, Any]]) -> None:
    del receipts[1]["receipt"]["sequence"]


@pytest.mark.parametrize(
    ("harm", "fault", "line", "about"),
    [
        (tampered_field, "tampered", 2, "receipt 2 of proj_1"),
        (tampered_field_and_hash, "tampered", 2, "receipt 2 of proj_1"),
        (foreign_signature, "tampered", 2, "receipt 2 of proj_1"),
        (signature_that_is_none, "tampered", 2, "receipt 2 of proj_1"),
        (fraction, "tampered", 2, "receipt 2 of proj_1"),
        pytest.param(wrong_key, "wrong_key", 2, OTHER.public.id, id="wrong_key"),
        (missing, "missing", 2, "receipt 2 of proj_1 is missing"),
        (missing_first, "missing", 1, "receipt 1 of proj_1 is missing"),
        (reordered, "reordered", 2, "receipt 3 of proj_1 stands ahead of receipt 2"),
        (repeated, "repeated", 3, "receipt 2 of proj_1"),
        (forked, "broken_chain", 2, "receipt 2 of proj_1"),
        (malformed, "malformed", 2, "not a receipt"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    harm: Callable[[list[dict[str, Any]]], None], fault: str, line: int, about: str
) -> None:
    receipts = chain()
    harm(receipts)
    found = verify_receipts(lines(receipts), [KEY.public])
    assert found.wrong is not None
    assert (found.wrong.fault, found.wrong.line) == (fault, line)
    assert about in str(found.wrong)


@pytest.mark.parametrize("line", [b"{", b"[]", b"\xff", b'{"receipt": 1}', b"[" * 100_000])
def test_line_that_is_no_receipt_is_named(line: bytes) -> None:
    found = verify_receipts([*lines(chain(1)), b"\n", line], [KEY.public])
    assert found.wrong is not None
    assert (found.wrong.fault, found.wrong.line) == ("malformed", 3)


def test_canonical_form_is_that_of_rfc_8785() -> None:
    document = {"b": None, "a": {"é": '\u20ac\x0f\n"\\/é'}, "c": -1}
    with pytest.raises(ValueError, match="name"):
        canonical(document)
    written = canonical({"b": None, "a": {"e": '\u20ac\x0f\n"\\/é'}, "c": -1})
    assert written.decode() == '{"a":{"e":"\u20ac\\u000f\\n\\"\\\\/é"},"b":null,"c":-1}'


@pytest.mark.parametrize("value", [0.5, True, 2**53, [1], float("nan"), b"a"])
def test_what_has_no_certain_form_is_no_part_of_a_receipt(value: object) -> None:
    with pytest.raises(ValueError, match="value in a receipt"):
        canonical({"a": value})


def test_token_ids_are_hashed_sequence_by_sequence() -> None:
    assert tokens_sha256([[1, 2], [3]]) != tokens_sha256([[1], [2, 3]]) != tokens_sha256([[1, 2, 3]])
    assert tokens_sha256([]) == sha256_of(b"")
    assert tokens_sha256([[258]]) == sha256_of(b"\x01\x00\x00\x00\x02\x01\x00\x00")


def test_key_is_made_once_and_its_owner_alone_may_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "receipt-key.pem"
    signing.new_key_file(file)
    pem = file.read_text()
    signing.new_key_file(file)
    assert (file.read_text(), file.stat().st_mode & 0o777) == (pem, 0o600)
    assert list(tmp_path.iterdir()) == [file]
    keys = set()
    for configured in (str(file), pem):
        monkeypatch.setenv("TOKENMILL_RECEIPT_KEY", configured)
        settings.cache_clear()
        keys.add(signing.signing_key().public.id)
        assert pem.splitlines()[1] not in repr(settings())
    assert len(keys) == 1
    public = signing.signing_key().public
    assert PublicKey.read(public.pem.encode()).id == public.id
    settings.cache_clear()


def test_key_that_can_not_be_used_is_refused_without_being_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = generate_private_key(SECP256R1()).public_key()
    pem = foreign.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(pem)
    for configured in ("-----BEGIN PRIVATE KEY-----\nSECRET", str(tmp_path), str(tmp_path / "public.pem")):
        monkeypatch.setenv("TOKENMILL_RECEIPT_KEY", configured)
        settings.cache_clear()
        with pytest.raises(ReceiptKeyInvalid) as caught:
            signing.signing_key()
        assert "SECRET" not in caught.value.message
    for public in (pem, b"nothing"):
        with pytest.raises(ReceiptKeyInvalid):
            PublicKey.read(public)
    monkeypatch.delenv("TOKENMILL_RECEIPT_KEY")
    settings.cache_clear()
    with pytest.raises(ReceiptsNotConfigured, match="TOKENMILL_RECEIPT_KEY"):
        signing.signing_key()
    settings.cache_clear()
