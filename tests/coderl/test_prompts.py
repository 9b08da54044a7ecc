"""A task becomes tokens in one place: by chat, by completion, or with the answer begun for the model."""

from __future__ import annotations

import re
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from coderl.cli import app
from coderl.config.load import load
from coderl.config.presets import INSTRUCTION
from coderl.config.settings import ModelConfig, RunConfig, WarmupConfig
from coderl.errors import ConfigError, ModelError
from coderl.model.named import here
from coderl.model.policy import load_tokenizer
from coderl.model.prompts import prompt_of
from coderl.model.toy import build_policy
from coderl.rollouts.collect import Collector
from coderl.sampling.types import Completion
from tasks.types import StdioTest, Task
from tests.coderl.tiny import TEMPLATE, save_tiny_qwen2

ONE = (StdioTest(stdin="", stdout="1"),)
HEAD = 'def one():\n    """Return 1."""\n'
ANSWER = Task(id="a", prompt="Print 1.", tests=ONE)
CONTINUE = Task(id="c", prompt=HEAD, tests=ONE, style="complete", entry_point="one")
TURN = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
REQUEST = TURN.format(f"{INSTRUCTION}\n```\n{HEAD.strip()}\n```\n")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Of a model that chats."""
    made = build_policy(WarmupConfig(layers=1, hidden_size=32), ["x"], 0).tokenizer
    made.chat_template = TEMPLATE
    return made


@pytest.mark.parametrize(
    ("style", "task", "text", "opening"),
    [
        ("auto", ANSWER, TURN.format("Print 1."), ""),
        ("auto", CONTINUE, REQUEST, ""),
        ("chat", CONTINUE, REQUEST, ""),
        ("prefilled", ANSWER, TURN.format("Print 1.") + "```python\n", "```python\n"),
        ("prefilled", CONTINUE, f"{REQUEST}```python\n{HEAD.rstrip()}", f"```python\n{HEAD.rstrip()}"),
        ("completion", ANSWER, "Print 1.", ""),
        ("completion", CONTINUE, HEAD, ""),
    ],
)
def test_a_model_that_chats_is_asked_by_style(
    tokenizer: Any, style: Any, task: Task, text: str, opening: str
) -> None:
    prompt = prompt_of(task, tokenizer, ModelConfig(prompt_style=style))
    assert (prompt.text, prompt.opening) == (text, opening)
    assert tokenizer.decode(prompt.tokens) == text


def test_a_system_prompt_is_the_first_turn(tokenizer: Any) -> None:
    prompt = prompt_of(ANSWER, tokenizer, ModelConfig(system_prompt="Be brief."))
    assert prompt.text == "<|im_start|>system\nBe brief.<|im_end|>\n" + TURN.format("Print 1.")


def test_a_model_without_a_template_is_asked_by_completion_only() -> None:
    tokenizer = build_policy(WarmupConfig(layers=1, hidden_size=32), ["x"], 0).tokenizer
    assert prompt_of(CONTINUE, tokenizer, ModelConfig()).text == HEAD
    with pytest.raises(ModelError, match="prompt_style=chat needs a chat template"):
        prompt_of(CONTINUE, tokenizer, ModelConfig(prompt_style="chat"))
    with pytest.raises(ModelError, match=r"model\.system_prompt has no effect"):
        prompt_of(CONTINUE, tokenizer, ModelConfig(system_prompt="Be brief."))


def test_a_template_that_refuses_is_one_error(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", "{{ raise_exception('no system turn') }}")
    with pytest.raises(ModelError, match="the model's chat template refuses the prompt: no system turn"):
        prompt_of(ANSWER, tokenizer, ModelConfig(system_prompt="Be brief."))


def templated(text: str, **options: Any) -> ModelConfig:
    return ModelConfig.model_validate({"prompt_template": text, **options})


def test_the_documented_template_gives_the_users_turn(tokenizer: Any, tmp_path: Path) -> None:
    (example,) = re.findall(r"````jinja\n(.*?)````", Path("docs/prompts.md").read_text(), re.DOTALL)
    (tmp_path / "ask.jinja").write_text(example)
    config = templated(str(tmp_path / "ask.jinja"))
    head = "You solve programming problems in python.\n"
    end = "Answer with one code block."
    assert prompt_of(ANSWER, tokenizer, config).text == TURN.format(f"{head}Print 1.\n{end}")
    asked = f"{head}Complete this function:\n```python\n{HEAD}\n```\nCall it one. {end}"
    assert prompt_of(CONTINUE, tokenizer, config).text == TURN.format(asked)
    prefilled = prompt_of(CONTINUE, tokenizer, templated(example, prompt_style="prefilled"))
    assert prefilled.text == TURN.format(asked) + f"```python\n{HEAD.rstrip()}"
    completion = templated("# {{ entry_point }}\n{{ prompt }}", prompt_style="completion")
    assert prompt_of(CONTINUE, tokenizer, completion).text == f"# one\n{HEAD}"


def test_a_configuration_keeps_the_template_itself(tmp_path: Path) -> None:
    file = tmp_path / "ask.jinja"
    file.write_text("{{ prompt }}!\n")
    saved = tmp_path / "config.toml"
    saved.write_text(load(None, [f"model.prompt_template={file}"]).to_toml())
    file.unlink()
    assert load(saved).model.prompt_template == "{{ prompt }}!\n"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("missing.jinja", r"missing\.jinja.*the template cannot be read: No such file"),
        ("{{ prompt }}\n{% if %}", "line 2 of the template: "),
        ("{{ prompt | shout }}", "No filter named 'shout'"),
        ("{{ prompt }} {{ tests }}", "a task has no tests; it has id, prompt, "),
    ],
)
def test_a_template_that_is_wrong_is_refused_before_anything_starts(template: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=f"model.prompt_template = (.|\n)*{problem}"):
        load(None, [f"model.prompt_template={template}"])


@pytest.mark.parametrize(
    "template", ["{{ metadata.hint }}", "{{ prompt + 1 }}", "{% if entry_point %}x{% endif %}"]
)
def test_a_template_that_does_not_fit_a_task_is_one_error(tokenizer: Any, template: str) -> None:
    with pytest.raises(ModelError, match=r"model\.prompt_template .* task a"):
        prompt_of(ANSWER, tokenizer, templated(template))


def test_what_was_begun_for_the_model_is_part_of_its_answer(tokenizer: Any) -> None:
    config = ModelConfig(prompt_style="prefilled")
    policy: Any = SimpleNamespace(
        prompt=lambda task: prompt_of(task, tokenizer, config),
        text=lambda tokens: "\n    return 1\n```\nDone.",
    )
    sampler: Any = SimpleNamespace(
        sample=lambda requests, drawing: [Completion(0, [1], [0.0], False)], policy_version=0
    )
    graded: list[str] = []

    def submit(task: Task, program: str, *_: Any, **__: Any) -> Future[Any]:
        graded.append(program)
        raise KeyboardInterrupt

    collector = Collector(RunConfig(), policy, sampler, SimpleNamespace(submit=submit), None)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        collector.collect([CONTINUE], 1, step=0, stream="x")
    assert graded == [f"{HEAD}    return 1\n"]


def test_a_task_is_shown_as_a_model_is_sent_it(tmp_path: Path) -> None:
    folder = save_tiny_qwen2(tmp_path / "model")
    shown = CliRunner().invoke(app, ["tasks", "show", "builtin:mix", "--model", str(folder)])
    assert shown.exit_code == 0, shown.exception
    assert shown.output.startswith("<|im_start|>user\n") and "<|im_start|>assistant\n\n--- " in shown.output


def test_the_real_model_is_asked_to_complete_by_chat() -> None:
    if (folder := here("smollm2-135m")) is None:
        pytest.skip("the real model is not here: run `coderl model fetch smollm2-135m`")
    tokenizer = load_tokenizer(folder)
    prompt = prompt_of(CONTINUE, tokenizer, ModelConfig())
    assert prompt.text.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert tokenizer.decode(prompt.tokens) == prompt.text
    assert prompt.tokens.count(tokenizer.convert_tokens_to_ids("<|im_start|>")) == 3
