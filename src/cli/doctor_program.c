// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli/config.h"
#include "cli/doctor.h"
#include "cli/elf_file.h"

enum { INTERPRETERS_MOST = 5 /* four scripts, as the kernel, and env */ };

static const char topic[] = "program";

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool executable(const char *path)
{
	struct stat st;

	return !access(path, X_OK) && !stat(path, &st) && S_ISREG(st.st_mode);
}

bool doctor_find(const char *name, char *ret, size_t size)
{
	const char *path = getenv("PATH");
	size_t n;

	if (strchr(name, '/')) {
		n = strlen(name);
		if (n >= size)
			return false;
		memcpy(ret, name, n + 1);
		return executable(ret);
	}
	for (path = path ? path : "/bin:/usr/bin";; path += n + 1) {
		n = strcspn(path, ":");
		if (*name && snprintf(ret, size, "%.*s%s%s", (int)n, path, n ? "/" : "", name) <
				     (int)size && executable(ret))
			return true;
		if (!path[n])
			return false;
	}
}

/** excluded() - Does the setting name this program? */
static bool excluded(const char *path)
{
	char list[CONFIG_VALUE_MAX], *rest = list, *one;

	config_effective(&config, SET_EXCLUDE, list, NULL);
	while ((one = strsep(&rest, ","))) {
		if (!strcmp(one, base_name(path)))
			return true;
	}
	return false;
}

/**
 * look_at_rights() - ld.so drops LD_PRELOAD where more rights than the caller's are got.
 * Return: whether they are.
 */
static bool look_at_rights(struct findings *f, const char *path, int fd)
{
	struct stat st;
	const char *why = NULL, *remedy = "run it as the user whose rights it takes";

	if (fstat(fd, &st))
		return false;
	if (st.st_mode & S_ISUID && st.st_uid != getuid()) {
		why = "setuid";
	} else if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
		   st.st_gid != getgid()) {
		why = "setgid";
	} else if (getuid() && fgetxattr(fd, "security.capability", NULL, 0) > 0) {
		why = "given capabilities by its file";
		remedy = "run a copy of it, which has none, where it needs none";
	}
	if (!why)
		return false;
	finding_add(f, topic, "privileged", FINDING_BAD,
		    "%s is %s: ld.so loads no library of its caller's into it", path, why);
	finding_remedy(f, "%s; its sockets are the kernel's otherwise, and programs of the domain "
			  "can talk to it all the same", remedy);
	return true;
}

static void look_at_elf(struct findings *f, const char *path, const struct elf_file *e)
{
	if (!e->native)
		finding_add(f, topic, "machine", FINDING_BAD,
			    "%s is of another machine or word size (%u bit, machine %u): the "
			    "library is %zu bit, and of this one", path, e->bits, e->machine,
			    8 * sizeof(void *));
	else if (!*e->interpreter)
		finding_add(f, topic, "static", FINDING_BAD,
			    "%s is statically linked%s: there is no ld.so to load a library into it",
			    path, e->go ? ", and made by Go" : "");
	else if (e->go)
		finding_add(f, topic, "go", FINDING_BAD,
			    "%s is made by Go, whose network calls do not go through libc", path);
	else if (e->musl)
		finding_add(f, topic, "musl", FINDING_BAD,
			    "%s is linked against musl (%s): it cannot load a library that is made "
			    "for glibc, and ends when it tries to", path, e->interpreter);
	else if (access(e->interpreter, X_OK))
		finding_add(f, topic, "loader", FINDING_BAD, "%s wants %s, which is not there: it "
			    "cannot be executed", path, e->interpreter);
	else if (e->liburing)
		finding_add(f, topic, "io-uring", FINDING_LIMIT,
			    "%s is linked against liburing: if it uses sockets in an io_uring, not only "
			    "files, its sockets are the kernel's from the first such call on", path);
	else
		finding_add(f, topic, "dynamic", FINDING_OK,
			    "%s is loaded by %s: its calls of libc are Mortise's", path,
			    base_name(e->interpreter));
	if (f->at[f->count - 1].level == FINDING_OK)
		return;
	if (!e->native || !*e->interpreter || e->go)
		finding_remedy(f, "use a build for this machine that is linked dynamically against "
				  "glibc; as it is, the kernel's sockets serve it, and programs of "
				  "the domain can talk to it");
	else if (e->liburing)
		finding_remedy(f, "turn io_uring off in it, or leave it to the kernel: mortise run "
				  "--exclude %s", base_name(path));
	else
		finding_remedy(f, "start it without `mortise run`, or use a build for glibc");
}

/**
 * script_parts() - "#! INTERPRETER ARGUMENT".
 * @line: Changed. Return: false where it is none.
 */
static bool script_parts(char *line, char **interpreter, char **argument)
{
	char *at;

	if (line[0] != '#' || line[1] != '!')
		return false;
	line[strcspn(line, "\n")] = 0;
	*interpreter = line + 2 + strspn(line + 2, " \t");
	at = *interpreter + strcspn(*interpreter, " \t");
	if (*at)
		*at++ = 0;
	*argument = at + strspn(at, " \t");
	return **interpreter != 0;
}

/**
 * next_of() - What @path, a script, or env, hands over to.
 * @line: The first of it. Return: false where it is neither, or leads nowhere.
 */
static bool next_of(struct findings *f, const char *path, char *line, char ret[PATH_MAX])
{
	char *interpreter, *argument, *end;

	if (!script_parts(line, &interpreter, &argument)) {
		finding_add(f, topic, "format", FINDING_BAD, "%s is neither an ELF file nor a script "
			    "that names its interpreter", path);
		finding_remedy(f, "begin it with #! and a path; a shell executes it, perhaps");
		return false;
	}
	finding_add(f, topic, "script", FINDING_OK, "%s is a script: %s%s%s executes it", path,
		    interpreter, *argument ? " " : "", argument);
	if (!strcmp(base_name(interpreter), "env")) {
		if (!strncmp(argument, "-S", 2))
			argument += 2 + strspn(argument + 2, " \t");
		end = argument + strcspn(argument, " \t");
		*end = 0;
		if (*argument && *argument != '-' && !strchr(argument, '=') &&
		    doctor_find(argument, ret, PATH_MAX))
			return true;
	}
	snprintf(ret, PATH_MAX, "%s", interpreter);
	if (executable(ret))
		return true;
	finding_add(f, topic, "interpreter", FINDING_BAD, "%s cannot be executed: %s", ret,
		    strerror(errno ? errno : EACCES));
	finding_remedy(f, "install it, or name another in the first line of %s", path);
	return false;
}

/** look_at() - One file. Return: true with @ret set where another does its work. */
static bool look_at(struct findings *f, const char *path, char ret[PATH_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;
	char line[256] = "";
	struct elf_file e;
	ssize_t n;

	if (excluded(path)) {
		finding_add(f, topic, "excluded", FINDING_BAD, "%s is excluded by a setting",
			    base_name(path));
		finding_remedy(f, "`mortise config` shows which; --exclude=LIST takes its place");
	}
	if (fd < 0) {
		finding_add(f, topic, "unreadable", FINDING_BAD, "%s can be executed, but not read: "
			    "it is handled like one with more rights than yours", path);
		finding_remedy(f, "make it readable");
		return false;
	}
	r = elf_file_read(fd, &e);
	n = pread(fd, line, sizeof(line) - 1, 0);
	if (!r) {
		if (!look_at_rights(f, path, fd))
			look_at_elf(f, path, &e);
	} else if (n >= 4 && !memcmp(line, "\177ELF", 4)) {
		finding_add(f, topic, "broken", FINDING_BAD, "%s is a broken ELF file", path);
		finding_remedy(f, "install it again");
	}
	close(fd);
	line[n > 0 ? n : 0] = 0;
	return r && memcmp(line, "\177ELF", 4) != 0 && next_of(f, path, line, ret);
}

int doctor_program(struct findings *f, const char *name)
{
	char path[PATH_MAX], next[PATH_MAX];

	if (!doctor_find(name, path, sizeof(path)))
		return strchr(name, '/') && !access(name, F_OK) ? -EACCES : -ENOENT;
	for (int i = 0; look_at(f, path, next); i++) {
		if (i == INTERPRETERS_MOST) {
			finding_add(f, topic, "loop", FINDING_BAD, "its interpreters are scripts, "
				    "again and again: the kernel follows four");
			finding_remedy(f, "name a program in the first line of %s", path);
			break;
		}
		memcpy(path, next, sizeof(path));
	}
	return 0;
}
