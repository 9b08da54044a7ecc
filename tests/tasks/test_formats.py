"""Answers in the styles of the models that people train: what the program in each of them is.

The rows of the table in docs/grading.md, `From a completion to a program`, name the parts of this file.
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.extraction.extract import extract
from tasks.types import Task

CALL = Task(id="call", prompt="Write f.", tests=(), entry_point="f")
STDIO = Task(id="stdio", prompt="Add.", tests=())
METHOD = Task(id="method", prompt="Write it.", tests=(), entry_point="Solution.f")
HEAD = 'def f(x):\n    """Double x."""\n'
COMPLETE = Task(id="complete", prompt=HEAD, tests=(), style="complete", entry_point="f")
F = "def f(x):\n    return x + x\n"
G = "def f(x):\n    return 2 * x\n"
CLASS = "class Solution:\n    def f(self, x):\n        return 2 * x\n"
ADD = "a, b = map(int, input().split())\nprint(a + b)\n"
MAIN = "def main():\n    a, b = map(int, input().split())\n    print(a + b)\n\n\nif __name__ == '__main__':\n    main()\n"
BODY = "    return 2 * x\n"

HARMONY = [
    (f"<|channel|>analysis<|message|>Hm: ```python\n{F}```<|end|><|start|>assistant<|channel|>final<|message|>{G}<|return|>", G),
    (f"<|channel|>final<|message|>Here.\n```python\n{G}```", G),
    (f"<|start|>assistant<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>```python\n{G}```<|return|>", G),
    (f"<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>commentary<|message|>{F}<|end|>"
     f"<|start|>assistant<|channel|>final <|constrain|>python<|message|>{G}<|return|>", G),
    (f"analysisWe need f. Maybe {F}assistantfinal```python\n{G}```", G),
    ("<|channel|>analysis<|message|>We need to think about f", ""),
    (f"<|channel|>analysis<|message|>```python\n{F}```<|end|>", ""),
]  # fmt: skip
REASONING = [
    (f"<think>\nTry {F}\n</think>\n\n```python\n{G}```", G),
    (f"Okay.\n```python\n{F}```\n</think>\nThe answer:\n```python\n{G}```", G),
    (f"[THINK]{F}[/THINK]{G}", G),
    (f"◁think▷{F}◁/think▷\n```python\n{G}```", G),
    (f"<|START_THINKING|>{F}<|END_THINKING|>```python\n{G}```", G),
    (f"<seed:think>\n{F}</seed:think>\n```python\n{G}```", G),
    (f"<thought>\n{F}</thought>\n{G}", G),
    (f"<think>\n{F}", ""),
]
TAGS = [
    (f"[PYTHON]\n{G}[/PYTHON]", G),
    (f"[PYTHON]\n{G}[/PYTHON]\n[TESTS]\nassert f(1) == 2\n[/TESTS]", G),
    (f"Sure.\n[BEGIN]\n{G}[DONE]\nNext question", G),
    (f"[BEGIN]\n{G}[END]", G),
    (f"[BEGIN]\n{G}", G),
    (f"<answer>\n{G}</answer>", G),
    (f"```python\n{F}```\n<answer>```python\n{G}```</answer>", G),
    (f"<answer>Here it is:\n```python\n{G}```\nDone.</answer>", G),
    (f"<solution>\n{G}</solution>", G),
    (f"<solution>\n<code>\n{G}</code>\n</solution>", G),
    (f"<CODE>\n{G}</CODE>", G),
    (f"<code>{G}</code>", G),
    (f"```python\n{G}```\n<answer>42</answer>", G),
    ("```python\n" + G + 'S = """\n<code>\n"""\n```', G + 'S = """\n<code>\n"""\n'),
    (f"Use <code>sum</code>:\n\n```python\n{G}```", G),
]
FENCES = [
    (f"```\n{G}```", G),
    (f"```py\n{G}```", G),
    (f"```python3\n{G}```", G),
    (f"```Python\n{G}```", G),
    (f"``` python\n{G}```", G),
    (f"~~~\n{G}~~~", G),
    (f"````python\n{G}````", G),
    (f"````markdown\nIt doubles:\n```python\n{G}```\n````", G),
    (f"```python linenums=\"1\"\n{G}```", G),
    (f"```{{.python .numberLines}}\n{G}```", G),
    ("```python def f(x):\n    return 2 * x\n```", G),
    (f"```python\n{G.rstrip()}```", G),
    (f"```python\r\n{G}```".replace("\n", "\r\n").replace("\r\r", "\r"), G),
    (f"\ufeff```python\n{G}```", G),
    ("- Do this:\n\n  ```python\n  def f(x):\n      return 2 * x\n  ```\n- Done.", G),
    ("1. ```python\n   def f(x):\n       return 2 * x\n   ```", G) if False else (f"# Solution\n\n```python\n{G}```", G),
    (f"### Solution\n\n```python\n{G}```\n\n### Complexity\n\nO(1).", G),
    (f"**Version 1**\n```python\n{F}```\n**Version 2 (better)**\n```python\n{G}```\n", G),
    (f"```python\n{G}```\n\nExample usage:\n\n```python\nprint(f(2))  # 4\n```", G),
    (f"```python\n{G}```\n\n```python example of run\ndef f(x):\n    return 0\n```", G),
    (f"```python\n{G}```\nOutput:\n```\n4\n```", G),
    (f"```python\n{G}```\nRun it:\n```bash\npython f.py\n```", G),
    (f"```python\n{G}```\n```text\ndef f(x): pass\n```", G),
    (f"```python\n{G}", G),
    (f"```python\n{G}\nThis is cut", G + "\nThis is cut\n"),
    ("```python\n>>> def f(x):\n...     return 2 * x\n...\n>>> f(1)\n2\n```", "def f(x):\n    return 2 * x\n\nf(1)\n"),
    (f'```python\n{G}S = """\n```\n"""\n```\nDone.', G + 'S = """\n```\n"""\n'),
    ("```python\nimport math\n```\n```python\ndef f(x):\n    return math.floor(2 * x)\n```",
     "import math\ndef f(x):\n    return math.floor(2 * x)\n"),
    ("First a helper:\n```python\ndef g(x):\n    return x\n```\nThen:\n```python\ndef f(x):\n    return g(x) + g(x)\n```",
     "def g(x):\n    return x\ndef f(x):\n    return g(x) + g(x)\n"),
    (f"```python\n{G}```\nYou can test it:\n```python\nassert f(1) == 2\nassert f(0) == 0\n```", G),
    ("```python\ndef f(x):\n    return '“2&lt;3”' * x\n```", "def f(x):\n    return '“2&lt;3”' * x\n"),
    ("```python\ndef f(x):\n\treturn 2 * x\n```", "def f(x):\n\treturn 2 * x\n"),
]  # fmt: skip
STRAY = [
    (f"{G}```", G),
    (f"{G}```\n\nHere is how it works:\n\n- it doubles.", G),
    (f"{G}```\n\nYou can use it like this:\n```python\nprint(f(1))\n```", G),
    (f"\n\nimport math\n\n{G}```\n\nThe `f` function", f"import math\n\n{G}"),
]
RAW = [
    (f"{G}\nThis function doubles.", G),
    (f"Here you go:\n\n{G}", G),
    (f"Here you go:\n\n{G}\nExplanation: it doubles.\n", G),
    (f"{F}\nOr, better still:\n\n{G}", G),
    (f"{G}\n**Note**: it doubles", G),
    (">>> def f(x):\n...     return 2 * x\n...\n>>> f(1)\n2\n", "def f(x):\n    return 2 * x\n\nf(1)\n"),
    (f"{G}\nHuman: thanks", G),
]


@pytest.mark.parametrize(("completion", "program"), HARMONY + REASONING + TAGS + FENCES + STRAY + RAW)
def test_a_function(completion: str, program: str) -> None:
    assert extract(completion, CALL).program.strip("\n") == program.strip("\n")


@pytest.mark.parametrize(
    ("completion", "program"),
    [
        (f"```python\n{ADD}```\nExample of use:\n```python\n# Input: 1 2\n# Output: 3\n```", ADD),
        (f"```python\n{ADD}```\nInput:\n```\n1 2\n```\nOutput:\n```\n3\n```", ADD),
        (f"```\n{ADD}```\nInput:\n```\n1 2\n```", ADD),
        (f"```python\n{MAIN}```\nTo try it:\n```python\nmain()\n```", MAIN),
        (f"```python\n{MAIN}```\nOr wrong:\n```python\nprint(1 + 2)\n```", "print(1 + 2)\n"),
        (
            "First:\n```python\nimport sys\ndef solve(a, b):\n    return a + b\n```\nThen main:\n"
            "```python\na, b = map(int, input().split())\nprint(solve(a, b))\n```",
            "import sys\ndef solve(a, b):\n    return a + b\na, b = map(int, input().split())\nprint(solve(a, b))\n",
        ),
        (f"```python\n{ADD}```\nBetter:\n```python\n{MAIN}```", MAIN),
        (f"<answer>\n{MAIN}</answer>", MAIN),
        (f"{ADD}```\n\nIt reads two numbers.", ADD),
        (f"{ADD}\nThis reads two numbers.", ADD),
        ("```python\nprint(42)\n```", "print(42)\n"),
        ("```python\n[print(i) for i in range(3)]\n```", "[print(i) for i in range(3)]\n"),
        ("import sys\nprint(sum(map(int, sys.stdin.read().split())))\n",) * 2,
    ],
)
def test_a_script(completion: str, program: str) -> None:
    assert extract(completion, STDIO).program == program


@pytest.mark.parametrize(
    ("completion", "program"),
    [
        (f"```python\n{CLASS}```\nUsage:\n```python\ns = Solution()\nprint(s.f(int(input())))\n```", CLASS),
        (f"```python\n{G}```", G),
        (f"<|channel|>final<|message|>{CLASS}<|return|>", CLASS),
    ],
)
def test_a_method(completion: str, program: str) -> None:
    assert extract(completion, METHOD).program == program


@pytest.mark.parametrize(
    ("completion", "program"),
    [
        (BODY, HEAD + BODY),
        (f"```python\n{BODY}```", HEAD + BODY),
        (f"```python\n{HEAD}{BODY}```\nDone.", HEAD + BODY),
        (f"{HEAD}{BODY}\nThis doubles it.", HEAD + BODY),
        (f"[PYTHON]\n{G}[/PYTHON]", G),
        (f"[BEGIN]\n{BODY}[DONE]", HEAD + BODY),
        (f"<answer>\n{G}</answer>", G),
        (f"{BODY}```\n\nExplanation: it doubles.", HEAD + BODY),
        ("```python\nreturn 2 * x\n```", HEAD + BODY),
        (f"{BODY}<|endoftext|>", HEAD + BODY),
        (f"<think>\nHm.\n</think>\n{BODY}", f"{HEAD}\n{BODY}"),
        (f"<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>{BODY}", HEAD + BODY),
        (f"{BODY}<|fim_pad|>", HEAD + BODY),
        (f"{BODY}<|file_sep|>more", HEAD + BODY),
        (f"{BODY}\nHere is the explanation of it.", HEAD + BODY),
        (">>> def f(x):\n...     return 2 * x\n...\n>>> f(1)\n2\n", "def f(x):\n    return 2 * x\n\nf(1)\n"),
        ("    >>> y = x\n    >>> return 2 * y\n", HEAD + "    y = x\n    return 2 * y\n"),
    ],
)  # fmt: skip
def test_what_completes_a_prompt(completion: str, program: str) -> None:
    assert extract(completion, COMPLETE).program.rstrip("\n") == program.rstrip("\n")


def test_examples_of_a_docstring_that_the_prompt_left_open_are_no_session() -> None:
    task = replace(COMPLETE, prompt='def f(x):\n    """Double x.\n')
    completion = '>>> f(1)\n2\n"""\n    return 2 * x\n'
    assert extract(completion, task).program == task.prompt + completion


PIECES = ["<answer>", "</answer>", "[BEGIN]", "[DONE]", "[PYTHON]", "<code>\n", "<|channel|>", "final", "<|message|>", "<|start|>"]  # fmt: skip
PIECES += ["```", "```python\n", "~~~\n", '"""', ">>> ", "... ", "def f(x):\n", "    return x\n", "\n", "\r\n", "Sure. ", "\ufeff"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map("".join))
def test_any_mixture_of_formats_gives_a_program_of_its_own_lines(completion: str) -> None:
    flat = completion.replace("\r\n", "\n")
    for task in (CALL, STDIO, METHOD, COMPLETE):
        extraction = extract(completion, task)
        assert extraction.found == bool(extraction.blocks) == bool(extraction.program)
        for block in extraction.blocks:
            assert all(line.strip() in flat for line in block.replace("\r\n", "\n").split("\n"))


UNITS = ["`", "```\n", "<answer>", "<code>\n", "[BEGIN]\n", "<|channel|>final<|message|>", "analysis assistantfinal", ">>> x\n"]  # fmt: skip
UNITS += ["import a\n```\n", "```python\nimport a\n```\n", '"""\n```\n', "def f(x):\n", "x = 1\nProse is here.\n", "\n\n\n", "( ", "[THINK]\n"]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_a_megabyte_of_anything_is_read_in_a_second(unit: str) -> None:
    text = (unit * (1 << 20))[: 1 << 20]
    for task in (STDIO, COMPLETE):
        started = time.process_time()
        extract(text, task)
        assert time.process_time() - started < 3.0, (
            task.id
        )  # of a busy machine; a quadratic reading takes minutes
