// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/config.h"
#include "cli/json.h"
#include "cli/opt.h"
#include "cli/words.h"
#include "ctl/client.h"

enum { SPIN_US_MAX = 1000000 };

struct config config;

/* --------------------------------------------------------------- settings */

static bool is_domain(const char *v)
{
	return ctl_domain_valid(v);
}

static bool is_policy(const char *v)
{
	return word_policy_find(v) >= 0;
}

static bool is_dir(const char *v)
{
	return *v == '/' && strlen(v) < PATH_MAX;
}

/** profile_spin() - How long it spins; NULL where there is no such profile. */
static const char *profile_spin(const char *profile)
{
	static const struct {
		const char *name, *spin_us;
	} profiles[] = {
		/* A cross-core wake takes some 40 us here: twenty of these. */
		{ "latency", "1000" },
		/* What the library does by itself. */
		{ "balanced", "50" },
		{ "frugal", "0" },
	};

	for (size_t i = 0; i < ARRAY_LEN(profiles); i++) {
		if (!strcmp(profiles[i].name, profile))
			return profiles[i].spin_us;
	}
	return NULL;
}

static bool is_profile(const char *v)
{
	return profile_spin(v) != NULL;
}

static bool is_number(const char *v, unsigned long max)
{
	char *end;
	unsigned long n;

	if (*v < '0' || *v > '9' || strlen(v) > 9)
		return false;
	n = strtoul(v, &end, 10);
	return !*end && n <= max;
}

static bool is_spin(const char *v)
{
	return is_number(v, SPIN_US_MAX);
}

static bool is_port(const char *v)
{
	return is_number(v, 65535) && strcmp(v, "0") != 0;
}

/** is_program() - A name that exec_excluded() can find: no path, no number. */
static bool is_program(const char *v)
{
	return *v && !strchr(v, '/') && v[strspn(v, "0123456789")] != 0;
}

static bool all_of(const char *list, bool (*good)(const char *))
{
	char one[256];

	while (*list) {
		size_t n = strcspn(list, ",");

		if (n >= sizeof(one))
			return false;
		memcpy(one, list, n);
		one[n] = 0;
		if (!good(one))
			return false;
		list += n;
		if (*list && !*++list)
			return false;
	}
	return true;
}

static bool is_excludable(const char *v)
{
	return is_port(v) || is_program(v);
}

static bool is_exclude(const char *v)
{
	return all_of(v, is_excludable);
}

static bool is_log(const char *v)
{
	return !strcmp(v, "error") || !strcmp(v, "notice") || !strcmp(v, "debug") || *v == '/';
}

static bool is_color(const char *v)
{
	return !strcmp(v, "auto") || !strcmp(v, "always") || !strcmp(v, "never");
}

/**
 * struct known - What there is to be said of a setting.
 * @name: In the file. @accepts: What is accepted, in words.
 * @words: Those that a typing error may have been; ends with NULL.
 */
static const struct known {
	const char *name, *env, *standard;
	bool (*valid)(const char *v);
	const char *accepts;
	const char *words[4];
} known[SET_COUNT] = {
	[SET_DOMAIN] = { "domain", "MORTISE_DOMAIN", CTL_DOMAIN_DEFAULT, is_domain,
			 "up to 32 of a-z, 0-9 and '-', a letter first", { NULL } },
	[SET_POLICY] = { "policy", "MORTISE_POLICY", "share", is_policy,
			 "share (other addresses are the kernel's), none (they are unreachable) or net "
			 "(by the domain's own network)",
			 { "share", "none", "net", NULL } },
	[SET_DIR] = { "dir", "MORTISE_DIR", NULL, is_dir, "an absolute path", { NULL } },
	[SET_PROFILE] = { "profile", "MORTISE_PROFILE", "balanced", is_profile,
			  "latency, balanced or frugal", { "latency", "balanced", "frugal", NULL } },
	[SET_SPIN_US] = { "spin_us", "MORTISE_SPIN_US", NULL, is_spin,
			  "microseconds, 0 to 1000000", { NULL } },
	[SET_EXCLUDE] = { "exclude", "MORTISE_EXCLUDE", "", is_exclude,
			  "ports and names of programs, separated by commas", { NULL } },
	[SET_LOG] = { "log", "MORTISE_LOG", "error", is_log,
		      "error, notice, debug or the absolute path of a file",
		      { "error", "notice", "debug", NULL } },
	[SET_COLOR] = { "color", "MORTISE_COLOR", "auto", is_color, "auto, always or never",
			{ "auto", "always", "never", NULL } },
};

/**
 * refuse() - "PLACE: NAME "VALUE": ... is accepted".
 * @place: Where it was said, with ": " behind it, or "".
 */
static void refuse(const char *place, const char *name, const char *value, const char *accepts,
		   const char *const *words)
{
	const char *near = *words ? word_near(value, words) : NULL;

	complain("%s%s \"%s\": accepted is %s%s%s%s", place, name, value, accepts,
		 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static void put(struct config *c, enum setting s, const char *value, enum config_source from,
		unsigned line)
{
	struct config_value *v = &c->at[s];

	snprintf(v->value, sizeof(v->value), "%s", value);
	v->from = from;
	v->line = line;
}

/* ------------------------------------------------------------------- file */

/**
 * struct file - A file that is being read.
 * @line:    Of the last that was read.
 * @inside:  That line was indented: it may go on with the one before.
 * @section: Whether the last one is known, by name.
 * @seen:    Line in which each setting stood; 0: not yet.
 */
struct file {
	struct config *c;
	const char *path;
	enum config_source from;
	FILE *f;
	unsigned line;
	bool inside, failed, too_long;
	unsigned seen[SET_COUNT];
};

__attribute__((format(printf, 2, 3))) static int file_fail(struct file *f, const char *format, ...)
{
	char what[512];
	va_list ap;

	if (!f->failed) {
		va_start(ap, format);
		vsnprintf(what, sizeof(what), format, ap);
		va_end(ap);
		complain("%s:%u: %s", f->path, f->line, what);
	}
	f->failed = true;
	return 0;
}

/** file_line() - As fgets(), for inih: which takes a line that is too long for two. */
static char *file_line(char *to, int room, void *stream)
{
	struct file *f = stream;
	size_t n;

	if (f->failed || !fgets(to, room, f->f))
		return NULL;
	f->line++;
	n = strlen(to);
	if ((!n || to[n - 1] != '\n') && !feof(f->f)) {
		file_fail(f, "this line is longer than %d bytes, or binary; a list may go on in a "
			     "line of its own that is indented", room - 2);
		return NULL;
	}
	f->inside = *to == ' ' || *to == '\t';
	return to;
}

/** list_add() - The words of @value, by commas or spaces, behind what is there. */
static int list_add(struct file *f, const char *name, const char *value,
		    bool (*good)(const char *), const char *accepts)
{
	static const char *const no_words[] = { NULL };
	struct config_value *v = &f->c->at[SET_EXCLUDE];
	char place[PATH_MAX + 16], word[256];

	if (!f->seen[SET_EXCLUDE]) {
		f->seen[SET_EXCLUDE] = f->line;
		put(f->c, SET_EXCLUDE, "", f->from, f->line);
	}
	for (value += strspn(value, ", \t"); *value; value += strspn(value, ", \t")) {
		size_t n = strcspn(value, ", \t"), used = strlen(v->value);

		snprintf(word, sizeof(word), "%.*s", (int)n, value);
		value += n;
		if (!good(word)) {
			if (!f->failed) {
				snprintf(place, sizeof(place), "%s:%u: ", f->path, f->line);
				refuse(place, name, word, accepts, no_words);
			}
			f->failed = true;
			return 0;
		}
		if (used + n + 2 > sizeof(v->value))
			return file_fail(f, "more is excluded than %u bytes hold", CONFIG_VALUE_MAX);
		sprintf(v->value + used, "%s%s", used ? "," : "", word);
	}
	return 1;
}

static int exclude_entry(struct file *f, const char *name, const char *value)
{
	static const char *const names[] = { "programs", "ports", NULL };
	const char *near;

	if (!strcmp(name, "programs"))
		return list_add(f, name, value, is_program, "names of programs, without a folder");
	if (!strcmp(name, "ports"))
		return list_add(f, name, value, is_port, "numbers from 1 to 65535");
	near = word_near(name, names);
	return file_fail(f, "[exclude] has no \"%s\": programs or ports%s%s%s", name,
			 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int unknown_name(struct file *f, const char *name)
{
	const char *names[SET_COUNT + 1] = { NULL }, *near;
	char all[256] = "";
	size_t n = 0;

	for (int s = 0; s < SET_COUNT; s++) {
		if (s == SET_EXCLUDE)
			continue;
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", n ? ", " : "",
			 known[s].name);
		names[n++] = known[s].name;
	}
	near = word_near(name, names);
	if (!strcmp(name, "exclude") || !strcmp(name, "programs") || !strcmp(name, "ports"))
		return file_fail(f, "what is excluded stands in a section of its own: [exclude], "
				    "with programs = and ports =");
	if (near)
		return file_fail(f, "there is no \"%s\"; did you mean %s?", name, near);
	return file_fail(f, "there is no \"%s\"; accepted are %s", name, all);
}

static int entry(struct file *f, const char *name, const char *value)
{
	char place[PATH_MAX + 16];

	for (int s = 0; s < SET_COUNT; s++) {
		if (s == SET_EXCLUDE || strcmp(known[s].name, name) != 0)
			continue;
		if (f->seen[s] && f->inside)
			return file_fail(f, "an indented line goes on with the one before, and %s "
					    "has one value; begin it at the margin", name);
		if (f->seen[s])
			return file_fail(f, "%s is given twice, first in line %u", name, f->seen[s]);
		f->seen[s] = f->line;
		if (!known[s].valid(value) || strlen(value) >= CONFIG_VALUE_MAX) {
			snprintf(place, sizeof(place), "%s:%u: ", f->path, f->line);
			refuse(place, name, value, known[s].accepts, known[s].words);
			f->failed = true;
			return 0;
		}
		put(f->c, (enum setting)s, value, f->from, f->line);
		return 1;
	}
	return unknown_name(f, name);
}

/* ----------------------------------------------------- [domain NAME] */

static int net_add(struct file *f, const char *domain, const char *name, const char *value,
		   size_t len)
{
	struct config_net *n = &f->c->net[f->c->nets];

	if (f->c->nets == CONFIG_NETS_MAX)
		return file_fail(f, "more than %u of these are not taken", CONFIG_NETS_MAX);
	if (len == 0 || len >= sizeof(n->value))
		return file_fail(f, "%s has no value, or one longer than %zu bytes", name,
				 sizeof(n->value) - 1);
	snprintf(n->domain, sizeof(n->domain), "%s", domain);
	snprintf(n->value, sizeof(n->value), "%.*s", (int)len, value);
	n->name = name;
	n->from = f->from;
	f->c->nets++;
	return 1;
}

/** net_entry() - As on `mortise up`'s command line; what is wrong with a value, the daemon says. */
static int net_entry(struct file *f, const char *domain, const char *name, const char *value)
{
	static const char *const names[] = { "tap", "address", "gateway", "mtu", "offload",
					     "loopback", "pcap",
					     NULL };
	const char *near, *const *at = names;

	if (!is_domain(domain))
		return file_fail(f, "[domain %s]: accepted is a name of %s", domain,
				 known[SET_DOMAIN].accepts);
	while (*at && strcmp(*at, name) != 0)
		at++;
	near = *at ? NULL : word_near(name, names);
	if (!*at)
		return file_fail(f, "[domain %s] has no \"%s\": tap, address, gateway, mtu, offload, loopback or "
				    "pcap%s%s%s", domain, name, near ? "; did you mean " : "",
				 near ? near : "", near ? "?" : "");
	if (strcmp(name, "address") != 0)
		return net_add(f, domain, *at, value, strlen(value));
	for (value += strspn(value, ", \t"); *value; value += strspn(value, ", \t")) {
		size_t n = strcspn(value, ", \t");

		if (!net_add(f, domain, *at, value, n))
			return 0;
		value += n;
	}
	return 1;
}

const struct config_net *config_net(const struct config *c, const char *domain, unsigned i)
{
	enum config_source best = FROM_DEFAULT;

	for (unsigned k = 0; k < c->nets; k++)
		if (!strcmp(c->net[k].domain, domain) && c->net[k].from > best)
			best = c->net[k].from;
	for (unsigned k = 0; k < c->nets; k++)
		if (!strcmp(c->net[k].domain, domain) && c->net[k].from == best && i-- == 0)
			return &c->net[k];
	return NULL;
}

/** handler() - inih's: 0 is an error. */
static int handler(void *user, const char *section, const char *name, const char *value)
{
	static const char *const sections[] = { "mortise", "exclude", "domain", NULL };
	struct file *f = user;
	const char *near;

	if (!*section || !strcmp(section, "mortise"))
		return entry(f, name, value);
	if (!strcmp(section, "exclude"))
		return exclude_entry(f, name, value);
	if (!strncmp(section, "domain ", 7))
		return net_entry(f, section + 7 + strspn(section + 7, " \t"), name, value);
	near = word_near(section, sections);
	return file_fail(f, "there is no section [%s]: [mortise], [exclude] or [domain NAME]%s%s%s", section,
			 near ? "; did you mean [" : "", near ? near : "", near ? "]?" : "");
}

bool config_file(struct config *c, const char *path, enum config_source from)
{
	struct file f = { .c = c, .path = path, .from = from };
	int bad;

	f.f = fopen(path, "re");
	if (!f.f && (errno == ENOENT || errno == ENOTDIR))
		return true;
	if (!f.f) {
		complain("cannot read %s: %s", path, strerror(errno));
		return false;
	}
	bad = ini_parse_stream(file_line, &f, handler, &f);
	if (!f.failed && ferror(f.f)) {
		complain("cannot read %s: %s", path, strerror(errno));
		f.failed = true;
	}
	if (!f.failed && bad) {
		f.line = bad > 0 ? (unsigned)bad : f.line;
		file_fail(&f, "neither [SECTION] nor NAME = VALUE nor a comment (;)");
	}
	fclose(f.f);
	return !f.failed;
}

/* ------------------------------------------------------------ environment */

static bool environment(struct config *c)
{
	for (int s = 0; s < SET_COUNT; s++) {
		const char *v = getenv(known[s].env);

		/* Set to nothing is not set, as everywhere here. */
		if (!v || !*v)
			continue;
		if (!known[s].valid(v) || strlen(v) >= CONFIG_VALUE_MAX) {
			refuse("", known[s].env, v, known[s].accepts, known[s].words);
			return false;
		}
		put(c, (enum setting)s, v, FROM_ENV, 0);
	}
	return true;
}

static void user_file(char ret[PATH_MAX])
{
	/* XDG Base Directory: a relative path is to be ignored. */
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int n = 0;

	if (xdg && *xdg == '/')
		n = snprintf(ret, PATH_MAX, "%s/mortise/mortise.ini", xdg);
	else if (home && *home == '/')
		n = snprintf(ret, PATH_MAX, "%s/.config/mortise/mortise.ini", home);
	if (n <= 0 || n >= PATH_MAX)
		*ret = 0;
}

bool config_load(struct config *c)
{
	memset(c, 0, sizeof(*c));
	strcpy(c->system, CONFIG_SYSTEM_FILE);
	user_file(c->user);
	return config_file(c, c->system, FROM_SYSTEM) &&
	       (!*c->user || config_file(c, c->user, FROM_USER)) && environment(c);
}

bool config_flag(struct config *c, enum setting s, const char *value)
{
	char name[32];

	/* Nothing excluded can only be said here: an empty variable says nothing. */
	if (known[s].valid(value) && strlen(value) < CONFIG_VALUE_MAX) {
		put(c, s, value, FROM_FLAG, 0);
		return true;
	}
	snprintf(name, sizeof(name), "--%s", known[s].name);
	for (char *p = name; *p; p++)
		*p = (char)(*p == '_' ? '-' : *p);
	refuse("", name, value, known[s].accepts, known[s].words);
	return false;
}

bool config_export(const struct config *c)
{
	char value[CONFIG_VALUE_MAX];

	for (int s = 0; s < SET_COUNT; s++) {
		bool by_profile = false;

		config_effective(c, (enum setting)s, value, &by_profile);
		if (c->at[s].from == FROM_DEFAULT && !by_profile)
			continue;
		if (!*value ? unsetenv(known[s].env) : setenv(known[s].env, value, 1))
			return false;
	}
	return true;
}

void config_effective(const struct config *c, enum setting s, char ret[CONFIG_VALUE_MAX],
		      bool *ret_by_profile)
{
	const struct config_value *v = &c->at[s], *profile = &c->at[SET_PROFILE];
	const char *run = getenv("XDG_RUNTIME_DIR");
	bool by_profile = s == SET_SPIN_US && profile->from > v->from;

	if (ret_by_profile)
		*ret_by_profile = by_profile;
	if (by_profile)
		snprintf(ret, CONFIG_VALUE_MAX, "%s", profile_spin(profile->value));
	else if (v->from != FROM_DEFAULT)
		snprintf(ret, CONFIG_VALUE_MAX, "%s", v->value);
	else if (s == SET_SPIN_US)
		snprintf(ret, CONFIG_VALUE_MAX, "%s", profile_spin(known[SET_PROFILE].standard));
	else if (s == SET_DIR && run && *run == '/')
		snprintf(ret, CONFIG_VALUE_MAX, "%s/mortise", run);
	else if (s == SET_DIR)
		snprintf(ret, CONFIG_VALUE_MAX, "/tmp/mortise-%u", (unsigned)geteuid());
	else
		snprintf(ret, CONFIG_VALUE_MAX, "%s", known[s].standard);
}

/* ----------------------------------------------------------------- output */

static const char *file_of(const struct config *c, enum config_source from)
{
	return from == FROM_SYSTEM ? c->system : c->user;
}

void config_text(FILE *out, const struct config *c)
{
	char value[CONFIG_VALUE_MAX];

	for (int s = 0; s < SET_COUNT; s++) {
		const struct config_value *v = &c->at[s];
		bool by_profile;

		config_effective(c, (enum setting)s, value, &by_profile);
		fprintf(out, "%-8s  %-24s  ", known[s].name, *value ? value : "-");
		if (by_profile)
			v = &c->at[SET_PROFILE];
		if (by_profile)
			fputs("by the profile, ", out);
		if (v->from == FROM_DEFAULT)
			fputs("built in\n", out);
		else if (v->from == FROM_ENV)
			fprintf(out, "$%s\n", by_profile ? known[SET_PROFILE].env : known[s].env);
		else if (v->from == FROM_FLAG)
			fputs("this command line\n", out);
		else
			fprintf(out, "%s:%u\n", file_of(c, v->from), v->line);
	}
}

void config_json(FILE *out, const struct config *c)
{
	static const char *const from[] = { "default", "system", "user", "environment", "flag" };
	char value[CONFIG_VALUE_MAX];

	fputs("{\"settings\":{", out);
	for (int s = 0; s < SET_COUNT; s++) {
		const struct config_value *v = &c->at[s];
		bool by_profile;

		config_effective(c, (enum setting)s, value, &by_profile);
		if (by_profile)
			v = &c->at[SET_PROFILE];
		fprintf(out, "%s\n\"%s\":{\"value\":", s ? "," : "", known[s].name);
		json_string(out, value);
		fprintf(out, ",\"from\":\"%s\",\"by_profile\":%s,\"variable\":\"%s\"", from[v->from],
			by_profile ? "true" : "false", known[s].env);
		if (v->line) {
			fputs(",\"file\":", out);
			json_string(out, file_of(c, v->from));
			fprintf(out, ",\"line\":%u", v->line);
		}
		fputc('}', out);
	}
	fputs("\n},\"files\":{\"system\":", out);
	json_string(out, c->system);
	fputs(",\"user\":", out);
	json_string(out, *c->user ? c->user : NULL);
	fputs("}}\n", out);
}
