# Everything runs in .venv, which is filled once (.ci/venv). PYTHON=... names another interpreter.
PYTHON ?=
BIN = .venv/bin

.PHONY: help venv demo test lint bench fuzz clean

help:
	@echo "make demo   a call through a cluster of two nodes, shown live"
	@echo "make test   every test, then again against the built wheel"
	@echo "make lint   ruff, mypy, import-linter"
	@echo "make bench  calls, events and claims per CPU-second, registrations, codec and parser, beside their peers"
	@echo "make fuzz   random inputs for the parsers: TARGET=message RUNS=20000"

venv:
	@PYTHON="$(PYTHON)" .ci/venv

demo: venv
	@$(BIN)/refserver demo $(ARGS)

PURE = tests/tlib_proto tests/sip_proto tests/cluster_core

test: venv
ifeq ($(strip $(ARGS)),)
	.ci/coverage -q
	$(BIN)/python -m pytest $(PURE:%=--ignore=%)
else
	$(BIN)/python -m pytest $(ARGS)
endif
	.ci/wheel $(ARGS)

lint: venv
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: venv
	@$(BIN)/python -c 'import sippy, sipmessage' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[bench]'
	@$(BIN)/python -m pip show --quiet aiosip 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'aiosip>=0.2' || true
	@$(BIN)/python -m bench.codec
	@$(BIN)/python -m bench.fanout
	@$(BIN)/python -m bench.ownership
	@$(BIN)/python -m bench $(ARGS)
	@$(BIN)/python -m bench.parse

# atheris where it installs, else Hypothesis; the first line of the output says which.
fuzz: venv
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris>=2.3' 2>/dev/null || true
	@$(BIN)/python -m fuzz $(TARGET) --runs $(or $(RUNS),20000) $(ARGS)

clean:
	rm -rf .venv .venv-wheel build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
