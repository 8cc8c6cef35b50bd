# The project's commands. `make demo` and `make test` need nothing but Python 3.10+ and a package
# index; each makes what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint bench accuracy reproduce results clean

demo: $(VENV)/installed
	$(BIN)/python examples/demo.py

# One thread a process: two processes of one thread do more than one process of two.
test: $(VENV)/developed
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile

lint: $(VENV)/developed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed
	$(BIN)/python benchmarks/bench.py

accuracy: $(VENV)/installed
	$(BIN)/python benchmarks/accuracy.py

reproduce: $(VENV)/installed
	PYTHONPATH=benchmarks $(BIN)/python reproduction/reproduce.py $(ARGS)

results: bench accuracy

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/developed: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist demo
