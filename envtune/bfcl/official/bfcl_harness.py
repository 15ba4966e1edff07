"""BFCL's own program with one model, run by the Python of `make bfcl`; envtune is not installed there.

    .venv-bfcl/bin/python envtune/bfcl/official/bfcl_harness.py NAME SERVED evaluate --model NAME …

The package cannot add a model, and the module that lists its models imports the SDKs of some eighty vendors. A module
with this one model replaces it before all other imports; the rest is the package's own code. The model is called by the
package's handler for OpenAI's chat completions with tools.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

MODELS = "bfcl_eval.constants.model_config"


def main(name: str, served: str, arguments: list[str]) -> None:
    """Run the package's command line and end the process.

    Args:
        name: the name of the model in files.
        served: the endpoint's name of the model.
        arguments: the arguments of the command line.
    """
    entries: dict[str, SimpleNamespace] = {}
    sys.modules[MODELS] = ModuleType(MODELS)
    vars(sys.modules[MODELS])["MODEL_CONFIG_MAPPING"] = entries

    from bfcl_eval.model_handler.api_inference.openai_completion import OpenAICompletionsHandler

    # The fields that only the leaderboard shows are empty.
    entries[name] = SimpleNamespace(
        model_name=served,
        display_name=name,
        url="",
        org="",
        license="",
        model_handler=OpenAICompletionsHandler,
        input_price=None,
        output_price=None,
        is_fc_model=True,
        underscore_to_dot=False,
    )
    from bfcl_eval.__main__ import cli

    cli(args=arguments, prog_name="bfcl")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
