#!/bin/sh
# sbom.sh FILE: what the image holds (deploy/locks/run.txt) as a CycloneDX bill of materials, with licences, by cyclonedx-py,
# from an environment into which just that was installed.
set -eu

file=$1
cd "$(dirname "$0")/../.."

mkdir -p "$(dirname "$file")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
.venv/bin/python -m venv --without-pip "$folder/image"
"$UV" pip sync --quiet --python "$folder/image/bin/python" --require-hashes --no-build deploy/locks/run.txt
.venv/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file "$file" \
    "$folder/image/bin/python"
echo "make sbom: $file"
