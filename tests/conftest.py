"""Shape annotations of the pure tensor code are checked whenever the tests run it."""

from jaxtyping import install_import_hook

# Before any test module imports envtune.grpo; the hook stays for the whole session.
install_import_hook("envtune.grpo", "beartype.beartype")
