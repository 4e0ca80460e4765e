"""`tokenmill billing export-receipts` and `verify-receipts`."""

from typing import BinaryIO

import click


@click.command("export-receipts")
@click.argument("project")
@click.option("-o", "--output", type=click.File("wb"), default="-", help="[default: standard output]")
@click.option(
    "--public-key",
    type=click.File("wb"),
    help="Also write there the public key that this platform signs with.",
)
def export_receipts(project: str, output: BinaryIO, public_key: BinaryIO | None) -> None:
    """Write all receipts of a project as JSON lines, the oldest first.

    \b
    Example:
      tokenmill billing export-receipts acme -o acme.jsonl --public-key receipts.pem
    """
    from tasks.projects import find_project
    from tasks.receipts.reading import export_receipts as lines
    from tasks.receipts.signing import signing_key

    project_id = find_project(project).id
    if public_key is not None:
        public_key.write(signing_key().public.pem.encode())
    for line in lines(project_id):
        output.write(line)


@click.command("verify-receipts")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--public-key",
    "public_keys",
    type=click.File("rb"),
    multiple=True,
    required=True,
    help="In PEM; several times where the key was changed.",
)
def verify_receipts(file: BinaryIO, public_keys: tuple[BinaryIO, ...]) -> None:
    """Verify exported receipts. Needs no database and no network.

    \b
    Exit codes:
      0  they are what was signed, and none is missing up to the last
      1  they are not; the first that is wrong is named with its line
    """
    from tasks.pricing import usd_text
    from tasks.receipts.errors import ReceiptsDisagree
    from tasks.receipts.signing import PublicKey
    from tasks.receipts.verify import verify_receipts as verify

    found = verify(file, [PublicKey.read(key.read()) for key in public_keys])
    if found.wrong is not None:
        raise ReceiptsDisagree(f"The receipts are wrong. {file.name}, {found.wrong}.")
    for project_id, chain in sorted(found.chains.items()):
        click.echo(
            f"{project_id}: {chain.receipts} receipts of {usd_text(chain.cost_usd)} USD are right; "
            f"the last one's hash is {chain.last_sha256}."
        )
