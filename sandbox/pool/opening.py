"""Which backend works on this machine, found by running a program in it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from sandbox.backends.base import Backend, host_failure
from sandbox.errors import BackendError, CellLost, NoBackendError
from sandbox.inside.candidate.languages import LANGUAGES
from sandbox.jobs.program_job import run
from sandbox.pool.slot import CANARY, canary_passed
from sandbox.protocol import Limits, Status

_log = logging.getLogger(__name__)
Report = Callable[[str], None]


def open_docker(
    limits: Limits, report: Report, languages: Collection[str], requirements: Collection[str]
) -> Backend:
    from sandbox.backends.docker import DockerBackend
    from sandbox.backends.engine import connected
    from sandbox.image import compilers, extra

    with connected() as client:
        _require_limits(client.info())
        images = extra.ensure(client, requirements, report)
        if languages:
            if requirements:
                raise BackendError(
                    "no image has both compilers and packages that a user requires",
                    f"Leave out either {', '.join(languages)} or {', '.join(requirements)}.",
                )
            images["program"] = compilers.ensure(client, languages, report)
    return _tried(DockerBackend(images), limits, languages)


def open_bubblewrap(
    limits: Limits, report: Report, languages: Collection[str], requirements: Collection[str]
) -> Backend:
    from sandbox.backends.bubblewrap import BubblewrapBackend

    return _tried(BubblewrapBackend(requirements), limits, languages)


def open_confined(
    limits: Limits, report: Report, languages: Collection[str], requirements: Collection[str]
) -> Backend:
    from sandbox.backends.confined import ConfinedBackend

    return _tried(ConfinedBackend(requirements), limits, languages)


# In order of preference.
OPENERS: dict[str, Callable[[Limits, Report, Collection[str], Collection[str]], Backend]] = {
    "docker": open_docker,
    "bubblewrap": open_bubblewrap,
    "confined": open_confined,
}


def open_backend(
    name: str,
    limits: Limits,
    report: Report = lambda line: None,
    languages: Collection[str] = (),
    requirements: Collection[str] = (),
) -> Backend:
    """The backend `name`, or with `auto` the first that works; proved by running a program in it.

    It can run programs in Python and in `languages` (names in `inside.candidate.languages`); programs and tests find
    `requirements`, packages as pip names them.

    Raises `NoBackendError`, which says for each one tried what is wrong and what would help; `BackendError` for
    an unknown name.
    """
    languages = sorted(set(languages) - {"python"})
    if unknown := [each for each in languages if each not in LANGUAGES]:
        raise BackendError(f"unknown language {unknown[0]!r}", f"There are: python, {', '.join(LANGUAGES)}.")
    if name != "auto" and name not in OPENERS:
        raise BackendError(f"unknown sandbox backend {name!r}", f"There are: auto, {', '.join(OPENERS)}.")
    failures: dict[str, BackendError] = {}
    for candidate in OPENERS if name == "auto" else (name,):
        try:
            backend = OPENERS[candidate](limits, report, languages, requirements)
        except (BackendError, OSError) as error:
            failures[candidate] = error if isinstance(error, BackendError) else host_failure(error)
            continue
        if candidate == "confined" and failures:
            _announce(backend, failures, report)
        return backend
    raise NoBackendError(failures)


def _announce(backend: Backend, failures: dict[str, BackendError], report: Report) -> None:
    """Say, where it cannot be missed, that a weaker backend is taken, why, and what it lacks."""
    text = "; ".join(
        ["programs run in `confined` processes, weaker than a container", *backend.unenforced]
        + [f"no {name}: {error}" for name, error in failures.items()]
    )
    _log.warning(text)
    report(text)


def open_image(image: str, limits: Limits, report: Report = lambda line: None) -> Backend:
    """The docker backend with programs in `image`, an id of the engine. Raises `BackendError`."""
    from sandbox import image as images
    from sandbox.backends.docker import DockerBackend
    from sandbox.backends.engine import connected

    with connected() as client:
        _require_limits(client.info())
        known = images.ensure(client, report)
        images.require(client, image)
    return _tried(DockerBackend({**known, "program": image}), limits)


def _tried(backend: Backend, limits: Limits, languages: Collection[str] = ()) -> Backend:
    """`backend`, after a program gave the right answer in it; it has the compilers of `languages`."""
    try:
        cell = backend.open_cell("program", limits)
        try:
            outcome = run(CANARY, cell, lambda: cell)
        finally:
            cell.destroy()
    except CellLost as error:
        backend.close()
        raise BackendError(f"a cell was lost while a first program ran: {error}") from error
    except OSError as error:
        backend.close()
        raise host_failure(error) from error
    except BaseException:
        backend.close()
        raise
    if outcome.status is not Status.OK or not canary_passed(outcome):
        backend.close()
        raise BackendError(f"a first program did not run well: {outcome}")
    if missing := set(languages) - cell.languages:
        backend.close()
        raise _no_compiler(backend.name, min(missing))
    return backend


def _no_compiler(backend: str, language: str) -> BackendError:
    if backend == "confined":
        return BackendError(
            f"it cannot run {language} programs: nothing can be executed in it", "Use docker or bubblewrap."
        )
    compiler = LANGUAGES[language]
    return BackendError(
        f"there is no {compiler.command[0]} to compile {language} programs with",
        f"Install it (Debian, Ubuntu: `sudo apt-get install {' '.join(compiler.packages)}`), or use docker.",
    )


def _require_limits(info: dict[str, object]) -> None:
    missing = [name for name in ("MemoryLimit", "PidsLimit", "CpuCfsQuota") if not info.get(name)]
    if missing:
        raise BackendError(
            f"the Docker engine cannot enforce {', '.join(missing)} (a rootless engine without cgroup delegation?)",
            "Run the engine as root, or delegate the memory, pids and cpu controllers to it.",
        )
