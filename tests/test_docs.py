"""What the pages say exists: links lead somewhere, named files and settings are there, programs run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from coderl.config.settings import RunConfig

REPOSITORY = Path(__file__).resolve().parent.parent
# By name, not by a pattern over the tree: a checkout also holds environments and runs.
PAGES = [
    *REPOSITORY.glob("*.md"),
    *(
        page
        for room in ("analysis", "coderl", "docs", "sandbox", "tasks")
        for page in (REPOSITORY / room).rglob("*.md")
    ),
]
SECTIONS = {  # without `sandbox`, which is a package, too
    name: kind
    for name, field in RunConfig.model_fields.items()
    if isinstance(kind := field.annotation, type) and name != "sandbox"
}
SETTING = re.compile(r"(?<![\w./])(\w+)\.(?!py\b)(\w+)(?:`| ?=)")
NAMED_FILE = re.compile(r"`([\w.-]+/[\w./-]+\.(?:json|md|py|slurm|toml|txt))(?:::\w+)?`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Those that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def is_missing(page: Path, name: str) -> bool:
    """Whether `name` is to be a file of ours and is none. Other projects' begin with no folder of ours; NAME is any."""
    first = name.partition("/")[0]
    ours = [folder / name for folder in (REPOSITORY, page.parent) if (folder / first).is_dir()]
    return bool(ours) and "NAME" not in name and not any(path.exists() for path in ours)


def each(pages: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.relative_to(REPOSITORY).as_posix())


@each(PAGES)
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for link in LINK.findall(page.read_text()):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert not wrong


@each([page for page in PAGES if page.name != "CHANGELOG.md"])
def test_files_and_benchmarks_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    missing = [name for name in NAMED_FILE.findall(text) if is_missing(page, name)]
    modules = re.findall(r"python -m (tests[\w.]+)", text)
    missing += [name for name in modules if not (REPOSITORY / f"{name.replace('.', '/')}.py").exists()]
    assert not missing


@each([page for page in PAGES if page.name != "CHANGELOG.md"])
def test_settings_that_are_named_exist(page: Path) -> None:
    named = [(section, key) for section, key in SETTING.findall(page.read_text()) if section in SECTIONS]
    assert not [f"{a}.{b}" for a, b in named if b not in getattr(SECTIONS[a], "model_fields", {})]


@each([REPOSITORY / "README.md", REPOSITORY / "sandbox/README.md", REPOSITORY / "tasks/README.md"])
def test_programs_run(page: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, timeout=240
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == re.findall(r"^print\(.*\)  # (.*)$", program, re.MULTILINE)
