#!/bin/sh
# `make setup`: finds a Python that fits, makes .venv with it, and sees that programs can be isolated here.
# Nothing is downloaded before the machine and the Python are known to fit.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }

if [ "$(uname -s)" != Linux ] || [ "$(uname -m)" != x86_64 ]; then
    say "coderl's set-up is for Linux on x86-64; this machine is $(uname -s) on $(uname -m). Nothing was changed."
    say "Remedy: use a Linux x86-64 machine, a virtual machine or a container on one."
    exit 1
fi

# Exit status 0: fits. 3: the right version, without what makes virtual environments.
fits='
import importlib.util, sys, sysconfig
ok = (3, 11) <= sys.version_info[:2] <= (3, 13) and sys.implementation.name == "cpython"
ok = ok and not sysconfig.get_config_var("Py_GIL_DISABLED")
if not ok: sys.exit(4)
missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
sys.exit(3 if missing else 0)
'
found='' without_venv=''
for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13}; do
    status=0
    "$candidate" -I -c "$fits" >/dev/null 2>&1 || status=$?
    case $status in
        0) found=$candidate; break ;;
        3) without_venv=${without_venv:-$candidate} ;;
    esac
done

if [ -z "$found" ]; then
    if [ -n "$without_venv" ]; then
        version=$("$without_venv" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        say "$without_venv is Python $version but lacks the venv module. Nothing was changed."
        say "Remedy on Debian and Ubuntu: sudo apt-get install python$version-venv"
    elif [ -n "${PYTHON:-}" ]; then
        say "PYTHON=$PYTHON is not a CPython 3.11, 3.12 or 3.13 that runs. Nothing was changed."
        say "Remedy: name another one, for example: make setup PYTHON=python3.11"
    else
        say "no CPython 3.11, 3.12 or 3.13 is on PATH as python3, python3.11, python3.12 or python3.13."
        say "Nothing was changed. Remedy: install one (Debian 12, Ubuntu 24.04 and later have one as python3,"
        say "with python3-venv), or name it: make setup PYTHON=/path/to/python3.12"
    fi
    exit 1
fi

"$found" -I scripts/setup_environment.py
"$found" -I scripts/setup_isolation.py
