"""The chat template of an exported folder: the model's own, or one that renders conversations as they were trained."""

from __future__ import annotations

from typing import Any

from envtune.chat.rendering import FOLD
from envtune.chat.template import Template
from envtune.chat.template_tools import PROBE
from envtune.chat.trained_conversation import TrainedConversation, trained_conversation

# The name under which the model's own template is kept.
ORIGINAL = "original"
_NOTE = (
    "Written by envtune from the chat template that the policy was trained with, of which it renders exactly the "
    "trained text: nothing is removed from earlier messages. The model's own template is kept under the name "
    "'original' (additional_chat_templates/original.jinja)."
)
# Stands for the first user message in the rendering of what precedes it: a private-use character that is in no document
# and no mark of envtune/chat/template_tools.py, with which an exported folder may be rendered.
_USER = "\ue002"
_SOURCE = """\
{{#- {note} -#}}
{own}{{%- set seen = namespace(last='') -%}}
{opening}{{%- for message in messages -%}}
    {{%- set content = message.content or '' -%}}
    {{%- if message.tool_calls -%}}
        {{{{- raise_exception('Give the whole response of the assistant as its content, with its calls.') -}}}}
    {{%- elif message.role in ('system', 'developer') and seen.last in ('', 'system') -%}}
        {{{{- ({join} if seen.last else '') + content -}}}}
        {{%- set seen.last = 'system' -%}}
{documented}{results}    {{%- elif message.role in ('user', 'tool') -%}}
        {{{{- {{{before}}}[seen.last] -}}}}
        {{{{- content -}}}}
        {{%- set seen.last = 'user' -%}}
    {{%- elif message.role == 'assistant' and seen.last in ('user', 'tool') -%}}
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
# Where documents are given, the model's own template writes all that precedes the first user message.
_OWN = """\
{{%- macro own(messages, add_generation_prompt) %}}{switches}{template}{{%- endmacro -%}}
"""
_OPENING = """\
{{%- if tools -%}}
    {{%- set system = messages[0].content if messages[0].role in ('system', 'developer') else '' -%}}
    {{{{- own({messages}, false).split({user})[0] -}}}}
    {{%- set seen.last = 'documents' -%}}
{{%- else -%}}
    {{{{- {before_system} -}}}}
{{%- endif -%}}
"""
_DOCUMENTED = """\
    {%- elif message.role in ('system', 'developer') and loop.first -%}
"""
_RESULTS = """\
    {{%- elif message.role == 'tool' and seen.last in ('assistant', 'tool') -%}}
        {{{{- ({closing} if seen.last == 'assistant' else {between}) + {result} -}}}}
        {{%- set seen.last = 'tool' -%}}
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
    pieces, role, folds = template.pieces, template.tool_role, template.rendering.folds_system
    before = {"": "" if folds else pieces.before_user, "system": pieces.before_user, "user": FOLD}
    before |= {"assistant": pieces.closing}
    own, results, documented, generation = "", "", "", ascii(pieces.generation)
    opening = f"{{{{- {pieces.before_system!a} -}}}}\n"
    header = ascii(pieces.header)
    if template.tools:
        before["documents"] = ""
        own = _own(template)
        opening = _OPENING.format(
            messages=f"[{{'role': 'user', 'content': system + {FOLD + _USER!a}}}]"
            if folds
            else f"[{{'role': 'system', 'content': system}}, {{'role': 'user', 'content': {_USER!a}}}]",
            user=ascii(_USER),
            before_system=ascii(pieces.before_system),
        )
        documented = _DOCUMENTED
    if role:
        before["tool"] = role.before_user
        result = "(content|tojson)[1:-1]" if role.is_json else "content"
        results = _RESULTS.format(closing=ascii(role.closing), between=ascii(role.between), result=result)
        header = f"({role.generation.removesuffix(pieces.prefix)!a} if seen.last == 'tool' else {header})"
        generation = f"({role.generation!a} if seen.last == 'tool' else {generation})"
    return _SOURCE.format(
        note=_NOTE,
        own=own,
        opening=opening,
        documented=documented,
        results=results,
        # Jinja has Python's literals.
        before=", ".join(f"{last!a}: {text!a}" for last, text in before.items()),
        header=header,
        generation=generation,
        begun=ascii(pieces.lead or pieces.prefix),
        join=ascii(FOLD),
        end=ascii(template.rendering.tokenizer.decode(template.end_ids[:1])),
    )


def _own(template: Template) -> str:
    """Return the tokenizer's own template as a macro of the messages, with its switches as the run has set them."""
    rendering = template.rendering
    switches = "".join(f"{{% set {name} = {str(on).lower()} %}}" for name, on in rendering.switches.items())
    own = rendering.tokenizer.get_chat_template(tools=[PROBE])
    return _OWN.format(switches=switches, template=own)


def _reproduces(tokenizer: Any, trained: TrainedConversation) -> bool:
    """Return True if the tokenizer's own template gives the ids of the training."""
    try:
        documents = list(trained.tools) or None
        messages = list(trained.messages)
        ids = tokenizer.apply_chat_template(messages, documents, add_generation_prompt=True)["input_ids"]
    # A template is a program of the model's authors and may raise any exception.
    except Exception:
        return False
    return list(ids) == list(trained.ids)
