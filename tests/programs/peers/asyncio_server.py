# SPDX-License-Identifier: BSD-2-Clause
"""asyncio_server.py PORT: echoes."""
import asyncio
import os
import sys

ADDR = os.environ.get("PEER_ADDR", "127.0.0.1")


async def serve(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, ADDR, int(sys.argv[1]), backlog=1024)
    await server.serve_forever()

asyncio.run(main())
