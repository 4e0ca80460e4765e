"""What a new engine runs before its first request, so that no request pays for it."""

from inference.batch import Batch
from inference.request import GenerationRequest, SamplingParams

LENGTHS = (1, 40, 40)
PARAMS = SamplingParams(max_tokens=3, temperature=1.0, top_p=0.9)


def warm_up(batch: Batch, vocab_size: int) -> None:
    """Run a few short generations to their end. Raises what the model raises."""
    for length in LENGTHS:
        prompt = tuple(index % vocab_size for index in range(length))
        batch.add(batch.make_sequence(GenerationRequest("warm-up", prompt, PARAMS)))
    while not batch.idle:
        batch.step()
    batch.forget()
