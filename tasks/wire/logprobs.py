"""Log-probabilities of tokens as chats and as completions show them."""

from collections import deque
from collections.abc import Iterable

from pydantic import BaseModel

from inference.detokenize import Detokenizer
from inference.prompts import PromptRenderer
from inference.request import TokenLogprob

IMPOSSIBLE = -9999.0
"""JSON has no infinity; this is what the OpenAI API writes."""


class TopLogprob(BaseModel):
    """A token that could stand in a place. ``bytes`` tell which part of a character it is."""

    token: str
    bytes: list[int]
    logprob: float


class ChatTokenLogprob(TopLogprob):
    """A token, and the likeliest in its place."""

    top_logprobs: list[TopLogprob]


class ChatLogprobs(BaseModel):
    """An entry for each token of the text: not for those that ended it."""

    content: list[ChatTokenLogprob]
    refusal: None = None


class CompletionLogprobs(BaseModel):
    """An entry for each token. The first of a prompt has no probability: nothing comes before it."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class ChatScores:
    """The entries of one answer, handed out as the text is whose tokens they are of.

    A token belongs to the text in which it begins. So none are shown of a stop string, which is no part
    of the answer, and the tokens joined are the text.
    """

    def __init__(self, renderer: PromptRenderer) -> None:
        self._renderer = renderer
        self._detokenizer = Detokenizer(renderer.token_bytes)
        self._waiting: deque[tuple[int, TokenLogprob]] = deque()
        self._begun = 0
        self._shown = 0

    def add(self, score: TokenLogprob) -> None:
        """The next token."""
        if _bytes(score.token_id, self._renderer):
            self._waiting.append((self._begun, score))
        self._begun += len(self._detokenizer.push(score.token_id))

    def take(self, text: str) -> ChatLogprobs:
        """Those of the next of the text."""
        self._shown += len(text)
        taken = []
        while self._waiting and self._waiting[0][0] < self._shown:
            taken.append(_chat_token(self._waiting.popleft()[1], self._renderer))
        return ChatLogprobs(content=taken)


def chat_logprobs(scores: Iterable[TokenLogprob], text: str, renderer: PromptRenderer) -> ChatLogprobs:
    """Those of a whole answer."""
    entries = ChatScores(renderer)
    for score in scores:
        entries.add(score)
    return entries.take(text)


def _chat_token(score: TokenLogprob, renderer: PromptRenderer) -> ChatTokenLogprob:
    first = _top(score.token_id, score.logprob, renderer)
    others = [_top(token_id, logprob, renderer) for token_id, logprob in score.top]
    return ChatTokenLogprob(token=first.token, bytes=first.bytes, logprob=first.logprob, top_logprobs=others)


def _top(token_id: int, logprob: float, renderer: PromptRenderer) -> TopLogprob:
    spelled = _bytes(token_id, renderer)
    text = spelled.decode("utf-8", "replace") if spelled else renderer.name_of(token_id)
    return TopLogprob(token=text, bytes=list(spelled), logprob=_finite(logprob))


class CompletionScores:
    """Makes the entries of one output, token by token, so that each knows where its text begins."""

    def __init__(self, renderer: PromptRenderer, offset: int = 0) -> None:
        self._renderer = renderer
        self._detokenizer = Detokenizer(renderer.token_bytes)
        self._offset = offset

    def prompt(self, token_ids: Iterable[int], scores: Iterable[TokenLogprob | None]) -> CompletionLogprobs:
        """The prompt's tokens, as many as were scored."""
        return self._entries(zip(token_ids, scores, strict=False))

    def output(self, scores: Iterable[TokenLogprob]) -> CompletionLogprobs:
        """The output's tokens, or the next of them."""
        return self._entries((score.token_id, score) for score in scores)

    def _entries(self, scored: Iterable[tuple[int, TokenLogprob | None]]) -> CompletionLogprobs:
        entries = CompletionLogprobs(tokens=[], token_logprobs=[], top_logprobs=[], text_offset=[])
        for token_id, score in scored:
            entries.tokens.append(_spelling(token_id, self._renderer))
            entries.token_logprobs.append(None if score is None else _finite(score.logprob))
            entries.top_logprobs.append(None if score is None else self._alternatives(score))
            entries.text_offset.append(self._offset)
            self._offset += len(self._detokenizer.push(token_id))
        return entries

    def _alternatives(self, score: TokenLogprob) -> dict[str, float]:
        """The likeliest tokens, and the token itself; of two that are spelled alike, the likelier one."""
        alternatives: dict[str, float] = {}
        for token_id, logprob in (*score.top, (score.token_id, score.logprob)):
            alternatives.setdefault(_spelling(token_id, self._renderer), _finite(logprob))
        return alternatives


def joined(parts: Iterable[CompletionLogprobs]) -> CompletionLogprobs:
    """One after the other."""
    whole = CompletionLogprobs(tokens=[], token_logprobs=[], top_logprobs=[], text_offset=[])
    for part in parts:
        whole.tokens += part.tokens
        whole.token_logprobs += part.token_logprobs
        whole.top_logprobs += part.top_logprobs
        whole.text_offset += part.text_offset
    return whole


def _spelling(token_id: int, renderer: PromptRenderer) -> str:
    """Part of a character is spelled ``bytes:\\xe6``, so that different tokens stay different."""
    spelled = _bytes(token_id, renderer)
    if not spelled:
        return renderer.name_of(token_id)
    try:
        return spelled.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in spelled)


def _bytes(token_id: int, renderer: PromptRenderer) -> bytes:
    """Models may have more ids than their tokenizer."""
    return renderer.token_bytes[token_id] if token_id < len(renderer.token_bytes) else b""


def _finite(logprob: float) -> float:
    return max(logprob, IMPOSSIBLE)
