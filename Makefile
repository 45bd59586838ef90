# `make demo` shows the tool at work, `make test` tests it. Both need Python 3.11 or
# later, pip and make, and keep everything below this folder.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo

.PHONY: demo test clean

demo: .venv/ready
	$(BIN)/python examples/demo.py $(DEMO)

test: .venv/ready
	$(BIN)/python -m pytest -q -m "not tensorflow" tests
	$(BIN)/python -m pytest -q -m tensorflow tests

.venv/ready: requirements.txt setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf .venv $(DEMO)
