// SPDX-License-Identifier: BSD-2-Clause
/*
 * mortise-exporter - Serve a domain's metrics over HTTP, for Prometheus.
 *
 *   mortise-exporter DOMAIN ADDR:PORT      (`mortise metrics --listen` starts it)
 *
 * A process of its own, so that neither the daemon nor the command has an HTTP
 * server in it. It asks the daemon at each GET /metrics, as `mortise ss` does;
 * where none runs it says so (mortise_up 0) and starts none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/metrics.h"
#include "cli/opt.h"

enum { CONNECTIONS_MAX = 64, IDLE_TIMEOUT_S = 30 };

static const char front_page[] =
	"<!DOCTYPE html><html lang=\"en\"><title>Mortise</title>"
	"<p>Metrics of a Mortise domain: <a href=\"/metrics\">/metrics</a></p></html>\n";

/** body_make() - All metrics. Return: Allocated, or NULL without memory. */
static char *body_make(const char *domain, size_t *ret_bytes)
{
	struct sample s;
	struct timespec t;
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_bytes);
	bool ok;

	if (!f)
		return NULL;
	ok = sample_take(domain, true, &s) == EXIT_SUCCESS;
	clock_gettime(CLOCK_REALTIME, &t);
	metrics_text(f, ok ? &s : NULL, (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec);
	if (ok)
		sample_free(&s);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

static enum MHD_Result reply(struct MHD_Connection *c, unsigned status, const char *type,
			     char *text, size_t bytes, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(bytes, text, mode);
	enum MHD_Result result;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result reply_text(struct MHD_Connection *c, unsigned status, const char *type,
				  const char *text)
{
	return reply(c, status, type, (char *)(uintptr_t)text, strlen(text),
		     MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result serve(void *arg, struct MHD_Connection *c, const char *url,
			     const char *method, const char *version, const char *upload,
			     size_t *upload_bytes, void **request)
{
	static char seen;
	size_t bytes;
	char *text;

	(void)version;
	(void)upload;
	if (!*request) { /* Whoever answers before the request's end ends the connection. */
		*request = &seen;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		*upload_bytes = 0;
		return reply_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", "GET or HEAD\n");
	}
	if (!strcmp(url, "/"))
		return reply_text(c, MHD_HTTP_OK, "text/html; charset=utf-8", front_page);
	if (strcmp(url, "/metrics") != 0)
		return reply_text(c, MHD_HTTP_NOT_FOUND, "text/plain", "it is at /metrics\n");
	text = body_make(arg, &bytes);
	if (!text)
		return reply_text(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "text/plain", "no memory\n");
	return reply(c, MHD_HTTP_OK, METRICS_TYPE, text, bytes, MHD_RESPMEM_MUST_FREE);
}

/** say_where() - Which port it is that was free. */
static void say_where(struct MHD_Daemon *d, struct sockaddr_storage *a)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT);
	char host[INET6_ADDRSTRLEN];
	bool v6 = a->ss_family == AF_INET6;
	const void *addr = v6 ? (const void *)&((struct sockaddr_in6 *)a)->sin6_addr
			      : (const void *)&((struct sockaddr_in *)a)->sin_addr;

	inet_ntop(a->ss_family, addr, host, sizeof(host));
	complain(v6 ? "metrics at http://[%s]:%u/metrics" : "metrics at http://%s:%u/metrics", host,
		 info ? info->port : 0u);
}

int main(int argc, char **argv)
{
	struct sockaddr_storage address = { 0 };
	struct MHD_Daemon *d;
	unsigned flags = MHD_USE_AUTO_INTERNAL_THREAD;
	sigset_t end;
	socklen_t len;
	int sig;

	if (argc != 3) {
		complain("use: mortise metrics --listen ADDR:PORT");
		return EXIT_USAGE;
	}
	if (!opt_domain(argv[1]) || !metrics_address(argv[2], &address, &len))
		return EXIT_USAGE;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigaddset(&end, SIGINT);
	sigprocmask(SIG_BLOCK, &end, NULL); /* in the server's thread, too */
	if (address.ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	errno = 0;
	d = MHD_start_daemon(flags, 0, NULL, NULL, serve, argv[1], MHD_OPTION_SOCK_ADDR, &address,
			     MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
			     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
			     MHD_OPTION_END);
	if (!d) {
		complain("metrics: cannot listen at %s: %s", argv[2],
			 errno ? strerror(errno) : "the HTTP server did not start");
		return EXIT_FAILURE;
	}
	say_where(d, &address);
	sigwait(&end, &sig);
	MHD_stop_daemon(d);
	return EXIT_SUCCESS;
}
