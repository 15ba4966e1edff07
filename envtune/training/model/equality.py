"""The choice of the update's path by measurement: it must give the log-probs of the untouched model.

A short group (a shared prompt, completions of different lengths, some with an observation in between; longer than the
sliding window where that is affordable) is computed by the untouched model, and twice by the update in training mode:
dropout and noise that evaluation mode does not end show as a difference between the two.
"""

from __future__ import annotations

import logging
from functools import partial
from itertools import chain

import torch
from jaxtyping import Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from envtune.errors import UserError
from envtune.grpo.batch import TrainBatch
from envtune.rollout.inference import attention_obstacle, own_attention
from envtune.rollout.untouched import (
    ModelPath,
    NotEqual,
    PathChoice,
    Tokens,
    Untouched,
    attempt,
    crossed_window,
    first_equal,
)
from envtune.training.model.prompt_attention import share_prompts
from envtune.training.model.update_pass import Head, UpdatePass
from envtune.trajectory import TokenRecord

log = logging.getLogger(__name__)

_PATHS: dict[str, tuple[ModelPath, ...]] = {"auto": ("shared", "plain"), "shared": ("shared",), "plain": ("plain",)}
_HEADS: tuple[Head, ...] = ("linear", "own", "logits")


def begin_training(model: nn.Module) -> None:
    """Put ``model`` into evaluation mode, without dropout and noise, but for the modules that checkpoint gradients.

    transformers skips gradient checkpointing in evaluation mode, and these modules ask only their own mode.
    """
    for module in model.modules():
        module.training = bool(getattr(module, "gradient_checkpointing", False))


@torch.no_grad()
def choose_pass(model: PreTrainedModel, path: PathChoice) -> UpdatePass:
    """Measure the paths of the update, prepare ``model`` for the first that is equal, and return its pass.

    Raises:
        UserError: the model is not causal or its weights are damaged, or no path of ``path`` is equal.
    """
    records = short_group(model)
    untouched = Untouched.of(model, records)
    _require_causal(model, records[0])
    _disable_dropout(model)
    batch = TrainBatch.from_records(records, temperature=1.0).to(model.device)
    head = _head(model, untouched, batch)
    chosen, reasons = first_equal(
        {kind: partial(_prepare, model, kind, head, untouched, batch) for kind in _PATHS[path]}
    )
    name = type(model).__name__
    if chosen is None:
        raise UserError(
            f"{name} cannot be trained with module.policy.path={path}: "
            + "; ".join(f"on the {kind} path {reason}" for kind, reason in reasons.items())
            + ("; choose a model such as Qwen or Llama" if path != "shared" else "; use auto or plain")
        )
    if reasons:
        log.warning(
            "%s is updated on the plain path, because %s: the prompt of a group is computed once for each of its rows",
            name,
            reasons["shared"],
        )
    return chosen


def short_group(model: PreTrainedModel) -> list[TokenRecord]:
    """Return rows of ids of the vocabulary: three that share a prompt, one of another, and one beyond the window."""
    tokens = Tokens(model)
    prompt, other = tokens.take(12), tokens.take(5)
    shapes = [(prompt, ((3, 2), (9, 0))), (prompt, ((2, 0),)), (prompt, ((15, 0),)), (other, ((4, 3), (1, 0)))]
    window = crossed_window(model)
    if window:
        shapes.append((tokens.take(max(4, window - 3)), ((8, 0),)))
    return [_record(tokens, *shape) for shape in shapes]


def _record(tokens: Tokens, prompt: tuple[int, ...], turns: tuple[tuple[int, int], ...]) -> TokenRecord:
    """Return a row of ``prompt`` and of turns with so many sampled and then observed tokens."""
    mask = (False,) * len(prompt) + tuple(
        chain.from_iterable((True,) * sampled + (False,) * observed for sampled, observed in turns)
    )
    return TokenRecord(prompt + tokens.take(len(mask) - len(prompt)), mask, (0.0,) * len(mask), len(prompt))


def _prepare(
    model: PreTrainedModel, path: ModelPath, head: Head, untouched: Untouched, batch: TrainBatch
) -> UpdatePass:
    """Prepare ``model`` for ``path`` and return its pass; raise NotEqual and undo it if it is not equal."""
    if path == "shared":
        obstacle = attention_obstacle(model) or ("its hidden states do not give its logits" if head == "logits" else "")
        if obstacle:
            raise NotEqual(obstacle)
        share_prompts(model)
    update = UpdatePass(path, head)
    begin_training(model)
    try:
        with attempt(model):
            first, second = (update.statistics(model, batch).logprobs for _ in range(2))
        untouched.require_small(first - second, "dropout or noise makes two of its passes in training mode differ")
        untouched.require_equal(first, "the log-probs of the update")
    except NotEqual:
        model.set_attn_implementation(own_attention(model))
        raise
    return update


def _head(model: PreTrainedModel, untouched: Untouched, batch: TrainBatch) -> Head:
    """Return the first kind of head that gives the untouched model's log-probs on the plain path."""
    model.eval()

    def measured(head: Head) -> Head:
        with attempt(model):
            if head == "linear":
                _require_linear(model, batch.padded())
            found = UpdatePass("plain", head).statistics(model, batch).logprobs
        untouched.require_equal(found, "their log-probs")
        return head

    chosen, reasons = first_equal({head: partial(measured, head) for head in _HEADS})
    if chosen is None:
        raise UserError(
            f"{type(model).__name__} cannot be trained: rows that are padded behind their ends do not give its own "
            f"logits, because {reasons['logits']}; choose a model such as Qwen or Llama"
        )
    return chosen


def _require_linear(model: PreTrainedModel, ids: Int[Tensor, "B longest"]) -> None:
    """Raise NotEqual unless logits are the projected hidden states, to rounding: a soft cap may be slight at first."""
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear):
        raise NotEqual("its output embedding is not a linear layer")
    own, projected = model(input_ids=ids).logits, head(model.get_decoder()(input_ids=ids).last_hidden_state)
    if not torch.allclose(own, projected, rtol=0.0, atol=1e-6 * float(own.abs().max())):
        raise NotEqual("it changes its logits behind the output embedding")


def _require_causal(model: PreTrainedModel, record: TokenRecord) -> None:
    """Raise UserError if the last token of a row changes the logits before it."""
    ids = torch.tensor([record.ids], device=model.device)
    altered = ids.clone()
    altered[:, -1] = ids[:, 0]
    model.eval()
    with attempt(model):
        own, other = (model(input_ids=row).logits[:, :-1].float() for row in (ids, altered))
    if not torch.allclose(own, other, rtol=0.0, atol=1e-2 * float(own.abs().max())):
        raise UserError(f"{type(model).__name__} lets a token see later ones; choose a causal language model")


def _disable_dropout(model: PreTrainedModel) -> None:
    """Disable dropout, which only training mode has: sampling runs without it."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if isinstance(value, float) and ("drop" in name):
                setattr(module, name, 0.0)
