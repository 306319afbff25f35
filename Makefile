# The first use of any target makes .venv and installs into it (about three minutes, 6 GB); later uses start at once.
PYTHON ?= python3
BIN := .venv/bin
SPACE ?= label_lr.yaml

.PHONY: help search test lint types layers pages pytest ui dashboard notebooks claims constraints clean

help:           ## this list
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: [^#]*##/\t/' | expand -t 14

search: .venv/installed  ## run the default sweep, or go on with it (SPACE=…, ARGS='--trials 60')
	$(BIN)/python -m harness.search --space $(SPACE) $(ARGS)

test: lint types layers pages pytest  ## all checks; SLOW=1 also runs the slow tests

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed
	$(BIN)/mypy

layers: .venv/installed
	$(BIN)/lint-imports

pages: .venv/installed  ## the documentation as a site: site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# A file at a time to each of two processes, in order: the last files are short ones. Tests that time themselves run
# before, beside nothing. (5: there were none.)
BESIDE := -n 2 --dist loadfile --no-loadscope-reorder

pytest: .venv/installed
	$(if $(SLOW),$(BIN)/python -m pytest -m alone $(ARGS) || test $$? -eq 5)
	$(BIN)/python -m pytest $(BESIDE) $(if $(SLOW),-m 'not alone') $(ARGS)

ui: .venv/installed  ## MLflow's pages on the runs folder: http://127.0.0.1:5000 (RUNS=…, PORT=…)
	$(BIN)/python -m harness.ui $(if $(RUNS),--runs-dir '$(RUNS)') $(if $(PORT),--port $(PORT))

dashboard: .venv/installed  ## Optuna's dashboard on a sweep: http://127.0.0.1:8080 (STUDY=…, PORT=…)
	$(BIN)/python -m harness.dashboard $(or $(STUDY),label_lr) $(if $(PORT),--port $(PORT))

notebooks: .venv/installed  ## run the notebooks on a study (STUDY=…, TRACKING_URI=…)
	for notebook in analysis/*.ipynb; do \
	  $(BIN)/python -m analysis.execute $$notebook --out runs/$$(basename $$notebook) \
	    $(if $(STUDY),--study $(STUDY)) $(if $(TRACKING_URI),--tracking-uri $(TRACKING_URI)) || exit; \
	done

claims: .venv/installed  ## measure the paper's claims, or go on with it; writes analysis/RESULTS.md (ARGS='--only STUDY')
	$(BIN)/python -m analysis.paper.claims $(ARGS)

constraints: .venv/installed  ## write down the versions that are installed
	{ head -n 1 constraints.txt; $(BIN)/pip freeze --exclude-editable; } > constraints.new
	mv constraints.new constraints.txt

clean:  ## remove the environment and what tools left; keeps runs/
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info site

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"expected Python 3.11 or later, got {v[0]}.{v[1]}; say which: make PYTHON=python3.12 …")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || { echo "no virtual environment could be made; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
