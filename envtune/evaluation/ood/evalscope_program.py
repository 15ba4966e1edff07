"""Run evalscope: `.venv-ood/bin/python -I evalscope_program.py settings.json`.

`evalscope.py` starts this file with the Python of another environment, in which envtune is not installed. The settings
are those of evalscope's TaskConfig. API keys are environment variables, so that none is written to a file:
OOD_AGENT_KEY, and EVALSCOPE_API_KEY, which evalscope itself reads for a simulated user.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from evalscope import TaskConfig, run_task

if __name__ == "__main__":
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    run_task(TaskConfig(**settings, api_key=os.environ["OOD_AGENT_KEY"]))
