# Every door of the book. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# `make deps tangle qemu` means this order, also under -j; the trees' own
# makefiles still build in parallel.
.NOTPARALLEL:

include tangle/rules.mk
-include woven/rules.mk
include tests/rules.mk

help: ## list the doors
	@awk -f tangle/help.awk $(MAKEFILE_LIST)

clean: ## remove everything that was generated
	rm -rf $(generated)

.PHONY: help clean
