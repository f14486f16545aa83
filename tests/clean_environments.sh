#!/usr/bin/env bash
# Installs the package beside one backend alone and runs what needs no more than that.
#
#     tests/clean_environments.sh [jax] [torch]
#
# The backends are tried side by side. A wheel is built, so that neither this folder nor what is
# installed elsewhere is found by chance.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$root"/{keras_clce,recipes,pyproject.toml,setup.py,README.md,LICENSE} "$work"
python3 -m pip wheel -q --no-deps -w "$work/wheels" "$work"
wheel=$(echo "$work"/wheels/keras_clce-*.whl)

try() {
    backend=$1
    python3 -m venv "$work/$backend"
    python="$work/$backend/bin/python"
    # torch by an exact version, because a range may resolve to gigabytes of GPU libraries.
    pins=$(grep "^$backend==" "$root/requirements-test.txt" || true)
    # Compiling all that is installed takes longer than compiling what is imported.
    "$python" -m pip install -q --no-compile "$wheel[$backend]" $pins
    for other in tensorflow jax torch keras_cv keras_hub tensorflow_datasets; do
        if [ "$other" != "$backend" ] && "$python" -c "import $other" 2>/dev/null; then
            echo "$other is installed beside $backend" >&2
            exit 1
        fi
    done
    cd "$work/$backend"
    export KERAS_BACKEND=$backend
    "$python" "$root/tests/core_with_one_backend.py" "$work/$backend"
    "$python" -c "import keras_clce.recipes.transfer"
    "$work/$backend/bin/keras-clce" transfer --help > help.txt
    grep -q -- --contrastive_weight help.txt
}

[ $# -gt 0 ] || set -- jax torch
tried=()
for backend in "$@"; do
    try "$backend" &
    tried+=($!)
done
failed=0
for process in "${tried[@]}"; do
    wait "$process" || failed=1
done
exit $failed
