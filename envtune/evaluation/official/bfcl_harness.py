"""BFCL's own program, as it comes, with one model: what `program.py` starts in the environment of `make bfcl`.

    .venv-bfcl/bin/python envtune/evaluation/official/bfcl_harness.py NAME SERVED evaluate --model NAME …

The package has no way to add a model, and the module that lists its models imports some eighty vendors' SDKs. So a
module of that name, with this one model, is put in its place before anything else is imported; all the rest is the
package's own code. The model speaks through the package's handler for OpenAI's chat completions, with tools.

Nothing of envtune is imported: it is not installed there.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

MODELS = "bfcl_eval.constants.model_config"


def main(name: str, served: str, arguments: list[str]) -> None:
    """Runs the package's command line with ``arguments``; ends the process.

    ``name`` is the model's in files, ``served`` what its endpoint calls it.
    """
    entries: dict[str, SimpleNamespace] = {}
    sys.modules[MODELS] = ModuleType(MODELS)
    vars(sys.modules[MODELS])["MODEL_CONFIG_MAPPING"] = entries

    from bfcl_eval.model_handler.api_inference.openai_completion import OpenAICompletionsHandler

    # What the leaderboard says of a model beside its scores is left open.
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
