"""A report on 20,000 completions: how long it takes, how large the page is, when Chromium first paints it.

    python -m tests.bench.report_page [--verdicts FILE]

Without a file, completions are made up: 200 tasks x 100 samples, every program another, a third of them pass. Needs
chromium and chromedriver. The paint is measured five times, medians; one JSON line of figures at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from analysis import report
from tests.analysis.test_report_browser import FLAGS

TIMES = """
const paint = performance.getEntriesByType('paint').find((entry) => entry.name === 'first-contentful-paint');
return [paint?.startTime, performance.getEntriesByType('navigation')[0].loadEventEnd]"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--verdicts", type=Path, help="verdict rows as `coderl grade` writes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        verdicts = arguments.verdicts or made_up(Path(folder) / "many.jsonl")
        started = time.monotonic()
        page = report.write(verdicts, Path(folder) / "report.html")
        figures: dict[str, Any] = {"seconds_report": round(time.monotonic() - started, 1)}
        figures["page_mb"] = round(page.stat().st_size / 1e6, 2)
        columns = json.loads(page.with_suffix(".json").read_text())["columns"]
        figures["completions"] = sum(column["samples"] + column["infra"] for column in columns)
        paints, loads = zip(*(painted(page) for _ in range(5)), strict=True)
    figures |= {"first_paint_ms": round(median(paints)), "loaded_ms": round(median(loads))}
    print(json.dumps({**figures, "load": os.getloadavg()[0]}))


def made_up(path: Path) -> Path:
    draw = random.Random(0)
    with path.open("w") as file:
        for index in range(20_000):
            output = str(draw.randrange(50))
            tests = [
                {"name": f"f({n})", "passed": False, "status": "ok", "actual": output, "expected": "2"}
                for n in range(8)
            ]
            program = f"def f(x):\n    return {index}\n" + "    # filler, to be as long as usual\n" * 20
            row = {"task_id": f"t{index % 200}", "passed": index % 3 == 0, "program": program, "tests": tests}
            file.write(json.dumps(row) + "\n")
    return path


def painted(page: Path) -> tuple[float, float]:
    """Milliseconds to the first paint with content, and to the end of loading, in a browser just started."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in FLAGS:
        options.add_argument(flag)
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as browser:
        browser.get(page.as_uri())
        WebDriverWait(browser, 60).until(
            lambda b: b.execute_script("return document.documentElement.dataset.ready")
        )
        first, loaded = browser.execute_script(TIMES)
        return float(first), float(loaded)


if __name__ == "__main__":
    main()
