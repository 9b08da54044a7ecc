"""Runs inside evalplus's own environment, inside a jail (see agree_evalplus.py): evalplus's verdicts on programs.

stdin: nothing. argv: the HumanEval+ release file, a JSONL of {"task_id", "sample", "program"}, the output JSONL. A row with
"raw", what evalplus's codegen would have kept of a completion, is sanitized to its program.
"""

import gzip
import json
import sys
import types
from concurrent.futures import ThreadPoolExecutor

from evalplus.eval import untrusted_check
from evalplus.gen.util import trusted_exec


class Unused(types.ModuleType):
    """Stands for what only evalplus's command line needs, and many packages with it."""

    def __getattr__(self, name):
        return None


def sanitized(raw, entry_point):
    sys.modules["evalplus.data"] = Unused("evalplus.data")
    from evalplus.sanitize import sanitize

    return sanitize(raw.replace("\t", "    "), entrypoint=entry_point)


def main(tasks_file, programs_file, out_file, workers, min_time_limit):
    opener = gzip.open if tasks_file.endswith(".gz") else open
    with opener(tasks_file, "rt") as stream:
        tasks = {task["task_id"]: task for task in map(json.loads, stream)}
    with open(programs_file) as stream:
        programs = [json.loads(line) for line in stream]
    for program in programs:
        if "raw" in program:
            program["program"] = sanitized(program["raw"], tasks[program["task_id"]]["entry_point"])
    truth = {}
    for identity in dict.fromkeys(program["task_id"] for program in programs):
        task = tasks[identity]
        reference = task["prompt"] + task["canonical_solution"]
        truth[identity] = [
            (task[field], *trusted_exec(reference, task[field], task["entry_point"], record_time=True))
            for field in ("base_input", "plus_input")
        ]

    def check(program):
        task = tasks[program["task_id"]]
        verdicts = []
        for inputs, expected, times in truth[task["task_id"]]:
            status, details = untrusted_check(
                "humaneval",
                program["program"],
                inputs,
                task["entry_point"],
                expected=expected,
                atol=task["atol"],
                ref_time=times,
                fast_check=True,
                min_time_limit=float(min_time_limit),
            )
            verdicts.append((status, len(details)))
            if status != "pass":
                break
        return {"task_id": program["task_id"], "sample": program["sample"], "verdicts": verdicts}

    with open(out_file, "w") as stream, ThreadPoolExecutor(int(workers)) as pool:
        for number, row in enumerate(pool.map(check, programs), start=1):
            stream.write(json.dumps(row) + "\n")
            stream.flush()
            if number % 100 == 0:
                print(f"{number}/{len(programs)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
