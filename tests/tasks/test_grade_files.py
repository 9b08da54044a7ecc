"""`coderl grade`: files in, verdict rows and a summary out; nothing half-written, nothing swallowed."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import sandbox
from sandbox.errors import PoolClosedError
from sandbox.protocol import Calls, Job, Limits, Outcome, Runner, Status, TestOutcome
from tasks.commands import grade
from tasks.commands.completions import Item, Unreadable, read_completions, reference_items
from tasks.commands.output import EXIT_NOT_GRADED
from tasks.errors import TaskError
from tasks.types import Task

TASKS = [
    {
        "id": f"t/{n}",
        "prompt": f"Add {n}.",
        "tests": {"call": [{"function": "f", "args": [x], "expected": x + n} for x in (1, 2)]},
        "entry_point": "f",
        "reference": f"def f(x):\n    return x + {n}\n",
    }
    for n in range(3)
]
BY_ID = [Task(id=str(task["id"]), prompt="", tests=()) for task in TASKS]


def write(path: Path, *rows: object) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.decode().splitlines()]


class Failing:
    """A sandbox that can run nothing."""

    backend = "failing"

    def submit(self, job: Job) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        future.set_result(Outcome(job_id=job.id, status=Status.INFRA, detail="no container"))
        return future

    def __enter__(self) -> Failing:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def tasks_file(tmp_path: Path) -> str:
    return str(write(tmp_path / "tasks.jsonl", *TASKS))


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Makes `main` use an open pool, and leave it open."""

    def use(runner: Any) -> None:
        kept = SimpleNamespace(submit=runner.submit, backend=runner.backend)

        class Kept(SimpleNamespace):
            def __enter__(self) -> Any:
                return kept

            def __exit__(self, *_: object) -> None:
                pass

        monkeypatch.setattr(sandbox, "open_pool", lambda *_, **__: Kept())

    return use


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_completions_become_verdict_rows_in_their_order(
    pool: Runner,
    on: Callable[[Any], None],
    tasks_file: str,
    tmp_path: Path,
    suffix: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    on(pool)
    rows = [
        {"task_id": "t/1", "completion": "```python\ndef f(x):\n    return x + 1\n```", "temperature": 0.8},
        {"task_id": "t/0", "completion": "```python\ndef f(x):\n    return 1\n```"},
        {"task_id": "t/1", "completion": "I do not know.", "passed": "carried, then overruled"},
        {"task_id": "t/2", "completion": "def f(x):\n    return x.y\n"},
    ]
    completions = write(tmp_path / f"completions{suffix}", *rows)
    out = tmp_path / f"verdicts{suffix}"
    assert grade.main(tasks_file, str(completions), str(out), as_json=True) == 0
    got = read(out)
    assert [(row["task_id"], row["passed"], row["score"], row["phase"]) for row in got] == [
        ("t/1", True, 1.0, "passed"),
        ("t/0", False, 0.5, "wrong"),
        ("t/1", False, 0.0, "no_code"),
        ("t/2", False, 0.0, "call"),
    ]
    assert got[0]["temperature"] == 0.8 and got[0]["program"] == "def f(x):\n    return x + 1\n"
    assert got[1]["tests"][1] == {
        "name": "call 2",
        "passed": False,
        "status": "ok",
        "actual": "1",
        "expected": "2",
    }
    assert got[3]["error"]["type"] == "AttributeError" and got[3]["trust"] == "isolated"
    summary = json.loads(capsys.readouterr().out)
    assert summary["completions"] == 4 and summary["tasks"] == 3
    assert (summary["passed"], summary["failed"], summary["infra"], summary["tasks_solved"]) == (1, 3, 0, 1)
    assert summary["pass_rate"] == 0.25 and summary["score_mean"] == 0.375
    assert summary["phases"] == {"passed": 1, "wrong": 1, "no_code": 1, "call": 1}


def test_every_block_is_graded_and_the_last_is_the_answer(
    pool: Runner, on: Callable[[Any], None], tmp_path: Path
) -> None:
    """Each block runs behind the task's context, as the answer does."""
    on(pool)
    task = TASKS[1] | {"context": "ONE = 1\n"}
    codes = ["def f(x):\n    return x + ONE\n", "def f(x):\n    return x\n"]
    fenced = [f"```python\n{code}```\n" for code in codes]
    rows = [{"task_id": "t/1", "samples": ["Wait.\n".join(fenced), fenced[0]], "model": "m"}]
    out = tmp_path / "verdicts.jsonl"
    tasks_file, completions = write(tmp_path / "tasks.jsonl", task), write(tmp_path / "c.jsonl", *rows)
    assert grade.main(str(tasks_file), str(completions), str(out), as_json=True) == 0
    got = read(out)
    assert [(row["passed"], row["model"], row["completion"]) for row in got] == [
        (False, "m", "Wait.\n".join(fenced)),
        (True, "m", fenced[0]),
    ]
    assert got[0]["blocks"] == [{"code": codes[0], "passed": True}, {"code": codes[1], "passed": False}]
    assert "blocks" not in got[1] and "samples" not in got[0]


def test_an_endless_loop_costs_no_more_than_all_its_tests_may(
    pool: Runner, on: Callable[[Any], None], tmp_path: Path
) -> None:
    on(pool)
    calls = [{"function": "f", "args": [x], "expected": x} for x in range(20)]
    task = write(tmp_path / "tasks.jsonl", TASKS[0] | {"tests": {"call": calls}})
    rows = write(
        tmp_path / "c.jsonl", {"task_id": "t/0", "completion": "def f(x):\n    while True:\n        pass\n"}
    )
    out, limits = tmp_path / "v.jsonl", Limits(cpu_seconds=0.2, total_cpu_seconds=0.4)
    assert grade.main(str(task), str(rows), str(out), limits=limits, as_json=True) == 0
    (row,) = read(out)
    assert (row["phase"], len(row["tests"])) == ("timeout", 20)
    assert row["cpu_seconds"] < 1.5


def test_a_prompt_names_its_task_even_where_it_was_edited(tmp_path: Path) -> None:
    tasks = [
        Task(id="a", prompt='def f(x):\n    """Add one."""\n', tests=(), entry_point="f"),
        Task(id="b", prompt='def f(x):\n    """Multiply by two."""\n', tests=(), entry_point="f"),
        Task(id="c", prompt="def g(x):\n", tests=(), entry_point="g"),
    ]
    prompts = [
        'def f(x):\n    """Multiply by 2"""\n',
        tasks[0].prompt,
        "import re\ndef g(x):\n    # a hint\n",
    ]
    file = write(
        tmp_path / "c.jsonl", *({"prompt": prompt, "samples": ["    return 1"]} for prompt in prompts)
    )
    items = read_completions(str(file), tasks).items
    assert [item.task.id for item in items] == ["b", "a", "c"]
    other = write(tmp_path / "d.jsonl", {"prompt": "def h(x):\n", "samples": []})
    (unknown,) = read_completions(str(other), tasks).rows
    assert isinstance(unknown, Unreadable)
    assert "line 1, field prompt: it is no task's here; add" in unknown.reason


def test_references_and_their_mutants(
    pool: Runner,
    on: Callable[[Any], None],
    tasks_file: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    on(pool)
    out = tmp_path / "verdicts.jsonl"
    assert grade.main(tasks_file, "reference", str(out), mutants=True) == 0
    assert [row["passed"] for row in read(out)] == [True, True, True]
    text = capsys.readouterr().out
    assert "3 (100.0%); tasks solved: 3" in text and "mutants killed" in text and "3 (100.0%)" in text


def test_infra_is_counted_apart_and_is_an_exit_code(
    on: Callable[[Any], None], tasks_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on(Failing())
    out = tmp_path / "verdicts.jsonl"
    assert grade.main(tasks_file, "reference", str(out), as_json=True) == EXIT_NOT_GRADED
    assert {(row["passed"], row["score"], row["status"], row["detail"]) for row in read(out)} == {
        (None, None, "infra", "no container")
    }
    summary = json.loads(capsys.readouterr().out)
    assert (summary["infra"], summary["failed"], summary["pass_rate"]) == (3, 0, None)


def test_a_failure_leaves_an_earlier_file_alone(
    on: Callable[[Any], None], tasks_file: str, tmp_path: Path
) -> None:
    class Closed(Failing):
        def submit(self, job: Job) -> Future[Outcome]:
            raise PoolClosedError("closed")

    on(Closed())
    out = tmp_path / "verdicts.jsonl"
    out.write_text("earlier")
    with pytest.raises(PoolClosedError):
        grade.main(tasks_file, "reference", str(out), overwrite=True)
    assert out.read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tasks.jsonl", "verdicts.jsonl"]


class Scripted(Failing):
    """Runs everything right, but for what `failures` says of the programs that hold its keys."""

    def __init__(self, failures: dict[str, BaseException]) -> None:
        self.failures = failures

    def submit(self, job: Job) -> Future[Outcome]:
        for mark, error in self.failures.items():
            if mark in job.program:
                raise error
        assert isinstance(job.work, Calls)
        n = int(job.id.removeprefix("t/"))
        tests = tuple(TestOutcome(status=Status.OK, value=call.args[0] + n) for call in job.work.calls)  # type: ignore[operator]
        future: Future[Outcome] = Future()
        future.set_result(Outcome(job_id=job.id, status=Status.OK, tests=tests))
        return future


def test_of_ten_thousand_rows_each_one_that_cannot_be_graded_says_why(
    on: Callable[[Any], None], tasks_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on(Scripted({"bug": OverflowError("of ours"), "refused": ValueError("too large")}))
    good = {"task_id": "t/1", "completion": "def f(x):\n    return x + 1\n"}
    bad: dict[int, tuple[object, str, str]] = {
        7: ({**good, "completion": "def f(x): bug\n"}, "infra", "OverflowError: of ours"),
        70: ({**good, "completion": "def f(x): refused\n"}, "infra", "ValueError: too large"),
        100: ({**good, "task_id": "t/77"}, "invalid", "no task 't/77' here"),
        101: ({**good, "task_id": "\ud800"}, "invalid", r"no task '\ud800' here"),
        200: ('{"task_id": "t/1", "compl', "invalid", "line 201: not JSON"),
        201: ('{"task_id": "t/1", "completion": "\x00"}', "invalid", "not JSON"),
        202: ("[" * 100_000, "invalid", "not JSON"),
        203: ("[1]", "invalid", "a list, not an object"),
        300: ({"task_id": "t/1"}, "invalid", "field completion: is missing"),
        301: ({**good, "completion": [7]}, "invalid", "field completion[0]: is a int"),
        302: ({**good, "completion": None}, "invalid", "field completion: is a NoneType"),
    }
    rows = [bad[n][0] if n in bad else good for n in range(9_998)]
    file = write(tmp_path / "c.jsonl", *rows)
    file.write_bytes(file.read_bytes() + b'{"task_id": "\xff"}\n' + json.dumps(good).encode())
    bad[9_998] = (None, "invalid", "not UTF-8")
    out = tmp_path / "v.jsonl"
    assert grade.main(tasks_file, str(file), str(out), as_json=True) == EXIT_NOT_GRADED
    got = read(out)
    assert len(got) == 10_000
    for number, row in enumerate(got):
        if number in bad:
            _, status, reason = bad[number]
            assert (row["passed"], row["score"], row["status"]) == (None, None, status), number
            assert reason in row["detail"], row["detail"]
        else:
            assert row["passed"] is True, number
    said = capsys.readouterr()
    summary = json.loads(said.out)
    assert (summary["passed"], summary["infra"], summary["invalid"]) == (10_000 - len(bad), 2, len(bad) - 2)
    assert "OverflowError: of ours" in said.err and "line 101, field task_id" in said.err


def test_what_a_model_wrote_is_judged_whatever_characters_it_holds(
    pool: Runner, on: Callable[[Any], None], tasks_file: str, tmp_path: Path
) -> None:
    on(pool)
    codes = ["def f(x):\n    return x + 1  # \x00\n", "def f(x):\n    return x + 1  # \ud800\n", "\ud800\x00"]
    file = write(tmp_path / "c.jsonl", {"task_id": "t/1", "samples": [*codes, 7, None]})
    out = tmp_path / "v.jsonl"
    assert grade.main(tasks_file, str(file), str(out), as_json=True) == EXIT_NOT_GRADED
    got = read(out)
    assert [row["passed"] for row in got] == [False, False, False, None, None]
    assert [row["status"] for row in got[3:]] == ["invalid", "invalid"]
    assert "field samples[3]: is a int" in got[3]["detail"]


@pytest.mark.parametrize("name", ["v.jsonl", "v.jsonl.gz"])
def test_a_full_disk_is_one_error_and_leaves_nothing(tasks_file: str, tmp_path: Path, name: str) -> None:
    """A limit on the size of files stands for the disk."""
    (tmp_path / name).write_text("earlier")
    program = (
        "import resource, signal, random\n"
        "from pathlib import Path\n"
        "from tasks.commands.output import atomic_writer\n"
        "from tasks.errors import TaskError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        f"    with atomic_writer(Path({str(tmp_path / name)!r}), overwrite=True) as write:\n"
        "        write(random.randbytes(20_000).hex())\n"
        "except TaskError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "cannot be written (File too large), and nothing was" in done.stdout and not done.stderr
    assert (tmp_path / name).read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tasks.jsonl", name]


def test_an_interruption_leaves_what_is_graded_in_a_file_of_its_own(
    on: Callable[[Any], None], tasks_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on(Scripted({"stop": KeyboardInterrupt()}))
    rows = [{"task_id": "t/1", "completion": "def f(x):\n    return x + 1\n", "n": n} for n in range(600)]
    rows[500]["completion"] = "def f(x): stop\n"
    file, out = write(tmp_path / "c.jsonl", *rows), tmp_path / "v.jsonl"
    with pytest.raises(KeyboardInterrupt):
        grade.main(tasks_file, str(file), str(out))
    partial = read(tmp_path / "partial-v.jsonl")
    assert 200 < len(partial) < 600 and all(row["passed"] for row in partial)
    assert [row["n"] for row in partial] == sorted(row["n"] for row in partial)
    assert f"{len(partial)} of 600 completions are graded" in capsys.readouterr().err
    assert not out.exists()


def test_an_output_that_cannot_be_written_is_said_before_anything_runs(
    on: Callable[[Any], None], tasks_file: str, tmp_path: Path
) -> None:
    on(Failing())
    with pytest.raises(TaskError, match="--out .*missing.*cannot be written"):
        grade.main(tasks_file, "reference", str(tmp_path / "missing" / "verdicts.jsonl"))


def test_a_folder_as_output_is_said_before_anything_runs(
    on: Callable[[Any], None], tasks_file: str, tmp_path: Path
) -> None:
    class Unasked(Failing):
        def submit(self, job: Job) -> Future[Outcome]:
            raise AssertionError("graded before --out was looked at")

    on(Unasked())
    with pytest.raises(TaskError, match=f"--out {tmp_path}: is a folder; name a file in it"):
        grade.main(tasks_file, "reference", str(tmp_path))


def test_a_device_or_a_pipe_is_never_replaced_by_the_output(
    on: Callable[[Any], None], tasks_file: str, tmp_path: Path
) -> None:
    on(Scripted({}))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TaskError, match="--out .*pipe: is a device or a pipe"):
        grade.main(tasks_file, "reference", str(tmp_path / "pipe"))
    assert (tmp_path / "pipe").is_fifo()


def test_through_a_link_the_file_that_it_names_is_written(
    on: Callable[[Any], None], tasks_file: str, tmp_path: Path
) -> None:
    on(Scripted({}))
    (tmp_path / "link").symlink_to("v.jsonl")
    assert grade.main(tasks_file, "reference", str(tmp_path / "link")) == 0
    assert (tmp_path / "link").is_symlink() and read(tmp_path / "v.jsonl")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", r"line 2: not JSON"),
        ("[1]", r"line 2: a list, not an object"),
        ("[" * 100_000, r"line 2: not JSON"),
        ({"completion": "x"}, r"line 2, field task_id: is missing"),
        ({"task_id": None, "completion": "x"}, r"line 2, field task_id: is a NoneType"),
        ({"task_id": "t/1"}, r"line 2, field completion: is missing"),
        ({"task_id": "t/1", "completion": 7}, r"line 2, field completion: is a int"),
        ({"task_id": "t/1", "solution": None}, r"line 2, field completion: is missing"),
        (
            {"task_id": "t/1", "messages": [{"role": "user", "content": "x"}]},
            r"line 2, field messages: has no message of the assistant's",
        ),
        (
            {"task_id": "t/1", "samples": ["x", 1]},
            r"line 2, field samples\[1\]: is a int; give the model's text",
        ),
        ({"task_id": "t/1", "samples": []}, r"line 2, field samples: is empty"),
        (
            {"task_id": "t/11", "completion": "x"},
            r"line 2, field task_id: no task 't/11' here; ids look like 't/1'",
        ),
    ],
)
def test_a_malformed_row_says_where(tmp_path: Path, row: object, message: str) -> None:
    file = write(tmp_path / "completions.jsonl", {"task_id": "t/1", "completion": "x"}, row)
    good, *bad = read_completions(str(file), BY_ID).rows
    assert isinstance(good, Item)
    (unreadable,) = [each for each in bad if isinstance(each, Unreadable)]
    assert re.search(message, unreadable.reason)


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "empty.jsonl").write_bytes(content)
    with pytest.raises(TaskError, match="holds no completions"):
        read_completions(str(tmp_path / "empty.jsonl"), BY_ID)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl.gz", b"plain"),
        ("a.jsonl.gz", b"\x1f\x8b\x08"),
        ("a.jsonl.gz", gzip.compress(b"{}", mtime=0)[:10] + b"\xff" * 20),
    ],
)
def test_an_unreadable_file_is_an_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TaskError, match="cannot be read"):
        read_completions(str(tmp_path / name), BY_ID)
    with pytest.raises(TaskError, match="No such file"):
        read_completions(str(tmp_path / "missing.jsonl"), BY_ID)


def test_task_ids_may_be_numbers(tmp_path: Path) -> None:
    file = write(tmp_path / "completions.jsonl", {"task_id": 7, "completion": "x = 1"})
    (item,) = read_completions(str(file), [Task(id="7", prompt="", tests=())]).items
    assert item.task.id == "7" and item.row["task_id"] == "7"


def test_tasks_without_references_are_an_error() -> None:
    with pytest.raises(TaskError, match="no references"):
        reference_items(BY_ID)


JUDGED = [
    {
        "id": name,
        "prompt": "Return 1.",
        "entry_point": "f",
        "reference": "n = 1\ndef f(): return n\n",
        "tests": {"judge": [{"kind": "script", "source": source}]},
    }
    for name, source in {
        "apart": "got = f()\nassert got == 1",
        "together": "assert f.__globals__['n'] == f()",
        "impossible": "got = f()\nassert got == 2",
    }.items()
]


@pytest.mark.parametrize(
    ("in_process", "passed"),
    [("never", [True, None, False, False]), ("needed", [True, True, False, False])],
)
def test_a_task_whose_test_cannot_run_apart_is_left_out_and_a_wrong_reference_decides_nothing(
    pool: Runner,
    on: Callable[[Any], None],
    tmp_path: Path,
    in_process: Any,
    passed: list[bool | None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    on(pool)
    tasks = write(tmp_path / "tasks.jsonl", *JUDGED)
    right, wrong = "n = 1\ndef f(): return n\n", "def f(): return 3\n"
    rows = [{"task_id": task["id"], "completion": right} for task in JUDGED]
    rows.append({"task_id": "apart", "completion": wrong})
    completions, out = write(tmp_path / "c.jsonl", *rows), tmp_path / "v.jsonl"
    files = str(tasks), str(completions), str(out)
    assert grade.main(*files, in_process=in_process, as_json=True) == 0
    got = read(out)
    assert [row["passed"] for row in got] == passed
    assert [row["score"] for row in got if row["passed"] is None] == [None] * passed.count(None)
    if passed[1] is None:
        assert got[1]["detail"].startswith("left out: its test cannot be run apart from the program")
    assert got[1]["trust"] == ("in-process" if passed[1] else "isolated")
    said = capsys.readouterr()
    summary = json.loads(said.out)
    assert (summary["left_out"], summary["infra"]) == (passed.count(None), 0)
    assert ("as no program could pass them: 1 (such as" in said.err) is (passed[1] is None)
    # Asked for the references' own verdicts, it gives them.
    assert grade.main(str(tasks), "reference", str(out), in_process=in_process, overwrite=True) == 0
    assert [row["passed"] for row in read(out)] == [True, in_process == "needed", False]
