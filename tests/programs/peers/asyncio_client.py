# SPDX-License-Identifier: BSD-2-Clause
"""asyncio_client.py PORT CLIENTS MESSAGES READY GO: all clients talk, then wait for GO."""
import asyncio
import os
import sys

ADDR = os.environ.get("PEER_ADDR", "127.0.0.1")

port, clients, messages = (int(a) for a in sys.argv[1:4])
ready, go = sys.argv[4:6]


async def talk(i, done, leave):
    reader, writer = await asyncio.open_connection(ADDR, port)
    good = True
    for m in range(messages):
        data = b"%d.%d;" % (i, m) + os.urandom(100 + 97 * m)
        writer.write(data)
        good = await reader.readexactly(len(data)) == data and good
    done.release()
    await leave.wait()
    writer.write_eof()
    good = await reader.read() == b"" and good
    writer.close()
    return good


async def main():
    done, leave = asyncio.Semaphore(0), asyncio.Event()
    tasks = [asyncio.create_task(talk(i, done, leave)) for i in range(clients)]
    for _ in range(clients):
        await done.acquire()
    with open(ready, "w") as f:
        f.write("r")
    await asyncio.get_running_loop().run_in_executor(None, lambda: open(go).read())
    leave.set()
    print(sum(await asyncio.gather(*tasks)), "right")

asyncio.run(main())
