"""Runs programs as plain `python -I` subprocesses, two at once. Standard library only: it runs inside an image.

    python plain_programs.py FOLDER     FOLDER/programs.json: {"set": [[file, stdin or null]...]}

Each line on standard input names a set; the answer is one JSON line {"seconds", "cpu_seconds"}: the wall clock's, and
those of the subprocesses and of what started them.
"""

import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor


def run(program):
    file, stdin = program
    command = [sys.executable, "-I", file]
    if stdin is None:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    else:
        subprocess.run(command, input=stdin.encode(), capture_output=True, check=True)


def cpu_seconds():
    usages = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main():
    with open(f"{sys.argv[1]}/programs.json") as file:
        sets = json.load(file)
    with ThreadPoolExecutor(2) as threads:
        for line in sys.stdin:
            started, cpu = time.perf_counter(), cpu_seconds()
            list(threads.map(run, sets[line.strip()]))
            answer = {"seconds": time.perf_counter() - started, "cpu_seconds": cpu_seconds() - cpu}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
