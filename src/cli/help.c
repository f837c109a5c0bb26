// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/opt.h"
#include "cli/verbs.h"
#include "cli/words.h"

const struct verb verbs[] = {
	{ "run", verb_run, "run a program with Mortise's sockets",
	  "Examples:\n"
	  "  mortise run -- redis-server --port 7000 --bind 127.0.0.1\n"
	  "  mortise run -- redis-cli -p 7000 ping\n"
	  "  mortise run --domain lab --policy none -- sh\n"
	  "\n"
	  "  mortise run --profile frugal --exclude 22,sshd -- ./service\n"
	  "\n"
	  "Usage: mortise run [OPTION...] [--] PROGRAM ARG...\n"
	  "\n"
	  "The program is not changed. Its connections to programs that were started in\n"
	  "the same way go through shared memory; what cannot, is the kernel's.\n"
	  "\n"
	  "  --domain NAME     which virtual host it is on; started where it is not up\n"
	  "  --policy share    other addresses, other programs: the kernel's sockets\n"
	  "  --policy none     other addresses are unreachable\n"
	  "  --profile NAME    latency, balanced or frugal: how long to spin\n"
	  "  --spin-us NUMBER  the same in microseconds; 0 turns it off\n"
	  "  --exclude LIST    ports and programs that stay with the kernel: 22,sshd\n"
	  "  --log LEVEL       error, notice, debug, or a file's path\n"
	  "  --dir FOLDER      where the domains' directories are\n"
	  "\n"
	  "Each is also a variable (MORTISE_DOMAIN, MORTISE_SPIN_US ...) and a line in\n"
	  "mortise.ini; `mortise config` shows which holds, mortise-config(1) explains.\n"
	  "\n"
	  "Exit status: the program's; 125 where Mortise failed, 126 where the program\n"
	  "cannot be executed, 127 where it was not found.\n" },
	{ "ss", verb_ss, "list the sockets of a domain, as ss does",
	  "Examples:\n"
	  "  mortise ss              connections\n"
	  "  mortise ss -tlnp        listeners, ports as numbers, who holds them\n"
	  "  mortise ss -im          what the rings hold; wakes, sleeps, spins\n"
	  "  mortise ss -s           sums\n"
	  "  mortise ss state established '( sport = :http or sport = :https )'\n"
	  "  mortise ss -a --json | jq '.sockets[] | select(.transport==\"kernel\")'\n"
	  "\n"
	  "Usage: mortise ss [OPTION...] [state STATE | exclude STATE]... [CONDITION...]\n"
	  "\n"
	  "Both ends of a connection through memory are shown, as ss does on loopback.\n"
	  "\n"
	  "  -t, --tcp         byte streams          -u, --udp     datagrams\n"
	  "  -4, --ipv4        only IPv4             -6, --ipv6    only IPv6\n"
	  "  -l, --listening   listening sockets     -a, --all     all sockets\n"
	  "  -n, --numeric     ports as numbers      -r, --resolve addresses as names\n"
	  "  -p, --processes   who holds it\n"
	  "  -e, --extended    user, inode, cookie\n"
	  "  -m, --memory      what is queued, buffers, drops, ring memory\n"
	  "  -i, --info        how full the rings are, wakes, sleeps, spins, age\n"
	  "  -s, --summary     sums of all sockets\n"
	  "  -O, --oneline     -m and -i in the same line\n"
	  "  -H, --no-header   no first line\n"
	  "  -x, --unix        none of these is Mortise's: says so\n"
	  "      --json        one object: {\"domain\":..., \"sockets\":[...]}\n"
	  "      --color[=WHEN] always, never or auto: on a terminal (NO_COLOR)\n"
	  "      --domain NAME which domain (MORTISE_DOMAIN; default)\n"
	  "\n"
	  "States: established syn-sent syn-recv fin-wait-1 fin-wait-2 time-wait closed\n"
	  "close-wait last-ack listening closing; all connected synchronized bucket big.\n"
	  "Conditions: sport OP [:]PORT, dport OP [:]PORT, src HOST[/BITS][:PORT], dst ...;\n"
	  "and, or, not, ( ). OP: = != > < >= <=, or eq ne gt lt ge le.\n"
	  "\n"
	  "Exit status: 0; 1 on failure; 2 for bad usage; 3 where no daemon runs.\n" },
	{ "top", verb_top, "watch processes and sockets of a domain",
	  "Examples:\n"
	  "  mortise top                       on a terminal; h explains the keys\n"
	  "  mortise top -c --filter redis     connections of redis only\n"
	  "  mortise top --batch -n 3 -d 1     three times, as text\n"
	  "  mortise top --json -n 1 | jq .bytes_per_s\n"
	  "\n"
	  "Usage: mortise top [-b] [-c] [-n COUNT] [-d SECONDS] [--sort COLUMN] [-r]\n"
	  "                   [--filter WORD] [--json] [--domain NAME]\n"
	  "\n"
	  "  -b, --batch         print, do not draw; so too where the output is no terminal\n"
	  "  -c, --connections   one line a socket, not a process\n"
	  "  -n, --count COUNT   so many samples (until it is ended)\n"
	  "  -d, --delay SECONDS between two of them (2)\n"
	  "      --sort COLUMN   by: pid process open listening kernel netid state\n"
	  "                      tx_bytes_per_s rx_bytes_per_s transport local peer recv_q\n"
	  "                      send_q wakes_per_s sleeps_per_s spins_per_s drops_per_s\n"
	  "  -r, --reverse       the other way\n"
	  "      --filter WORD   lines with that word only\n"
	  "      --json          an object a line, with processes and sockets\n"
	  "      --domain NAME   which domain (MORTISE_DOMAIN; default)\n"
	  "\n"
	  "Exit status: 0; 1 on failure; 2 for bad usage; 3 where no daemon runs.\n" },
	{ "metrics", verb_metrics, "a domain's figures for Prometheus",
	  "Examples:\n"
	  "  mortise metrics                            once, on standard output\n"
	  "  mortise metrics --listen 127.0.0.1:9550    until it is ended, over HTTP\n"
	  "\n"
	  "Usage: mortise metrics [--listen ADDR:PORT] [--domain NAME]\n"
	  "\n"
	  "      --listen ADDR:PORT  serve http://ADDR:PORT/metrics; [::1]:PORT for IPv6;\n"
	  "                          port 0: a free one, which it names\n"
	  "      --domain NAME       which domain (MORTISE_DOMAIN; default)\n"
	  "\n"
	  "Exit status: 0; 1 on failure; 2 for bad usage; 3 where no daemon runs (with\n"
	  "--listen it says mortise_up 0, and goes on).\n" },
	{ "bench", verb_bench, "measure Mortise, the kernel and this machine",
	  "Examples:\n"
	  "  mortise bench --quick               less than half a minute\n"
	  "  mortise bench --svg mortise.svg     two minutes, and a picture\n"
	  "  mortise bench --json | jq '.figures[] | {what, where, gain}'\n"
	  "\n"
	  "Usage: mortise bench [--quick] [--rounds COUNT] [--json] [--svg FILE]\n"
	  "\n"
	  "Round trips, streams and connections through the kernel's loopback and through\n"
	  "Mortise by turns, and what the machine itself allows. In a domain of its own; the\n"
	  "machine should have nothing else to do.\n"
	  "\n"
	  "      --quick        short runs, 2 rounds\n"
	  "      --rounds COUNT up to 32 (5)\n"
	  "      --json         one object\n"
	  "      --svg FILE     percentiles of the round trip, throughput over size\n"
	  "\n"
	  "Exit status: 0; 1 where something could not be measured; 2 for bad usage.\n" },
	{ "status", verb_status, "show the domain's daemon and its counters",
	  "Examples:\n"
	  "  mortise status\n"
	  "  mortise status --json | jq .fallbacks\n"
	  "\n"
	  "Usage: mortise status [--json] [--domain NAME | NAME]\n"
	  "\n"
	  "      --json        one object\n"
	  "      --domain NAME which domain (MORTISE_DOMAIN; default)\n"
	  "\n"
	  "Exit status: 0; 1 on failure; 2 for bad usage; 3 where no daemon runs.\n" },
	{ "up", verb_up, "start a domain's daemon, to stay",
	  "Examples:\n"
	  "  mortise up\n"
	  "  mortise up lab --policy none\n"
	  "  mortise up lab --tap tap0 --address 10.0.0.2/24 --gateway 10.0.0.1\n"
	  "  mortise up --foreground\n"
	  "\n"
	  "Usage: mortise up [OPTION...] [NAME]\n"
	  "\n"
	  "`mortise run` starts a daemon that leaves when it is unused for 10 s. This one\n"
	  "stays until `mortise down`; one that runs already is told to.\n"
	  "\n"
	  "  NAME, --domain NAME    which domain (MORTISE_DOMAIN; default)\n"
	  "  --policy share|none    of a new one (MORTISE_POLICY; share)\n"
	  "  -f, --foreground       do not go into the background; log to standard error\n"
	  "  --dir FOLDER           where the domains' directories are (MORTISE_DIR)\n"
	  "\n"
	  "A domain with a network of its own (policy net): it is a host at a TAP interface,\n"
	  "which is there already, with Mortise's TCP/IP and without the kernel's:\n"
	  "\n"
	  "  --tap NAME             the interface: ip tuntap add dev NAME mode tap\n"
	  "  --address A/BITS       its address, with its network's bits; up to 8 of these\n"
	  "  --gateway A            where the way to other networks leads\n"
	  "  --mtu OCTETS           of its packets (the interface's)\n"
	  "  --loopback memory|packets  how its programs reach each other (memory)\n"
	  "  --offload on|off       leave checksums and large segments to the interface (on)\n"
	  "  --pcap FILE            write its frames there: pcapng, with whose they are\n"
	  "\n"
	  "The other options of `mortise run` are taken, too, and have no effect.\n"
	  "Exit status: 0 when it is up; 1 where it did not start; 2 for bad usage.\n" },
	{ "ping", verb_ping, "ask whether a host answers, by the domain's own network",
	  "Examples:\n"
	  "  mortise ping --domain lab 10.0.0.1\n"
	  "  mortise ping --domain lab -c 3 -i 0.2 -s 1400 10.0.0.1\n"
	  "\n"
	  "Usage: mortise ping [OPTION...] HOST\n"
	  "\n"
	  "  -c, --count COUNT      so many (until it is ended)\n"
	  "  -i, --interval SECONDS between two of them (1)\n"
	  "  -W, --timeout SECONDS  to wait for an answer (1)\n"
	  "  -s, --size OCTETS      of payload (56)\n"
	  "  -t, --ttl HOPS         time to live (64)\n"
	  "  -q, --quiet            the sums only\n"
	  "      --domain NAME      which domain (MORTISE_DOMAIN; default)\n"
	  "\n"
	  "Exit status: 0 where one was answered; 1 otherwise; 2 for bad usage; 3 where no\n"
	  "daemon runs.\n" },
	{ "addr", verb_addr, "the addresses of the domain's own network",
	  "Examples:\n"
	  "  mortise addr --domain lab\n"
	  "\n"
	  "Usage: mortise addr [show] [--json] [--domain NAME]\n"
	  "\n"
	  "In the words of `ip addr`.\n"
	  "Exit status: 0; 1 where there is no network; 2 for bad usage; 3 where no daemon runs.\n" },
	{ "route", verb_route, "where the domain's own network sends what",
	  "Examples:\n"
	  "  mortise route --domain lab\n"
	  "\n"
	  "Usage: mortise route [show] [--json] [--domain NAME]\n"
	  "\n"
	  "In the words of `ip route`, the longest prefix first.\n"
	  "Exit status: 0; 1 where there is no network; 2 for bad usage; 3 where no daemon runs.\n" },
	{ "neigh", verb_neigh, "whom it knows on the link",
	  "Examples:\n"
	  "  mortise neigh --domain lab\n"
	  "\n"
	  "Usage: mortise neigh [show] [--json] [--domain NAME]\n"
	  "\n"
	  "In the words of `ip neigh`, the one used last first.\n"
	  "Exit status: 0; 1 where there is no network; 2 for bad usage; 3 where no daemon runs.\n" },
	{ "stats", verb_stats, "what it counts: frames, segments, drops by reason",
	  "Examples:\n"
	  "  mortise stats --domain lab\n"
	  "  mortise stats --domain lab --json | jq '.\"tcp-retransmitted\"'\n"
	  "\n"
	  "Usage: mortise stats [--all] [--json] [--domain NAME]\n"
	  "\n"
	  "  -a, --all         also what is 0\n"
	  "      --json        one object\n"
	  "      --domain NAME which domain (MORTISE_DOMAIN; default)\n"
	  "\n"
	  "Exit status: 0; 1 where there is no network; 2 for bad usage; 3 where no daemon runs.\n" },
	{ "down", verb_down, "end the domain's daemon",
	  "Examples:\n"
	  "  mortise down\n"
	  "  mortise down --force    also where connections are open\n"
	  "\n"
	  "Usage: mortise down [--force] [--domain NAME | NAME]\n"
	  "\n"
	  "Where connections are open it lists them, and does nothing (exit status 1).\n"
	  "\n"
	  "  -f, --force       end them: each program sees ECONNRESET\n"
	  "      --domain NAME which domain (MORTISE_DOMAIN; default)\n"
	  "\n"
	  "Exit status: 0 when it is gone, or was not there; 1 otherwise; 2 for bad usage.\n" },
	{ "config", verb_config, "show the settings, and where each comes from",
	  "Examples:\n"
	  "  mortise config\n"
	  "  mortise config --profile latency\n"
	  "  mortise config --json | jq .settings.spin_us\n"
	  "\n"
	  "Usage: mortise config [--json] [OPTION...]\n"
	  "\n"
	  "A flag goes before the environment, that before the user's file\n"
	  "($XDG_CONFIG_HOME/mortise/mortise.ini, else ~/.config/mortise/mortise.ini),\n"
	  "that before the system's (/etc/mortise/mortise.ini). OPTION is any of\n"
	  "`mortise run`: what would hold with it.\n"
	  "\n"
	  "  [mortise]                       [exclude]\n"
	  "  domain = default                programs = sshd, ntpd\n"
	  "  policy = share                  ports = 22, 5432\n"
	  "  profile = balanced\n"
	  "\n"
	  "and spin_us, log, dir, color: see mortise-config(1).\n"
	  "\n"
	  "      --json        one object\n"
	  "\n"
	  "Exit status: 0; 2 where a file, a variable or a flag says something wrong.\n" },
	{ "doctor", verb_doctor, "say what will work here, and what to do about the rest",
	  "Examples:\n"
	  "  mortise doctor                  this host\n"
	  "  mortise doctor redis-server     this host, and that program\n"
	  "  mortise doctor --json nginx | jq '.findings[] | select(.level!=\"ok\")'\n"
	  "\n"
	  "Usage: mortise doctor [OPTION...] [--] [PROGRAM [ARG...]]\n"
	  "\n"
	  "Looks at the program (dynamic, static, Go, setuid, script ...), the installation,\n"
	  "the environment, the kernel, limits, directories and daemons, and says what it\n"
	  "found, with a remedy where there is one. It changes nothing.\n"
	  "\n"
	  "      --json          one object: verdict, status, findings\n"
	  "      --color[=WHEN]  always, never or auto: on a terminal (NO_COLOR)\n"
	  "      --domain NAME   which domain (MORTISE_DOMAIN; default)\n"
	  "      --dir FOLDER    where the domains' directories are (MORTISE_DIR)\n"
	  "\n"
	  "Exit status: 0 all is well; 1 it works, with limits; 2 the program will not be\n"
	  "accelerated, or nothing will here; 3 no such program; 4 for bad usage.\n" },
	{ "help", verb_help_main, "explain a verb",
	  "Examples:\n"
	  "  mortise help run\n"
	  "\n"
	  "Usage: mortise help [VERB]\n" },
	{ 0 },
};

static void all(void)
{
	printf("Examples:\n"
	       "  mortise run -- redis-server --port 7000 --bind 127.0.0.1\n"
	       "  mortise run -- redis-cli -p 7000 ping\n"
	       "  mortise ss -ap\n"
	       "  mortise status\n"
	       "  mortise down\n"
	       "\n"
	       "Usage: mortise VERB [OPTION...]\n"
	       "\n"
	       "Sockets in shared memory for programs that are not changed.\n"
	       "\n");
	for (const struct verb *v = verbs; v->name; v++)
		printf("  %-8s %s\n", v->name, v->summary);
	printf("\n"
	       "mortise VERB --help explains a verb; --version prints the version.\n");
}

int verb_help(const char *name)
{
	if (!name) {
		all();
		return EXIT_SUCCESS;
	}
	for (const struct verb *v = verbs; v->name; v++) {
		if (!strcmp(v->name, name))
			fputs(v->help, stdout);
	}
	return EXIT_SUCCESS;
}

int verb_help_main(int argc, char **argv)
{
	const char *names[32], *near;
	size_t n = 0;

	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return verb_help(argc < 2 ? NULL : "help");
	for (const struct verb *v = verbs; v->name && n + 1 < ARRAY_LEN(names); v++) {
		if (!strcmp(v->name, argv[1]))
			return verb_help(argv[1]);
		names[n++] = v->name;
	}
	names[n] = NULL;
	near = word_near(argv[1], names);
	complain("help: no verb \"%s\"%s%s%s", argv[1], near ? "; did you mean " : "; see: mortise --help",
		 near ? near : "", near ? "?" : "");
	return EXIT_USAGE;
}
