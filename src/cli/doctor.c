// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/color.h"
#include "cli/config.h"
#include "cli/doctor.h"
#include "cli/opt.h"
#include "cli/verbs.h"

/* 0 to 2 are enum finding_level. */
enum { EXIT_NOTHING_TO_EXAMINE = 3, EXIT_DOCTOR_USAGE = 4 };

/** load_settings() - What is wrong in them is a finding like another. */
static void load_settings(struct findings *f)
{
	char *said = NULL, *text;
	size_t size;
	FILE *listener = open_memstream(&said, &size);
	bool ok;

	if (listener)
		complain_to(listener);
	ok = config_load(&config) && config_export(&config);
	complain_to(NULL);
	if (listener)
		fclose(listener);
	if (!ok) {
		text = said && !strncmp(said, "mortise: ", 9) ? said + 9 : said;
		if (text)
			text[strcspn(text, "\n")] = 0;
		finding_add(f, "settings", "settings", FINDING_BAD, "%s",
			    text ? text : strerror(ENOMEM));
		finding_remedy(f, "correct it: each verb stops there; see mortise-config(1)");
	}
	free(said);
}

/** examine() - All of it. Return: 0, or doctor_program()'s error. */
static int examine(struct findings *f, const char *program)
{
	char dir[CONFIG_VALUE_MAX], domain[CONFIG_VALUE_MAX];
	int r = program ? doctor_program(f, program) : 0;

	if (r)
		return r;
	doctor_installation(f);
	doctor_environment(f);
	doctor_kernel(f);
	doctor_limits(f);
	config_effective(&config, SET_DIR, dir, NULL);
	config_effective(&config, SET_DOMAIN, domain, NULL);
	doctor_directory(f, dir, domain);
	return 0;
}

int verb_doctor(int argc, char **argv)
{
	enum { JSON, COLOR, DOMAIN, DIR_ };
	static const struct opt table[] = { [JSON] = { 0, "json", NULL },
					    [COLOR] = { 0, "color", "[WHEN]" },
					    [DOMAIN] = { 0, "domain", "NAME" },
					    [DIR_] = { 0, "dir", "FOLDER" },
					    { 0 } };
	struct opt_walk w = {
		.verb = "doctor", .table = table, .argc = argc, .argv = argv, .next = 1
	};
	static struct findings f;
	const char *color = NULL, *program, *domain = NULL, *dir = NULL;
	bool json = false;
	int i, wanted, r;

	while ((i = opt_next(&w)) >= 0) {
		if (i == JSON)
			json = true;
		else if (i == COLOR)
			color = w.value ? w.value : "always";
		else
			*(i == DOMAIN ? &domain : &dir) = w.value;
	}
	if (i == OPT_HELP)
		return verb_help("doctor");
	if (i == OPT_BAD)
		return EXIT_DOCTOR_USAGE;
	load_settings(&f);
	if ((domain && !config_flag(&config, SET_DOMAIN, domain)) ||
	    (dir && !config_flag(&config, SET_DIR, dir)))
		return EXIT_DOCTOR_USAGE;
	wanted = color_wanted(stdout, color);
	if (wanted < 0)
		return EXIT_DOCTOR_USAGE;
	program = w.next < argc ? argv[w.next] : NULL;
	r = examine(&f, program);
	if (r) {
		complain("doctor: %s: %s", program,
			 r == -ENOENT ? "there is no such program" : "it cannot be executed");
		return EXIT_NOTHING_TO_EXAMINE;
	}
	if (json)
		findings_json(stdout, &f, program);
	else
		findings_text(stdout, &f, program, wanted);
	return (int)findings_worst(&f, NULL);
}
