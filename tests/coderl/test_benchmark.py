"""`coderl eval`: several data sets, figures with intervals, what is written and what is not replaced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from coderl.cli import app
from coderl.config import load as configuration
from coderl.config.settings import RunConfig
from coderl.errors import ConfigError
from coderl.model.policy import Policy
from coderl.rollouts.collect import Collector
from coderl.sampling.types import Completion, Drawing, Request
from coderl.training import benchmark
from coderl.training.benchmark import Asked, run_evaluation
from tasks.commands.completions import read_completions
from tasks.datasets import load
from tasks.grading.grader import Grader
from tests.coderl.tiny import save_tiny_qwen2

HEAD = 'def add(a, b):\n    """Add."""\n'
ROWS: dict[str, list[dict[str, Any]]] = {
    "humaneval.jsonl": [
        {
            "task_id": f"HumanEval/{n}",
            "prompt": HEAD,
            "entry_point": "add",
            "canonical_solution": "    return a + b\n",
            "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
        }
        for n in range(2)
    ],
    "mbpp.jsonl": [
        {
            "task_id": 11,
            "text": "Add two numbers.",
            "code": "def add(a, b):\n    return a + b\n",
            "test_list": ["assert add(1, 2) == 3"],
        }
    ],
}  # fmt: skip
RIGHT, WRONG = "def add(a, b):\n    return a + b\n", "def add(a, b):\n    return a - b\n"


class Sampler:
    """Of each task's completions the first is right; what follows a stop string is not the answer, and a cut function
    before it is none that evalplus keeps."""

    policy_version = 0

    def __init__(self, policy: Policy, samples: int) -> None:
        self.policy, self.samples = policy, samples
        self.drawings: list[Drawing] = []
        self.prompts: list[str] = []

    def sample(self, requests: Sequence[Request], drawing: Drawing | None = None) -> Iterator[Completion]:
        assert drawing is not None
        self.drawings.append(drawing)
        for request in requests:
            self.prompts.append(self.policy.tokenizer.decode(request.prompt_tokens))
            program = RIGHT if request.key % self.samples == 0 else WRONG
            text = f"{program}\ndef more(\n```\nassert False"
            tokens = self.policy.tokenizer.encode(text, add_special_tokens=False)
            yield Completion(request.key, tokens, [-1.0] * len(tokens), False)


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[Sampler]]:
    """Makes evaluations sample `Sampler`'s completions."""

    def use(samples: int) -> list[Sampler]:
        made: list[Sampler] = []

        def open_collector(
            config: RunConfig, model: Path, policy: Policy, grader: Grader, *_: Any
        ) -> Collector:
            made.append(Sampler(policy, samples))
            return Collector(config, policy, made[0], grader, lambda graded: graded.verdict.score)  # type: ignore[arg-type]

        monkeypatch.setattr(benchmark, "open_collector", open_collector)
        monkeypatch.setattr(benchmark, "require_sampler", lambda config: None)
        return made

    return use


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_qwen2(tmp_path_factory.mktemp("model"))


@pytest.fixture
def sets(tmp_path: Path) -> list[str]:
    for name, rows in ROWS.items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [f"{name.removesuffix('.jsonl')}={tmp_path / name}" for name in ROWS]


def command(model: Path, sets: Sequence[str], *more: str) -> list[str]:
    named = [part for spec in sets for part in ("--tasks", spec)]
    return ["eval", "--model", str(model), *named, "sandbox.slots=1", "sampler.max_prompt_tokens=1000", *more]


def test_several_data_sets_by_a_preset(
    model: Path, sets: list[str], sampled: Callable[[int], list[Sampler]], tmp_path: Path
) -> None:
    made = sampled(4)
    more = ["--preset", "evalplus", "--samples", "4", "--k", "1", "--k", "3", "--out", str(tmp_path / "out")]
    said = CliRunner().invoke(app, command(model, sets, *more, "eval.temperature=0.8", "--json"))
    assert said.exit_code == 0, said.output
    report = json.loads(said.stdout)
    assert report == json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert (report["preset"], report["seed"], report["model"]["name"]) == ("evalplus", 0, str(model))
    humaneval, mbpp = report["evaluations"]
    assert humaneval["pass_at_k"] == mbpp["pass_at_k"] == {"1": 0.25, "3": 0.75}
    assert humaneval["pass_at_k_interval"]["1"] == [0.25, 0.25]  # its tasks are alike
    assert humaneval["changed"] == {"eval.temperature": 0.8} and humaneval["revision"] != mbpp["revision"]
    assert humaneval["decoding"]["max_tokens"] == 768 and "\n```\n" in humaneval["decoding"]["stop"]
    assert made[0].drawings[0] == Drawing(0.8, 0.95, stop=tuple(humaneval["decoding"]["stop"]))
    assert '"""\nAdd two numbers.\nassert add(1, 2) == 3\n"""' in made[0].prompts[-1]
    rows = pq.read_table(tmp_path / "out/evals/mbpp-step-000000.parquet").to_pylist()
    assert [row["passed"] for row in rows] == [True, False, False, False]
    samples = tmp_path / "out/samples/humaneval.jsonl"
    first = json.loads(samples.read_text().splitlines()[0])
    assert first["task_id"] == "HumanEval/0" and first["solution"] == RIGHT.strip()
    assert first["raw"].endswith("def more(")
    again = read_completions(str(samples), load(sets[0]))
    assert [item.answer.program for item in again.items] == [RIGHT.strip(), *[WRONG.strip()] * 3] * 2


def test_the_figures_go_to_standard_output_and_nothing_is_replaced_unless_asked(
    model: Path, sets: list[str], sampled: Callable[[int], list[Sampler]], tmp_path: Path
) -> None:
    sampled(1)
    more = ["--preset", "evalplus", "--limit", "1", "--out", str(tmp_path / "out")]
    said = CliRunner().invoke(app, command(model, sets[:1], *more))
    assert said.exit_code == 0, said.output
    for part in (
        f"{sets[0]}: 1 tasks x 1",
        "pass@1 1.000 [1.000, 1.000]  compiles 100.0%  cut 0.0%",
        "as evalplus 0.3.1: by chat, temperature 0, top_p 0.95, ",
    ):
        assert part in said.stdout, said.stdout
    refused = CliRunner().invoke(app, command(model, sets[:1], *more))
    assert isinstance(refused.exception, ConfigError) and "evaluation.json is there already" in str(
        refused.exception
    )
    assert CliRunner().invoke(app, command(model, sets[:1], *more, "--overwrite")).exit_code == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"samples": 2, "preset": "evalplus"},
            "--samples 2: at temperature 0 all completions of a task are the same",
        ),
        ({"samples": 2, "ks": [10]}, "--k 10: needs as many completions a task"),
        ({"preset": "livecodebench"}, "builtin:easy is no data set of LiveCodeBench"),
        ({"data_sets": ["builtin:easy", "builtin:easy"]}, "two data sets are called builtin-easy"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_sampled(
    model: Path,
    sampled: Callable[[int], list[Sampler]],
    sets: list[str],
    options: dict[str, Any],
    problem: str,
) -> None:
    made = sampled(1)
    data_sets = sets[:1] if options.get("preset") == "evalplus" else ["builtin:easy"]
    asked = Asked(**{"data_sets": data_sets, "limit": 1, **options})
    with pytest.raises(ConfigError, match=problem):
        run_evaluation(
            lambda below: configuration.load(
                None, [*below, "sampler.max_prompt_tokens=1000", f'model.path="{model}"']
            ),
            asked,
        )
    assert not made


def test_prompts_that_are_too_long_are_named(
    model: Path, sets: list[str], sampled: Callable[[int], list[Sampler]]
) -> None:
    sampled(1)
    said = CliRunner().invoke(app, command(model, sets[1:], "--samples", "1", "sampler.max_prompt_tokens=10"))
    assert isinstance(said.exception, ConfigError) and "1 prompts over 10 tokens" in str(said.exception)
