# Doors for those who teach: handouts, solutions, tarballs.

seed := $(if $(SEED),--seed '$(SEED)')
generated += tangle/solution[0-9]* dist

handout: ## write lab LAB as its students get it to tangle/labN (SEED=: a variant)
	@$(if $(LAB),,echo "make handout: say which lab: make handout LAB=2" >&2; exit 2)
	@tangle/deps --need tangle handout
	@$(PYTHON) labs/handout.py $(seed) $(if $(FORCE),--force) '$(LAB)' '$(tree)'

solution: ## write what lab LAB's students end with to tangle/solutionN
	@$(if $(LAB),,echo "make solution: say which lab: make solution LAB=2" >&2; exit 2)
	@tangle/deps --need tangle handout
	@$(PYTHON) labs/handout.py --solution $(seed) $(if $(FORCE),--force) '$(LAB)' \
		'$(or $(OUT),tangle/solution$(LAB))'

.PHONY: handout solution
