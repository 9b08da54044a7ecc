"""What a preset sends, word by word as the harness does, and that overrides win over it."""

from __future__ import annotations

from typing import Any

import pytest

from coderl.config.load import load
from coderl.config.presets import INSTRUCTION, PRESETS, overrides, settings_of
from coderl.config.settings import RunConfig, WarmupConfig
from coderl.errors import ConfigError
from coderl.model.prompts import prompt_of, solution_of
from coderl.model.toy import build_policy
from tasks.types import StdioTest, Task
from tests.coderl.tiny import TEMPLATE

TESTS = (StdioTest(stdin="", stdout="1"),)
HEAD = '\n\ndef one():\n    """Return 1."""\n'
HUMANEVAL = Task(id="h", prompt=HEAD, tests=TESTS, style="complete", entry_point="one")
DOCSTRING = '"""\nReturn 1.\nassert one() == 1\n"""\n'
RELEASE = Task(id="r", prompt=DOCSTRING, tests=TESTS)  # of MBPP+
MBPP = Task(
    id="m",
    prompt="Return 1.\nYour code should pass these tests:\nassert one() == 1\nassert one() > 0\n",
    tests=TESTS,
    metadata={"question": "Return 1.", "first_test": "assert one() == 1"},
)
TURN = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
RESPONSE = (
    "Below is a Python script with a self-contained function that solves the problem and passes corresponding tests:\n"
    "```python\n"
)
LIVECODEBENCH_SYSTEM = (
    "You are an expert Python programmer. You will be given a question (problem specification) and will generate a "
    "correct Python program that matches the specification and passes all tests."
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    made = build_policy(WarmupConfig(layers=1, hidden_size=32), ["x"], 0).tokenizer
    made.chat_template = TEMPLATE
    return made


def configured(name: str, data_set: str, chat: bool, *own: str) -> RunConfig:
    return load(None, [*overrides(settings_of(name, data_set, chat=chat)), *own, "model.path=x"])


def evalplus_chat(text: str) -> str:
    return TURN.format(f"{INSTRUCTION}\n```\n{text.strip()}\n```\n") + RESPONSE


@pytest.mark.parametrize(
    ("preset", "data_set", "chat", "task", "sent"),
    [
        ("evalplus", "humanevalplus", True, HUMANEVAL, evalplus_chat(HEAD)),
        ("evalplus", "humanevalplus", False, HUMANEVAL, HEAD.strip() + "\n"),
        ("evalplus", "mbppplus", True, RELEASE, evalplus_chat(DOCSTRING)),
        ("evalplus", "mbppplus", False, RELEASE, DOCSTRING),
        ("evalplus", "mbpp", False, MBPP, DOCSTRING),
        ("bigcode", "humaneval", True, HUMANEVAL, HEAD.strip()),
        ("bigcode", "mbpp", True, MBPP, DOCSTRING),
    ],
)
def test_what_a_preset_sends(
    tokenizer: Any, preset: str, data_set: str, chat: bool, task: Task, sent: str
) -> None:
    config = configured(preset, data_set, chat)
    prompt = prompt_of(task, tokenizer, config.model)
    assert prompt.text == sent
    assert prompt.given == ("" if config.model.prompt_style == "chat" else sent)
    assert (config.grading.extraction == "evalplus") is (preset == "evalplus")


@pytest.mark.parametrize(
    ("starter", "form"),
    [
        (
            "class Solution:\n    pass",
            "You will use the following starter code to write the solution to the problem and enclose your code within "
            "delimiters.\n```python\nclass Solution:\n    pass\n```\n",
        ),
        (
            "",
            "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the "
            "sample inputs). Enclose your code within delimiters as follows. Ensure that when the python program runs, "
            "it reads the inputs, runs the algorithm and writes output to STDOUT.\n```python\n# YOUR CODE HERE\n```\n",
        ),
    ],
)
def test_what_livecodebench_sends(tokenizer: Any, starter: str, form: str) -> None:
    task = Task(id="l", prompt="", tests=TESTS, metadata={"question": "Print 1.", "starter_code": starter})
    config = configured("livecodebench", "livecodebench", True)
    question = f"### Question:\nPrint 1.\n\n### Format: {form}\n### Answer: (use the provided format with backticks)\n\n"
    system = f"<|im_start|>system\n{LIVECODEBENCH_SYSTEM}<|im_end|>\n"
    assert prompt_of(task, tokenizer, config.model).text == system + TURN.format(question)
    assert (config.eval.temperature, config.sampler.max_tokens, config.sampler.stop) == (0.2, 2000, ["###"])


def test_a_preset_stops_as_the_harness_does_on_that_data_set_and_overrides_win() -> None:
    stop = {name: configured("evalplus", name, False).sampler.stop for name in ("humaneval", "mbpp")}
    assert "\ndef " in stop["humaneval"] and "\ndef " not in stop["mbpp"] and "\nassert" in stop["mbpp"]
    assert "\n```\n" in configured("evalplus", "mbpp", True).sampler.stop
    config = configured("evalplus", "humaneval", True, "eval.temperature=0.8")
    assert (config.eval.temperature, config.eval.top_p, config.sampler.max_tokens) == (0.8, 0.95, 768)


def test_a_preset_is_for_its_own_data_sets_and_models() -> None:
    with pytest.raises(
        ConfigError, match="apps is no data set of bigcode-evaluation-harness, which has humaneval"
    ):
        settings_of("bigcode", "apps", chat=False)
    with pytest.raises(ConfigError, match="asks by chat"):
        settings_of("livecodebench", "livecodebench", chat=False)
    for name, preset in PRESETS.items():
        for data_set in preset.data_sets:
            assert configured(name, data_set, True).sampler.stop


def test_a_solution_goes_on_from_an_answer_that_is_begun(tokenizer: Any) -> None:
    config = configured("evalplus", "humaneval", True).model
    assert solution_of("x = 1\n", RELEASE, tokenizer, config) == "x = 1\n```"


def test_an_opening_needs_turns(tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match="answer_opening is for prompt_style chat, and it is prefilled"):
        load(None, ["model.answer_opening=x", "model.prompt_style=prefilled"])
