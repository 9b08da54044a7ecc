"""Pid 1 of a cell: forks, limits, kills, reaps, wipes."""
