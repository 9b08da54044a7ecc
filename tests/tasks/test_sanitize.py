"""Programs as evalplus takes them: what is kept, and that evalplus 0.3.1's own sanitizer says the same."""

from __future__ import annotations

import ast
import gzip
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.parsing import parse
from tasks.datasets import load
from tasks.extraction.answers import Answer
from tasks.extraction.sanitize import sanitize
from tasks.types import Task

F = "def f(x):\n    return x + 1"
EVALPLUS = ("evalplus==0.3.1", "tree_sitter", "tree_sitter_python", "termcolor", "tqdm")
SERVER = """
import json, sys, types

class Unused(types.ModuleType):
    def __getattr__(self, name):
        return None

sys.modules["evalplus.data"] = Unused("evalplus.data")
from evalplus.sanitize import sanitize

for line in sys.stdin:
    print(json.dumps(sanitize(*json.loads(line))), flush=True)
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str | None], str]]:
    """evalplus's own, in a process of its own."""
    folder = tmp_path_factory.mktemp("evalplus")
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--target", str(folder), *EVALPLUS]
    if subprocess.run(pip, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("needs a package registry, for evalplus")
    environment = os.environ | {"PYTHONPATH": str(folder)}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        answers = server.stdout
        assert server.stdin is not None and answers is not None

        def ask(code: str, entry_point: str | None) -> str:
            print(json.dumps([code, entry_point]), file=server.stdin, flush=True)
            return str(json.loads(answers.readline()))

        yield ask
        server.stdin.close()


def same(one: str, other: str) -> bool:
    """But for comments: where a function ends with one, evalplus keeps it."""
    return one == other or meaning(one) == meaning(other)


def meaning(code: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.dump(ast.parse(code))
        except SyntaxError:
            return code


@pytest.mark.parametrize(
    ("code", "program"),
    [
        (F, F),
        (f"{F}\n\ndef g(", F),  # cut
        (f"{F}\n\nprint(f(1))\nassert f(1) == 2", F),
        (f"Here it is:\n{F}\nThat was it.", F),
        (f"{F}\n\ndef f(x):\n    return 2", F),  # the first one
        (f"import os\n\n{F}\n\ndef main():\n    f(1)", f"import os\n{F}"),
        (f"y = 1\nz = 2\n{F.replace('1', 'y')}", f"y = 1\n{F.replace('1', 'y')}"),
        (f"def g():\n    f(1)\n\n{F}", F),  # returns nothing
        (f"from __future__ import annotations\n{F}", F),
        (f"@cache\n{F}", f"@cache\n{F}"),  # nothing is kept, so the run stays as it is
        ("No program here.", "No program here."),
        ("one line = of two\nand more", "one line = of two"),
        ("", ""),
    ],
)
def test_what_is_kept(code: str, program: str) -> None:
    assert sanitize(code, "f") == program


def test_without_an_entry_point_all_definitions_are_kept() -> None:
    assert sanitize(f"y = 1\n{F}\nprint(y)", None) == f"y = 1\n{F}"


def test_it_is_read_behind_what_the_model_was_given() -> None:
    task = Task(id="t", prompt="", tests=(), style="complete", entry_point="f")
    assert Answer.sanitized("def f(x):\n", "\treturn 1\n\ndef g(", task).program == "def f(x):\n    return 1"
    assert Answer.sanitized("", "", task).program is None


CODEGEN_SAMPLES = 3  # of each task's 100; all 16,400 agree


@pytest.mark.slow
def test_codegens_completions(theirs: Callable[[str, str | None], str], data: Path) -> None:
    tasks = load(f"humanevalplus={data}/humanevalplus/HumanEvalPlus.jsonl.gz")
    (file,) = (data / "codet_samples").glob("*.gz")
    cut = 0
    with gzip.open(file, "rt") as rows:
        for task, row in zip(tasks, map(json.loads, rows), strict=True):
            for sample in row["samples"][:CODEGEN_SAMPLES]:
                code = f"{task.prompt.strip()}\n{sample}"
                ours = sanitize(code, task.entry_point)
                assert same(ours, theirs(code, task.entry_point)), code
                cut += not same(code, ours)
    assert cut > 50  # so that more was tried than to leave things as they are


lines = st.sampled_from(
    [
        *("def f(x):", "def g(y):", "class A:", "async def h():", "    return g(1)", "    return A.b", "    pass"),
        *("x = y", "y: int = 2", "a, b = x", "a.b = y", "x[0] = 1", "x += 1", "y = z = f", "x = 1; y = 2", "(", ")"),
        *("import os", "from a.b import c as d", "from __future__ import division", "from . import e", "@g"),
        *("if x:", "    x = 1", "else:", "try:", "except A as e:", '"""', "'''", "    '''Text.'''", "print(f'{y}')"),
        *("It doesn't work.", "so: it ends", "# note", "", "  ", "\t", "x = 'a", "x = \\", "lambda q: q", "global g"),
        *("x = [", "    1,", "]", "for i in x:", "    def k(): return i", "        return k", "f(1)", "é = '\\d'"),
    ]
)  # fmt: skip


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(st.lists(lines, max_size=14).map("\n".join), st.sampled_from(["f", "A", None]))
def test_any_lines(theirs: Callable[[str, str | None], str], code: str, entry_point: str | None) -> None:
    assert same(sanitize(code, entry_point), theirs(code, entry_point))


@settings(deadline=None)
@given(st.lists(lines | st.text(max_size=20), max_size=12).map("\n".join))
def test_any_text_has_an_answer(code: str) -> None:
    assert sanitize(code, "f") in code or sanitize(code, "f").split("\n")[0] in code


@pytest.mark.parametrize("line", ["if x:", "(", "x = [", "class", "It doesn't.", "\0", "x ="])
def test_the_tries_are_bounded(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    def counted(source: str) -> ast.Module:
        nonlocal tries
        tries += 1
        return parse(source)

    monkeypatch.setattr("tasks.extraction.sanitize.parse", counted)
    monkeypatch.setattr("tasks.extraction.sanitize._MOST_TRIES", 500)
    assert sanitize("\n".join([line] * 300), "f") == line
    assert 0 < tries <= 501  # and its first line
