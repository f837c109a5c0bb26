// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/config.h"
#include "cli/doctor.h"
#include "ctl/client.h"
#include "elf_image.h"
#include "posix/program.h"

static char folder[] = "/tmp/test_doctor_XXXXXX", path[128];
static struct findings f;

/** put() - An executable file in @folder; its path is in @path then. */
static const char *put(const char *name, const void *bytes, size_t n)
{
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	unlink(path);
	out = fopen(path, "we");
	assert_non_null(out);
	fwrite(bytes, 1, n, out);
	fclose(out);
	assert_int_equal(chmod(path, 0755), 0);
	return path;
}

static const char *put_image(const char *name, struct elf_image m)
{
	elf_image_make(&m);
	return put(name, &m.file, sizeof(m.file));
}

static const char *put_text(const char *name, const char *text)
{
	return put(name, text, strlen(text));
}

static const struct finding *found(const char *id)
{
	for (unsigned i = 0; i < f.count; i++) {
		if (!strcmp(f.at[i].id, id))
			return &f.at[i];
	}
	return NULL;
}

/** examined() - The finding @id is of @level; the library would see it alike. */
static void examined(const char *program, const char *id, enum finding_level level)
{
	f.count = 0;
	assert_int_equal(doctor_program(&f, program), 0);
	if (!found(id) || found(id)->level != level || findings_worst(&f, "program") != level)
		fail_msg("%s: no %s; %s", program, id, f.count ? f.at[0].text : "nothing");
	/* What is bad says what to do. */
	for (unsigned i = 0; i < f.count; i++)
		assert_int_equal(f.at[i].level != FINDING_OK, *f.at[i].remedy != 0);
}

static int begin(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	return 0;
}

static int end(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command); /* NOLINT(cert-env33-c): a fixed name below /tmp */
}

static void doctor_program__paths_it_may_take(void **state)
{
	const char *p;

	(void)state;
	p = put_image("dynamic", (struct elf_image){ .interpreter = IMAGE_LOADER });
	if (access(IMAGE_LOADER, X_OK))
		skip();
	examined(p, "dynamic", FINDING_OK);
	assert_false(program_is_plain(AT_FDCWD, p));
	p = put_image("static", (struct elf_image){ .interpreter = NULL });
	examined(p, "static", FINDING_BAD);
	assert_true(program_is_plain(AT_FDCWD, p));
	p = put_image("static-go", (struct elf_image){ .go = 1 });
	examined(p, "static", FINDING_BAD);
	assert_non_null(strstr(found("static")->text, "made by Go"));
	p = put_image("go", (struct elf_image){ .interpreter = IMAGE_LOADER, .go = 1 });
	examined(p, "go", FINDING_BAD);
	p = put_image("musl", (struct elf_image){ .interpreter = "/lib/ld-musl-x86_64.so.1" });
	examined(p, "musl", FINDING_BAD);
	p = put_image("uring", (struct elf_image){ .interpreter = IMAGE_LOADER,
						   .needed = "liburing.so.2" });
	examined(p, "io-uring", FINDING_LIMIT);
	assert_non_null(strstr(found("io-uring")->remedy, "--exclude uring"));
	p = put_image("lost", (struct elf_image){ .interpreter = "/lib/ld-lost.so.9" });
	examined(p, "loader", FINDING_BAD);
}

static void doctor_program__other_word_size(void **state)
{
	struct elf_image m = { .interpreter = IMAGE_LOADER };
	const char *p;

	(void)state;
	elf_image_make(&m);
	m.file.e.e_machine = EM_386;
	p = put("other", &m.file, sizeof(m.file));
	examined(p, "machine", FINDING_BAD);
}

static void doctor_program__rights(void **state)
{
	const char *p = put_image("setgid", (struct elf_image){ .interpreter = IMAGE_LOADER });

	(void)state;
	if (getuid() || access(IMAGE_LOADER, X_OK))
		skip(); /* Only root can give a file away. */
	assert_int_equal(chown(p, 65534, 65534), 0);
	assert_int_equal(chmod(p, 04755), 0);
	examined(p, "privileged", FINDING_BAD);
	assert_non_null(strstr(found("privileged")->text, "setuid"));
	assert_true(program_is_plain(AT_FDCWD, p));
	assert_int_equal(chmod(p, 02755), 0);
	examined(p, "privileged", FINDING_BAD);
	assert_non_null(strstr(found("privileged")->text, "setgid"));
	assert_int_equal(chmod(p, 02745), 0); /* A mark for locks, once. */
	examined(p, "dynamic", FINDING_OK);
}

static void doctor_program__scripts(void **state)
{
	char text[256];
	const char *p;

	(void)state;
	p = put_text("script", "#!/bin/sh\nexit 0\n");
	examined(p, "script", FINDING_OK);
	assert_non_null(found("dynamic"));
	p = put_text("spaced", "#! /usr/bin/env  sh\n");
	examined(p, "script", FINDING_OK);
	assert_non_null(strstr(f.at[f.count - 1].text, "/sh is loaded by"));
	p = put_text("split", "#!/usr/bin/env -S sh -e\n");
	examined(p, "script", FINDING_OK);
	assert_non_null(strstr(f.at[f.count - 1].text, "/sh is loaded by"));
	put_image("static", (struct elf_image){ .interpreter = NULL });
	snprintf(text, sizeof(text), "#!%s/static -x\n", folder);
	p = put_text("of-static", text);
	examined(p, "static", FINDING_BAD);
	assert_true(program_is_plain(AT_FDCWD, p));
	p = put_text("of-nothing", "#!/no/such/interpreter\n");
	examined(p, "interpreter", FINDING_BAD);
	p = put_text("text", "echo hello\n");
	examined(p, "format", FINDING_BAD);
	p = put_text("empty", "");
	examined(p, "format", FINDING_BAD);
	p = put_text("bare", "#!\n");
	examined(p, "format", FINDING_BAD);
	snprintf(text, sizeof(text), "#!%s/itself\n", folder);
	p = put_text("itself", text);
	examined(p, "loop", FINDING_BAD);
}

static void doctor_program__broken(void **state)
{
	struct elf_image m = { .interpreter = IMAGE_LOADER };
	const char *p;

	(void)state;
	elf_image_make(&m);
	for (size_t n = 4; n < 200; n += 7) {
		p = put("broken", &m.file, n);
		examined(p, "broken", FINDING_BAD);
	}
}

static void doctor_program__excluded(void **state)
{
	const char *p = put_image("daemon", (struct elf_image){ .interpreter = IMAGE_LOADER });

	(void)state;
	if (access(IMAGE_LOADER, X_OK))
		skip();
	assert_true(config_flag(&config, SET_EXCLUDE, "22,daemon"));
	examined(p, "excluded", FINDING_BAD);
	assert_true(config_flag(&config, SET_EXCLUDE, "daemo"));
	examined(p, "dynamic", FINDING_OK);
	memset(&config, 0, sizeof(config));
}

static void doctor_program__none(void **state)
{
	const char *was = getenv("PATH");
	char *old = strdup(was ? was : "");

	(void)state;
	f.count = 0;
	assert_int_equal(doctor_program(&f, "/no/such"), -ENOENT);
	assert_int_equal(doctor_program(&f, ""), -ENOENT);
	assert_int_equal(doctor_program(&f, folder), -EACCES);
	put_image("x", (struct elf_image){ .interpreter = NULL });
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(doctor_program(&f, path), -EACCES);
	assert_int_equal(f.count, 0);
	/* As execvp() finds it. */
	assert_int_equal(chmod(path, 0755), 0);
	setenv("PATH", folder, 1);
	assert_true(doctor_find("x", path, sizeof(path)));
	assert_false(doctor_find("y", path, sizeof(path)));
	setenv("PATH", old, 1);
	free(old);
}

/* --------------------------------------------------------------- the host */

static void doctor_directory__whose(void **state)
{
	char base[128];

	(void)state;
	snprintf(base, sizeof(base), "%s/run", folder);
	f.count = 0;
	doctor_directory(&f, base, "default");
	assert_non_null(found("missing"));
	assert_int_equal(access(base, F_OK), -1); /* It makes nothing. */
	assert_int_equal(mkdir(base, 0700), 0);
	f.count = 0;
	doctor_directory(&f, base, "default");
	assert_non_null(found("own"));
	assert_int_equal(findings_worst(&f, NULL), FINDING_OK);
	assert_int_equal(chmod(base, 0770), 0);
	f.count = 0;
	doctor_directory(&f, base, "default");
	assert_int_equal(found("mode")->level, FINDING_BAD);
	assert_non_null(strstr(found("mode")->remedy, "chmod go-w"));
	assert_int_equal(chmod(base, 01777), 0);
	f.count = 0;
	doctor_directory(&f, base, "default");
	assert_non_null(strstr(found("mode")->remedy, "MORTISE_DIR"));
	assert_int_equal(chmod(base, 0700), 0);
	if (!getuid()) {
		assert_int_equal(chown(base, 65534, 65534), 0);
		f.count = 0;
		doctor_directory(&f, base, "default");
		assert_int_equal(found("owner")->level, FINDING_BAD);
		assert_int_equal(chown(base, 0, 0), 0);
	}
	snprintf(path, sizeof(path), "%s/link", folder);
	assert_int_equal(symlink(base, path), 0);
	f.count = 0;
	doctor_directory(&f, path, "default");
	assert_int_equal(found("type")->level, FINDING_BAD);
}

/** daemon_socket() - As a daemon's; @listen_on: somebody is there, who never answers. */
static int daemon_socket(const char *base, const char *domain, uint64_t netns, bool listen_on)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s-%llu", base, domain,
		 (unsigned long long)netns);
	assert_int_equal(mkdir(un.sun_path, 0700), 0);
	strcat(un.sun_path, "/ctl");
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	if (listen_on)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void doctor_directory__daemons(void **state)
{
	char base[64];
	int gone, other;

	(void)state;
	snprintf(base, sizeof(base), "%s/domains", folder);
	assert_int_equal(mkdir(base, 0700), 0);
	gone = daemon_socket(base, "gone", ctl_netns(), false);
	other = daemon_socket(base, "elsewhere", ctl_netns() + 1, false);
	close(gone);
	close(other);
	snprintf(path, sizeof(path), "%s/not a domain", base);
	assert_int_equal(mkdir(path, 0700), 0);
	f.count = 0;
	doctor_directory(&f, base, "default");
	assert_int_equal(findings_worst(&f, NULL), FINDING_OK);
	assert_non_null(found("stale"));
	/* Only that of another network namespace is there to stay. */
	for (unsigned i = 0; i < f.count; i++) {
		if (!strcmp(f.at[i].id, "stale"))
			assert_int_equal(*f.at[i].remedy != 0, strstr(f.at[i].text, "elsewhere") != NULL);
	}
}

static void doctor_limits__few_files(void **state)
{
	struct rlimit old, few;
	int status;
	pid_t child;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	f.count = 0;
	doctor_limits(&f);
	assert_int_equal(found("nofile")->level, old.rlim_max < 4096 ? FINDING_LIMIT : FINDING_OK);
	assert_non_null(found("as"));
	assert_non_null(found("memlock"));
	/* In a child: what was lowered cannot always be raised again. */
	child = fork();
	if (!child) {
		few = (struct rlimit){ .rlim_cur = 200, .rlim_max = 1000 };
		f.count = 0;
		if (setrlimit(RLIMIT_NOFILE, &few))
			_exit(2);
		doctor_limits(&f);
		_exit(found("nofile")->level != FINDING_LIMIT ||
		      !strstr(found("nofile")->text, "is 200, at most 1000") ||
		      !strstr(found("nofile")->remedy, "ulimit -Hn"));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void doctor_environment__variables(void **state)
{
	const char *was = getenv("LD_PRELOAD");
	char *old = was ? strdup(was) : NULL;

	(void)state;
	unsetenv("MORTISE_BUILD");
	setenv("MORTISE_SPINUS", "5", 1);
	setenv("LD_PRELOAD", "/no/such.so:libm.so.6 /x/libmortise.so", 1);
	f.count = 0;
	doctor_environment(&f);
	unsetenv("MORTISE_SPINUS");
	unsetenv("LD_PRELOAD");
	if (old)
		setenv("LD_PRELOAD", old, 1);
	free(old);
	assert_non_null(strstr(found("variable")->text, "did you mean MORTISE_SPIN_US?"));
	assert_int_equal(f.at[0].level, FINDING_LIMIT);
	assert_non_null(strstr(f.at[0].text, "/no/such.so"));
	assert_int_equal(f.at[1].level, FINDING_OK);
	assert_non_null(strstr(f.at[1].text, "libm.so.6"));
	assert_int_equal(f.count, 3); /* Not itself. */
}

static void doctor_kernel__of_this_host(void **state)
{
	static const char *const ids[] = { "version", "cpus", "seccomp", "memfd", "futex_waitv",
					   "pidfd", "membarrier" };

	(void)state;
	f.count = 0;
	doctor_kernel(&f);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		assert_non_null(found(ids[i]));
}

/* ---------------------------------------------------------------- findings */

static char *written(const char *program, bool json)
{
	char *ret = NULL;
	size_t size;
	FILE *out = open_memstream(&ret, &size);

	if (json)
		findings_json(out, &f, program);
	else
		findings_text(out, &f, program, false);
	fclose(out);
	return ret;
}

static void findings_text__lines(void **state)
{
	char *got;

	(void)state;
	f.count = 0;
	finding_add(&f, "program", "a", FINDING_OK, "one is %d", 1);
	finding_add(&f, "program", "b", FINDING_LIMIT, "two\033");
	finding_remedy(&f, "do %s", "this");
	finding_add(&f, "kernel", "c", FINDING_OK, "three");
	got = written("x", false);
	assert_string_equal(got, "program\n"
				 "  ok    one is 1\n"
				 "  limit two?\n"
				 "        -> do this\n"
				 "kernel\n"
				 "  ok    three\n"
				 "\n"
				 "x will be accelerated, with the limits above.\n");
	free(got);
	got = written("x\"", true);
	assert_string_equal(got, "{\"program\":\"x\\\"\",\"verdict\":\"limit\",\"status\":1,"
				 "\"findings\":[\n"
				 "{\"topic\":\"program\",\"id\":\"a\",\"level\":\"ok\",\"text\":"
				 "\"one is 1\",\"remedy\":null},\n"
				 "{\"topic\":\"program\",\"id\":\"b\",\"level\":\"limit\",\"text\":"
				 "\"two\\u001b\",\"remedy\":\"do this\"},\n"
				 "{\"topic\":\"kernel\",\"id\":\"c\",\"level\":\"ok\",\"text\":"
				 "\"three\",\"remedy\":null}\n]}\n");
	free(got);
	f.count = 0;
	got = written(NULL, false);
	assert_string_equal(got, "\nthis host can accelerate programs.\n");
	free(got);
	finding_add(&f, "kernel", "c", FINDING_BAD, "no");
	got = written(NULL, false);
	assert_non_null(strstr(got, "\nthis host cannot accelerate programs.\n"));
	free(got);
	got = written("y", false);
	assert_non_null(strstr(got, "\ny will not be accelerated.\n"));
	free(got);
}

static void finding_add__too_many(void **state)
{
	(void)state;
	f.count = 0;
	for (int i = 0; i < 2 * FINDINGS_MAX; i++)
		finding_add(&f, "x", "y", FINDING_OK, "%d", i);
	assert_int_equal(f.count, FINDINGS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doctor_program__paths_it_may_take),
		cmocka_unit_test(doctor_program__other_word_size),
		cmocka_unit_test(doctor_program__rights),
		cmocka_unit_test(doctor_program__scripts),
		cmocka_unit_test(doctor_program__broken),
		cmocka_unit_test(doctor_program__excluded),
		cmocka_unit_test(doctor_program__none),
		cmocka_unit_test(doctor_directory__whose),
		cmocka_unit_test(doctor_directory__daemons),
		cmocka_unit_test(doctor_limits__few_files),
		cmocka_unit_test(doctor_environment__variables),
		cmocka_unit_test(doctor_kernel__of_this_host),
		cmocka_unit_test(findings_text__lines),
		cmocka_unit_test(finding_add__too_many),
	};

	return cmocka_run_group_tests_name("doctor", tests, begin, end);
}
