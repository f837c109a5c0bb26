// SPDX-License-Identifier: BSD-2-Clause
// Answers each request with the SHA-256 of its body.
'use strict';
const http = require('http');
const crypto = require('crypto');

http.createServer((req, res) => {
	const hash = crypto.createHash('sha256');
	req.on('data', (part) => hash.update(part));
	req.on('end', () => res.end(hash.digest('hex')));
}).listen(Number(process.argv[2]), process.env.PEER_ADDR || '127.0.0.1');
