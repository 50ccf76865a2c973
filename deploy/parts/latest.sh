#!/bin/sh
# latest.sh FOLDER ARGUMENT…: an environment in FOLDER with the newest versions that pyproject.toml allows; lists those that
# the lock has otherwise, and runs pytest with the arguments against them.
set -eu

folder=$1
shift
cd "$(dirname "$0")/../.."

.venv/bin/python -m venv --clear --without-pip "$folder"
"$UV" pip install --quiet --python "$folder/bin/python" --upgrade --editable ".[dev]"
"$UV" pip freeze --python "$folder/bin/python" | grep -v ' @ \|^-e ' | sed 's/ .*//' | sort >"$folder/newest.txt"
"$UV" pip freeze --python .venv/bin/python | grep -v ' @ \|^-e ' | sed 's/ .*//' | sort >"$folder/locked.txt"
echo "make latest: newer than the lock:"
comm -23 "$folder/newest.txt" "$folder/locked.txt" | sed 's/^/  /'
GUANLAN_LATEST=1 "$folder/bin/pytest" "$@"
