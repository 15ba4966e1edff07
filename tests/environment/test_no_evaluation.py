"""Nothing in a response is ever run: the interpreter's own audit events, seen while hostile text is played."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, sys

from envtune.chat.protocol import parse
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.episode import Episode
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.scenario import Scenario
from envtune.bfcl.toolbox import PARAMETERS
from envtune.bfcl.worlds import TOOLBOXES
from envtune.task import Task, ToolDocument, UserTurn
from envtune.bfcl.category import Category

CODE = "__import__('os').system('touch hacked')"
TEXTS = (CODE, f"echo(content={CODE})", f"{{{CODE}}}", "{0.__class__.__mro__}", "%(x)s %n", f"${{{CODE}}}",
         f"'); {CODE} #", "cos\\nsystem\\n(S'touch hacked'\\ntR.", "!!python/object/apply:os.system ['touch hacked']")
SEEN, WATCHING = [], []
KINDS = {"exec", "compile", "import", "open", "os", "subprocess", "pickle", "marshal", "socket", "ctypes", "code"}
TOOLS = tuple(ToolDocument(name, "", {}) for name in PARAMETERS)


def watch(event, arguments):
    if WATCHING and event.split(".")[0] in KINDS:
        SEEN.append([event, repr(arguments)[:200]])


def play(text):
    calls = [{"name": tool, "arguments": {p: wrap(text) for p in parameters}}
             for tool, parameters in PARAMETERS.items() for wrap in (str, lambda t: [t], lambda t: {t: t})]
    calls += [{"name": tool, "arguments": {text: text}} for tool in PARAMETERS]
    calls += [{"name": text, "arguments": {}}, {"name": text, "arguments": {text: text}}]
    pieces = [calls[i:i + 50] for i in range(0, len(calls), 50)]
    bodies = [f"<think>{text}</think><tool_call>{json.dumps(piece)}</tool_call>" for piece in pieces]
    for category in Category:
        task = Task("t", category, Scenario(0, TOOLBOXES, {}), (UserTurn("Hi", ()),), TOOLS)
        hints = Actionable().for_episode(BFCL_ENVIRONMENT, task, 0)
        episode = Episode(BFCL_ENVIRONMENT, task, parse, hints, 999)
        episode.reset()
        WATCHING.append(True)
        for body in (*bodies, text, f"<think></think><tool_call>{text}</tool_call>"):
            episode.step(body)
        episode.step(f"<think>{text}</think><answer>{text}</answer>")
        episode.finish()
        WATCHING.clear()


play("harmless")  # what is imported on first use is imported now
sys.addaudithook(watch)
for text in TEXTS:
    play(text)
played = list(SEEN)
WATCHING.append(True)
eval("1 + 1")
print(json.dumps({"while playing": played, "control": [event for event, _ in SEEN[len(played):]]}))
"""


def test_hostile_text_in_every_argument_and_as_a_name_runs_nothing(tmp_path) -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {"while playing": [], "control": ["compile", "exec"]}
    assert not list(tmp_path.iterdir())
