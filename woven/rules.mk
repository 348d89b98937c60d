## Pages out of the chapters

generated += woven/html woven/build woven/.html.*

html: ## weave all chapters into woven/html, one page a chapter
	@tangle/deps --need tangle weave
	@woven/weave $(if $(DRAFT),-d) . woven
	@echo "woven/html/index.html: $$(ls woven/html/*.html | wc -l) pages"

read: html ## weave, then open the book in a browser
	@case $$(uname) in Darwin) open woven/html/index.html ;; \
	*) xdg-open woven/html/index.html ;; esac

stats: ## chunk sizes and prose a chapter (V=1: name chunks; CHECK=1: fail)
	@tangle/deps --need tangle
	@$(PYTHON) woven/stats.py $(if $(CHECK),--check) $(if $(V),--list) chapters

.PHONY: html read stats
