"""Reading a run of a million rollouts: rows a second, and the memory that it takes.

    python -m tests.bench.read_rows [--rows 1000000]

Writes a run folder of made-up rollouts (200 distinct errors, ten tests a row) and tallies it as a report does, then
once more with every column, as the pages on single completions are read. One JSON line of figures at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.measures.tally import tally
from analysis.reading.reader import open_run
from tests.analysis.conftest import SCHEMA, passing, raising, wrong

ROWS_A_FILE = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), rows)
        before = peak_mib()
        figures: dict[str, Any] = {"rows": rows}
        started = time.process_time()
        found = tally(open_run(Path(folder)).rows(brief_training=True))
        figures["rows_a_cpu_second"] = round(rows / (time.process_time() - started))
        assert sum(group.samples for group in found.groups.values()) == rows
        figures |= {"mib_before": before, "mib_peak": peak_mib()}
        started = time.process_time()
        count = sum(1 for _ in open_run(Path(folder)).rows({("train", 1)}))
        figures["whole_rows_a_cpu_second"] = round(count / (time.process_time() - started))
    print(json.dumps({**figures, "load": os.getloadavg()[0]}))


def write(folder: Path, rows: int) -> None:
    (folder / "run.json").write_text('{"schema": 1, "name": "many"}')
    (folder / "rollouts").mkdir()
    for step, start in enumerate(range(0, rows, ROWS_A_FILE), start=1):
        size = min(ROWS_A_FILE, rows - start)
        block = [made_up(number, step) for number in range(1000)]
        with pq.ParquetWriter(folder / "rollouts" / f"step-{step:06}.parquet", SCHEMA) as file:
            for _ in range(0, size, 1000):
                file.write_table(pa.Table.from_pylist(block[: min(1000, size)], schema=SCHEMA))


def made_up(number: int, step: int) -> dict[str, Any]:
    task = f"task/{number % 64}"
    if number % 3 == 0:
        row = passing(task, number, step)
    elif number % 3 == 1:
        row = wrong(task, number, step, output=str(number % 7))
    else:
        row = raising(task, number, step, error_source=f"return table[name_{number % 200}]")
    return row | {"tests": row["tests"] * 10}


def peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
