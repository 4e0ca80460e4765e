"""Chat templates that write calls as well-known families of models do, over a vocabulary of bytes."""

from collections.abc import Sequence
from typing import Any

from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

from inference.prompts import PromptRenderer
from tests.unit.inference.vocabulary import byte_level_tokenizer

TURNS = "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
QWEN = """{% if tools %}<|start|>system
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|end|>
{% endif %}{% for m in messages %}<|start|>{{ m.role }}
{{ m.content }}{% for call in m.tool_calls or [] %}{% if m.content or not loop.first %}
{% endif %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|end|>
{% endfor %}<|start|>assistant
"""
LLAMA = """{% for tool in tools or [] %}{{ tool | tojson(indent=4) }}
{% endfor %}{% for m in messages %}<|start|>{{ m.role }}
{% if m.tool_calls %}{% if m.tool_calls | length != 1 %}{{ raise_exception("one call at a time") }}{% endif
%}{% set function = m.tool_calls[0].function %}{"name": "{{ function.name }}", "parameters": {{
function.arguments | tojson }}}{% else %}{{ m.content }}{% endif %}<|end|>
{% endfor %}<|start|>assistant
"""
MISTRAL = """{% if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif
%}{% for m in messages %}{% if m.tool_calls %}[TOOL_CALLS][{% for call in m.tool_calls
%}{% if call.id | length != 9 %}{{ raise_exception("ids have 9 characters") }}{% endif
%}{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}, "id": "{{ call.id
}}"}{% if not loop.last %}, {% endif %}{% endfor %}]{% elif m.role == "tool"
%}[TOOL_RESULTS]{"content": {{ m.content | tojson }}, "call_id": "{{ m.tool_call_id }}"}[/TOOL_RESULTS]{% else
%}[{{ m.role }}]{{ m.content }}{% endif %}{% endfor %}"""
XML = """{% for tool in tools or [] %}{{ tool | tojson }}{% endfor %}{% for m in messages %}<|start|>{{
m.role }}
{{ m.content }}{% for call in m.tool_calls or [] %}<tool_call>
<function={{ call.function.name }}></function>
</tool_call>{% endfor %}<|end|>
{% endfor %}"""


def renderer(template: str, special: Sequence[str] = ()) -> PromptRenderer:
    """A renderer of a template. ``special`` are control tokens beyond the usual ones."""
    tokenizer = byte_level_tokenizer()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=template)
    return PromptRenderer(fast, frozenset())


def render(made: PromptRenderer, *arguments: Any) -> str:
    """The text that a renderer's prompt stands for, control tokens included."""
    return made._tokenizer.decode(made.chat(*arguments), skip_special_tokens=False)
