# Every door of the book. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -e -o pipefail -c
.DEFAULT_GOAL := help
# `make deps tangle qemu` means this order, also under -j; the trees' own
# makefiles still build in parallel.
.NOTPARALLEL:

include tangle/rules.mk
-include woven/rules.mk
include tests/rules.mk
include labs/rules.mk

## And

help: ## this list
	@awk -f tangle/help.awk $(filter-out Makefile,$(MAKEFILE_LIST)) Makefile

clean: ## remove what was generated (not handouts: they hold students' work)
	rm -rf $(generated)

## Variables
#= CPUS=N MEM=256M  the machine that the emulator imitates
#= UPTO=NN          the tree of the book's first NN chapters, tangle/upto-NN
#= LINE=1           a tree whose compiler errors and gdb speak of the chapters
#= LAB=N            the handout of lab N, tangle/labN
#= EDITION=student  weave the book without its solutions and answers
#= OUT=dir          a tree of your own
#= DRAFT=1          let chunks be undefined or unused while a chapter grows
#= FORCE=1          overwrite what was edited by hand in a tree
#= V=1              show the commands

.PHONY: help clean
