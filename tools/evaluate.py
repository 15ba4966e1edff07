"""Evaluate a policy on a split, in a clone: `python tools/evaluate.py init_from=runs/…/checkpoints/best.ckpt`."""

from __future__ import annotations

import envtune.process_start

from envtune.commands.evaluate import evaluate

if __name__ == "__main__":
    evaluate()
