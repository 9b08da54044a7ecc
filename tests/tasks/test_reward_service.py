"""Other trainers use the daemon as their reward service: the documented examples, with the real TRL."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pandas as pd
import pytest

import sandbox
import tasks
from coderl.config.settings import ModelConfig
from coderl.model.policy import load_policy
from sandbox.daemon.routes import create_app
from sandbox.errors import NoBackendError, PoolClosedError
from tasks.commands import service
from tasks.grading import grader, modes
from tasks.types import Task
from tests.coderl.tiny import save_tiny_qwen2
from tests.conftest import REPOSITORY
from tests.sandbox.daemons import FakePool, running, until
from tests.sandbox.test_daemon import IMAGE

ADD = {
    "id": "add",
    "prompt": "Write add(a, b).",
    "entry_point": "add",
    "tests": {"call": [{"args": [1, 2], "expected": 3}, {"args": [2, 2], "expected": 4}]},
}
ECHO = {"id": "echo", "prompt": "Echo.", "tests": {"stdio": [{"stdin": "x", "stdout": "x"}]}}
SUM = {
    "id": "sum",
    "prompt": "Add.",
    "entry_point": "add",
    "reference": "def add(a, b):\n    return a + b\n",
    "tests": {"reference": {"inputs": [[1, 2], [{"t": [1]}, {"t": [2]}]]}},
}
RIGHT = "Here it is.\n```python\ndef add(a, b):\n    return a + b\n```\n"
HALF = "```python\ndef add(a, b):\n    return 4\n```"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    pool = sandbox.open_pool(1)
    app = create_app({pool.image: pool}, routers=[service.make_router])
    with running(app) as (address, _), pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODERL_SANDBOX", address)
        yield address


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "docs" / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trl_reward(url: str) -> Iterator[ModuleType]:
    module = example("trl_reward")
    yield module
    module.daemons().close()


def test_verdicts_of_every_kind_of_test(url: str) -> None:
    with sandbox.connect(url) as client:
        asked = [
            {"task_id": "add", "completion": RIGHT},
            {"task_id": "add", "program": "def add(a, b):\n    return 4\n"},
            {"task_id": "echo", "program": "print(input())\n"},
            {"task_id": "sum", "completion": RIGHT},
            {"task_id": "sum", "completion": "I cannot."},
        ]
        verdicts = client.grade([ADD, ECHO, SUM], asked)
        assert [verdict["score"] for verdict in verdicts] == [1.0, 0.5, 1.0, 1.0, 0.0]
        assert [verdict["phase"] for verdict in verdicts] == [
            "passed",
            "wrong",
            "passed",
            "passed",
            "no_code",
        ]
        assert {verdict["trust"] for verdict in verdicts} == {"isolated"}
        with pytest.raises(ValueError, match="not among the tasks"):
            client.grade([ADD], [{"task_id": "other", "program": "x"}])
        with pytest.raises(ValueError, match="field 'tests'"):
            client.grade([{**ADD, "tests": {}}], [{"task_id": "add", "program": "x"}])
        with pytest.raises(ValueError, match="field 'cpu_seconds': 1000000.0 is above 60, the most"):
            client.grade([{**ADD, "cpu_seconds": 1e6}], [{"task_id": "add", "program": "x"}])


def test_a_reference_decides_how_its_task_is_run_once_for_all_requests(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    find = modes.find

    def counted(task: Task, grader: grader.Grader) -> Any:
        asked.append(task.id)
        return find(task, grader)

    monkeypatch.setattr(service, "find", counted)
    rows = [
        {
            "id": name,
            "prompt": "Return 1.",
            "entry_point": "f",
            "reference": "n = 1\ndef f(): return n\n",
            "tests": {"judge": [{"kind": "script", "source": source}]},
        }
        for name, source in (
            ("apart", "got = f()\nassert got == 1"),
            ("together", "assert f.__globals__['n'] == f()"),
        )
    ]
    asking = [
        {"task_id": name, "program": program, "key": f"{name} {n}"}
        for name in ("apart", "together")
        for n, program in enumerate(("n = 1\ndef f(): return n\n", "def f(): return 2\n"))
    ]
    with httpx.Client(base_url=url, timeout=60) as client:

        def verdicts(**more: str) -> list[dict[str, Any]]:
            answer = client.post("/v1/grade", json={"tasks": rows, "completions": asking, **more})
            assert answer.status_code == 200, answer.text
            lines = [json.loads(line) for line in answer.text.splitlines() if line.strip()]
            return [line["verdict"] for line in sorted(lines[:-1], key=lambda line: line["index"])]

        never = verdicts()
        assert [verdict["passed"] for verdict in never] == [True, False, None, None]
        assert never[2]["detail"].startswith("left out: its test cannot be run apart from the program: ")
        for each in asking:
            each["key"] += " again"
        needed = verdicts(in_process="needed")
        assert [verdict["passed"] for verdict in needed] == [True, False, True, False]
        assert [verdict["trust"] for verdict in needed] == ["isolated"] * 2 + ["in-process"] * 2
        assert (
            client.post(
                "/v1/grade", json={"tasks": rows, "completions": asking, "in_process": "x"}
            ).status_code
            == 422
        )
    assert sorted(asked) == ["apart", "together"]


def test_a_task_is_prepared_once_for_all_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[str] = []
    works_of = grader.works_of

    def counted(task: Task) -> tuple[Any, ...]:
        prepared.append(task.id)
        return works_of(task)

    monkeypatch.setattr(grader, "works_of", counted)
    app = create_app({IMAGE: FakePool()}, routers=[service.make_router])
    with running(app) as (address, _), sandbox.connect(address) as client:
        for _ in range(3):
            client.grade(
                [ADD, ECHO], [{"task_id": "add", "program": "x"}, {"task_id": "echo", "program": "x"}]
            )
    assert prepared == ["add", "echo"]


def test_completions_in_cpp_are_compiled_and_graded() -> None:
    row = {
        "id": "sum",
        "prompt": "Add.",
        "language": "cpp",
        "tests": {"stdio": [{"stdin": "1 2", "stdout": "3"}]},
    }
    code = '#include <cstdio>\nint main() { int a, b; scanf("%d %d", &a, &b); printf("%d\\n", a OP b); }\n'
    asked = [
        {
            "task_id": "sum",
            "completion": f"In C++:\n```cpp\n{code.replace('OP', op)}```\nRun:\n```bash\n./a\n```",
        }
        for op in ("+", "-", "?")
    ]
    try:
        pool = sandbox.open_pool(1, languages=["cpp"])
    except NoBackendError as error:
        pytest.skip(f"no backend can run C++ here: {error}")
    with (
        running(create_app({pool.image: pool}, routers=[service.make_router])) as (address, _),
        sandbox.connect(address) as client,
    ):
        verdicts = client.grade([row], asked)
        assert [verdict["passed"] for verdict in verdicts] == [True, False, False]
        assert [verdict["phase"] for verdict in verdicts] == ["passed", "wrong", "compile"]
        assert [verdict["tests"][0]["actual"] for verdict in verdicts[:2]] == ["3\n", "-1\n"]
        assert "program.cpp:2" in verdicts[2]["error"]["message"]


def test_a_language_that_is_not_offered_is_refused_by_name(url: str) -> None:
    row = {**ECHO, "language": "cpp"}
    with sandbox.connect(url) as client, pytest.raises(ValueError, match="'cpp' is not available here"):
        client.grade([row], [{"task_id": "echo", "program": "x"}])


def test_a_client_that_goes_while_its_completions_are_graded_leaves_nothing_running() -> None:
    pool = FakePool(slots=1, auto=False)
    with running(create_app({IMAGE: pool}, routers=[service.make_router])) as (address, server):
        client = sandbox.connect(address)
        items = client._client.grade_items([ADD], [{"task_id": "add", "program": "x"}], Future)
        client._put(items)
        batches = server.config.app.state.service.batches  # type: ignore[union-attr]
        until(lambda: pool.held)
        client.close()
        until(lambda: batches.admitted == 0)
        assert pool.cancelled == ["add"]
        with pytest.raises(PoolClosedError):
            items[0].future.result()


def test_trl_takes_it_as_a_reward_function(trl_reward: ModuleType, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from datasets import Dataset
        from trl import GRPOConfig, GRPOTrainer

        model = save_tiny_qwen2(tmp_path / "model")
        answers = iter([RIGHT, HALF, "no code", RIGHT])
        seen: list[list[float | None]] = []

        def reward(completions: list[str], **columns: Any) -> list[float | None]:
            """The model is random: put real answers in the place of its own."""
            seen.append(trl_reward.tests_passed([next(answers) for _ in completions], **columns))
            return seen[-1]

        trainer = GRPOTrainer(
            model=str(model),
            reward_funcs=[reward],
            train_dataset=Dataset.from_list([{"prompt": "Write add(a, b).", "task": json.dumps(ADD)}] * 4),
            args=GRPOConfig(
                output_dir=str(tmp_path / "out"),
                per_device_train_batch_size=4,
                num_generations=4,
                max_completion_length=4,
                max_steps=1,
                logging_steps=1,
                use_cpu=True,
                report_to=[],
                save_strategy="no",
                bf16=False,
            ),
        )
        trainer.train()
    assert seen == [[1.0, 0.5, 0.0, 1.0]]
    assert trainer.state.log_history[0]["reward"] == pytest.approx(0.625)
    assert trainer.state.log_history[0]["grad_norm"] > 0


@pytest.mark.slow
def test_the_whole_trl_script_trains_on_our_problems(url: str, tmp_path: Path) -> None:
    model, out = save_tiny_qwen2(tmp_path / "model"), tmp_path / "out"
    script = REPOSITORY / "docs" / "examples" / "trl_train.py"
    sizes = "--tasks builtin:easy --steps 2 --prompts 2 --samples 2 --max-tokens 8".split()
    command = [sys.executable, "-W", "ignore", str(script), str(model), str(out), *sizes]
    ran = subprocess.run(command, env=os.environ | {"CODERL_SANDBOX": url}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    logged = pd.concat(map(pd.read_parquet, (out / "completions").iterdir()))
    assert list(logged["tests_passed"]) == [0.0] * 8  # graded, and not None; the model is random
    prompts = {task.prompt for task in tasks.load("builtin:easy", split="train")}
    assert {prompt[0]["content"] for prompt in logged["prompt"]} <= prompts
    assert load_policy(out, ModelConfig()).model.num_parameters() > 0


def test_trl_leaves_out_what_could_not_be_graded(
    trl_reward: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = {"score": None, "detail": "no daemon"}
    monkeypatch.setattr(trl_reward.daemons(), "grade", lambda rows, asked: [lost])
    chat = [[{"role": "assistant", "content": RIGHT}]]
    assert trl_reward.tests_passed(chat, [json.dumps(ADD)]) == [None]


def test_verl_gets_scores_and_no_zero_for_a_fault_of_ours(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    verl = example("verl_reward")
    truth = json.dumps(ADD)
    with verl.daemons() as client:
        assert verl.compute_score("code", RIGHT, truth, {"index": 0}) == 1.0
        assert verl.compute_scores(["code"] * 2, [HALF, "nothing"], [truth] * 2, [None] * 2) == [0.5, 0.0]
        monkeypatch.setattr(client, "grade", lambda rows, asked: [{"score": None, "detail": "gone"}])
        with pytest.raises(RuntimeError, match="could not be graded: gone"):
            verl.compute_score("code", RIGHT, truth)
