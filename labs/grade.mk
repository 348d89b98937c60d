# Lab {lab}: grade it, and pack what is handed in.  The makefile includes this.
## make grade         grade this lab (ONLY=name STOP=1 JSON=f JUNIT=f TEXT=f)
## make submission    pack the files that are handed in
LAB_FILES := {files}
SUBMISSION := lab{lab}-submission.tar.gz

# pytest may belong to the system's python3, which need not come first.
grade-python = $$(for python in $(PYTHON) /usr/bin/python3; do \
	$$python -c 'import pytest, pytest_timeout, pexpect' 2>/dev/null && break; done; \
	echo $$python)
grade-option = $(if $($1),$2 '$($1)')

grade:
	@$(grade-python) tools/grade/grade.py $(call grade-option,JSON,--json) \
		$(call grade-option,JUNIT,--junit) $(call grade-option,TEXT,--text) \
		$(call grade-option,ONLY,--only) $(if $(STOP),--stop) .

submission:
	@for file in $(LAB_FILES); do test -f $$file || \
		{ echo "submission: $$file is missing: lab {lab} hands it in" >&2; exit 1; }; done
	@for file in $(LAB_FILES); do \
		tar -xOzf tools/grade/handout.tar.gz $$file 2>/dev/null | cmp -s - $$file && \
			echo "submission: $$file is as it was handed out"; done; true
	@tar -czf $(SUBMISSION) $(LAB_FILES)
	@echo "$(SUBMISSION): $(LAB_FILES)"

.PHONY: grade submission
