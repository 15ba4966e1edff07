"""The chat template of an exported folder: the model's own, or one that renders conversations as they were trained."""

from __future__ import annotations

from typing import Any

from envtune.chat.template import Template
from envtune.chat.trained_conversation import TrainedConversation, trained_conversation

# The name under which the model's own template is kept.
ORIGINAL = "original"
_NOTE = (
    "Written by envtune from the chat template that the policy was trained with, of which it renders exactly the "
    "trained text: nothing is removed from earlier messages, and results of tools are messages of the user. The "
    "model's own template is kept under the name 'original' (additional_chat_templates/original.jinja)."
)
_SOURCE = """\
{{#- {note} -#}}
{{%- set seen = namespace(last='') -%}}
{{{{- {before_system} -}}}}
{{%- for message in messages -%}}
    {{%- set content = message.content or '' -%}}
    {{%- if message.tool_calls -%}}
        {{{{- raise_exception('Give the whole response of the assistant as its content, with its calls.') -}}}}
    {{%- elif message.role in ('system', 'developer') and seen.last in ('', 'system') -%}}
        {{{{- ({join} if seen.last else '') + content -}}}}
        {{%- set seen.last = 'system' -%}}
    {{%- elif message.role in ('user', 'tool') -%}}
        {{{{- {{'': {without_system}, 'system': {before_user}, 'user': {join}, 'assistant': {closing}}}[seen.last] -}}}}
        {{{{- content -}}}}
        {{%- set seen.last = 'user' -%}}
    {{%- elif message.role == 'assistant' and seen.last == 'user' -%}}
        {{{{- {header} + ('' if content.startswith({begun}) else {begun}) + content -}}}}
        {{%- set seen.last = 'assistant' -%}}
    {{%- else -%}}
        {{{{- raise_exception('A message of the role ' + message.role + ' is not possible here.') -}}}}
    {{%- endif -%}}
{{%- endfor -%}}
{{%- if seen.last == 'assistant' -%}}
    {{{{- {end} -}}}}
{{%- elif add_generation_prompt -%}}
    {{{{- {generation} -}}}}
{{%- endif -%}}
"""


def template_to_export(template: Template) -> str | dict[str, str]:
    """Return the ``chat_template`` with which the template's tokenizer renders conversations as they were trained.

    It is the tokenizer's own template if that does so, otherwise a new default beside the own one.
    """
    tokenizer = template.rendering.tokenizer
    own: str | dict[str, str] = tokenizer.chat_template
    if _reproduces(tokenizer, trained_conversation(template)):
        return own
    names = own if isinstance(own, dict) else {"default": own}
    # Transformers prefers one named tool_use where tools are given.
    kept = {ORIGINAL if name == "default" else f"{ORIGINAL}_{name}": text for name, text in names.items()}
    return {"default": trained_template(template), **kept}


def trained_template(template: Template) -> str:
    """Return the Jinja source of a chat template that writes the pieces of ``template`` around the messages."""
    pieces = template.pieces
    texts = {
        "before_system": pieces.before_system,
        "before_user": pieces.before_user,
        "without_system": "" if template.rendering.folds_system else pieces.before_user,
        "header": pieces.header,
        "begun": pieces.lead or pieces.prefix,
        "closing": pieces.closing,
        "join": "\n\n",
        "generation": pieces.generation,
        "end": template.rendering.tokenizer.decode(template.end_ids[:1]),
    }
    # Jinja has Python's literals.
    return _SOURCE.format(note=_NOTE, **{name: ascii(text) for name, text in texts.items()})


def _reproduces(tokenizer: Any, trained: TrainedConversation) -> bool:
    """Return True if the tokenizer's own template gives the ids of the training."""
    try:
        ids = tokenizer.apply_chat_template(trained.messages, add_generation_prompt=True)["input_ids"]
    # A template is a program of the model's authors and may raise any exception.
    except Exception:
        return False
    return list(ids) == list(trained.ids)
