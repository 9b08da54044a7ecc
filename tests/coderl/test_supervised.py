"""Supervised training learns solutions as the model would write them, and leaves a whole model or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from coderl.cli import app
from coderl.config.settings import ModelConfig, RunConfig
from coderl.errors import ConfigError, ModelError, RunFolderError
from coderl.learning.supervised import Trainer
from coderl.model.packing import TokenRow
from coderl.model.policy import Policy, load_policy
from coderl.rollouts.batch import Batch, Group, Rollout
from coderl.rollouts.solutions import passing
from coderl.training import supervised
from coderl.training.display import Display
from sandbox.protocol import Status
from tasks.extraction.answers import Answer
from tasks.types import StdioTest, Task, Verdict
from tests.coderl.batches import tiny_policy
from tests.coderl.tiny import save_tiny_qwen2

ROWS = [TokenRow([2, 3, 4], [5, 6]), TokenRow([7], [8, 9, 10, 11]), TokenRow([2, 3, 4], [12])]


@pytest.fixture(scope="module")
def qwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_qwen2(tmp_path_factory.mktemp("qwen2") / "model")


def test_a_step_does_not_depend_on_how_rows_are_packed() -> None:
    def trained(passes: list[list[TokenRow]]) -> tuple[float, torch.Tensor]:
        model = tiny_policy().model
        trainer = Trainer(model, learning_rate=1e-2, steps=2, ramp=1)
        before = trainer.loss(passes)
        assert trainer.step(passes) == pytest.approx(before, abs=1e-6)
        assert trainer.loss(passes) < before
        return before, torch.cat([p.detach().flatten() for p in model.parameters()])

    (loss, weights), (other_loss, others) = trained([ROWS]), trained([[row] for row in ROWS])
    assert loss == pytest.approx(other_loss, abs=1e-5)
    assert (
        weights - others
    ).abs().median() < 1e-5  # AdamW's first step: a gradient of almost zero has any sign


COMPLETE = Task(
    id="c",
    prompt='def f(x):\n  """Return x."""\n',
    style="complete",
    tests=(StdioTest(stdin="", stdout=""),),
    reference='def f(x):\n  """Return x."""\n  return x\n',
)
INSTRUCT = Task(
    id="i", prompt="Say x.\n", tests=(StdioTest(stdin="", stdout=""),), reference="\nprint('x')\n"
)


@pytest.mark.parametrize(
    ("style", "task", "text"),
    [
        ("chat", COMPLETE, f"```python\n{COMPLETE.prompt}  return x\n```"),
        ("chat", INSTRUCT, "```python\nprint('x')\n```"),
        ("prefilled", COMPLETE, "\n  return x\n```"),
        ("prefilled", INSTRUCT, "\nprint('x')\n```"),
        ("completion", COMPLETE, "  return x\n"),
        ("completion", INSTRUCT, "\nprint('x')\n"),
    ],
)
def test_a_solution_is_what_the_model_would_write(style: str, task: Task, text: str, qwen2: Path) -> None:
    policy = load_policy(qwen2, ModelConfig.model_validate({"prompt_style": style, "dtype": "float32"}))
    row = policy.solution(task, str(task.reference))
    assert row is not None
    assert row.completion.pop() == policy.tokenizer.eos_token_id
    assert policy.text(row.completion) == text
    prompt = policy.prompt(task)
    assert row.prompt == prompt.tokens
    program = Answer.of(prompt.opening + text, task).program
    assert program is not None and program.strip().endswith(str(task.reference).strip())
    compile(program, "program", "exec")
    if style != "chat" and task is COMPLETE:
        assert policy.solution(task, "x = 1\n") is None


def test_distinct_whole_passing_samples_are_kept() -> None:
    def rollout(sample: int, program: str, passed: bool | None, truncated: bool = False) -> Rollout:
        verdict = Verdict(
            task_id="i", passed=passed, score=None, status=Status.OK, phase="passed" if passed else "wrong"
        )
        return Rollout(
            INSTRUCT, sample, [1], [sample], [0.0], program, truncated, 0, Answer(program), [verdict]
        )

    found = passing(
        Batch(
            0,
            [
                Group(INSTRUCT, [rollout(1, "a", True), rollout(2, "a", True), rollout(3, "b", False)]),
                Group(COMPLETE, [rollout(4, "c", True, truncated=True), rollout(5, "d", None)]),
            ],
        )
    )
    assert list(found) == ["i"] and len(found["i"]) == 1


def native(folder: Path, fields: Mapping[str, object] | None = None) -> Path:
    lines = [
        {
            "id": str(i),
            "prompt": f"Print the number {i} and nothing else.",
            "tests": {"stdio": [{"stdin": "", "stdout": f"{i}\n"}]},
            "reference": f"print({i})\n",
        }
        | dict(fields or {})
        for i in range(12)
    ]
    file = folder / "tasks.jsonl"
    file.write_text(
        "".join(json.dumps({k: v for k, v in line.items() if v is not None}) + "\n" for line in lines)
    )
    return file


def run(model: Path, tasks: Path, out: Path, *more: str) -> Exception | None:
    options = ["--model", str(model), "--dataset", str(tasks), "--out", str(out), *more]
    result = CliRunner().invoke(app, ["warmup", *options])
    error = result.exception
    return error if isinstance(error, Exception) else None


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_command_leaves_a_model_that_knows_more(dtype: str, qwen2: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rate = "supervised.learning_rate=5e-3"
    assert run(qwen2, native(tmp_path), out, f"model.dtype={dtype}", "supervised.epochs=3", rate) is None
    losses = [json.loads(line) for line in (out / supervised.LOG).read_text().splitlines()]
    assert [line["epoch"] for line in losses] == [0, 1, 2, 3]
    assert losses[-1]["held_out"] < losses[0]["held_out"]
    assert json.loads((out / "config.json").read_text())["dtype"] == dtype
    assert load_policy(out, ModelConfig()).tokenizer.chat_template
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "tasks.jsonl"]


def test_references_do_without_samples_but_not_the_other_way_round(
    qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "_samples", lambda *_: {})
    error = run(qwen2, native(tmp_path), tmp_path / "out", "--from", "samples")
    assert isinstance(error, ConfigError) and "no sample of the model passes" in str(error)
    assert run(qwen2, native(tmp_path), tmp_path / "out", "--from", "both") is None
    assert (tmp_path / "out" / "config.json").exists()


def test_steps_stand_in_place_of_epochs(qwen2: Path, tmp_path: Path) -> None:
    config = RunConfig.model_validate(
        {
            "model": {"path": str(qwen2)},
            "data": {"train": str(native(tmp_path))},
            "supervised": {"batch_size": 4},
        }
    )
    supervised.fine_tune(config, tmp_path / "out", Display(), steps=5)  # three are an epoch
    losses = [json.loads(line) for line in (tmp_path / "out" / supervised.LOG).read_text().splitlines()]
    assert [line["step"] for line in losses] == [0, 3, 5]


def test_no_task_is_learned_and_held_out() -> None:
    solutions = {str(i): [TokenRow([i], [1]), TokenRow([i], [2])] for i in range(25)}
    learned, held_out = supervised._split(solutions, seed=0)
    assert (len(learned), len(held_out)) == (44, 6)
    assert not {row.prompt[0] for row in learned} & {row.prompt[0] for row in held_out}


def test_tasks_that_are_evaluated_on_are_not_learned(qwen2: Path, tmp_path: Path) -> None:
    tasks = native(tmp_path)
    error = run(qwen2, tasks, tmp_path / "out", "--evaluation", str(tasks))
    assert isinstance(error, ConfigError) and "12 tasks also occur in evaluation" in str(error)


@pytest.mark.parametrize(
    ("fields", "more", "message"),
    [
        ({"reference": None}, [], r"no task of --dataset has a reference .* --from samples"),
        (
            {},
            ["supervised.max_tokens=5"],
            r"0 tasks have a solution of at most 5 tokens.*supervised\.max_tokens",
        ),
        ({}, ["model.path=nowhere"], "--model and --dataset|no model at nowhere"),
    ],
)
def test_what_cannot_be_learned_is_one_error(
    fields: dict[str, object], more: list[str], message: str, qwen2: Path, tmp_path: Path
) -> None:
    model = Path("nowhere") if "model.path=nowhere" in more else qwen2
    more = [each for each in more if not each.startswith("model.path")]
    with pytest.raises((ConfigError, ModelError), match=message):
        if error := run(model, native(tmp_path, fields), tmp_path / "out", "model.dtype=float32", *more):
            raise error


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_stops_it_leaves_nothing(
    problem: BaseException, qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(policy: Policy, folder: Path) -> None:
        folder.mkdir()
        (folder / "half").touch()
        raise problem

    monkeypatch.setattr(Policy, "save", save)
    with pytest.raises(KeyboardInterrupt if isinstance(problem, KeyboardInterrupt) else RunFolderError):
        supervised._save(load_policy(qwen2, ModelConfig()), [], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
