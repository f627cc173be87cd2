#!/usr/bin/env bash
# The torch-free part with other versions than CI's: `newest` takes the newest Python of this machine and the newest of
# every package, `lowest` the oldest Python that pyproject.toml allows and the lowest versions. Makes .venv-newest or
# .venv-lowest, runs tests/bare_install.py there and then the fast tests. PYTHON=python3.14 names another Python.
set -euo pipefail
cd "$(dirname "$0")/.."
which=$1

pythons() {  # paths of Pythons, the oldest first
    { ls /usr/bin/python3.?? /usr/local/bin/python3.?? "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3.?? 2>/dev/null || true; } |
        sed -E 's#(.*/python3\.)([0-9]+)$#\2 \1\2#' | sort -n | awk '$1 >= 11 {print $2}'
}
case $which in
    newest) python=${PYTHON:-$(pythons | tail -n 1)} constraints=/dev/null ;;
    lowest) python=${PYTHON:-$(pythons | head -n 1)} constraints=.venv-lowest/lowest.txt ;;
    *) echo "usage: $0 newest|lowest" >&2; exit 2 ;;
esac
[ -n "$python" ] || { echo "no Python 3.11 or later is found; name one: PYTHON=/path/to/python $0 $which" >&2; exit 1; }

venv=.venv-$which
"$python" -m venv --clear "$venv"
[ "$which" = lowest ] && "$venv/bin/python" tests/lowest_versions.py >"$constraints"
# What pip says is shown if it fails, and whether the registry or the versions are to blame: then nothing was tested. A
# registry that does not answer is asked three times.
pip() {
    local turn
    for turn in 1 2 3; do
        "$venv/bin/python" -m pip install --disable-pip-version-check -q -c "$constraints" "$@" 2>"$venv/pip.log" && return
        cat "$venv/pip.log" >&2
        if ! grep -qiE "$no_answer" "$venv/pip.log"; then
            echo "test-$which: NOT TESTED, pip finds no such set of versions (above); see pyproject.toml" >&2
            exit 3
        fi
        [ "$turn" = 3 ] || sleep 15
    done
    echo "test-$which: NOT TESTED, the package registry did not answer as it should, three times (above); run it again" >&2
    exit 3
}
no_answer='connection|timed out|name resolution|from versions: none|HTTP error|IncompleteRead|ProxyError|SSLError'
pip -e .
"$venv/bin/python" tests/bare_install.py
pip -e '.[figures,excel]' -r tests/fast_tests.txt
"$venv/bin/python" -m pip freeze --exclude-editable >"$venv/versions.txt"
echo "$("$venv/bin/python" --version), $(wc -l <"$venv/versions.txt") packages: $venv/versions.txt"
# a release of today may break what ran yesterday: what is newer than the pinned set is named if a test fails
trap 'echo "test-$which: failed; other than in constraints.txt: $(comm -13 <(tr A-Z_ a-z- <constraints.txt | sort) <(tr A-Z_ a-z- <"$venv/versions.txt" | sort) | paste -sd" ")" >&2' ERR
unset MATINEE_REQUIRE_ALL MATINEE_FUZZ_SECONDS  # what only an extra or a service gives is skipped here, and counted
# -W: what a new version announces for later is no failure today, and what an old one has announced is known
PYTHONPATH=tests OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$venv/bin/python" -m pytest -q -W default \
    -p without_torch -k "not postgresql and not mariadb" \
    -m "not (slow or fits or reference or site or browser or service)" ${TESTS:-}
