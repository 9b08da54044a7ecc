"""From completions to programs: as models write them, and as nobody should."""

from __future__ import annotations

import ast
import gzip
import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.datasets import load
from tasks.extraction.extract import extract, program_of
from tasks.types import Task

CALL = Task(id="call", prompt="Write f.", tests=(), entry_point="f")
STDIO = Task(id="stdio", prompt="Add.", tests=())
METHOD = Task(id="method", prompt="Write it.", tests=(), entry_point="Solution.f", context="import math\n")
HEAD = 'from typing import List\n\n\ndef helper(x):\n    return x\n\n\ndef f(x):\n    """Double x."""\n'
COMPLETE = Task(
    id="complete",
    prompt=HEAD,
    tests=(),
    style="complete",
    entry_point="f",
    context=HEAD[: HEAD.index("def f")],
)
F = "def f(x):\n    return x + x\n"
G = "def f(x):\n    return 2 * x\n"
SCRIPT = "a, b = map(int, input().split())\nprint(a + b)\n"


def fence(code: str, tag: str = "python", mark: str = "```") -> str:
    return f"{mark}{tag}\n{code}{mark}\n"


# Instruct: what counts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("completion", "program"),
    [
        # fences
        (fence(F), F),
        (fence(F, "py"), F),
        (fence(F, "Python3"), F),
        (fence(F, "{.python}"), F),
        (fence(F, "python title=a.py"), F),
        (fence(F, ""), F),
        (fence(F, "starlark"), F),
        (fence(F, "python", "~~~"), F),
        (fence(F, "python", "`````"), F),
        (f"Sure! Here it is:\n\n{fence(F)}\nThis doubles `x`.", F),
        (f"Here it is: ```python\n{F}```", F),
        ("1. First:\n\n   ```python\n   def f(x):\n       return x + x\n   ```\n", F),
        ("\t```python\n\tdef f(x):\n\t    return x + x\n\t```\n", F),
        (fence(F).replace("\n", "\r\n"), F),
        (f"```python\n{F}", F),  # cut off
        (f"```python\n{F}``", F),
        (f"```python\n{F}``` That was it.", F),
        (f"````python\n{F}'''\n```\n'''\n````\n", F + "'''\n```\n'''\n"),
        # the last one counts
        (f"{fence(F)}Let me check that.\n{fence(G)}", G),
        (f"```python\n{F}```python\n{G}```\n", G),  # a forgotten closing fence
        (fence(G) + fence("print(f(3))\n") + fence("6\n", ""), G),
        (fence(G) + fence("pip install x\n", "bash"), G),
        (fence(G) + fence(">>> f(1)\n2\n"), G),
        (fence(F, "text") + fence(G, ""), G),
        (fence(F, "text"), F),  # nothing better
        # a fence in a docstring is not the answer
        ('def f(x):\n    """Doubles.\n\n    ```\n    f(1)\n    ```\n    """\n    return 2 * x\n',) * 2,
        (fence('def f(x):\n    """\n    ```\n    f(1)\n    ```\n    """\n    return 2 * x\n'),)
        + ('def f(x):\n    """\n    ```\n    f(1)\n    ```\n    """\n    return 2 * x\n',),
        # raw code
        (F, F),
        ("import math\n\n" + F, "import math\n\n" + F),
        ("\n\n" + F, F),
        (F.replace("\n", "\r\n"), F),
        (f"Here is the function:\n\n{F}", F),
        (f"Sure!\n{F}\nThis function doubles its input.\nIt is fast.", F),
        (f"{F}\nExplanation:\n- it doubles", F),
        (f"{F}>>> f(1)\n2\n", F),
        ("f = lambda x: 2 * x\n",) * 2,
        ("x: int = 3\n" + F,) * 2,
        ("def f(x):\n    '''\nNot prose here.\n    '''\n    return x\n",) * 2,
        ("def f(x):\n\treturn x\x00\n",) * 2,
        # chat templates
        (f"<|im_start|>assistant\n{F}<|im_end|>", F),
        (f"{fence(F)}<|im_end|>\n<|im_start|>user\nAgain!<|im_end|>\n<|im_start|>assistant\n{fence(G)}", F),
        (f"<|im_start|>user\nWrite f.<|im_end|>\n<|im_start|>assistant\n{fence(F)}<|im_end|>", F),
        (f"<|start_header_id|>assistant<|end_header_id|>\n\n{fence(F)}<|eot_id|>", F),
        (f"[INST] Write f. [/INST] {fence(F)}</s>", F),
        (f"{F}<|endoftext|>def f(x): pass", F),
        (f"{F}</s>\n", F),
        ("def f(x):\n    return x.replace('</s>', '')\n",) * 2,
        # reasoning
        (f"<think>\n{fence(G)}No.\n</think>\n{fence(F)}", F),
        (f"{fence(G)}Hm.</think>\n\n{fence(F)}", F),  # opened by the template
        (f"<think>{G}</think>\n{F}", F),
        (f"<reasoning>x</reasoning>{fence(F)}", F),
        (f"<think>a</think>\n<think>b</think>\n{fence(F)}", F),
    ],
)
def test_the_program_in_an_answer(completion: str, program: str) -> None:
    extraction = extract(completion, CALL)
    assert extraction.found
    assert extraction.program == program
    assert extraction.blocks[-1] == program


@pytest.mark.parametrize(
    "completion",
    [
        "",
        " \n\t\n",
        "I cannot do that.",
        "The answer is 42, as the table shows.",
        "<think>\nLet me see: def f(x): return x",
        f"<think>\n{fence(F)}",
        "<|im_end|>" + F,
        "```python\n\n```",
    ],
)
@pytest.mark.parametrize("task", [CALL, STDIO])
def test_no_program(completion: str, task: Task) -> None:
    extraction = extract(completion, task)
    assert (extraction.found, extraction.program, extraction.blocks) == (False, "", ())


@pytest.mark.parametrize(
    ("completion", "truncated"),
    [
        (fence(F), False),
        (f"```python\n{F}", True),
        (f"{fence(F)}and\n```python\n{G}", True),
        (F, False),
        ("<think>\nhm", True),
        ("", False),
    ],
)
def test_truncation(completion: str, truncated: bool) -> None:
    assert extract(completion, CALL).truncated is truncated


@pytest.mark.parametrize(
    ("completion", "program"),
    [
        (SCRIPT, SCRIPT),
        (f"You can use:\n\n{SCRIPT}", SCRIPT),
        (fence(SCRIPT) + "Output:\n" + fence("3\n", ""), SCRIPT),
        (fence(F) + fence(SCRIPT), SCRIPT),
        ("for _ in range(int(input())):\n    print(1)\n",) * 2,
        ("n = int(input())\nif n:\n    print(n)\nelse:\n    print(0)\nprint('done')\n",) * 2,
    ],
)
def test_scripts(completion: str, program: str) -> None:
    assert extract(completion, STDIO).program == program


def test_all_blocks_are_kept_for_the_analysis_of_self_correction() -> None:
    extraction = extract(f"{fence(F)}Wait.\n{fence(G)}So:\n{fence('print(f(1))' + chr(10))}", CALL)
    assert extraction.blocks == (F, G)
    assert [program_of(block, CALL) for block in extraction.blocks] == [F, G]


def test_context_stands_before_the_program() -> None:
    code = "class Solution:\n    def f(self, x):\n        return math.floor(x)\n"
    assert extract(fence(code), METHOD).program == "import math\n\n" + code
    future = "from __future__ import annotations\n"
    assert extract(fence(future + code), METHOD).program == f"{future}import math\n\n{code}"


# Complete: the prompt goes on -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "completion",
    [
        "    return 2 * x\n",
        "    return 2 * x\n\n\nprint(f(1))\n",
        "\n\n    return 2 * x\r\n\tx\x00",
        "    '''\n    ```\n    f(1)\n    ```\n    '''\n    return 2 * x\n",
        "  return x\n\ndef g():\n    pass\n\nif __name__ == '__main__':\n    g()\n",
        "return 2 * x",  # wrong, and left so
        "    return '</s>'\n",
        "    def g():\n        pass\n    return f\n\ndef h(): pass",
    ],
)
def test_a_continuation_is_kept_character_by_character(completion: str) -> None:
    extraction = extract(completion, COMPLETE)
    assert extraction.found and extraction.program == HEAD + completion
    assert extraction.blocks == (completion,)


@pytest.mark.parametrize(
    "completion", [fence(F), f"Here:\n\n{F}", F, f"    x\n{fence(F)}", fence(G) + fence(F)]
)
def test_a_whole_program_stands_behind_the_helpers(completion: str) -> None:
    program = extract(completion, COMPLETE).program
    assert program == COMPLETE.context.rstrip() + "\n\n" + F
    ast.parse(program)


@pytest.mark.parametrize(
    ("body", "rest"),
    [
        ("    return 2 * x\n", "```\n\nThis doubles."),
        ("    return 2 * x\n\n", "This function doubles it.\n"),
        ("    return 2 * x\n\n\nprint(f(1))\n", "Some prose.\n"),
        ("    return 2 * x\n", "Explanation: it doubles.\nIt is fast.\n"),
        ("    return 2 * x\n", "```python\nprint(f(2))\n```\n"),
        ("    return 2 * x\n", "Human: And now?\n"),
        ("    return 2 * x\n", "**Why**: it doubles.\n"),
        ("    return 2 * x\n", "> note\n"),
        ('    s = """\nNot prose here.\n"""\n    return 2 * x\n', "1. It doubles.\n"),
        ("    # one\n    return 2 * x\n\ndef g(y):\n    return y\n", "- a list\n"),
    ],
)
def test_what_follows_a_continuation_is_cut_where_the_whole_is_no_python(body: str, rest: str) -> None:
    extraction = extract(body + rest, COMPLETE)
    assert extraction.program == HEAD + body
    ast.parse(extraction.program)


def test_what_cutting_does_not_mend_is_left_alone() -> None:
    for text in ("    return (\nSome prose.\n", "    return 2 * x\n" + "(" * 5000 + "\nSome prose.\n"):
        assert extract(text, COMPLETE).program == HEAD + text


@pytest.mark.parametrize("code", ["return 2 * x\n", "if x:\n    return 2 * x\nreturn 0\n"])
def test_a_fenced_body_at_the_margin_is_moved_to_where_it_belongs(code: str) -> None:
    program = extract(fence(code), COMPLETE).program
    assert program.startswith(HEAD + "    ")
    ast.parse(program)


def test_a_fenced_body_continues_the_prompt() -> None:
    assert (
        extract(f"Sure:\n{fence('    return 2 * x' + chr(10))}", COMPLETE).program
        == HEAD + "    return 2 * x\n"
    )


def test_continuations_of_codegen_are_graded_as_evalplus_does(data: Path) -> None:
    """16,400 samples on HumanEval; 127 of them are blank."""
    tasks = load(f"humanevalplus={data}/humanevalplus/HumanEvalPlus.jsonl.gz")
    (file,) = (data / "codet_samples").glob("*.gz")
    blank = 0
    with gzip.open(file, "rt") as rows:
        for task, row in zip(tasks, map(json.loads, rows), strict=True):
            for sample in row["samples"]:
                extraction = extract(sample, task)
                assert extraction.program == (task.prompt + sample if extraction.found else "")
                assert extraction.found == bool(sample.strip())
                blank += not extraction.found
    assert blank == 127


def test_references_survive_being_completions(data: Path) -> None:
    for task in load(f"humaneval={data}/humaneval/HumanEval.jsonl"):
        assert task.reference is not None
        body = task.reference.removeprefix(task.prompt)
        assert extract(body, task).program == task.reference
        chat = extract(f"Here is the solution:\n\n{fence(task.reference)}\nDone.", task)
        assert chat.program.endswith(task.reference) and chat.found
    for task in load(f"mbpp={data}/mbpp/mbpp.jsonl"):
        code = (task.reference or "").rstrip() + "\n"
        assert extract(f"Here is one.\n{fence(code)}\nDone.", task).program == code, task.id
        assert extract(code, task).program.strip() == code.strip(), task.id


# Anything at all ------------------------------------------------------------------------------------

pieces = st.sampled_from(
    [
        "```",
        "```python\n",
        "~~~",
        "<think>",
        "</think>",
        "<|im_start|>",
        "assistant\n",
        "<|eot_id|>",
        "[/INST]",
    ]
    + [
        "def f(x):\n",
        "    return x\n",
        "\n",
        "\r\n",
        " ",
        "\t",
        "\0",
        '"""',
        "'''",
        "#",
        "Sure: ",
        "f = ",
        ">>> ",
    ]
    + ["class Solution:\n", "from __future__ import annotations\n", "</s>", "é", "\ud800", "\u2028", "`"]
)
completions = st.lists(pieces | st.text(max_size=3), max_size=25).map("".join)


@settings(deadline=None)
@given(completions, st.sampled_from([CALL, STDIO, METHOD, COMPLETE]))
def test_any_text_gives_a_consistent_answer(completion: str, task: Task) -> None:
    extraction = extract(completion, task)
    assert extraction.found == bool(extraction.blocks) == bool(extraction.program)
    if extraction.found:
        assert extraction.program == program_of(extraction.blocks[-1], task)
        assert all(block.strip() for block in extraction.blocks)
    flat = completion.replace("\r\n", "\n")
    for block in extraction.blocks:  # nothing is made up
        assert all(line.strip() in flat for line in block.replace("\r\n", "\n").split("\n"))


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="<`~["), max_size=200))
def test_any_indented_text_continues_the_prompt(text: str) -> None:
    completion = "    return " + text
    assert extract(completion, COMPLETE).program == HEAD + completion


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([F, G]), min_size=1, max_size=4), st.sampled_from(["", "So:\n", "1. Then\n\n"])
)
def test_of_any_blocks_the_last_counts(codes: list[str], prose: str) -> None:
    extraction = extract("".join(prose + fence(code) for code in codes), CALL)
    assert (extraction.program, extraction.blocks) == (codes[-1], tuple(codes))


def test_a_model_that_repeats_itself_keeps_its_first_and_last_blocks() -> None:
    codes = [f"{F}# {n}\n" for n in range(20)]
    extraction = extract("".join(map(fence, codes)), CALL)
    assert extraction.blocks == (codes[0], *codes[-7:])
    assert extraction.program == codes[-1]


# C++ ------------------------------------------------------------------------------------------------

CPP = Task(id="cpp", prompt="Add.", tests=(), language="cpp")
MAIN = "#include <iostream>\nint main() {\n    std::cout << 1;\n}\n"


@pytest.mark.parametrize(
    "completion",
    [
        fence(MAIN, "cpp"),
        fence(MAIN, "c++"),
        fence(MAIN, "C++17"),
        fence(MAIN, ""),
        "In Python it would be\n"
        + fence(SCRIPT)
        + "but in C++\n"
        + fence(MAIN, "cpp")
        + fence("./a.out\n", "bash"),
        fence(MAIN, "cpp") + "Or, in Python:\n" + fence(SCRIPT),
        f"Here is my program.\n\n{MAIN}\nIt prints 1.",
        MAIN,
    ],
)
def test_cpp_programs(completion: str) -> None:
    assert extract(completion, CPP).program == MAIN


def test_prose_holds_no_cpp_program() -> None:
    assert not extract("Read {a} and {b}, then add them.", CPP).found


SIZE = 200_000
HOSTILE = {
    repr(unit): unit
    for unit in [
        "\n",
        " ",
        "\t",
        "`",
        "```\n",
        "```python\n",
        "~~~\n",
        "a",
        "a,",
        "a.",
        "f(",
        "<think>\n",
        "\r\n",
    ]
    + [
        "</think>",
        "<|im_start|>",
        "<",
        "</s>",
        "</s> ",
        '"""',
        "'''\"\"\"\n",
        "def f",
        "async  ",
        "a = ",
        "if :",
    ]
    + [
        "word word ",
        " \r\n",
        "for x: ",
        "from __future__ import ",
        "[/INST]",
        "    x\n",
        ">>> f\n",
        "f =",
        "\0",
    ]
}


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_linearly_with_hostile_text(unit: str) -> None:
    """A quadratic reading takes a minute and more; a linear one a tenth of a second of CPU time."""
    repeated = (HOSTILE[unit] * SIZE)[:SIZE]
    started = time.process_time()
    for task in (CALL, COMPLETE, CPP):
        for start in ("", "```python\n"):
            for end in ("", "x"):
                extract(start + repeated + end, task)
    assert time.process_time() - started < 10.0
