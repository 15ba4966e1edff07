"""Brings the keys and values of a batch of prompts into place, feeding as few tokens as possible.

Of every prompt all but the last token are fed; the last one is the first step of decoding. Equal prompts are fed once,
and a prompt that begins like a row of the call before is fed only what is new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from transformers import PreTrainedModel

from envtune.rollout.kv_rows import Feed, KvRows, Prefix, PrefixIndex

# Padded tokens of one pass: enough to fill a device, few enough that activations stay small beside the cache.
PASS_TOKENS = 16_384
# Attention scores of one pass over trunks, which are held at once: 1 GB in float32.
PASS_SCORES = 2**28
# Rows whose new tokens differ by less than this share a pass.
PASS_SLACK = 64
# A shorter common prefix is cheaper to feed again than to attend to through a mask.
MIN_PREFIX = 16


def prefill(
    model: PreTrainedModel, prompts: Sequence[tuple[int, ...]], room: Sequence[int], index: PrefixIndex
) -> tuple[KvRows, list[int]]:
    """Rows that hold each prompt but for its last token, with slots for ``room[i]`` more tokens.

    Rows stand in an order of their own: the second value tells which prompt each of them holds.
    """
    shared = _shared(model, prompts, index)
    prefixes = [shared.get(prompt) or _kept(prompt, index) for prompt in prompts]
    new = [prompt[prefix.length if prefix else 0 : -1] for prompt, prefix in zip(prompts, prefixes, strict=True)]
    order = sorted(range(len(prompts)), key=lambda place: -len(new[place]))
    lengths = [len(prompts[place]) + room[place] for place in order]
    rows = KvRows.begin([prefixes[place] for place in order], lengths, model.device)
    _feed(model, rows, [new[place] for place in order])
    return rows, order


def _shared(
    model: PreTrainedModel, prompts: Sequence[tuple[int, ...]], index: PrefixIndex
) -> dict[tuple[int, ...], Prefix]:
    """For every prompt that occurs more than once, the one row that holds it."""
    repeated = [prompt for prompt, count in Counter(prompts).items() if count > 1 and len(prompt) > MIN_PREFIX]
    found = {prompt: _kept(prompt, index) for prompt in repeated}
    shared = {prompt: prefix for prompt, prefix in found.items() if prefix and prefix.length == len(prompt) - 1}
    missing = sorted((prompt for prompt in repeated if prompt not in shared), key=lambda prompt: -len(prompt))
    if missing:
        rows = KvRows.begin([None] * len(missing), [len(prompt) for prompt in missing], model.device)
        _feed(model, rows, [prompt[:-1] for prompt in missing])
        shared |= {prompt: Prefix(rows, row, len(prompt) - 1) for row, prompt in enumerate(missing)}
    return shared


def _kept(prompt: tuple[int, ...], index: PrefixIndex) -> Prefix | None:
    prefix = index.longest(prompt[:-1])
    return prefix if prefix and prefix.length >= MIN_PREFIX else None


def _feed(model: PreTrainedModel, rows: KvRows, new: Sequence[tuple[int, ...]]) -> None:
    bound = PASS_TOKENS
    if any(rows.trunks):
        longest = max(len(ids) + len(tokens) for ids, tokens in zip(rows.ids, new, strict=True))
        bound = min(bound, max(1, PASS_SCORES // (model.config.get_text_config().num_attention_heads * longest)))
    decoder = model.get_decoder()
    for feed in _passes(new, bound):
        decoder(**rows.feed(feed))


def _passes(new: Sequence[tuple[int, ...]], bound: int) -> Iterator[Feed]:
    """Divides rows of tokens, longest first, into passes of at most ``bound`` padded tokens."""
    first = 0
    while first < len(new) and (longest := len(new[first])):
        last = first + 1
        shortest = max(1, longest - max(PASS_SLACK, longest // 2))
        while last < len(new) and (last + 1 - first) * longest <= bound and len(new[last]) >= shortest:
            last += 1
        if last - first > 1:
            yield Feed(first, tuple(new[first:last]))
        else:
            yield from (Feed(first, (new[first][start : start + bound],)) for start in range(0, longest, bound))
        first = last
