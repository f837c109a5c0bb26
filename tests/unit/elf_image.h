/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * elf_image.h - Small ELF files for tests: headers that say what is wanted, and
 * no code.
 */
#ifndef MORTISE_TESTS_UNIT_ELF_IMAGE_H
#define MORTISE_TESTS_UNIT_ELF_IMAGE_H

#include <elf.h>
#include <stddef.h>
#include <string.h>

#if defined(__aarch64__)
#define IMAGE_MACHINE EM_AARCH64
#else
#define IMAGE_MACHINE EM_X86_64
#endif

#define IMAGE_LOADER "/lib64/ld-linux-x86-64.so.2"

/**
 * struct elf_image - What it is to be.
 * @interpreter: NULL: none. @needed: a DT_NEEDED, or NULL. @go: With Go's note.
 */
struct elf_image {
	const char *interpreter, *needed;
	int go;
	struct {
		Elf64_Ehdr e;
		Elf64_Phdr p[4];
		char interpreter[64];
		struct {
			Elf64_Nhdr h;
			char name[4], id[8];
		} note;
		Elf64_Dyn dynamic[3];
		char strings[64];
	} file;
};

/** elf_image_make() - Fill @file in. */
static inline void elf_image_make(struct elf_image *m)
{
	const size_t size = sizeof(m->file);

	memset(&m->file, 0, size);
	memcpy(m->file.e.e_ident, ELFMAG, SELFMAG);
	m->file.e.e_ident[EI_CLASS] = ELFCLASS64;
	m->file.e.e_ident[EI_DATA] = ELFDATA2LSB;
	m->file.e.e_ident[EI_VERSION] = EV_CURRENT;
	m->file.e.e_type = ET_DYN;
	m->file.e.e_machine = IMAGE_MACHINE;
	m->file.e.e_version = EV_CURRENT;
	m->file.e.e_phoff = sizeof(Elf64_Ehdr);
	m->file.e.e_ehsize = sizeof(Elf64_Ehdr);
	m->file.e.e_phentsize = sizeof(Elf64_Phdr);
	m->file.p[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_filesz = size, .p_memsz = size };
	m->file.e.e_phnum = 1;
#define IMAGE_HEADER(t, member, a)                                                           \
	m->file.p[m->file.e.e_phnum++] = (Elf64_Phdr){                                       \
		.p_type = (t), .p_offset = (size_t)((char *)&m->file.member - (char *)&m->file), \
		.p_vaddr = (size_t)((char *)&m->file.member - (char *)&m->file),             \
		.p_filesz = sizeof(m->file.member), .p_align = (a) }
	if (m->interpreter) {
		strcpy(m->file.interpreter, m->interpreter);
		IMAGE_HEADER(PT_INTERP, interpreter, 1);
	}
	if (m->go) {
		m->file.note.h = (Elf64_Nhdr){ .n_namesz = 4, .n_descsz = 8, .n_type = 4 };
		strcpy(m->file.note.name, "Go");
		IMAGE_HEADER(PT_NOTE, note, 4);
	}
	if (m->needed) {
		strcpy(m->file.strings + 1, m->needed);
		m->file.dynamic[0].d_tag = DT_NEEDED;
		m->file.dynamic[0].d_un.d_val = 1;
		m->file.dynamic[1].d_tag = DT_STRTAB;
		m->file.dynamic[1].d_un.d_ptr = (size_t)(m->file.strings - (char *)&m->file);
		IMAGE_HEADER(PT_DYNAMIC, dynamic, 8);
	}
#undef IMAGE_HEADER
}

#endif
