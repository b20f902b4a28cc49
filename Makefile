# Everything a developer runs. Needs Python 3.11+ and make; each target makes .venv when it is missing or stale.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP_INSTALL := -m pip install -qq --disable-pip-version-check
# --verifytypes looks for the packages in the Python that is first on PATH, whatever --pythonpath says.
WITH_VENV := PATH="$(CURDIR)/$(BIN):$$PATH"
PYTEST_ARGS ?= -n auto
SMOKE_VERSIONS ?= 3.12 3.13
# What may differ when it is installed from a wheel, and what may differ between versions of Python.
WHEEL_TESTS := tests/test_frame.py tests/test_snippets.py tests/asynclint tests/asynckit/test_package.py tests/asynckit/test_to_process.py
SMOKE_TESTS := tests/asynckit tests/asynclint/cases tests/asynclint/test_syntax.py tests/test_frame.py

# Both packages must come from the installed wheel, not from src/.
ASSERT_INSTALLED := import asynckit, asynclint; \
	[m.__file__ for m in (asynckit, asynclint) if "site-packages" not in m.__file__] and exit("imported from the sources")

.DEFAULT_GOAL := help
.PHONY: help demo test bench docs lint wheel-test smoke catalog clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

$(READY): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) here: asynckit needs Python 3.11 or newer; try make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = "%d.%d" % sys.version_info[:2]; sys.version_info < (3, 11) and sys.exit("asynckit needs Python 3.11 or newer, $(PYTHON) is " + v + "; try make PYTHON=/path/to/python")'
	@test -x $(BIN)/python || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python $(PIP_INSTALL) --upgrade 'pip>=25.1'
	@$(BIN)/python $(PIP_INSTALL) -e '.[all]' --group dev
	@touch $@

test: $(READY) ## run the whole suite
	$(BIN)/pytest $(PYTEST_ARGS)

lint: $(READY) ## format, lint, types, import contracts, generated docs
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(WITH_VENV) basedpyright
	$(WITH_VENV) basedpyright --ignoreexternal --verifytypes asynckit
	$(WITH_VENV) basedpyright --ignoreexternal --verifytypes asynclint
	$(BIN)/lint-imports
	$(BIN)/python tools/generate_docs.py --check

docs: $(READY) ## build the HTML documentation into docs/_build/html
	$(BIN)/sphinx-build --fresh-env -W --keep-going --quiet -b html docs docs/_build/html
	@echo "docs: open docs/_build/html/index.html"

demo: $(READY) ## show what the project does
	$(BIN)/python tools/demo.py

bench: $(READY) ## measure, side by side with the peers
	@set -e; \
	bench=".venvs/bench-$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')"; \
	test -x $$bench/bin/python || $(PYTHON) -m venv $$bench; \
	$$bench/bin/python $(PIP_INSTALL) --upgrade 'pip>=25.1'; \
	$$bench/bin/python $(PIP_INSTALL) '.[all]' --group bench; \
	$$bench/bin/python benchmarks/run.py $(BENCH_ARGS)

wheel-test: $(READY) ## build sdist and wheel, test the installed wheel
	rm -rf dist .venvs/wheel
	@mkdir -p .venvs
	$(BIN)/python -m build --outdir dist >.venvs/build.log 2>&1 || { cat .venvs/build.log; exit 1; }
	$(BIN)/python -m venv .venvs/wheel
	@.venvs/wheel/bin/python $(PIP_INSTALL) --upgrade 'pip>=25.1'
	@wheel="$$(ls dist/*.whl)" && .venvs/wheel/bin/python $(PIP_INSTALL) "$$wheel[all]" --group test
	@.venvs/wheel/bin/python -I -c '$(ASSERT_INSTALLED)'
	.venvs/wheel/bin/pytest $(PYTEST_ARGS) -m "not thorough" $(WHEEL_TESTS)

smoke: $(SMOKE_VERSIONS:%=smoke-%) ## test on the other Pythons that are here

smoke-%: $(READY)
	@python="$$($(BIN)/python tools/interpreters.py $*)"; \
	if [ -z "$$python" ]; then echo "smoke: no working Python $* here, skipped"; exit 0; fi; \
	set -e; \
	echo "smoke: Python $* ($$python)"; \
	test -x .venvs/$*/bin/python || "$$python" -m venv .venvs/$*; \
	.venvs/$*/bin/python $(PIP_INSTALL) --upgrade 'pip>=25.1'; \
	.venvs/$*/bin/python $(PIP_INSTALL) '.[all]' --group test; \
	.venvs/$*/bin/python -I -c '$(ASSERT_INSTALLED)'; \
	.venvs/$*/bin/pytest $(PYTEST_ARGS) -m "not thorough" $(SMOKE_TESTS)

catalog: $(READY) ## hold the catalogue's entries against the current releases of the libraries (fetches them)
	@$(BIN)/python tools/verify_catalog.py

clean: ## remove what these targets made
	rm -rf $(VENV) .venvs build dist docs/_build .bench .demo .asynclint_cache .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
