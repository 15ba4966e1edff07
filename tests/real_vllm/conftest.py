"""These tests need a vLLM that computes here, as `make test-vllm` sets one up. Elsewhere they are not collected."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("vllm") else ["test_*.py"]
