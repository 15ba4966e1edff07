"""README, docs and config comments name only what exists: files, links, programs, options and settings."""

from __future__ import annotations

import pydoc
import re
import shlex
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from envtune.command_line.command import CONFIG_FOLDER, quote_numbers, require_known_choices, require_known_keys

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "envtune/models/tiny/README.md", *ROOT.glob("docs/*.md")]
PAGES += ROOT.glob("examples/*/README.md")
TEXTS = [*PAGES, *CONFIG_FOLDER.rglob("*.yaml"), ROOT / "Makefile"]
HYDRA_TOOLS = ("check_environment", "evaluate", "ood", "play")
CONFIG_OF = {"train.py": "train", **{f"tools/{name}.py": name for name in HYDRA_TOOLS}}
SCRIPTS = {
    "envtune-train": "train.py",
    **{f"envtune-{name.replace('_', '-')}": f"tools/{name}.py" for name in HYDRA_TOOLS},
}
COMMAND = re.compile(
    r"(?:(?:python (?:-m )?|torchrun .* )(?=train\.py|tools)|"
    r"(?<![\w/])(?=envtune-(?:train|evaluate|play|check-environment)))"
    r"([\w./-]+)([^#;&`]*)"
)
PATH = re.compile(
    r"(?<![\w/.-])(?:(?:envtune|tools|tests|conf|docs|examples)/[\w./*<{-]*[\w/*]|[\w./*-]+\.(?:py|md))\b"
)
# Files that a reader or a command writes, metrics (`tools/failure_frequency`), and names with placeholders.
NOT_OURS = re.compile(
    r"my_rewards|brief|warmup|experiment/mine|asking|careful|(table|compare)\.md|_frequency$|NAME|[<{]"
)
OF_A_USER = re.compile(r"brief|warmup|mine|my_package|asking|careful")
OURS = ("envtune", "tools", "tests", "conf", "docs", "examples", ".github")
FILES = [f"/{path.relative_to(ROOT)}" for top in OURS for path in (ROOT / top).rglob("*")]
FILES += [f"/{path.name}" for path in ROOT.glob("*.*")]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_of(path: Path) -> Iterator[str]:
    """Yield the inline code and the lines of the code blocks of a page, continued lines joined."""
    text = re.sub(r"\\\n[# ]*", "", path.read_text(encoding="utf-8"))
    yield from re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    if path.suffix == ".md":
        text = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, flags=re.M | re.S))
    yield from text.splitlines()


def commands() -> dict[str, tuple[str, list[str]]]:
    """Return program and arguments of each printed command, under its page and text."""
    found = {}
    for path in TEXTS:
        for line in code_of(path):
            for program, given in COMMAND.findall(line):
                arguments = shlex.split(re.sub(r"<([\w ]+)>", "FOLDER", given))
                words = [
                    word.replace("…", "WORD") for word in arguments if not re.fullmatch(r"…|\$\w+|\$\(\w+\)", word)
                ]
                found[f"{name_of(path)}: {program} {' '.join(words)}"] = SCRIPTS.get(program, program), words
    return found


COMMANDS = commands()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            file, _, anchor = target.partition("#")
            there = page.parent / file if file else page
            assert there.exists(), target
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), flags=re.M) if anchor else []
            anchors = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
            assert not anchor or anchor in anchors, target


@pytest.mark.parametrize("text", TEXTS, ids=name_of)
def test_files_and_modules_exist(text: Path):
    code = list(code_of(text))
    # Addresses, and the places of other packages in which an error was raised.
    prose = re.sub(r"https?://\S+|\(\w+\.py, line \d+\)", "", text.read_text(encoding="utf-8"))
    paths = {path for path in PATH.findall(prose) if not NOT_OURS.search(path)}
    where = {path: f"/{path}" if path.startswith(OURS) else f"*/{path.lstrip('./')}" for path in paths}
    assert [path for path, glob in where.items() if not any(fnmatch(file, glob.rstrip("/")) for file in FILES)] == []
    imports = re.findall(r"^from (envtune[\w.]*) import (.+)$", "\n".join(code), flags=re.M)
    names = {name for line in code for name in re.findall(r"\benvtune(?!\.(?:py|json)\b)(?:\.\w+)+", line)}
    names |= {f"{module}.{name}" for module, given in imports for name in given.split(", ")}
    assert [name for name in sorted(names) if pydoc.locate(name) is None] == []


def test_commands_name_programs_and_their_options():
    unknown = set()
    for text, (program, words) in COMMANDS.items():
        path = ROOT / program.removesuffix(".py").replace(".", "/")
        file = next((file for file in (path.with_suffix(".py"), path / "__main__.py") if file.exists()), None)
        assert file, text
        sources = (
            [file]
            if file.parent in (ROOT, ROOT / "tools")
            else (ROOT / "tools" / file.relative_to(ROOT).parts[1]).rglob("*.py")
        )
        source = "\n".join(path.read_text(encoding="utf-8") for path in sources)
        own = words[: words.index("--")] if "--" in words else words
        # Those of Hydra's commands are Hydra's.
        options = [] if program in CONFIG_OF else re.findall(r"--([a-z-]+)", " ".join(own))
        unknown |= {f"{text}: --{o}" for o in options if not re.search(rf'"--{o}"|\b{o.replace("-", "_")}=', source)}
    assert unknown == set()


def test_choices_of_commands_exist_and_their_settings_compose():
    composed = set()
    for program, words in COMMANDS.values():
        settings = [word for word in words if re.match(r"[~+]*[a-z][\w./@]*=\S*$", word) and not OF_A_USER.search(word)]
        overrides = OverridesParser.create().parse_overrides(quote_numbers(settings))
        first = []
        for override in overrides:
            key, is_swept = override.get_key_element(), override.is_sweep_override()
            jobs = (
                [f"{key}={value}" for value in override.sweep_string_iterator()] if is_swept else [override.input_line]
            )
            require_known_choices(jobs)
            first.append(jobs[0])
        # Of the rest, test_configs.py composes each choice alone.
        job = (CONFIG_OF.get(program, "train"), *sorted(first))
        if job not in composed and any("." in setting.partition("=")[0] for setting in first):
            composed.add(job)
            GlobalHydra.instance().clear()
            with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
                require_known_keys(hydra.compose(job[0], list(first)), job[0])
