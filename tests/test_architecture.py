"""What no linter checks of the architecture; `make lint` runs the import contract of pyproject.toml."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What runs text as code or starts a program: builtins, attributes of modules, and modules.
RUNNING_NAMES = {"eval", "exec", "compile", "__import__"}
RUNNING_ATTRIBUTES = {*RUNNING_NAMES, "system", "popen", "literal_eval"}
# os._exit is documented. BFCL's worlds hold and load their state in private attributes.
NOT_PRIVATE = {"_exit", "_load_scenario", "_current_dir"}
RUNNING_MODULES = {"pickle", "subprocess", "marshal", "shelve", "code", "runpy", "ctypes", "yaml", "multiprocessing"}


def test_no_file_is_named_for_a_missing_noun():
    names = {path.stem for path in (ROOT / "envtune").rglob("*.py")}
    assert not names & {"utils", "util", "common", "helpers", "helper", "manager", "handler"}


def test_every_file_of_the_package_has_a_name_of_its_own():
    stems = Counter(path.stem for path in (ROOT / "envtune").rglob("*.py") if path.stem != "__init__")
    assert [stem for stem, count in stems.items() if count > 1] == []


def test_every_class_of_the_package_has_a_name_of_its_own():
    trees = [ast.parse(path.read_text()) for path in (ROOT / "envtune").rglob("*.py")]
    classes = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    assert [name for name, count in classes.items() if count > 1] == []


def test_what_reads_and_plays_responses_cannot_run_text_as_code():
    folders = ("bfcl", "chat", "environment")
    files = [path for folder in folders for path in (ROOT / "envtune" / folder).rglob("*.py")]
    assert len(files) > 20
    files.append(ROOT / "envtune" / "call_text.py")
    found = {(path.name, use) for path in files for use in _uses_of_runners(ast.parse(path.read_text()))}
    assert found == {
        # Call strings come with the data, and only their literals are read. Snapshots of worlds hold no agent's text.
        ("call_text.py", "literal_eval"),
        ("worlds.py", "pickle"),
        # Start a program with the arguments of a command line, and no agent's text.
        ("bfcl_program.py", "subprocess"),
        # Checks of an environment play the user's own tools in processes that may end.
        ("watched_child.py", "multiprocessing"),
        ("repeated_calls.py", "pickle"),
        ("repeated_calls.py", "subprocess"),
        # Isolation starts a program of its own, and what an agent wrote travels to it as data.
        *((file, "pickle") for file in ("isolated_world.py", "worker_process.py", "world_server.py")),
        *((file, "multiprocessing") for file in ("worker_process.py", "world_server.py")),
        ("worker_process.py", "subprocess"),
    }


@pytest.mark.parametrize("path", sorted((ROOT / "tools").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_every_file_of_tools_is_a_command_that_imports_no_other(path: Path):
    tree = ast.parse(path.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    siblings = {"tools", *(file.stem for file in (ROOT / "tools").iterdir())}
    assert not {name.split(".")[0] for name in imported} & siblings
    # Hydra's commands are named for their config instead: `@command("evaluate")`.
    runs = {ast.unparse(node) for node in tree.body[-1].body} if isinstance(tree.body[-1], ast.If) else set()
    assert runs in ({"run_program(main)"}, {f"{path.stem}()"})


def test_no_test_extends_sys_path_or_runs_a_file_as_a_module():
    extending = ("sys.path.insert", "sys.path.append", "sys.path.extend", "addsitedir", "runpy.", "import runpy")
    found = {
        (path.name, call)
        for path in (ROOT / "tests").rglob("*.py")
        for call in extending
        if path != Path(__file__) and call in path.read_text(encoding="utf-8")
    }
    assert not found


def _uses_of_runners(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            origin = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names = {name.split(".")[0] for name in (*origin, *(alias.name for alias in node.names))}
            found |= names & (RUNNING_ATTRIBUTES | RUNNING_MODULES)
        elif isinstance(node, ast.Name):
            found |= {node.id} & RUNNING_NAMES
        elif isinstance(node, ast.Attribute) and ast.unparse(node) != "re.compile":
            found |= {node.attr} & RUNNING_ATTRIBUTES
    return found


def test_private_parts_of_libraries_are_used_with_a_reason():
    """A comment that begins with "private:" says at the line, or above it, why and what would replace the use."""
    files = [ROOT / "train.py", *(path for folder in ("envtune", "tools") for path in (ROOT / folder).rglob("*.py"))]
    trees = {path: ast.parse(path.read_text()) for path in files}
    own = set().union(*map(_private_definitions, trees.values()))
    unexplained = [
        f"{path.relative_to(ROOT)}:{line}"
        for path, tree in trees.items()
        for line in _private_uses(tree, own)
        if not _explained(path.read_text().splitlines(), line)
    ]
    assert unexplained == []


def _private_definitions(tree: ast.AST) -> set[str]:
    """Return the private names that the package itself defines: functions, classes and what it assigns."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            found.add(node.attr)
    return {name for name in found if name.startswith("_")}


def _private_uses(tree: ast.AST, own: set[str]) -> list[int]:
    """Return the lines that use a private name of a library, or unittest.mock."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            origin = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            names = [f"{origin}.{alias.name}".strip(".") for alias in node.names]
            if origin.split(".")[0] != "envtune" and any(map(_is_private_import, names)):
                lines.append(node.lineno)
        elif isinstance(node, ast.Attribute) and node.attr not in own | NOT_PRIVATE:
            # Hydra's keys, such as `_target_`, end in one.
            lines += [node.lineno] if node.attr.startswith("_") and not node.attr.endswith("_") else []
    return lines


def _is_private_import(name: str) -> bool:
    return name.startswith("unittest.mock") or any(
        part.startswith("_") and not part.startswith("__") for part in name.split(".")
    )


def _explained(lines: list[str], number: int) -> bool:
    """Whether the line, or the block of comments above it, holds "private:"."""
    block = [lines[number - 1]]
    for line in reversed(lines[: number - 1]):
        if not line.strip().startswith("#"):
            break
        block.append(line)
    return any("# private:" in line for line in block)
