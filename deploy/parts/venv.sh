#!/bin/sh
# venv.sh FOLDER: a virtual environment with Guanlan in it (editable) and everything its tests and demo need.
# EXTRAS names further extras of pyproject.toml, separated by commas.
set -eu

folder=$1
cd "$(dirname "$0")/../.."

fail() {
    echo "make venv: $1" >&2
    exit 2
}

find_python() {
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
}

if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    [ -n "$python" ] || fail "no Python 3.11 or newer found; install one, or name it: make venv PYTHON=/path/to/python"
    echo "make venv: a virtual environment in $folder, with $("$python" --version)"
    "$python" -m venv --clear "$folder" >/dev/null ||
        fail "$python can't make a virtual environment; on Debian: apt-get install python3-venv"
fi

packages=".[dev${EXTRAS:+,$EXTRAS}]"
echo "make venv: installing $packages"
if "$folder/bin/python" -m pip install --quiet --disable-pip-version-check uv 2>/dev/null &&
    "$folder/bin/uv" pip install --quiet --python "$folder/bin/python" --editable "$packages"; then
    exit 0
fi
echo "make venv: uv could not install it; trying pip"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$packages" ||
    fail "the packages could not be installed; is the package registry reachable?"
