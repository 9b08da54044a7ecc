"""Folders of killed owners are removed at the next start; those of others, never."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sandbox.backends import confined
from sandbox.backends.base import Stage
from sandbox.backends.leftovers import has_ended, remove_orphans, this_process
from sandbox.errors import BackendError
from tests.sandbox.conftest import open_or_skip
from tests.sandbox.test_pool import owner_process

NAME_SELF = "from sandbox.backends.leftovers import this_process; print(this_process(), flush=True); input()"


@pytest.fixture
def dead() -> str:
    """The name of a process that has ended."""
    space, pid, started = this_process().split("-")
    return f"{space}-{pid}-{int(started) - 1}"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_process_is_known_to_have_ended_only_after_that() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", NAME_SELF], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert not has_ended(name)
        process.communicate("\n")
    assert has_ended(name)
    assert not has_ended(this_process())


def test_of_another_pid_namespace_nothing_is_known(dead: str) -> None:
    _, _, rest = dead.partition("-")
    assert has_ended(dead)
    assert not any(map(has_ended, (f"0123456789abcdef-{rest}", rest, "", "no name")))


def stage_of(owner: str | None, folder: Path) -> Path:
    """What a killed pool may leave, a program's files included."""
    closed = folder / "coderl-cell-x" / "closed"
    closed.mkdir(parents=True)
    (closed / "file").touch()
    closed.chmod(0)
    if owner is not None:
        (folder / "owner").write_text(owner)
    return folder


def test_a_stage_removes_those_of_dead_owners_and_no_others(temporary: Path, dead: str) -> None:
    orphan = stage_of(dead, temporary / "coderl-sandbox-dead")
    kept = [
        stage_of(this_process(), temporary / "coderl-sandbox-mine"),
        stage_of(None, temporary / "coderl-sandbox-being-made"),
        stage_of(f"0123456789abcdef{dead[16:]}", temporary / "coderl-sandbox-of-another-pod"),
        stage_of(dead, temporary / "another-name"),
    ]
    (temporary / "coderl-sandbox-link").symlink_to(kept[-1])
    first, second = Stage(), Stage()
    assert not orphan.exists()
    assert all((folder / "coderl-cell-x" / "closed").exists() for folder in kept)
    assert first.folder.exists() and (first.folder / "owner").read_text() == this_process()
    first.remove()
    second.remove()
    assert not first.folder.exists()


def test_confined_scratch_folders_are_removed_by_the_same_rule(temporary: Path, dead: str) -> None:
    names = {dead: False, this_process(): True, f"0123456789abcdef{dead[16:]}": True}
    folders = {Path(tempfile.mkdtemp(prefix=f"coderl-cell-{name}-")): kept for name, kept in names.items()}
    remove_orphans(temporary, confined._PREFIX, confined._owner_of)
    assert {folder: folder.exists() for folder in folders} == folders


def test_a_killed_owners_folder_is_gone_after_the_next_start() -> None:
    with owner_process("bubblewrap", "time.sleep(100)") as owner:
        pid = str(owner.pid)
        place = Path(tempfile.gettempdir())
        (folder,) = [
            path.parent
            for path in place.glob("coderl-sandbox-*/owner")
            if path.read_text().split("-")[1] == pid
        ]
        open_or_skip("bubblewrap").close()
        assert folder.exists(), "its owner lives"
        owner.kill()
        owner.wait()
        open_or_skip("bubblewrap").close()
        assert not folder.exists()


def test_a_full_disk_is_said_and_nothing_is_left_there(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(BackendError, match="No space left on device.*temporary folder"):
        Stage()
    assert list(temporary.iterdir()) == []
