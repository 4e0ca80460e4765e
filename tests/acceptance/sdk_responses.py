"""Responses that the tests of the SDK ask for."""

from typing import Any

import openai
from openai.types.responses import Response

MODEL = "smollm2"
FRANCE = "What is the capital of France?"
# Greedy counting goes on for as long as it is let.
COUNTING = "Count from one to a thousand, a line for each number: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,"


def create(sdk: openai.OpenAI, **body: Any) -> Response:
    made: Response = sdk.responses.create(
        **{"model": MODEL, "input": FRANCE, "temperature": 0, "max_output_tokens": 24, **body}
    )
    return made


def create_stream(sdk: openai.OpenAI, **body: Any) -> Any:
    return sdk.responses.create(
        **{
            "model": MODEL,
            "input": FRANCE,
            "temperature": 0,
            "max_output_tokens": 24,
            "stream": True,
            **body,
        }
    )
