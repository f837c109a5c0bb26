// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/opt.h"
#include "cli/verbs.h"
#include "shm/abi.h"

static const struct opt table[] = {
	{ 't', "tcp", NULL }, { 'a', "all", NULL }, { 0, "domain", "NAME" },
	{ 'n', "count", "COUNT" }, { 0 }
};

/** grab() - What was said on stderr since grab_begin(). */
static int saved_stderr;
static char said[512];

static void grab_begin(void)
{
	fflush(stderr);
	saved_stderr = dup(2);
	assert_non_null(freopen("/dev/null", "w", stderr));
	setvbuf(stderr, said, _IOFBF, sizeof(said));
	memset(said, 0, sizeof(said));
}

static const char *grab(void)
{
	static char ret[sizeof(said)];

	memcpy(ret, said, sizeof(ret) - 1);
	setvbuf(stderr, NULL, _IONBF, 0);
	dup2(saved_stderr, 2);
	close(saved_stderr);
	return ret;
}

#define WALK(...)                                                                       \
	char *argv_[] = { (char *)"ss", __VA_ARGS__, NULL };                            \
	struct opt_walk w = { .verb = "ss", .table = table, .argv = argv_, .next = 1,   \
			      .argc = (int)ARRAY_LEN(argv_) - 1 }

static void opt_next__letters_and_names(void **state)
{
	WALK((char *)"-ta", (char *)"--domain", (char *)"lab", (char *)"--domain=net",
	     (char *)"--all", (char *)"rest");

	(void)state;
	assert_int_equal(opt_next(&w), 0);
	assert_int_equal(opt_next(&w), 1);
	assert_int_equal(opt_next(&w), 2);
	assert_string_equal(w.value, "lab");
	assert_int_equal(opt_next(&w), 2);
	assert_string_equal(w.value, "net");
	assert_int_equal(opt_next(&w), 1);
	assert_int_equal(opt_next(&w), OPT_END);
	assert_string_equal(w.argv[w.next], "rest");
}

static void opt_next__values_of_letters(void **state)
{
	WALK((char *)"-tn", (char *)"5", (char *)"-n7", (char *)"-an=", (char *)"rest");

	(void)state;
	assert_int_equal(opt_next(&w), 0);
	assert_int_equal(opt_next(&w), 3);
	assert_string_equal(w.value, "5");
	assert_int_equal(opt_next(&w), 3);
	assert_string_equal(w.value, "7");
	assert_int_equal(opt_next(&w), 1);
	assert_int_equal(opt_next(&w), 3);
	assert_string_equal(w.value, "=");
	assert_int_equal(opt_next(&w), OPT_END);
	assert_string_equal(w.argv[w.next], "rest");
}

static void opt_next__ends_at_two_dashes(void **state)
{
	WALK((char *)"-t", (char *)"--", (char *)"-a");

	(void)state;
	assert_int_equal(opt_next(&w), 0);
	assert_int_equal(opt_next(&w), OPT_END);
	assert_string_equal(w.argv[w.next], "-a");
}

static void opt_next__help(void **state)
{
	WALK((char *)"--help", (char *)"-h");

	(void)state;
	assert_int_equal(opt_next(&w), OPT_HELP);
	assert_int_equal(opt_next(&w), OPT_HELP);
}

static void opt_next__refuses(void **state)
{
	static const struct {
		const char *arg, *says;
	} bad[] = {
		{ "--domian=x", "did you mean --domain?" },
		{ "--nonsense", "no option --nonsense; see: mortise ss --help" },
		{ "--domain", "--domain wants a NAME" },
		{ "--all=1", "--all takes no value" },
		{ "-x", "no option -x" },
		{ "-n", "-n wants a COUNT: -n COUNT" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		WALK((char *)(uintptr_t)bad[i].arg);
		int got;

		grab_begin();
		got = opt_next(&w);
		assert_non_null(strstr(grab(), bad[i].says));
		assert_int_equal(got, OPT_BAD);
	}
}

static void opt_next_name__anywhere(void **state)
{
	const char *name = NULL, *domain = "lab";
	WALK((char *)"-t", (char *)"lab", (char *)"-a", (char *)"more");

	(void)state;
	assert_int_equal(opt_next_name(&w, &name), 0);
	assert_null(name);
	assert_int_equal(opt_next_name(&w, &name), 1);
	assert_string_equal(name, "lab");
	assert_int_equal(opt_next_name(&w, &name), OPT_END);
	grab_begin();
	assert_false(opt_name(&w, name, &domain));
	assert_non_null(strstr(grab(), "\"more\""));
	w.next++;
	assert_true(opt_name(&w, name, &domain));
	domain = "other";
	grab_begin();
	assert_false(opt_name(&w, name, &domain));
	assert_non_null(strstr(grab(), "which one"));
	domain = NULL;
	assert_true(opt_name(&w, name, &domain));
	assert_string_equal(domain, "lab");
}

static void opt_domain__where_it_comes_from(void **state)
{
	(void)state;
	unsetenv("MORTISE_DOMAIN");
	assert_string_equal(opt_domain(NULL), "default");
	setenv("MORTISE_DOMAIN", "lab", 1);
	assert_string_equal(opt_domain(NULL), "lab");
	assert_string_equal(opt_domain("net-2"), "net-2");
	setenv("MORTISE_DOMAIN", "", 1);
	assert_string_equal(opt_domain(NULL), "default");
}

static void opt_domain__refuses(void **state)
{
	static const char *const bad[] = { "", "2x", "Lab", "a/b", "..", "a b",
					   "a23456789012345678901234567890123" };
	const char *got, *message;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		grab_begin();
		got = opt_domain(bad[i]);
		message = grab();
		assert_null(got);
		assert_non_null(strstr(message, bad[i]));
	}
	setenv("MORTISE_DOMAIN", "Q", 1);
	grab_begin();
	got = opt_domain(NULL);
	message = grab();
	assert_null(got);
	assert_non_null(strstr(message, "MORTISE_DOMAIN"));
	unsetenv("MORTISE_DOMAIN");
}

static void opt_policy__words(void **state)
{
	const char *message;
	int policy;
	bool got;

	(void)state;
	unsetenv("MORTISE_POLICY");
	assert_true(opt_policy(NULL, &policy));
	assert_int_equal(policy, -1);
	setenv("MORTISE_POLICY", "none", 1);
	assert_true(opt_policy(NULL, &policy));
	assert_int_equal(policy, POLICY_NONE);
	assert_true(opt_policy("share", &policy));
	assert_int_equal(policy, POLICY_SHARE);
	unsetenv("MORTISE_POLICY");
	grab_begin();
	got = opt_policy("shrae", &policy);
	message = grab();
	assert_false(got);
	assert_non_null(strstr(message, "did you mean share?"));
}

static void run_preload__once(void **state)
{
	static const struct {
		const char *old, *want;
	} cases[] = {
		{ NULL, "/x/lib.so" },
		{ "", "/x/lib.so" },
		{ "/y.so", "/y.so:/x/lib.so" },
		{ "/x/lib.so", "/x/lib.so" },
		{ "/y.so:/x/lib.so", "/y.so:/x/lib.so" },
		{ "/x/lib.so /y.so", "/x/lib.so /y.so" },
		{ "/x/lib.so.1", "/x/lib.so.1:/x/lib.so" },
		{ "/a/x/lib.so", "/a/x/lib.so:/x/lib.so" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *got = run_preload(cases[i].old, "/x/lib.so");

		assert_non_null(got);
		assert_string_equal(got, cases[i].want);
		free(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opt_next__letters_and_names),
		cmocka_unit_test(opt_next__values_of_letters),
		cmocka_unit_test(opt_next__ends_at_two_dashes),
		cmocka_unit_test(opt_next__help),
		cmocka_unit_test(opt_next__refuses),
		cmocka_unit_test(opt_next_name__anywhere),
		cmocka_unit_test(opt_domain__where_it_comes_from),
		cmocka_unit_test(opt_domain__refuses),
		cmocka_unit_test(opt_policy__words),
		cmocka_unit_test(run_preload__once),
	};

	return cmocka_run_group_tests_name("opt", tests, NULL, NULL);
}
