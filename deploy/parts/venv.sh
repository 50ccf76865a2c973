#!/bin/sh
# venv.sh FOLDER [LOCK]: a virtual environment with what a lock file of deploy/locks names (dev by default), each file
# checked against its hash, and with Guanlan itself (editable) without asking for anything more.
# PYTHON names the interpreter. UV names a uv that is there; without it, the locked one is installed first.
set -eu

folder=$1
lock=${2:-deploy/locks/dev.txt}
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

[ -r "$lock" ] || fail "there is no lock file $lock; make lock writes those of deploy/locks"
if ! "$folder/bin/python" -c '' 2>/dev/null; then
    python=$(find_python)
    [ -n "$python" ] || fail "no Python 3.11 or newer found; install one, or name it: make venv PYTHON=/path/to/python"
    echo "make venv: a virtual environment in $folder, with $("$python" --version)"
    "$python" -m venv --clear "$folder" >/dev/null ||
        fail "$python can't make a virtual environment; on Debian: apt-get install python3-venv"
fi

uv=${UV:-$folder/bin/uv}
if ! "$uv" --version >/dev/null 2>&1; then
    "$folder/bin/python" -m ensurepip >/dev/null 2>&1 || true
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        --requirement deploy/locks/uv.txt ||
        fail "uv could not be installed; is the package registry reachable?"
    uv=$folder/bin/uv
fi

echo "make venv: installing what $lock names"
"$uv" pip sync --quiet --python "$folder/bin/python" --require-hashes --no-build "$lock" ||
    fail "$lock could not be installed as it stands: see above. A file whose hash differs is never installed"
"$uv" pip install --quiet --python "$folder/bin/python" --no-deps --no-build-isolation --editable . ||
    fail "Guanlan itself could not be installed"
