"""From messages or text to the token ids a model is asked to continue. Torch-free."""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from jinja2.exceptions import TemplateError
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from inference.catalog import ModelSpec
from inference.control_tokens import ControlTokens
from inference.detokenize import build_token_bytes
from inference.errors import InvalidPrompt
from inference.tokenizer_files import TokenizerFiles
from inference.tool_format import ToolFormat, find_tool_format
from inference.tool_prompts import Message, modern_messages, native_messages, plain_messages
from inference.tools import FunctionTool, ToolUse

DEVELOPER = "developer"
ROLES = frozenset({"system", DEVELOPER, "user", "assistant", "tool", "function"})
TEMPLATE_FAILURES = (TemplateError, TypeError, ValueError, KeyError, AttributeError, IndexError)


class PromptRenderer:
    """A model's tokenizer and chat template. Any number of threads may use one.

    The tokenizer underneath never has padding or truncation switched on, so that encoding changes
    nothing in it.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, eos_token_ids: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._backend: Tokenizer = tokenizer.backend_tokenizer
        self._backend.no_padding()
        self._backend.no_truncation()
        self._control = ControlTokens(self._backend)
        self.eos_token_ids = eos_token_ids

    @classmethod
    def for_model(cls, spec: ModelSpec, cache_dir: Path) -> "PromptRenderer":
        """The renderer of a model, loaded on the first call. Raises ModelLoadError."""
        return _load(spec.source, spec.revision, cache_dir)

    def chat(self, messages: Sequence[Mapping[str, object]], tools: ToolUse | None = None) -> list[int]:
        """The tokens of a conversation, up to where the assistant is to answer.

        The model is told of ``tools`` unless it may call none. Text in a message or tool that is spelled
        like a control token (``<|im_end|>``) stays text. Raises InvalidPrompt where the template refuses
        the messages.
        """
        for index, message in enumerate(messages):
            if message.get("role") not in ROLES:
                raise InvalidPrompt(f"messages[{index}].role must be one of {', '.join(sorted(ROLES))}.")
        offered = tools.tools if tools is not None and tools.callable else ()
        try:
            text = self._render(self._with_known_roles(messages), offered)
        except TEMPLATE_FAILURES as error:
            raise InvalidPrompt(f"The model's chat template refuses the messages: {error}") from error
        return self._not_empty(self._control.encode(_encodable(text)))

    @cached_property
    def tool_format(self) -> ToolFormat:
        """How this model writes calls of functions."""
        return find_tool_format(self._apply_template, self._control.occur_in)

    def _render(self, messages: list[Message], tools: Sequence[FunctionTool]) -> str:
        modern = modern_messages(messages)
        if not self.tool_format.native:
            plain = plain_messages(modern, self.tool_format, tools)
            return self._apply_template(self._control.guard(plain), [])
        described = self._control.guard([tool.described() for tool in tools])
        return self._apply_template(self._control.guard(native_messages(modern)), described)

    def _apply_template(self, messages: list[Message], tools: list[Message]) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                messages, tools=tools or None, tokenize=False, add_generation_prompt=True
            )
        )

    def _with_known_roles(self, messages: Sequence[Mapping[str, object]]) -> list[Message]:
        """Most models know nobody who develops, and call what such people write the system's."""
        known = DEVELOPER in str(self._tokenizer.chat_template)
        return [
            dict(message) | ({"role": "system"} if message["role"] == DEVELOPER and not known else {})
            for message in messages
        ]

    def completion(self, text: str) -> list[int]:
        """The tokens of a plain prompt, with those the tokenizer puts before any text.

        Here the caller writes the whole prompt, template included, so control tokens spelled in it
        are control tokens. Raises InvalidPrompt.
        """
        return self._not_empty(self._backend.encode(_encodable(text)).ids)

    def plain(self, text: str) -> list[int]:
        """The tokens of a text alone, with none that the tokenizer puts around it. Raises InvalidPrompt."""
        return self._not_empty(self._backend.encode(_encodable(text), add_special_tokens=False).ids)

    def name_of(self, token_id: int) -> str:
        """How the vocabulary spells a token, such as ``<|im_end|>``; "" for an id that it does not know."""
        return self._backend.id_to_token(token_id) or ""

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of the tokens, special tokens left out."""
        return self._backend.decode(list(token_ids), skip_special_tokens=True)

    @cached_property
    def token_bytes(self) -> Sequence[bytes]:
        """The bytes of each token id, for decoding token by token. Raises ModelLoadError."""
        return build_token_bytes(self._backend)

    @staticmethod
    def _not_empty(token_ids: list[int]) -> list[int]:
        if not token_ids:
            raise InvalidPrompt("The prompt is empty.")
        return token_ids


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidPrompt("The prompt holds half of a surrogate pair, which is no text.") from error
    return text


@lru_cache(maxsize=32)
def _load(source: str, revision: str | None, cache_dir: Path) -> PromptRenderer:
    files = TokenizerFiles.of(source, revision, cache_dir)
    tokenizer = files.read_tokenizer()
    eos_token_ids = _read_eos_token_ids(files)
    if tokenizer.eos_token_id is not None:
        eos_token_ids |= {tokenizer.eos_token_id}
    return PromptRenderer(tokenizer, frozenset(eos_token_ids))


def _read_eos_token_ids(files: TokenizerFiles) -> set[int]:
    found = (files.read_json("generation_config.json") or {}).get("eos_token_id")
    if found is None:
        return set()
    return set(found) if isinstance(found, list) else {int(found)}
