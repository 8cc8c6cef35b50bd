# The project's commands. `make demo` and `make test` need nothing but Python 3.10+ and a package
# index; each makes what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OLDEST := build/oldest

.PHONY: demo test test-oldest lint bench accuracy reproduce results clean

demo: $(VENV)/installed
	$(BIN)/python examples/demo.py

# One thread a process: two processes of one thread do more than one process of two.
test: $(VENV)/developed
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile $(ARGS)

# All but the tests that train or start many processes, beside .venv's torch, which is 5 GB. What
# libraries warn of in their old versions is not ours to mend.
test-oldest: $(VENV)/developed
	rm -rf $(OLDEST)
	$(PYTHON) -m venv $(OLDEST)
	ls -d $(CURDIR)/$(VENV)/lib/python3*/site-packages > $(OLDEST)/torch.pth
	mv $(OLDEST)/torch.pth $(OLDEST)/lib/python3*/site-packages
	$(OLDEST)/bin/pip install --quiet --requirement constraints-oldest.txt --editable ".[all]"
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest --numprocesses auto --dist loadfile \
		-W default --disable-warnings tests --ignore tests/apps --ignore tests/test_readme.py \
		--ignore tests/test_bench.py

lint: $(VENV)/developed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed
	$(BIN)/python benchmarks/bench.py

accuracy: $(VENV)/installed
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/label_accuracy.py

reproduce: $(VENV)/installed
	PYTHONPATH=benchmarks $(BIN)/python reproduction/reproduce.py $(ARGS)

results: bench accuracy

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[all]"
	touch $@

$(VENV)/developed: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist demo
