"""Package metadata, extras and console scripts: ranges of versions. constraints.txt pins those that `make` installs."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name="envtune",
    version="0.1.0",
    description="Environment Tuning for multi-turn tool-use agents, on PyTorch Lightning and Hydra",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    # An installation has the configs inside the package; the command line finds them in either place.
    packages=[*find_packages(include=["envtune", "envtune.*"]), "envtune.conf"],
    package_dir={"envtune.conf": "conf"},
    package_data={"envtune": ["py.typed", "**/*.json", "models/tiny/*"], "envtune.conf": ["**/*.yaml"]},
    entry_points={
        "console_scripts": [
            "envtune-train = envtune.commands.train:train",
            "envtune-evaluate = envtune.commands.evaluate:evaluate",
            "envtune-play = envtune.commands.play:play",
            "envtune-check-environment = envtune.commands.check_environment:check_environment",
        ]
    },
    install_requires=[
        "aiohttp>=3.9",
        "docstring-parser>=0.16",
        "filelock>=3.12",
        "hydra-core>=1.3.2,<1.4",
        "jaxtyping>=0.3",
        "jinja2>=3.1",
        "lightning>=2.6,<2.7",
        "lightning-utilities>=0.11",
        # Of BFCL's MathAPI: bfcl-eval is often installed without its own dependencies (see the README).
        "mpmath>=1.3,<1.4",
        "numpy>=1.26",
        "omegaconf>=2.3,<2.4",
        "psutil>=5.9",
        "pydantic>=2.7,<3",
        "pyyaml>=6",
        "rich>=13",
        "safetensors>=0.5",
        "tensorboard>=2.17",
        "torch>=2.10",
        "torchmetrics>=1.6",
        "transformers>=5.10,<6",
        "typing-extensions>=4.12",
    ],
    extras_require={
        # BFCL's tasks and tools, with all that bfcl-eval depends on. `make` installs bfcl-eval without that.
        "bfcl": ["bfcl-eval>=2026.3.23,<2026.4"],
        # In an environment of its own, which `make vllm` installs: its pins contradict constraints.txt.
        "vllm": ["vllm>=0.32,<0.34"],
        # model.lora.r=16.
        "lora": ["peft>=0.18"],
        # What tools/bench/loop.py --peer trl compares with, and what draws tools/bench/growth.py's plot.
        "peer": ["trl>=1.16,<1.17"],
        "plot": ["matplotlib>=3.9"],
        # data=parquet and tools/prepare_data.py.
        "parquet": ["pyarrow>=17"],
        # Launchers of sweeps: the jobs on several cores, and as jobs of Slurm.
        "sweep": ["hydra-joblib-launcher>=1.2,<1.3"],
        "slurm": ["hydra-submitit-launcher>=1.2,<1.3"],
        # tools/serve.py.
        "serve": ["httpx2>=2.12,<3", "starlette>=1,<2", "uvicorn>=0.40"],
        "test": [
            "beartype>=0.18",
            "hydra-joblib-launcher>=1.2,<1.3",
            "hydra-submitit-launcher>=1.2,<1.3",
            "httpx2>=2.12,<3",
            "hypothesis>=6.100",
            "import-linter>=2.1",
            "openai>=3",
            "peft>=0.18",
            "pyarrow>=17",
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "setuptools>=68",
            "starlette>=1,<2",
            "uvicorn>=0.40",
        ],
        "lint": ["mypy>=1.10", "ruff>=0.6"],
    },
)
