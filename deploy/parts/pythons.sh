#!/bin/sh
# pythons.sh ARGUMENT…: runs pytest with the arguments on each Python of $VERSIONS that is here, in an environment of its own
# from the lock, and says of the others that their packages resolve, or don't.
set -eu
cd "$(dirname "$0")/../.."

uv=${UV:-.venv/bin/uv}
"$uv" --version >/dev/null 2>&1 || { echo "make pythons: run make venv first" >&2; exit 2; }

# on the path, or one of pyenv's: its names on the path answer only for the versions that were chosen
find_python() {
    for name in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$name" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
}

failed=""
for version in $VERSIONS; do
    python=$(find_python "$version")
    if [ -z "$python" ]; then
        if "$uv" pip compile --quiet --python-version "$version" --no-build --output-file /dev/null \
            --constraint deploy/locks/dev.txt pyproject.toml --extra dev; then
            echo "make pythons: $version is not here: every package has a wheel for it, no test ran"
        else
            failed="$failed $version(resolving)"
        fi
        continue
    fi
    echo "make pythons: $version, $python"
    if ! PYTHON=$python UV=$uv deploy/parts/venv.sh "build/python-$version" ||
        ! "build/python-$version/bin/pytest" "$@"; then
        failed="$failed $version"
    fi
done
[ -z "$failed" ] || { echo "make pythons: failed on$failed" >&2; exit 1; }
