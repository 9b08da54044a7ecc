"""What every room's tests share: real sandboxes, real data, and skips that cannot hide anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import hypothesis
import pytest

# What a property costs says nothing about whether it holds, and CI machines are slow at times.
hypothesis.settings.register_profile("coderl", deadline=None)
hypothesis.settings.load_profile("coderl")

# Before anything loads a Hugging Face library: a test that needs the hub must fail at once, not wait for it.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import sandbox
from sandbox.errors import BackendError, NoBackendError
from sandbox.protocol import Runner

REPOSITORY = Path(__file__).resolve().parent.parent
# They begin first: a worker takes whole files (`--dist loadfile`), and would do the last of these alone at the end.
LONGEST = (
    "test_hacks.py",
    "test_cases.py",
    "test_train.py",
    "test_references.py",
    "test_servers.py",
    "test_hostile.py",
    "test_attacks.py",
    "test_environment.py",
    "test_judge_attacks.py",
    "test_setup.py",
    "test_wheel.py",
)


@pytest.fixture(scope="session")
def pools() -> Iterator[Callable[[str], Runner]]:
    """A warm pool of two slots on a backend, opened once: a parametrized fixture is made anew with each parameter."""
    with ExitStack() as opened:
        yield cache(lambda backend: opened.enter_context(sandbox.open_pool(slots=2, backend=backend)))


@pytest.fixture(scope="session", params=["docker", "bubblewrap"])
def pool(request: pytest.FixtureRequest, pools: Callable[[str], Runner]) -> Runner:
    """The pool of each backend that works here."""
    try:
        return pools(request.param)
    except (BackendError, NoBackendError) as error:
        pytest.skip(f"no {request.param} here: {error}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder that holds the attacks, and `data/` with the real data sets."""
    folder = Path(os.environ.get("CODERL_DATA", REPOSITORY.parent / "shared" / "data")).parent
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set CODERL_DATA to a folder `data` of it")
    return folder


def pytest_itemcollected(item: pytest.Item) -> None:
    """`-m docker` selects what runs on a Docker engine: also each test with a parameter of that name."""
    if "docker" in getattr(item, "callspec", item).__dict__.get("params", {}).values():
        item.add_marker("docker")


@pytest.hookimpl(trylast=True)  # pytest itself puts tests with the same parameters together
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CODERL_REQUIRE_DOCKER=1 (as in CI) a skipped Docker test is a failed one."""
    report = yield
    if (
        report.skipped
        and item.get_closest_marker("docker")
        and os.environ.get("CODERL_REQUIRE_DOCKER") == "1"
    ):
        report.outcome = "failed"
        report.longrepr = f"CODERL_REQUIRE_DOCKER=1 and this was skipped: {report.longrepr}"
    return report
