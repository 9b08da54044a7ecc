"""What commands say where the system refuses: before they work for it, and without blaming the disk for everything."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest
from requests.exceptions import ConnectionError as EngineLost
from typer.testing import CliRunner

from coderl.cli import app
from coderl.config.settings import RunConfig
from coderl.dynamics import Options, run, sweep
from coderl.errors import CoderlError, ConfigError, RunFolderError, TrainingError
from coderl.training import commands
from coderl.training.benchmark import Asked, run_evaluation
from tests.coderl.batches import run_config
from tests.coderl.tiny import save_tiny_qwen2


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM])
def test_only_what_cannot_be_written_is_blamed_on_the_disk(number: int) -> None:
    with (
        pytest.raises(
            RunFolderError, match=r"run folder runs/run cannot be written: .*\(x/y\); free disk space"
        ),
        commands.explained(run_config()),
    ):
        raise OSError(number, "refused", "x/y")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "warm/a"), "FileNotFoundError: .*'warm/a'"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "b/c"), "NotADirectoryError: .*'b/c'"),
        (EngineLost("connection refused by docker"), "ConnectionError: connection refused by docker"),
    ],
)
def test_everything_else_is_said_as_it_is(error: OSError, says: str) -> None:
    with (
        pytest.raises(
            TrainingError, match=f"the run in runs/run stopped: {says}.*--resume runs/run"
        ) as raised,
        commands.explained(run_config()),
    ):
        raise error
    assert "disk" not in str(raised.value)


def test_a_dry_run_names_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(CoderlError, match=r"FileNotFoundError: .*missing.*try again"):
        commands.run_dry(run_config(), resume=False)


def test_outputs_that_cannot_be_written_are_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_tiny_qwen2(tmp_path / "model")
    taken = tmp_path / "taken"
    taken.write_text("")
    works = {
        "coderl.training.warm.Trainer": lambda: commands.run_warmup(run_config(), taken, "references", 1),
        "coderl.training.benchmark.open_sandbox": lambda: run_evaluation(
            lambda below: run_config().with_model(model),
            Asked(data_sets=["builtin:tiny"], samples=1, limit=1, out=taken),
        ),
        "coderl.dynamics.simulate": lambda: run(Options(steps=1), taken),
        "coderl.dynamics.sweep.simulate": lambda: sweep.run({"steps": 1}, ["kl"], taken),
    }
    for work, command in works.items():
        monkeypatch.setattr(work, lambda *_, **__: pytest.fail("it began"))
        with pytest.raises(
            ConfigError, match=r"--out .*taken.* cannot be written \(.*\); name another folder"
        ):
            command()


def test_resume_takes_the_folder_by_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runs" / "mine"
    (folder / "rollouts").mkdir(parents=True)
    (folder / "config.toml").write_text(RunConfig(name="mine").to_toml())
    seen: list[Path] = []
    monkeypatch.setattr(commands, "run_training", lambda config, resume: seen.append(config.folder))
    for place, name in ((folder, "."), (folder / "rollouts", ".."), (tmp_path, "runs/mine/")):
        monkeypatch.chdir(place)
        result = CliRunner().invoke(app, ["train", "--resume", name])
        assert result.exit_code == 0, result.exception
    assert seen == [folder] * 3
