// SPDX-License-Identifier: BSD-2-Clause
// cluster_server.js PORT WORKERS [shared]: node's cluster; each answer is the
// digest of what was posted and the pid of the worker. By turns, where the
// first process accepts and passes connections on; or "shared", where the
// workers accept themselves.
'use strict';
const cluster = require('cluster');
const crypto = require('crypto');
const http = require('http');

const [port, workers, kind] = process.argv.slice(2);
if (kind === 'shared')
	cluster.schedulingPolicy = cluster.SCHED_NONE;

if (cluster.isPrimary) {
	for (let i = 0; i < +workers; i++)
		cluster.fork();
	cluster.on('exit', () => cluster.fork());
	process.on('SIGTERM', () => process.exit(0));
} else {
	http.createServer((req, res) => {
		const hash = crypto.createHash('sha256');
		req.on('data', (d) => hash.update(d));
		req.on('end', () => {
			const body = hash.digest('hex');
			res.setHeader('X-Worker', process.pid);
			res.end(body);
		});
	}).listen(+port, process.env.PEER_ADDR || '127.0.0.1');
}
