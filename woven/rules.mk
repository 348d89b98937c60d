## Pages out of the chapters

generated += woven/html woven/html-student woven/slides woven/slides-student woven/book*.pdf \
	woven/book*.epub woven/build woven/.html*

edition = $(if $(EDITION),-e '$(EDITION)')
student = $(if $(filter student,$(EDITION)),-student)
weave = $(PYTHON) woven/weave $(if $(DRAFT),-d) $(edition)

html: ## weave all chapters into woven/html, one page a chapter
	@tangle/deps --need tangle weave
	@$(weave) html . woven
	@echo "woven/html$(student)/index.html: $$(ls woven/html$(student)/*.html | wc -l) pages"

slides: ## the lectures' slides, each with a PDF, and their plan: woven/slides
	@tangle/deps --need tangle weave slides
	@$(weave) slides . woven
	@echo "woven/slides$(student)/index.html: $$(ls woven/slides$(student)/*.pdf | wc -l) lectures"

read: html ## weave, then open the book in a browser
	@case $$(uname) in Darwin) open woven/html$(student)/index.html ;; \
	*) xdg-open woven/html$(student)/index.html ;; esac

pdf: ## typeset the book: woven/book.pdf
	@tangle/deps --need tangle weave print
	@$(weave) pdf . woven
	@echo "woven/book$(student).pdf"

epub: ## the book for reading devices: woven/book.epub
	@tangle/deps --need tangle weave print
	@$(weave) epub . woven
	@echo "woven/book$(student).epub"

woven: html pdf epub slides ## html, pdf, epub and slides (EDITION=student: without solutions)

stats: ## chunk sizes and prose a chapter (V=1: name chunks; CHECK=1: fail)
	@tangle/deps --need tangle
	@$(PYTHON) woven/stats.py $(if $(CHECK),--check) $(if $(V),--list) chapters

.PHONY: html pdf epub slides woven read stats
