#!/bin/sh
# Unpack this folder: sh unpack.sh TARGET [PYTHON]
# It needs no network, no index and no virtual environment: only a Python with the packages that manifest.json expects.
set -eu

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: sh unpack.sh TARGET [PYTHON]" >&2
    exit 2
fi
if ! python=$(command -v "${2:-python3}"); then
    echo "unpack: no ${2:-python3} here. Name a Python: sh unpack.sh TARGET PYTHON" >&2
    exit 2
fi
# absolute, and not resolved: a virtual environment is known by the path of its link
python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")

exec "$python" - "$(dirname "$0")" "$1" "$python" <<'PYTHON'
import hashlib
import importlib.metadata
import json
import os
import shlex
import sys
import tarfile


def refuse(why):
    print(f"unpack: {why}", file=sys.stderr)
    sys.exit(2)


folder, target, python = sys.argv[1], os.path.abspath(sys.argv[2]), sys.argv[3]
for line in open(os.path.join(folder, "SHA256SUMS")):
    wanted, name = line.split()
    try:
        with open(os.path.join(folder, name), "rb") as file:
            seen = hashlib.sha256(file.read()).hexdigest()
    except OSError:
        refuse(f"{name} is missing. Copy the folder again.")
    if seen != wanted:
        refuse(f"{name} is damaged (its SHA-256 is another). Copy the folder again.")
with open(os.path.join(folder, "manifest.json")) as file:
    manifest = json.load(file)
here = "%d.%d" % sys.version_info[:2]
if here != manifest["python"]:
    refuse(f"packed for Python {manifest['python']}, and {python} is {here}. Name another: sh unpack.sh TARGET PYTHON")
if ":" in target:
    refuse(f"{target}: a search path cannot name a folder with a colon.")
if os.path.exists(target) and (not os.path.isdir(target) or os.listdir(target)):
    refuse(f"{target} exists already. Name another folder, or remove it.")
if not hasattr(tarfile, "data_filter"):
    refuse(f"{python} is too old to unpack safely. Name a later release of {here}.")

os.makedirs(target, exist_ok=True)
for part in manifest["parts"]:
    try:
        with tarfile.open(os.path.join(folder, part["file"])) as archive:
            archive.extractall(target, filter="data")  # what leads out of the target is refused
    except (tarfile.TarError, OSError) as error:
        refuse(f"{part['file']}: {error}")

os.makedirs(os.path.join(target, "bin"), exist_ok=True)
PATHS = 'here=$(cd "$(dirname "$0")/.." && pwd)\n'
SEARCH = 'export PYTHONPATH="$here/code:$here/site${PYTHONPATH:+:$PYTHONPATH}"\n'
for name, line in (
    ("python", f'{SEARCH}exec {shlex.quote(python)} "$@"'),
    ("mic2e-bench", 'exec "$here/bin/python" -m mic2e_bench "$@"'),
):
    path = os.path.join(target, "bin", name)
    with open(path, "w") as file:
        file.write(f"#!/bin/sh\n{PATHS}{line}\n")
    os.chmod(path, 0o755)


def missing(name):
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return True


if absent := [name for name in manifest["expects"] if missing(name)]:
    print(f"unpack: this Python lacks what the pack expects: {', '.join(absent)}", file=sys.stderr)
run = shlex.quote(os.path.join(target, "bin", "mic2e-bench"))
print(f"unpacked mic2e-bench {manifest['version']} ({manifest['commit']}). Next: {run} doctor")
PYTHON
