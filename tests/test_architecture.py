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
    public = {name: count for name, count in classes.items() if not name.startswith("_")}
    assert [name for name, count in public.items() if count > 1] == []


def test_what_reads_and_plays_responses_cannot_run_text_as_code():
    files = [path for folder in ("chat", "environment", "data") for path in (ROOT / "envtune" / folder).rglob("*.py")]
    assert len(files) > 20
    files.append(ROOT / "envtune" / "call_text.py")
    found = {(path.name, use) for path in files for use in _uses_of_runners(ast.parse(path.read_text()))}
    # Call strings come with the data, and only their literals are read. Snapshots of worlds hold no agent's text.
    assert found == {("call_text.py", "literal_eval"), ("worlds.py", "pickle")}


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
