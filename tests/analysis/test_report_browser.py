"""The report in a real headless Chromium: nothing is requested, nothing logged, hostile text is inert.

Needs chromium and chromium-driver (Debian packages) and selenium; skipped where they are absent.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis import report

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is absent: the report is not tested")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="chromium or chromedriver is absent: the report is not tested in a browser "
        "(apt-get install chromium chromium-driver)",
    ),
    pytest.mark.timeout(300),
]

FLAGS = [
    "--headless",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
]

HOSTILE = (
    "<img src=x onerror='window.pwned=1'></script><script>window.pwned=1</script>"
    "\"'><svg onload=window.pwned=1> {{7*7}} &lt;b&gt; \x1b[31m\u202e\x00 `x` javascript:window.pwned=1"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def visit(browser: Any, path: Path, fragment: str = "") -> None:
    """Load afresh, and wait until the page's script has started."""
    browser.get("about:blank")
    browser.get_log("performance")  # what the browser's own start page asked for
    browser.get(path.as_uri() + fragment)
    WebDriverWait(browser, 60).until(
        lambda b: b.execute_script("return document.documentElement.dataset.ready")
    )


def one(browser: Any, selector: str) -> Any:
    return browser.find_element(By.CSS_SELECTOR, selector)


def shown(browser: Any, selector: str) -> list[Any]:
    return [found for found in browser.find_elements(By.CSS_SELECTOR, selector) if found.is_displayed()]


def press(browser: Any, keys: str) -> None:
    browser.switch_to.active_element.send_keys(keys)


def quiet(browser: Any) -> None:
    """Nothing was logged, and nothing but the file itself was asked for."""
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert asked, "the browser's log of requests is missing"
    assert [url for url in asked if not url.startswith(("file://", "data:", "about:"))] == []


def test_filter_deep_link_drill_down_and_keyboard(browser: Any, run_folder: Path) -> None:
    path = report.write(run_folder)
    data = json.loads(path.with_suffix(".json").read_text())
    raised = next(issue for issue in data["issues"] if issue["label"] == "mapping")
    visit(browser, path)

    assert len(shown(browser, "#issues tbody tr")) == 2
    press(browser, "/")
    press(browser, "typeerror concatenate")
    assert [row.get_attribute("data-id") for row in shown(browser, "#issues tbody tr")] == [raised["id"]]
    assert one(browser, "#issue-count").text == "1 of 2 kinds match"
    press(browser, Keys.ESCAPE)
    assert len(shown(browser, "#issues tbody tr")) == 2

    press(browser, "j")
    press(browser, "j")
    assert browser.current_url.endswith(f"#f={data['issues'][1]['id']}")
    assert "can only concatenate" in one(browser, "#panel h2").text
    hit = one(browser, "#panel .code li.hit")
    assert hit.text.strip() == "return str(x) + 1"
    assert one(browser, "#panel .tests tbody").text.split() == ["fails", "f(1)", "2", "3"]
    press(browser, Keys.ESCAPE)
    assert not shown(browser, "#panel")
    quiet(browser)


def test_addresses_open_what_they_name(browser: Any, run_folder: Path) -> None:
    path = report.write(run_folder)
    data = json.loads(path.with_suffix(".json").read_text())
    visit(browser, path, f"#f={data['issues'][0]['id']}")
    assert one(browser, "#panel h2").text == "Wrong answer, no exception"
    visit(browser, path, "#g=1&t=task%2F003&s=2")
    assert one(browser, "#panel h2").text == "task/003, sample 2"
    visit(browser, path, "#f=000000000000")
    assert "No listed error" in one(browser, "#panel").text
    quiet(browser)


def test_the_grid_is_walked_by_arrows_and_opened_by_enter(browser: Any, run_folder: Path) -> None:
    visit(browser, report.write(run_folder))
    first = one(browser, "#cells .cell")
    browser.execute_script("arguments[0].focus()", first)
    press(browser, Keys.ARROW_RIGHT)
    press(browser, Keys.ARROW_DOWN)
    assert "task/001, sample 1: " in browser.switch_to.active_element.get_attribute("aria-label")
    press(browser, Keys.ENTER)
    assert one(browser, "#panel h2").text == "task/001, sample 1"
    press(browser, Keys.ESCAPE)
    assert browser.switch_to.active_element.get_attribute("data-s") == "1"  # the focus comes back

    one(browser, "#filter").send_keys("task/007")
    rows = shown(browser, "#cells .row")
    assert [row.get_attribute("data-t") for row in rows] == ["task/007"]
    one(browser, "#filter").send_keys(Keys.ESCAPE)
    one(browser, ".tab[data-grid='0']").click()
    one(browser, "#order option[value='hard']").click()
    counts = [int(cell.text.split()[0]) for cell in browser.find_elements(By.CSS_SELECTOR, "#cells .rate")]
    assert len(counts) == 20
    assert counts[0] == min(counts) < max(counts) == counts[-1]
    quiet(browser)


def test_attempts_are_shown_in_turn(browser: Any, run_folder: Path) -> None:
    path = report.write(run_folder)
    records = json.loads(path.with_suffix(".json").read_text())["records"]
    verdicts = [[part.get("passed") for part in record.get("timeline", [])] for record in records]
    index = verdicts.index([False, None, True])  # attempt, remark, attempt
    visit(browser, path, f"#r={index}")
    text = one(browser, "#panel .timeline").text
    assert "Attempt 1 fails" in text
    assert "Wait, that is off by one." in text
    assert "Attempt 2, the answer passes" in text
    assert one(browser, "#panel .diff .add").get_attribute("textContent").strip() == "return x + 1"
    quiet(browser)


def test_the_failing_line_of_a_long_program_is_marked_at_its_number(browser: Any, tmp_path: Path) -> None:
    program = "".join(f"x{number} = {number}\n" for number in range(1, 3001))
    error = {"type": "NameError", "message": "y", "frames": [{"line": 2000, "source": "x2000 = 2000"}]}
    row = {"task_id": "t", "passed": False, "phase": "call", "program": program, "error": error}
    verdicts = tmp_path / "long.jsonl"
    verdicts.write_text(json.dumps(row) + "\n")
    visit(browser, report.write(verdicts), "#r=0")
    hit = one(browser, "#panel .code li.hit")
    assert (hit.get_attribute("data-line"), hit.text) == ("2000", "x2000 = 2000")
    gaps = [gap.text for gap in browser.find_elements(By.CSS_SELECTOR, "#panel .code li.gap")]
    assert len(gaps) == 2 and all(gap.endswith("lines left out") for gap in gaps)
    quiet(browser)


def test_both_themes_and_print_are_legible(browser: Any, run_folder: Path) -> None:
    """Ink and paper differ by at least 7:1 (WCAG AAA); printing leaves out what only a screen can do."""
    visit(browser, report.write(run_folder))
    luminance = """
        const [r, g, b] = getComputedStyle(document.body)[arguments[0]].match(/\\d+/g).map(Number).map(
            (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b"""
    papers = []
    for _ in range(2):
        paper, ink = (browser.execute_script(luminance, part) for part in ("backgroundColor", "color"))
        papers.append(paper)
        assert (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05) > 7
        one(browser, "#theme").click()
    assert max(papers) > 0.9 and min(papers) < 0.05
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not shown(browser, "nav") and not shown(browser, "#theme") and shown(browser, "#results")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    quiet(browser)


def test_hostile_text_is_shown_and_does_nothing(browser: Any, run_folder: Path, tmp_path: Path) -> None:
    fences = f"```\n{HOSTILE}\n```"
    test = {"name": HOSTILE, "passed": False, "status": HOSTILE, "actual": HOSTILE, "expected": HOSTILE}
    row: dict[str, Any] = {
        "task_id": HOSTILE,
        "completion": f"{HOSTILE}{fences}{HOSTILE}{fences}",
        "program": HOSTILE + "\nx" * 3 + "y" * 1_000_000,
        "prompt": HOSTILE,
        "passed": False,
        "status": HOSTILE,
        "phase": "call",
        "error": {"type": HOSTILE, "message": HOSTILE, "frames": [{"line": 1, "source": HOSTILE}]},
        "tests": [test],
    }
    revised = row | {"blocks": [{"code": HOSTILE, "passed": False}, {"code": f"{HOSTILE}!", "passed": True}]}
    verdicts = tmp_path / "hostile.jsonl"
    verdicts.write_text("".join(json.dumps(r) + "\n" for r in (row, row | {"passed": True}, revised)))
    path = report.write(verdicts)
    assert path.stat().st_size < 200_000
    data = json.loads(path.with_suffix(".json").read_text())
    raw = path.read_text()
    assert "\x1b" not in raw and "\u202e" not in raw and "\x00" not in raw
    for index in range(len(data["records"])):
        visit(browser, path, f"#r={index}")
        assert "onerror" in one(browser, "#panel").text
        assert "\\u{202e}" in one(browser, "#panel").text
    visit(browser, path, f"#f={data['issues'][0]['id']}")
    one(browser, "#filter").send_keys("<img src=x onerror=alert(1)>")
    assert browser.execute_script("return window.pwned") is None
    for selector, expected in {"img, iframe, object, embed": 0, "script": 2}.items():
        assert len(browser.find_elements(By.CSS_SELECTOR, selector)) == expected
    quiet(browser)
