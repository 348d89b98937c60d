# Kernels of the grader's: each boots a test of lab 4.
$(eval $(call compile-rules,grade/,grade/,USER_CFLAGS))
$(OBJ)/grade/%.o: USER_CFLAGS += -Wno-error

$(OBJ)/grade/%: $(OBJ)/grade/%.o $(LIB_DEPS)
	$(call link-program,$<)

define grade-kernel
$(OBJ)/kern/envs-$1.S: $(patsubst %,$(OBJ)/grade/%,$2) GNUmakefile
	$$(Q)mkdir -p $$(@D)
	$$(Q)( echo '.globl epttest_at_boot; epttest_at_boot:'; $$(boot_list) \
		$(foreach p,$2,$$(call boot_entry,$p,$3,$(OBJ)/grade/$p)) \
		echo '.quad 0, 0, 0, 0' ) > $$@
endef
$(eval $(call grade-kernel,gradeept,,0))
$(eval $(call grade-kernel,gradelib,gradelib,0))
$(eval $(call grade-kernel,gradevd,gradevd,0))
$(eval $(call grade-kernel,gradeipc,gradeipc,1))
