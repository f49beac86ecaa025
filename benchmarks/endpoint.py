"""An endpoint that costs almost nothing: chat completions that always refuse, and a count of what was asked and when.

    python benchmarks/endpoint.py           # prints its port; GET /count, GET /reset
    python benchmarks/endpoint.py 0.5       # each answer half a second after its question

One process, one thread, no framework: what is measured against it is the one who asks.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

SAID = {"role": "assistant", "content": "I'm sorry, but I can't help with that."}
REPLY = {
    "id": "x", "object": "chat.completion", "created": 0, "model": "refuser",
    "choices": [{"index": 0, "message": SAID, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30},
}  # fmt: skip
arrivals: list[float] = []


def http(value: object) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


ANSWER = http(REPLY)
LATENCY = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next((int(h.split(b":")[1]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length")), 0)
            await reader.readexactly(length)
            if head.startswith(b"POST"):
                arrivals.append(time.perf_counter())
                if LATENCY:
                    await asyncio.sleep(LATENCY)
                writer.write(ANSWER)
            elif b"/reset" in head.split(b"\r\n")[0]:
                arrivals.clear()
                writer.write(http({}))
            else:
                span = arrivals[-1] - arrivals[0] if len(arrivals) > 1 else 0.0
                writer.write(http({"count": len(arrivals), "seconds": span, "data": [{"id": "refuser", "object": "model"}]}))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
