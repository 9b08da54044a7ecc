"""Whatever breaks around a batch, every job ends with its true outcome, a key is run once, and nothing is left behind.

`make test PYTEST_ARGS="-m stress"` runs this, in minutes; `python -m tests.conformance.faults` is the same with more jobs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import NoBackendError
from sandbox.pool.opening import open_backend
from sandbox.protocol import Limits
from tests.conformance import faults
from tests.conformance.private_engine import PrivateEngine, private_engine


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's, whose path is too long for a unix socket."""
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def engine(folder: Path) -> Iterator[PrivateEngine]:
    if shutil.which("dockerd") is None:
        pytest.skip("no dockerd here to start a private engine with")
    with private_engine(folder) as private:
        yield private


pytestmark = pytest.mark.stress
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk, which needs root")


@needs_root
@pytest.mark.docker
@pytest.mark.slow
def test_nothing_is_lost_with_docker(folder: Path, engine: PrivateEngine) -> None:
    report = faults.run(120, "docker", folder, engine)
    assert faults.passed(report), report


@needs_root
def test_nothing_is_lost_with_bubblewrap(folder: Path) -> None:
    try:
        open_backend("bubblewrap", Limits()).close()
    except NoBackendError as error:
        pytest.skip(f"no bubblewrap here: {error}")
    report = faults.run(120, "bubblewrap", folder, None)
    assert faults.passed(report), report
