"""All hint tables of BFCL's tool classes, in the order of their precedence."""

from __future__ import annotations

from envtune.bfcl.hints import (
    airport,
    file_system,
    mathematics,
    message,
    python_errors,
    ticket,
    trading,
    travel,
    twitter,
    vehicle,
    zipcode,
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
    *airport.RULES,
    *twitter.RULES,
    *vehicle.RULES,
    *zipcode.RULES,
    *python_errors.RULES,
)
NON_ANSWERS: tuple[Rule, ...] = (*trading.NON_ANSWERS, *airport.NON_ANSWERS, *zipcode.NON_ANSWERS)
