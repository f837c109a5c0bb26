// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdint.h>
#include <string.h>

#include "cli/elf_file.h"

enum {
	HEADERS_MOST = 256, /* of programs; real ones have some 12 */
	DYNAMIC_MOST = 1024,
	SYMBOLS_MOST = 1 << 20,
	STRING_MAX = 256,
};

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#else
#define OUR_MACHINE EM_NONE
#endif

/** string_at() - The string at @offset of the file. Return: false where it has no end there. */
static bool string_at(Elf *e, uint64_t offset, char ret[STRING_MAX])
{
	size_t size = 0, room;
	const char *raw = elf_rawfile(e, &size), *end;

	if (!raw || offset >= size)
		return false;
	room = size - offset < STRING_MAX ? size - offset : STRING_MAX;
	end = memchr(raw + offset, 0, room);
	if (!end)
		return false;
	memcpy(ret, raw + offset, (size_t)(end - raw) - offset + 1);
	return true;
}

/** offset_of() - Where in the file the address @vaddr is. */
static bool offset_of(Elf *e, size_t count, uint64_t vaddr, uint64_t *ret)
{
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr p;

		if (!gelf_getphdr(e, (int)i, &p) || p.p_type != PT_LOAD || vaddr < p.p_vaddr ||
		    vaddr - p.p_vaddr >= p.p_filesz || p.p_offset > INT64_MAX)
			continue;
		*ret = p.p_offset + (vaddr - p.p_vaddr);
		return true;
	}
	return false;
}

/** read_needed() - PT_DYNAMIC's DT_NEEDED entries. */
static bool read_needed(Elf *e, size_t count, const GElf_Phdr *p, struct elf_file *ret)
{
	Elf_Data *d = elf_getdata_rawchunk(e, (int64_t)p->p_offset, p->p_filesz, ELF_T_DYN);
	uint64_t strings = 0;
	GElf_Dyn dyn;

	if (!d)
		return false;
	for (int i = 0; i < DYNAMIC_MOST && gelf_getdyn(d, i, &dyn) && dyn.d_tag != DT_NULL; i++) {
		if (dyn.d_tag == DT_STRTAB && !offset_of(e, count, dyn.d_un.d_ptr, &strings))
			return false;
	}
	for (int i = 0; i < DYNAMIC_MOST && gelf_getdyn(d, i, &dyn) && dyn.d_tag != DT_NULL; i++) {
		char name[STRING_MAX];

		if (dyn.d_tag != DT_NEEDED)
			continue;
		if (!strings || dyn.d_un.d_val > INT32_MAX ||
		    !string_at(e, strings + dyn.d_un.d_val, name))
			return false;
		ret->liburing |= !strncmp(name, "liburing.so", 11);
	}
	return true;
}

/** read_notes() - Go's linker leaves a note with its build's name. */
static void read_notes(Elf *e, const GElf_Phdr *p, struct elf_file *ret)
{
	Elf_Data *d = elf_getdata_rawchunk(e, (int64_t)p->p_offset, p->p_filesz,
					   p->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	size_t at = 0, name, desc;
	GElf_Nhdr n;

	while (d && (at = gelf_getnote(d, at, &n, &name, &desc)) > 0) {
		if (n.n_namesz == 3 || n.n_namesz == 4)
			ret->go |= !memcmp((const char *)d->d_buf + name, "Go", 3);
	}
}

static bool read_headers(Elf *e, size_t count, struct elf_file *ret)
{
	size_t size;

	if (!elf_rawfile(e, &size))
		return false;
	for (size_t i = 0; i < count && i < HEADERS_MOST; i++) {
		char text[STRING_MAX];
		GElf_Phdr p;

		if (!gelf_getphdr(e, (int)i, &p))
			return false;
		if (p.p_type != PT_INTERP && p.p_type != PT_DYNAMIC && p.p_type != PT_NOTE)
			continue;
		if (p.p_offset > size || p.p_filesz > size - p.p_offset)
			return false;
		if (p.p_type == PT_NOTE) {
			read_notes(e, &p, ret);
		} else if (p.p_type == PT_INTERP) {
			if (!string_at(e, p.p_offset, text) || !*text)
				return false;
			strcpy(ret->interpreter, text);
		} else if (p.p_filesz && !read_needed(e, count, &p, ret)) {
			return false;
		}
	}
	return true;
}

/** is_socket_call() - A name that the library stands behind, and others like to, too. */
static bool is_socket_call(const char *name)
{
	static const char *const calls[] = { "socket", "connect", "accept",  "accept4", "bind",
					     "listen", "send",	  "sendto",  "sendmsg", "recv",
					     "recvfrom", "recvmsg", "getsockopt", "setsockopt" };

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		if (!strcmp(calls[i], name))
			return true;
	}
	return false;
}

static void read_symbols(Elf *e, Elf_Scn *s, const GElf_Shdr *h, struct elf_file *ret)
{
	Elf_Data *d = elf_getdata(s, NULL);
	GElf_Sym sym;

	for (int i = 0; d && i < SYMBOLS_MOST && gelf_getsym(d, i, &sym); i++) {
		const char *name = sym.st_shndx != SHN_UNDEF ? elf_strptr(e, h->sh_link, sym.st_name)
							     : NULL;

		ret->hooks |= name && is_socket_call(name);
	}
}

/** read_sections() - They may have been stripped; what is not there is not looked at. */
static void read_sections(Elf *e, struct elf_file *ret)
{
	size_t names;
	Elf_Scn *s = NULL;

	if (elf_getshdrstrndx(e, &names))
		return;
	while ((s = elf_nextscn(e, s))) {
		GElf_Shdr h;
		const char *name;

		if (!gelf_getshdr(s, &h))
			continue;
		name = elf_strptr(e, names, h.sh_name);
		ret->go |= name && !strcmp(name, ".go.buildinfo");
		if (h.sh_type == SHT_DYNSYM)
			read_symbols(e, s, &h, ret);
	}
}

static int read_elf(Elf *e, struct elf_file *ret)
{
	const int order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
	struct elf_file f = { 0 };
	GElf_Ehdr h;
	size_t count;

	if (elf_kind(e) != ELF_K_ELF)
		return -ENOEXEC;
	if (!gelf_getehdr(e, &h))
		return -EBADMSG;
	f.bits = h.e_ident[EI_CLASS] == ELFCLASS32 ? 32 : 64;
	f.machine = h.e_machine;
	f.native = h.e_machine == OUR_MACHINE && f.bits == 8 * sizeof(void *) &&
		   h.e_ident[EI_DATA] == order;
	f.program = h.e_type == ET_EXEC || h.e_type == ET_DYN;
	/* libelf leaves headers out that are not in the file; but then it is cut off. */
	if (elf_getphdrnum(e, &count) || (h.e_phnum != PN_XNUM && count != h.e_phnum) ||
	    !read_headers(e, count, &f))
		return -EBADMSG;
	f.musl = strstr(f.interpreter, "ld-musl") != NULL;
	read_sections(e, &f);
	*ret = f;
	return 0;
}

int elf_file_read(int fd, struct elf_file *ret)
{
	Elf *e;
	int r;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -EBADMSG;
	/* Read, not mapped: the file may shrink meanwhile. */
	e = elf_begin(fd, ELF_C_READ, NULL);
	if (!e)
		return -EBADMSG;
	r = read_elf(e, ret);
	elf_end(e);
	return r;
}
