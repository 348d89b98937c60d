# Doors for those who teach: handouts, solutions, tarballs.

seed := $(if $(SEED),--seed '$(SEED)')
generated += tangle/solution[0-9]* dist

handout: ## write lab LAB as its students get it to tangle/labN (SEED=: a variant)
	@$(if $(LAB),,echo "make handout: say which lab: make handout LAB=2" >&2; exit 2)
	@$(if $(upto)$(line),echo "make handout: LAB=$(LAB): a handout is of the whole book: no UPTO and no LINE" >&2; exit 2)
	@tangle/deps --need tangle handout
	@$(PYTHON) labs/handout.py $(seed) $(if $(FORCE),--force) $(if $(CLASSROOM),--classroom) '$(LAB)' '$(tree)'

solution: ## write what lab LAB's students end with to tangle/solutionN
	@$(if $(LAB),,echo "make solution: say which lab: make solution LAB=2" >&2; exit 2)
	@tangle/deps --need tangle handout
	@$(PYTHON) labs/handout.py --solution $(seed) $(if $(FORCE),--force) '$(LAB)' \
		'$(or $(OUT),tangle/solution$(LAB))'

# PARTS= chooses; SEED= is for handouts and solution.
parts := $(or $(PARTS),labs solution book student instructor)

dist: ## tarballs of handouts, solution, book and grading kit, in dist/ (PARTS=: some)
	@tangle/deps --need tangle handout $(if $(filter book student,$(parts)),weave print slides)
	@export SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || :)}; \
	$(if $(filter book,$(parts)),$(MAKE) --no-print-directory woven EDITION=;) \
	$(if $(filter student,$(parts)),$(MAKE) --no-print-directory woven EDITION=student;) \
	$(PYTHON) labs/dist.py $(seed) $(if $(OUT),--out '$(OUT)') $(parts)

.PHONY: handout solution dist

# HIDDEN=1: the hidden checks of the book; or a folder of your own, with files such as labs/hidden has.
hidden := $(if $(HIDDEN),--hidden '$(if $(filter 1,$(HIDDEN)),labs/hidden,$(HIDDEN))')

grade-all: ## grade a class: DIR=submissions LAB=N, JOBS=n at a time, into DIR-results/
	@$(if $(DIR),,echo "make grade-all: say where the submissions are: make grade-all DIR=submissions LAB=2" >&2; exit 2)
	@tangle/deps --need tangle handout build qemu bochs gdb grade $(if $(SANDBOX),sandbox)
	@$(PYTHON) labs/grade_all.py all $(seed) $(hidden) $(if $(LAB),--lab '$(LAB)') \
		$(if $(JOBS),--jobs '$(JOBS)') $(if $(CSV),--csv '$(CSV)') $(if $(OUT),--out '$(OUT)') \
		$(if $(FORCE),--force) $(if $(SANDBOX),--sandbox) -- '$(DIR)'

gradescope: ## pack an autograder of lab LAB for Gradescope (SEED=, HIDDEN=1), in dist/
	@$(if $(LAB),,echo "make gradescope: say which lab: make gradescope LAB=2" >&2; exit 2)
	@tangle/deps --need tangle handout
	@$(PYTHON) labs/gradescope/pack.py $(seed) $(hidden) -- '$(LAB)' '$(or $(OUT),dist)/gradescope-lab$(LAB).zip'

.PHONY: grade-all gradescope

# Several minutes for each lab: QUICK=1 ends a grading at its first lost point.
mutants: ## grade wrong solutions: do the graders tell? (LAB=, ONLY=, JOBS=, TIMES=, QUICK=1)
	@tangle/deps --need tangle handout build qemu bochs gdb check
	@$(PYTHON) labs/mutants.py $(if $(LAB),--lab '$(LAB)') $(if $(ONLY),--only '$(ONLY)') \
		--jobs '$(or $(JOBS),2)' --times '$(or $(TIMES),3)' $(if $(QUICK),--quick)

.PHONY: mutants
