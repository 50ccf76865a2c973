#!/bin/sh
# raise.sh [OPTION…]: writes the lock files of this folder again from pyproject.toml. Without options versions stay, and only
# what pyproject.toml asks anew comes in; --upgrade takes the newest of everything, --upgrade-package NAME of one.
# Every line has its hashes and no address: any index that serves the same files will do.
set -eu
cd "$(dirname "$0")/../.."

uv=${UV:-.venv/bin/uv}
locks=deploy/locks

lock() {
    name=$1
    shift
    echo "make lock: $locks/$name.txt"
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-build \
        --no-header --no-annotate --no-emit-index-url --output-file "$locks/$name.txt" "$@"
}

lock dev pyproject.toml --extra dev "$@"
# the image and the tools that make a virtual environment take from dev what they need of it
lock run pyproject.toml --extra fast --constraint $locks/dev.txt
lock build $locks/build.in --constraint $locks/dev.txt
lock uv $locks/uv.in --constraint $locks/dev.txt
# what the benchmark compares with may ask for older clients than ours: it lives apart
lock yardsticks pyproject.toml --extra yardsticks "$@"
