/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * copy.c - libc's memcpy() with its stack noted, so that a handler can leave it.
 *
 * memcpy() changes nothing that its caller keeps in registers, at no point of
 * it: so it can be left from anywhere with no more than the stack set right.
 */
#include <sys/ucontext.h>

#include "base/copy.h"

#define LOOK_BYTES 512u

__thread uintptr_t copy_guard
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

#if defined(__x86_64__)
__asm__(".text\n"
	".p2align 4\n"
	".globl copy_try\n"
	".hidden copy_try\n"
	".type copy_try, @function\n"
	"copy_try:\n"
	".cfi_startproc\n"
	"	endbr64\n"
	"	sub $8, %rsp\n"
	".cfi_adjust_cfa_offset 8\n"
	"	mov copy_guard@gottpoff(%rip), %rax\n"
	"	mov %rsp, %fs:(%rax)\n"
	"	call memcpy@PLT\n"
	"	mov copy_guard@gottpoff(%rip), %rcx\n"
	"	movq $0, %fs:(%rcx)\n"
	"	mov $1, %eax\n"
	"1:	add $8, %rsp\n"
	".cfi_remember_state\n"
	".cfi_adjust_cfa_offset -8\n"
	"	ret\n"
	".cfi_restore_state\n"
	".hidden copy_try_failed\n"
	"copy_try_failed:\n"
	"	xor %eax, %eax\n"
	"	jmp 1b\n"
	".cfi_endproc\n"
	".size copy_try, .-copy_try\n");
#elif defined(__aarch64__)
__asm__(".text\n"
	".p2align 4\n"
	".globl copy_try\n"
	".hidden copy_try\n"
	".type copy_try, %function\n"
	"copy_try:\n"
	".cfi_startproc\n"
	"	stp x29, x30, [sp, #-16]!\n"
	".cfi_adjust_cfa_offset 16\n"
	".cfi_rel_offset x29, 0\n"
	".cfi_rel_offset x30, 8\n"
	"	adrp x3, :gottprel:copy_guard\n"
	"	ldr x3, [x3, #:gottprel_lo12:copy_guard]\n"
	"	mrs x4, tpidr_el0\n"
	"	mov x5, sp\n"
	"	str x5, [x4, x3]\n"
	"	bl memcpy\n"
	"	adrp x3, :gottprel:copy_guard\n"
	"	ldr x3, [x3, #:gottprel_lo12:copy_guard]\n"
	"	mrs x4, tpidr_el0\n"
	"	str xzr, [x4, x3]\n"
	"	mov w0, #1\n"
	"1:	ldp x29, x30, [sp], #16\n"
	"	ret\n"
	".hidden copy_try_failed\n"
	"copy_try_failed:\n"
	"	mov w0, #0\n"
	"	b 1b\n"
	".cfi_endproc\n"
	".size copy_try, .-copy_try\n");
#else
#error "unknown machine"
#endif

extern const char copy_try_failed[] __attribute__((visibility("hidden")));

bool copy_can_read(const void *src, size_t bytes)
{
	const char *at = src;
	char look[LOOK_BYTES];

	while (bytes > 0) {
		size_t n = bytes < LOOK_BYTES ? bytes : LOOK_BYTES;

		if (!copy_try(look, at, n))
			return false;
		at += n;
		bytes -= n;
	}
	return true;
}

bool copy_fault(void *context)
{
	ucontext_t *c = context;

	if (copy_guard == 0)
		return false;
#if defined(__x86_64__)
	c->uc_mcontext.gregs[REG_RSP] = (greg_t)copy_guard;
	c->uc_mcontext.gregs[REG_RIP] = (greg_t)copy_try_failed;
#else
	c->uc_mcontext.sp = copy_guard;
	c->uc_mcontext.pc = (uintptr_t)copy_try_failed;
#endif
	copy_guard = 0;
	return true;
}
