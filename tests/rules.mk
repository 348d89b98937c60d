## Test it

# Debian's pytest and pexpect belong to /usr/bin/python3, which need not be the
# python3 that comes first. Looked up when a recipe runs: `make deps check`
# may have installed them a moment ago.
PYTHON = $(shell tangle/deps --python)
# A worker for each processor takes a file of tests after the other.
PYTEST = $(PYTHON) -m pytest -n auto --dist loadfile $(if $(V),-v) $(PYTEST_ARGS) tests

check: ## run all tests but those of check-long
	@tangle/deps --need tangle build qemu bochs gdb check weave print pages
	$(PYTEST) -m "not long"

check-long: ## grade wrong submissions and other classes, make the mistakes of the guide
	@tangle/deps --need tangle build qemu bochs gdb check grade
	$(PYTEST) -m long

check-fast: ## run the tests that are quick: under two minutes
	@tangle/deps --need tangle build qemu check
	$(PYTEST) -m "not slow and not long"

bench: tangle ## count what JOS costs, in instructions, and time the tangle
	@tangle/deps --need tangle build bochs check
	tangle/compare.sh
	$(if $(wildcard tests/bench.py),$(PYTHON) tests/bench.py)

## Teach with it

demo-NN: ## run the demo of lecture NN, step by step
	@echo "make $@: put the number of a lecture for NN, as in make demo-03" >&2; exit 2

demo-%:
	@tangle/deps --need tangle build qemu bochs demo
	@$(PYTHON) tests/demo.py $*

.PHONY: check check-long check-fast bench demo-NN
