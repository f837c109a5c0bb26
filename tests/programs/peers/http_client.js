// SPDX-License-Identifier: BSD-2-Clause
// http_client.js PORT COUNT: posts bodies of many sizes over eight kept connections.
'use strict';
const http = require('http');
const crypto = require('crypto');
const port = Number(process.argv[2]);
const count = Number(process.argv[3]);
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
let left = count;

function post(i) {
	const body = crypto.randomBytes((i * 7919) % 200000);
	const want = crypto.createHash('sha256').update(body).digest('hex');
	const req = http.request({ host: process.env.PEER_ADDR || '127.0.0.1', port, agent, method: 'POST' }, (res) => {
		let got = '';
		res.on('data', (part) => { got += part; });
		res.on('end', () => {
			if (got !== want) {
				console.log(`request ${i}: wrong digest`);
				process.exit(1);
			}
			if (--left === 0) {
				agent.destroy();
				console.log(`${count} right`);
			}
		});
	});
	req.on('error', (e) => { console.log(`request ${i}: ${e.message}`); process.exit(1); });
	req.end(body);
}
for (let i = 0; i < count; i++)
	post(i);
