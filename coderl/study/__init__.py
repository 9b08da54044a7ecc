"""`coderl reproduce`: does arXiv 2510.04028 hold on code? One warm model, several arms and seeds, one report.

    warm  ->  arms x seeds (train, then evaluate)  ->  claims
              controls       (evaluate)

config.py   what is compared, and how much is spent on it
jobs.py     the units of work, each in a process of its own, each resumable
run.py      runs them, some at a time, and writes the report (analysis/study)
"""
