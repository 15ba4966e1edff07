"""All hint tables of BFCL's tool classes, in the order of their precedence."""

from __future__ import annotations

from envtune.bfcl.hints import (
    file_system,
    mathematics,
    message,
    python_errors,
    ticket,
    trading,
    travel,
    twitter,
    vehicle,
)
from envtune.environment.augmentation.rule import Rule

# Rules for Python exceptions come last: a domain's own rule for one of them is more specific.
RULES: tuple[Rule, ...] = (
    *file_system.RULES,
    *mathematics.RULES,
    *message.RULES,
    *ticket.RULES,
    *trading.RULES,
    *travel.RULES,
    *twitter.RULES,
    *vehicle.RULES,
    *python_errors.RULES,
)
NON_ANSWERS: tuple[Rule, ...] = (*trading.NON_ANSWERS, *travel.NON_ANSWERS, *vehicle.NON_ANSWERS)
