// SPDX-License-Identifier: BSD-2-Clause
/*
 * top_screen.c - `mortise top` on a terminal, with ncurses.
 *
 * One loop: draw what the last sample said, wait for a key until the next
 * sample is due. Keys change how lines are shown, never what was sampled, so
 * that each is answered at once. What goes wrong while it runs, the end of the
 * daemon before all, is a line on the screen, and it goes on asking.
 */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/color.h"
#include "cli/opt.h"
#include "cli/top.h"

#ifndef MORTISE_NCURSES

int top_screen(const struct top_opts *o)
{
	(void)o;
	complain("top: this mortise was built without ncurses; use --batch or --json");
	return EXIT_FAILURE;
}

#else

#include <ncurses.h>

#define FIRST_S 0.5 /* nobody waits longer for the first rates */

enum {
	COLS_MIN = 40,
	LINES_MIN = 8,
	LINE_MESSAGE = TOP_SUMMARY,
	LINE_HEAD,
	LINE_FIRST,
	FILTER_MAX = 48,
	KEY_ESCAPE = 27,
	KEY_DELETE = 127,
	ESCAPE_MS = 25,
};

/**
 * struct screen - What is on it, and how.
 * @before, @now: The last two samples; at_ns 0: none yet.
 * @lines:   @count of them, filtered and sorted; @first is the topmost shown.
 * @typing:  The filter is being typed.
 * @help:    The key help is shown instead.
 * @message: What went wrong, or "".
 * @pair:    Colour of what is the kernel's; 0: none.
 */
struct screen {
	struct top_opts o;
	struct sample before, now;
	struct top_line *lines;
	size_t count, first;
	char filter[FILTER_MAX];
	bool typing, help, quit;
	char message[160];
	unsigned long shown;
	short pair;
};

static volatile sig_atomic_t ended;

static void on_end(int sig)
{
	ended = sig;
}

/* ------------------------------------------------------------- the sample */

static void arrange(struct screen *s)
{
	const struct sample *before = s->before.at_ns ? &s->before : NULL;
	long n = s->now.at_ns ? top_lines(before, &s->now, s->o.view, &s->lines) : 0;

	s->count = 0;
	if (n < 0)
		snprintf(s->message, sizeof(s->message), "%s", strerror(ENOMEM));
	if (n <= 0)
		return;
	s->count = top_filter(s->lines, (size_t)n, s->o.view, s->filter);
	top_sort(s->lines, s->count, s->o.sort, s->o.descending);
}

/** rearrange() - After a key. */
static void rearrange(struct screen *s)
{
	free(s->lines);
	s->lines = NULL;
	arrange(s);
}

/** sample() - Ask. What is complained about becomes the screen's message. */
static void sample(struct screen *s)
{
	struct sample next = { 0 };
	char *said = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&said, &len);

	complain_to(f);
	if (sample_take(s->o.domain, false, &next) == EXIT_SUCCESS) {
		sample_free(&s->before);
		s->before = s->now;
		s->now = next;
		s->shown++;
	}
	complain_to(NULL);
	if (f)
		fclose(f);
	snprintf(s->message, sizeof(s->message), "%.*s", (int)strcspn(said ? said : "", "\n"),
		 said ? said : "");
	free(said);
	rearrange(s);
}

/* --------------------------------------------------------------- drawing */

static size_t room(void)
{
	return LINES > LINE_FIRST + 1 ? (size_t)(LINES - LINE_FIRST - 1) : 0;
}

static void put(int y, const char *text)
{
	mvaddnstr(y, 0, text, COLS);
	clrtoeol();
}

/** put_bar() - A line in reverse over the whole width. */
static void put_bar(int y, const char *text)
{
	attron(A_REVERSE);
	mvprintw(y, 0, "%-*.*s", COLS, COLS, text);
	attroff(A_REVERSE);
}

static void draw_table(const struct screen *s)
{
	int width[TOP_COLUMNS], x = 0;
	char cell[128];

	for (unsigned c = 0; c < TOP_COLUMNS; c++) {
		/* Room for the mark of the column that is sorted by; and widths
		 * that do not jump with each sample. */
		width[c] = (int)strlen(top_title(c)) + 1;
		for (size_t i = 0; i < s->count; i++) {
			top_cell(&s->lines[i], c, cell, sizeof(cell));
			if ((int)strlen(cell) > width[c])
				width[c] = (int)strlen(cell);
		}
	}
	put_bar(LINE_HEAD, "");
	for (unsigned c = 0; c < TOP_COLUMNS && x < COLS; c++) {
		bool by = c == s->o.sort;

		/* Half of a number would be another number. */
		if (!top_has(s->o.view, c) || (top_is_number(c) && x + width[c] > COLS))
			continue;
		snprintf(cell, sizeof(cell), "%s%s", top_title(c),
			 !by ? "" : s->o.descending ? "v" : "^");
		attron(by ? A_REVERSE | A_BOLD : A_REVERSE);
		if (top_is_number(c))
			mvprintw(LINE_HEAD, x, "%*s", width[c], cell);
		else
			mvaddnstr(LINE_HEAD, x, cell, COLS - x);
		attroff(A_REVERSE | A_BOLD);
		for (size_t i = 0; i < room(); i++) {
			const struct top_line *l;

			if (s->first + i >= s->count)
				break;
			l = &s->lines[s->first + i];
			top_cell(l, c, cell, sizeof(cell));
			if (l->kernel && s->pair)
				attron(COLOR_PAIR(s->pair));
			if (top_is_number(c))
				mvprintw(LINE_FIRST + (int)i, x, "%*s", width[c], cell);
			else
				mvaddnstr(LINE_FIRST + (int)i, x, cell, COLS - x);
			if (l->kernel && s->pair)
				attroff(COLOR_PAIR(s->pair));
		}
		x += width[c] + 1;
	}
}

static void draw_message(const struct screen *s)
{
	char text[256];

	if (s->message[0])
		snprintf(text, sizeof(text), "%s", s->message);
	else if (s->typing)
		snprintf(text, sizeof(text), "Filter: %s_   (Enter: keep, Esc: none)", s->filter);
	else if (s->filter[0])
		snprintf(text, sizeof(text), "Filter: %s   (%zu lines)", s->filter, s->count);
	else if (s->first || s->count > room())
		snprintf(text, sizeof(text), "Lines %zu to %zu of %zu", s->first + 1,
			 s->first + room() < s->count ? s->first + room() : s->count, s->count);
	else
		text[0] = 0;
	if (s->message[0])
		attron(A_BOLD);
	put(LINE_MESSAGE, text);
	attroff(A_BOLD);
}

static void draw_help(void)
{
	static const char *const text[] = {
		"mortise top: keys",
		"",
		"  p, c, Tab    processes; connections and other sockets; the other one",
		"  < > or arrows, r   sort by the column before or behind; the other way",
		"  / WORD       only lines with that word; Esc: all again",
		"  j k, arrows, PgUp PgDn, Home End   move",
		"  + -          ask less often, more often",
		"  Space        ask now",
		"  q            quit",
		"",
		"Rates count what goes through memory; both ends of a connection are lines.",
		"Any key goes back.",
	};

	for (size_t i = 0; i < ARRAY_LEN(text) && (int)i < LINES; i++)
		put((int)i, text[i]);
}

static void draw(struct screen *s)
{
	char text[256];

	erase();
	if (COLS < COLS_MIN || LINES < LINES_MIN) {
		put(0, "terminal too small");
		snprintf(text, sizeof(text), "%dx%d, needs %dx%d", COLS, LINES, COLS_MIN, LINES_MIN);
		put(1, text);
		refresh();
		return;
	}
	if (s->help) {
		draw_help();
		refresh();
		return;
	}
	if (s->count <= s->first)
		s->first = s->count ? s->count - 1 : 0;
	for (int i = 0; s->now.at_ns && i < TOP_SUMMARY; i++) {
		top_summary(s->before.at_ns ? &s->before : NULL, &s->now, i, text, sizeof(text));
		put(i, text);
	}
	draw_message(s);
	draw_table(s);
	snprintf(text, sizeof(text),
		 "q quit  h help  %s  < > sort  r reverse  / filter  + - every %g s",
		 s->o.view == TOP_PROCESSES ? "c connections" : "p processes", s->o.interval_s);
	put_bar(LINES - 1, text);
	refresh();
}

/* ------------------------------------------------------------------ keys */

static void key_filter(struct screen *s, int key)
{
	size_t len = strlen(s->filter);

	switch (key) {
	case KEY_ESCAPE:
		s->filter[0] = 0;
		s->typing = false;
		break;
	case '\n':
	case '\r':
	case KEY_ENTER:
		s->typing = false;
		break;
	case KEY_BACKSPACE:
	case KEY_DELETE:
	case '\b':
		if (len)
			s->filter[len - 1] = 0;
		break;
	default:
		if (key >= 0x20 && key < KEY_DELETE && len + 1 < sizeof(s->filter)) {
			s->filter[len] = (char)key;
			s->filter[len + 1] = 0;
		}
	}
	s->first = 0;
}

/** key_sort() - The next column of this view, @step 1 or -1. */
static void key_sort(struct screen *s, int step)
{
	int c = (int)s->o.sort;

	do
		c = (c + step + TOP_COLUMNS) % TOP_COLUMNS;
	while (!top_has(s->o.view, (enum top_column)c));
	s->o.sort = (enum top_column)c;
	s->o.descending = top_is_number(s->o.sort);
}

static void key_view(struct screen *s, enum top_view view)
{
	s->o.view = view;
	s->first = 0;
	if (!top_has(view, s->o.sort)) {
		s->o.sort = TOP_TX;
		s->o.descending = true;
	}
}

static void key_interval(struct screen *s, double factor)
{
	double next = s->o.interval_s * factor;

	if (next >= 0.1 && next <= 3600)
		s->o.interval_s = next;
}

static void key_move(struct screen *s, long lines)
{
	long to = (long)s->first + lines, last = (long)s->count - (long)room();

	to = to > last ? last : to;
	s->first = to > 0 ? (size_t)to : 0;
}

/** key_press() - Return: true where a sample is wanted at once. */
static bool key_press(struct screen *s, int key)
{
	long page = (long)room();

	if (key == KEY_RESIZE)
		return false;
	if (s->help) {
		s->help = false;
		s->quit = key == 'q';
		return false;
	}
	if (s->typing) {
		key_filter(s, key);
		rearrange(s);
		return false;
	}
	switch (key) {
	case 'q':
		s->quit = true;
		return false;
	case 'h':
	case '?':
		s->help = true;
		return false;
	case 'p':
		key_view(s, TOP_PROCESSES);
		break;
	case 'c':
		key_view(s, TOP_SOCKETS);
		break;
	case '\t':
		key_view(s, s->o.view == TOP_SOCKETS ? TOP_PROCESSES : TOP_SOCKETS);
		break;
	case '<':
	case KEY_LEFT:
		key_sort(s, -1);
		break;
	case '>':
	case KEY_RIGHT:
		key_sort(s, 1);
		break;
	case 'r':
		s->o.descending = !s->o.descending;
		break;
	case '/':
		s->typing = true;
		s->filter[0] = 0;
		break;
	case KEY_ESCAPE:
		s->filter[0] = 0;
		break;
	case '+':
		key_interval(s, 2);
		return false;
	case '-':
		key_interval(s, 0.5);
		return false;
	case 'j':
	case KEY_DOWN:
		key_move(s, 1);
		return false;
	case 'k':
	case KEY_UP:
		key_move(s, -1);
		return false;
	case KEY_NPAGE:
		key_move(s, page);
		return false;
	case KEY_PPAGE:
		key_move(s, -page);
		return false;
	case KEY_HOME:
		s->first = 0;
		return false;
	case KEY_END:
		key_move(s, (long)s->count);
		return false;
	case ' ':
		return true;
	default:
		return false;
	}
	rearrange(s);
	return false;
}

/* ------------------------------------------------------------------ loop */

static void loop(struct screen *s)
{
	double soon_s = s->o.interval_s < FIRST_S ? s->o.interval_s : FIRST_S;
	uint64_t due_ns = s->now.at_ns + (uint64_t)(soon_s * NS_PER_SEC);

	arrange(s);
	while (!s->quit && !ended) {
		uint64_t now_ns = clock_now_ns();
		int key;

		if (now_ns >= due_ns) {
			sample(s);
			due_ns = now_ns + (uint64_t)(s->o.interval_s * NS_PER_SEC);
			if (s->o.count && s->shown > s->o.count)
				break;
		}
		draw(s);
		now_ns = clock_now_ns();
		timeout(due_ns > now_ns ? (int)((due_ns - now_ns) / NS_PER_MS) + 1 : 0);
		key = getch();
		/* The keyboard is gone: a terminal that was closed. */
		if (key == ERR && (errno == EIO || errno == EBADF) && !isatty(STDIN_FILENO))
			break;
		if (key != ERR && key_press(s, key))
			due_ns = 0;
	}
}

/** colours() - Return: the pair for what is the kernel's; 0 where there are no colours. */
static short colours(void)
{
	if (color_wanted(stdout, NULL) != 1 || !has_colors() || start_color() == ERR)
		return 0;
	use_default_colors();
	return init_pair(1, COLOR_YELLOW, -1) == ERR ? 0 : 1;
}

int top_screen(const struct top_opts *o)
{
	struct sigaction end = { .sa_handler = on_end };
	struct screen s = { .o = *o };
	const char *term = getenv("TERM");
	SCREEN *terminal;
	int status;

	snprintf(s.filter, sizeof(s.filter), "%s", o->filter);
	if (!isatty(STDIN_FILENO)) {
		complain("top: standard input is no terminal, so there are no keys; use --batch");
		return EXIT_FAILURE;
	}
	/* Before the screen is taken: the usual failure is no daemon. */
	status = sample_take(o->domain, false, &s.now);
	if (status)
		return status;
	setlocale(LC_CTYPE, "");
	set_escdelay(ESCAPE_MS);
	terminal = newterm(NULL, stdout, stdin);
	if (!terminal) {
		complain("top: the terminal type \"%s\" is not known here; set TERM to one that is, "
			 "such as xterm, or use --batch", term ? term : "");
		sample_free(&s.now);
		return EXIT_FAILURE;
	}
	set_term(terminal);
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGHUP, &end, NULL);
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	s.pair = colours();
	loop(&s);
	endwin();
	delscreen(terminal);
	free(s.lines);
	sample_free(&s.before);
	sample_free(&s.now);
	return EXIT_SUCCESS;
}

#endif
