# Two commands do all the set-up: `make demo` and `make test`. The rest is for development.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test test-bare test-newest test-lowest test-versions two-at-a-time test-fast time-fast mutants check format docs bench clean

help:
	@echo "make demo       train on the bundled MovieLens and open the site on http://127.0.0.1:8000"
	@echo "make test       run every test"
	@echo "make test-fast  run the tests of units, data and properties, in under a minute of one core"
	@echo "make time-fast  measure these, and write the list of those that test-fast leaves out"
	@echo "make test-bare  run what needs no torch in an environment without it"
	@echo "make test-versions   a part of the next two, side by side"
	@echo "make two-at-a-time   check, test-bare and test-versions, on two cores"
	@echo "make test-newest, test-lowest   the same and the fast tests, with the newest Python and packages, or the lowest"
	@echo "make mutants    change the code in 200 small ways and see that the tests notice"
	@echo "make check      format, lint, types, order of imports, dependencies, retired words"
	@echo "make docs       the documentation as a site, in build/site"
	@echo "make bench      measure speed, memory and quality; figures as JSON beside the scripts"
	@echo "make clean      remove the virtual environment and caches"

$(VENV)/.runs: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[train]'
	@touch $@

$(VENV)/.develops: $(VENV)/.runs
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev,train]'
	@touch $@

demo: $(VENV)/.runs
	$(BIN)/matinee demo $(DEMO)

# Two processes of one thread each: threads that share each matrix product mostly wait for one another.
WORKERS ?= 2
test: $(VENV)/.develops
	@bash tests/services.sh
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --cov --cov-report=term:skip-covered $(TESTS)

# An environment of its own without extras: what `pip install matinee` gives, with neither torch nor figures.
BARE ?= .venv-bare
CONSTRAINTS ?= constraints.txt
test-bare: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(BARE)
	$(BARE)/bin/python -m pip install --disable-pip-version-check -q -c $(CONSTRAINTS) -e .
	$(BARE)/bin/python tests/bare_install.py

# The same and the fast tests that need no torch: on the newest Python that is found with the newest of every package,
# and on the oldest with the lowest versions that pyproject.toml allows. `make test-versions` is a part of both,
# side by side: the tests of what other packages decide, such as files read, tables, arrays and settings.
test-newest:
	bash tests/other_versions.sh newest
test-lowest:
	bash tests/other_versions.sh lowest
OF_VERSIONS := tests/data tests/property tests/test_front_door.py tests/test_shown.py tests/test_given.py \
	tests/test_metrics.py tests/test_titles.py tests/test_values.py tests/test_vocab_text.py \
	tests/test_ranking.py
test-versions:
	$(MAKE) -j2 --output-sync=target test-newest test-lowest TESTS="$(OF_VERSIONS)"

# What takes one core each, two at a time: the checks, and what needs no torch with the pinned, the newest and the lowest
# versions.
two-at-a-time:
	$(MAKE) -j2 --output-sync=target check test-newest test-lowest test-bare TESTS="$(OF_VERSIONS)"

# Units, data, properties and documents: nothing slow, no fitted model, no whole site, and of the rest what takes a few
# hundredths of a second. Under a minute of one core; when it has grown, `make time-fast` writes the list of longer ones.
FAST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n0 -q \
	-m "not (slow or fits or reference or site or browser or service)"
test-fast: $(VENV)/.develops
	$(FAST) --quick $(TESTS)
time-fast: $(VENV)/.develops
	$(FAST) --time-quick

# MUTANTS="--seed 2 --only ranking/rank.py" draws others. The code as it is must pass its tests.
mutants: $(VENV)/.develops
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/mutants.py --json $(MUTANTS)

check: $(VENV)/.develops
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/python docs/check_words.py

format: $(VENV)/.develops
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.develops
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/.develops
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) $(BARE) .venv-newest .venv-lowest build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
