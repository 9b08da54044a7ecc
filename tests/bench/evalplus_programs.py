"""evalplus's `untrusted_check` on HumanEval's references, on two processes; run by an interpreter that has evalplus.

    python evalplus_programs.py HumanEvalPlus.jsonl.gz REPEATS

The tests are `base_input`: HumanEval's own. Each line on standard input is a pass; the answer is one JSON line.
"""

import gzip
import json
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from evalplus.eval import untrusted_check


def prepare(row):
    code = row["prompt"] + row["canonical_solution"]
    names: dict = {}
    exec(code, names)
    function = names[row["entry_point"]]
    expected = [function(*json.loads(json.dumps(args))) for args in row["base_input"]]
    ref_time = [0.1] * len(expected)
    return "humaneval", code, row["base_input"], row["entry_point"], expected, row["atol"], ref_time


def check(arguments):
    return untrusted_check(*arguments)[0]


def cpu_seconds():
    """Of workers that have ended: read it after they have."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main():
    with gzip.open(sys.argv[1], "rt") as file:
        tasks = [prepare(json.loads(line)) for line in file] * int(sys.argv[2])
    for _ in sys.stdin:
        cpu = cpu_seconds()
        with ProcessPoolExecutor(2) as processes:
            list(processes.map(abs, range(2)))  # started
            started = time.perf_counter()
            statuses = list(processes.map(check, tasks))
            seconds = time.perf_counter() - started
        # HumanEval/32 fails by a special rule that wants more than the file states; it has run all the same.
        assert statuses.count("pass") >= len(tasks) - int(sys.argv[2]), statuses
        print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds() - cpu}), flush=True)


if __name__ == "__main__":
    main()
