// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/config.h"
#include "cli/opt.h"

static char folder[] = "/tmp/test_config_XXXXXX", path[64];
static int file;
static char *said;
static size_t said_size;
static FILE *listener;
static struct config c;

/** put() - Make the file. */
static void put_bytes(const char *text, size_t len)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fwrite(text, 1, len, f);
	fclose(f);
}

/** reads() - Read @text as a file, into a fresh config. What was said is in @said. */
static bool reads(const char *text, enum config_source from)
{
	bool ret;

	put_bytes(text, strlen(text));
	memset(&c, 0, sizeof(c));
	free(said);
	listener = open_memstream(&said, &said_size);
	complain_to(listener);
	ret = config_file(&c, path, from);
	complain_to(NULL);
	fclose(listener);
	return ret;
}

static const char *effective(enum setting s)
{
	static char ret[CONFIG_VALUE_MAX];

	config_effective(&c, s, ret, NULL);
	return ret;
}

static void clear(void)
{
	static const char *const names[] = { "MORTISE_DOMAIN", "MORTISE_POLICY", "MORTISE_DIR",
					     "MORTISE_PROFILE", "MORTISE_SPIN_US", "MORTISE_EXCLUDE",
					     "MORTISE_LOG", "MORTISE_COLOR", "XDG_CONFIG_HOME", "HOME",
					     "XDG_RUNTIME_DIR" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unsetenv(names[i]);
}

static int begin(void **state)
{
	(void)state;
	clear();
	assert_non_null(mkdtemp(folder));
	/* In memory: thousands of files on a disk take their time. */
	file = memfd_create("mortise.ini", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return file < 0;
}

static int end(void **state)
{
	(void)state;
	close(file);
	free(said);
	return rmdir(folder);
}

static void config_file__all_settings(void **state)
{
	(void)state;
	assert_true(reads("; Ours.\n"
			  "[mortise]\n"
			  "domain = lab\n"
			  "policy=none ; no wire\n"
			  "dir = /run/x\n"
			  "profile = frugal\n"
			  "spin_us = 20\n"
			  "log = /var/log/x\n"
			  "color = never\n"
			  "\n"
			  "# What stays with the kernel\n"
			  "[exclude]\n"
			  "programs = sshd, ntpd\n"
			  "    chronyd 9p\n"
			  "ports = 22 5432\n"
			  "ports = 65535\n", FROM_USER));
	assert_string_equal(said, "");
	assert_string_equal(c.at[SET_DOMAIN].value, "lab");
	assert_int_equal(c.at[SET_DOMAIN].from, FROM_USER);
	assert_int_equal(c.at[SET_DOMAIN].line, 3);
	assert_string_equal(c.at[SET_POLICY].value, "none");
	assert_string_equal(c.at[SET_DIR].value, "/run/x");
	assert_string_equal(c.at[SET_PROFILE].value, "frugal");
	assert_string_equal(c.at[SET_SPIN_US].value, "20");
	assert_string_equal(c.at[SET_LOG].value, "/var/log/x");
	assert_string_equal(c.at[SET_COLOR].value, "never");
	assert_string_equal(c.at[SET_EXCLUDE].value, "sshd,ntpd,chronyd,9p,22,5432,65535");
	assert_int_equal(c.at[SET_EXCLUDE].line, 13);
}

static void config_net__of_a_domain(void **state)
{
	const struct config_net *n;

	(void)state;
	assert_true(reads("[domain lab]\ntap = tap0\naddress = 10.0.0.2/24, 10.1.0.2/16\n"
			  "[domain other]\ntap = tap1\n[domain lab]\ngateway = 10.0.0.1\n",
			  FROM_SYSTEM));
	n = config_net(&c, "lab", 0);
	assert_string_equal(n->name, "tap");
	assert_string_equal(n->value, "tap0");
	assert_string_equal(config_net(&c, "lab", 1)->value, "10.0.0.2/24");
	n = config_net(&c, "lab", 2);
	assert_string_equal(n->name, "address");
	assert_string_equal(n->value, "10.1.0.2/16");
	assert_string_equal(config_net(&c, "lab", 3)->value, "10.0.0.1");
	assert_null(config_net(&c, "lab", 4));
	assert_string_equal(config_net(&c, "other", 0)->value, "tap1");
	assert_null(config_net(&c, "other", 1));
	assert_null(config_net(&c, "default", 0));
	/* The user's section counts, all of it. */
	put_bytes("[domain lab]\ntap = mine\n", 24);
	assert_true(config_file(&c, path, FROM_USER));
	assert_string_equal(config_net(&c, "lab", 0)->value, "mine");
	assert_null(config_net(&c, "lab", 1));
	assert_string_equal(config_net(&c, "other", 0)->value, "tap1");
}

static void config_file__without_section(void **state)
{
	(void)state;
	assert_true(reads("\xef\xbb\xbf" "domain = lab", FROM_SYSTEM)); /* A byte order mark. */
	assert_string_equal(c.at[SET_DOMAIN].value, "lab");
	assert_int_equal(c.at[SET_DOMAIN].line, 1);
	assert_true(reads("", FROM_SYSTEM));
	assert_int_equal(c.at[SET_DOMAIN].from, FROM_DEFAULT);
}

static void config_file__says_where_and_what(void **state)
{
	static const struct {
		const char *text, *line, *what;
	} bad[] = {
		{ "domain = Lab\n", ":1: ", "domain \"Lab\": accepted is up to 32 of a-z" },
		{ "\npolicy = shrae", ":2: ", "accepted is share (other addresses" },
		{ "policy = shrae", ":1: ", "did you mean share?" },
		{ "policy =", ":1: ", "policy \"\"" },
		{ "dir = run", ":1: ", "an absolute path" },
		{ "profile = latnecy", ":1: ", "did you mean latency?" },
		{ "spin_us = -1", ":1: ", "microseconds, 0 to 1000000" },
		{ "spin_us = 1000001", ":1: ", "microseconds" },
		{ "spin_us = 99999999999999999999", ":1: ", "microseconds" },
		{ "spin_us = 5us", ":1: ", "microseconds" },
		{ "log = verbose", ":1: ", "error, notice, debug or" },
		{ "color = yes", ":1: ", "auto, always or never" },
		{ "[mortise]\npolcy = share", ":2: ", "there is no \"polcy\"; did you mean policy?" },
		{ "speed = 9", ":1: ",
		  "accepted are domain, policy, dir, profile, spin_us, log, color" },
		{ "exclude = 22", ":1: ", "a section of its own: [exclude]" },
		{ "[mortize]\ndomain = a", ":2: ", "no section [mortize]: [mortise], [exclude] or [domain NAME]; "
						   "did you mean [mortise]?" },
		{ "[domain Lab]\ntap = t", ":2: ", "[domain Lab]: accepted is a name of up to 32" },
		{ "[domain lab]\ntab = t", ":2: ", "[domain lab] has no \"tab\": tap, address, gateway" },
		{ "[domain lab]\ntab = t", ":2: ", "did you mean tap?" },
		{ "[domain lab]\nmtu =", ":2: ", "mtu has no value" },
		{ "[exclude]\nport = 1", ":2: ", "[exclude] has no \"port\": programs or ports; did "
						 "you mean ports?" },
		{ "[exclude]\nports = 1, 0", ":2: ", "ports \"0\": accepted is numbers from 1" },
		{ "[exclude]\nports = 22\n ssh", ":3: ", "ports \"ssh\"" },
		{ "[exclude]\nports = 65536", ":2: ", "numbers from 1 to 65535" },
		{ "[exclude]\nprograms = /bin/sh", ":2: ", "without a folder" },
		{ "[exclude]\nprograms = 22", ":2: ", "names of programs" },
		{ "domain = a\npolicy = none\ndomain = b", ":3: ", "twice, first in line 1" },
		{ "domain = a\n  policy = none", ":2: ", "begin it at the margin" },
		{ "domain = a\nwhat is this\npolicy = none\n", ":2: ", "neither [SECTION] nor" },
		{ "domain = a\n[exclude\n", ":2: ", "neither [SECTION] nor" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (reads(bad[i].text, FROM_USER))
			fail_msg("accepted: %s", bad[i].text);
		/* One message, with the place first. */
		if (strncmp(said, "mortise: ", 9) != 0 || strncmp(said + 9, path, strlen(path)) != 0 ||
		    strncmp(said + 9 + strlen(path), bad[i].line, strlen(bad[i].line)) != 0 ||
		    !strstr(said, bad[i].what) || strchr(said, '\n') != said + strlen(said) - 1)
			fail_msg("%s\n: %s", bad[i].text, said);
	}
}

static void config_file__long_lines_and_noise(void **state)
{
	static char text[8192];
	unsigned seed = (unsigned)time(NULL);
	size_t len;

	(void)state;
	len = (size_t)sprintf(text, "[exclude]\nprograms = ");
	memset(text + len, 'a', 300);
	assert_false(reads(text, FROM_USER));
	assert_non_null(strstr(said, ":2: this line is longer than"));
	/* More than the variable holds. */
	len = (size_t)sprintf(text, "[exclude]\n");
	while (len < 4000)
		len += (size_t)sprintf(text + len, "programs = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n");
	assert_false(reads(text, FROM_USER));
	assert_non_null(strstr(said, "than 2048 bytes hold"));
	print_message("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 2000; i++) {
		static const char *const words[] = { "[", "]", "mortise", "exclude", "=", "\n", " ",
						     "ports", "22", ",", "domain", "a", ";", "\t" };

		for (len = 0; len < 200;)
			len += (size_t)sprintf(text + len, "%s",
					       words[(size_t)rand() % ARRAY_LEN(words)]);
		if (rand() % 2)
			text[(size_t)rand() % len] = (char)(rand() & 0xff);
		put_bytes(text, len);
		memset(&c, 0, sizeof(c));
		listener = fopen("/dev/null", "we");
		complain_to(listener);
		config_file(&c, path, FROM_USER);
		complain_to(NULL);
		fclose(listener);
		for (int s = 0; s < SET_COUNT; s++)
			assert_true(strlen(c.at[s].value) < CONFIG_VALUE_MAX);
	}
}

static void config_file__not_there(void **state)
{
	char missing[96];

	(void)state;
	snprintf(missing, sizeof(missing), "%s/none/mortise.ini", folder);
	memset(&c, 0, sizeof(c));
	assert_true(config_file(&c, missing, FROM_USER));
	free(said);
	listener = open_memstream(&said, &said_size);
	complain_to(listener);
	assert_false(config_file(&c, folder, FROM_USER)); /* A folder. */
	complain_to(NULL);
	fclose(listener);
	assert_non_null(strstr(said, "cannot read /tmp/test_config_"));
}

static void config_load__precedence(void **state)
{
	char home[96], want[160];

	(void)state;
	snprintf(home, sizeof(home), "%s/home", folder);
	setenv("XDG_CONFIG_HOME", "relative", 1); /* To be ignored. */
	setenv("HOME", home, 1);
	assert_true(config_load(&c));
	snprintf(want, sizeof(want), "%s/.config/mortise/mortise.ini", home);
	assert_string_equal(c.user, want);
	assert_string_equal(c.system, "/etc/mortise/mortise.ini");
	setenv("XDG_CONFIG_HOME", home, 1);
	assert_true(config_load(&c));
	snprintf(want, sizeof(want), "%s/mortise/mortise.ini", home);
	assert_string_equal(c.user, want);
	/* System, then user, then environment, then flag. */
	memset(&c, 0, sizeof(c));
	put_bytes("domain=sys\nlog=debug\n", 21);
	assert_true(config_file(&c, path, FROM_SYSTEM));
	put_bytes("domain=user\n", 12);
	assert_true(config_file(&c, path, FROM_USER));
	assert_string_equal(effective(SET_DOMAIN), "user");
	assert_string_equal(effective(SET_LOG), "debug");
	assert_true(config_flag(&c, SET_DOMAIN, "flag"));
	assert_string_equal(effective(SET_DOMAIN), "flag");
	setenv("MORTISE_DOMAIN", "env", 1);
	setenv("MORTISE_LOG", "", 1);
	assert_true(config_load(&c));
	assert_string_equal(effective(SET_DOMAIN), "env");
	assert_int_equal(c.at[SET_DOMAIN].from, FROM_ENV);
	assert_int_equal(c.at[SET_LOG].from, FROM_DEFAULT);
	clear();
}

static void config_load__refuses_variables(void **state)
{
	static const char *const bad[][2] = {
		{ "MORTISE_DOMAIN", "../x" },	 { "MORTISE_POLICY", "all" },
		{ "MORTISE_SPIN_US", "fast" },	 { "MORTISE_EXCLUDE", "22,,23" },
		{ "MORTISE_EXCLUDE", "/bin/sh" }, { "MORTISE_EXCLUDE", "0" },
		{ "MORTISE_EXCLUDE", "22," },	 { "MORTISE_LOG", "loud" },
		{ "MORTISE_DIR", "here" },	 { "MORTISE_PROFILE", "x" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		bool ok;

		setenv(bad[i][0], bad[i][1], 1);
		free(said);
		listener = open_memstream(&said, &said_size);
		complain_to(listener);
		ok = config_load(&c);
		complain_to(NULL);
		fclose(listener);
		assert_false(ok);
		assert_non_null(strstr(said, bad[i][0]));
		assert_non_null(strstr(said, bad[i][1]));
		assert_non_null(strstr(said, "accepted is"));
		unsetenv(bad[i][0]);
	}
}

static void config_effective__profiles(void **state)
{
	bool by_profile;
	char value[CONFIG_VALUE_MAX];

	(void)state;
	memset(&c, 0, sizeof(c));
	assert_string_equal(effective(SET_SPIN_US), "50");
	assert_true(config_flag(&c, SET_PROFILE, "frugal"));
	assert_string_equal(effective(SET_SPIN_US), "0");
	assert_true(config_flag(&c, SET_PROFILE, "latency"));
	assert_string_equal(effective(SET_SPIN_US), "1000");
	/* Said by itself, in the same place: that. Said by less: the profile. */
	assert_true(config_flag(&c, SET_SPIN_US, "7"));
	assert_string_equal(effective(SET_SPIN_US), "7");
	assert_true(reads("spin_us = 9\n", FROM_USER));
	assert_string_equal(effective(SET_SPIN_US), "9");
	assert_true(config_flag(&c, SET_PROFILE, "frugal"));
	config_effective(&c, SET_SPIN_US, value, &by_profile);
	assert_string_equal(value, "0");
	assert_true(by_profile);
}

static void config_effective__dir(void **state)
{
	char want[64];

	(void)state;
	memset(&c, 0, sizeof(c));
	snprintf(want, sizeof(want), "/tmp/mortise-%u", (unsigned)geteuid());
	assert_string_equal(effective(SET_DIR), want);
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	assert_string_equal(effective(SET_DIR), "/run/user/7/mortise");
	clear();
}

static void config_export__what_was_said(void **state)
{
	(void)state;
	assert_true(reads("[mortise]\nprofile = frugal\n[exclude]\nports = 22\n", FROM_SYSTEM));
	assert_true(config_export(&c));
	assert_string_equal(getenv("MORTISE_SPIN_US"), "0");
	assert_string_equal(getenv("MORTISE_EXCLUDE"), "22");
	assert_string_equal(getenv("MORTISE_PROFILE"), "frugal");
	assert_null(getenv("MORTISE_DOMAIN"));
	assert_null(getenv("MORTISE_DIR"));
	/* Nothing is excluded, says the flag. */
	assert_true(config_flag(&c, SET_EXCLUDE, ""));
	assert_true(config_export(&c));
	assert_null(getenv("MORTISE_EXCLUDE"));
	clear();
}

static char *written(void (*write)(FILE *, const struct config *))
{
	char *ret = NULL;
	size_t size;
	FILE *f = open_memstream(&ret, &size);

	write(f, &c);
	fclose(f);
	return ret;
}

static void config_text__lines(void **state)
{
	char *got;

	(void)state;
	assert_true(reads("[mortise]\nprofile = frugal\n[exclude]\nports = 22\n", FROM_USER));
	strcpy(c.user, "/home/u/mortise.ini");
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	assert_true(config_flag(&c, SET_DOMAIN, "lab"));
	c.at[SET_LOG].from = FROM_ENV;
	strcpy(c.at[SET_LOG].value, "debug");
	got = written(config_text);
	assert_string_equal(got,
			    "domain    lab                       this command line\n"
			    "policy    share                     built in\n"
			    "dir       /run/user/7/mortise       built in\n"
			    "profile   frugal                    /home/u/mortise.ini:2\n"
			    "spin_us   0                         by the profile, /home/u/mortise.ini:2\n"
			    "exclude   22                        /home/u/mortise.ini:4\n"
			    "log       debug                     $MORTISE_LOG\n"
			    "color     auto                      built in\n");
	free(got);
	got = written(config_json);
	assert_non_null(strstr(got, "{\"settings\":{\n\"domain\":{\"value\":\"lab\",\"from\":\"flag\","
				    "\"by_profile\":false,\"variable\":\"MORTISE_DOMAIN\"},"));
	assert_non_null(strstr(got, "\"spin_us\":{\"value\":\"0\",\"from\":\"user\",\"by_profile\":true,"
				    "\"variable\":\"MORTISE_SPIN_US\",\"file\":\"/home/u/mortise.ini\","
				    "\"line\":2}"));
	assert_non_null(strstr(got, "\n},\"files\":{\"system\":\"\",\"user\":\"/home/u/mortise.ini\"}}\n"));
	free(got);
	clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_file__all_settings),
		cmocka_unit_test(config_file__without_section),
		cmocka_unit_test(config_net__of_a_domain),
		cmocka_unit_test(config_file__says_where_and_what),
		cmocka_unit_test(config_file__long_lines_and_noise),
		cmocka_unit_test(config_file__not_there),
		cmocka_unit_test(config_load__precedence),
		cmocka_unit_test(config_load__refuses_variables),
		cmocka_unit_test(config_effective__profiles),
		cmocka_unit_test(config_effective__dir),
		cmocka_unit_test(config_export__what_was_said),
		cmocka_unit_test(config_text__lines),
	};

	return cmocka_run_group_tests_name("config", tests, begin, end);
}
