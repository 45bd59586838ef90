# `make demo` shows the tool at work, `make test` tests it. Both need Python 3.11 or
# later, pip and make, and keep everything below this folder.
PYTHON ?= python3
BIN := .venv/bin
LOWEST := .venv-lowest/bin
DEMO := demo
# A worker for each core, four at most: each holds TensorFlow. Tests stay in their order,
# so that what files of tests share is seldom made twice.
PYTEST := -m pytest -q -n auto --maxprocesses 4 --dist worksteal

.PHONY: demo test lint package lowest clean

demo: .venv/ready
	$(BIN)/python examples/demo.py $(DEMO)

test: .venv/ready
	@echo "the half without TensorFlow"
	$(BIN)/python $(PYTEST) -m "not tensorflow" tests
	@echo "the half with TensorFlow"
	$(BIN)/python $(PYTEST) -m tensorflow tests

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Builds the wheel and the source distribution, and uses what an installation of the
# latter leaves.
package: .venv/ready
	rm -rf build dist .venv-sdist
	$(BIN)/python -m build
	$(PYTHON) -m venv .venv-sdist
	.venv-sdist/bin/pip install --quiet dist/*.tar.gz
	PATH="$(CURDIR)/.venv-sdist/bin:$$PATH" $(BIN)/python tools/use_installed.py

# The tests once more, with the lowest versions that requirements.txt and setup.py allow.
lowest: .venv/ready
	rm -rf .venv-lowest
	$(PYTHON) -m venv .venv-lowest
	$(BIN)/python tools/lowest_versions.py > .venv-lowest/constraints.txt
	$(LOWEST)/pip install --quiet -c .venv-lowest/constraints.txt --editable '.[test]'
	$(LOWEST)/python $(PYTEST) -m "not tensorflow" tests
	$(LOWEST)/python $(PYTEST) -m tensorflow tests

.venv/ready: requirements.txt setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf .venv .venv-lowest .venv-sdist build dist $(DEMO)
