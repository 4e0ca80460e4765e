"""A model of random weights whose steps take about a millisecond, with a context for long answers."""

from pathlib import Path

from tests.integration.inference.tiny_model import TINIEST, save_tiny

MODEL = "tiny"
_CONTEXT_LENGTH = 2048
_TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}<|start|>assistant\n"
)


def write_catalog(folder: Path) -> Path:
    """Make the model, and a catalogue with it alone; returns the catalogue's file."""
    model = folder / "model"
    save_tiny(model, "llama", **TINIEST | {"max_position_embeddings": _CONTEXT_LENGTH})
    (model / "chat_template.jinja").write_text(_TEMPLATE)
    catalog = folder / "catalog.toml"
    catalog.write_text(
        f'[models.{MODEL}]\nsource = "{model}"\nquantization = "fp32"\ncontext_length = {_CONTEXT_LENGTH}\n'
        "prices = { input_usd = 1, cached_input_usd = 0.5, output_usd = 2 }\n"
    )
    return catalog
