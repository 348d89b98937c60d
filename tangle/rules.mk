## Code out of the chapters

# 7 and 07 are one chapter.
upto := $(if $(filter 1 2 3 4 5 6 7 8 9,$(UPTO)),0$(UPTO),$(UPTO))
line := $(if $(filter-out 0,$(LINE)),-line)
tree := $(or $(OUT),tangle/$(if $(LAB),lab$(LAB),$(if $(upto),upto-$(upto)$(line),jos$(line))))

generated += tangle/jos tangle/jos-line tangle/upto-* tangle/.stage.*

deps: ## install the tools that are missing (apt, dnf, pacman or brew)
	@tangle/deps

tangle: ## write the JOS tree to tangle/jos (or another: see below)
	@tangle/deps --need tangle
	@$(if $(LAB),$(MAKE) --no-print-directory handout,tangle/tangle $(if $(upto),-u '$(upto)') \
		$(if $(line),-L) $(if $(DRAFT),-d) $(if $(FORCE),-f) . '$(tree)')

## Run it (in QEMU: Ctrl-A X leaves, in Bochs: Ctrl-C)

qemu: ## boot JOS in QEMU, in a window
qemu-nox: ## boot JOS in QEMU, in this terminal
qemu-gdb: ## as qemu, stopped, waiting for `make gdb` in another terminal
qemu-nox-gdb: ## as qemu-nox, stopped, waiting for `make gdb`
gdb: ## attach gdb to a waiting QEMU
bochs: ## boot JOS in Bochs, in this terminal
run-NAME: ## boot and run the user program NAME (run-hello, run-primes, …)
run-NAME-nox: ## the same in this terminal
run-vmm-nox: ## run the virtual machine monitor where there is VMX

# A window needs QEMU's window system, where there is a screen at all.
window := $(if $(DISPLAY)$(WAYLAND_DISPLAY),window)

qemu: needs = qemu $(window)
qemu-nox: needs = qemu
qemu-gdb: needs = qemu gdb $(window)
qemu-nox-gdb gdb: needs = qemu gdb
bochs: needs = bochs

# A handout is its student's: once it is written, these doors take it as it is.
fresh := $(if $(LAB),$(if $(wildcard $(tree)/tools/grade/class.json),,handout),tangle)

qemu qemu-nox qemu-gdb qemu-nox-gdb gdb bochs: $(fresh)
	@tangle/deps --need build $(needs)
	+@$(MAKE) -C '$(tree)' $@

# Guests run in Bochs, unless KVM nests.
run-%: $(fresh)
	@tangle/deps --need build $(if $(filter run-vm% run-tinyguest% run-guestmem% run-vtimer% run-exitcost% %-bochs,$@),bochs,qemu)
	+@$(MAKE) -C '$(tree)' $@

run-NAME run-NAME-nox:
	@echo "make $@: put the name of a program for NAME, as in make $(@:run-NAME%=run-hello%)" >&2; exit 2

## Look into it

gdb-core: ## look into the core CORE (jos.core), left by make run-NAME-bochs CORE=jos.core
	@tangle/deps --need gdb
	+@$(MAKE) -C '$(tree)' $@

doctor: ## check the tools: what is there, what is missing, what to do about it
	@tangle/doctor

.PHONY: gdb-core doctor deps tangle qemu qemu-nox qemu-gdb qemu-nox-gdb gdb bochs run-NAME run-NAME-nox
