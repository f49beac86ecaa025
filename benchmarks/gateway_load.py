"""An upstream that costs almost nothing, and a client that measures what stands before it.

    python benchmarks/gateway_load.py upstream                       # prints its port
    python benchmarks/gateway_load.py client URL --at-once 8         # prints one line of JSON

The upstream answers every POST with the same chat completion of 1.2 KB, or the same stream. The client keeps its connections,
sends a chat of 1.2 KB that differs from request to request in one number, and counts what is no 200. Both are plain sockets:
no framework stands between a gateway and its clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from urllib.parse import urlsplit

PROSE = (
    "The council met on Tuesday to talk about the bridge, which has been closed since the spring. Several members asked what a "
    "new one would cost, and who would pay for it. The engineer said that the old foundations could be kept, that work would "
    "take nine months, and that the ferry should run until then. Everybody voted for the plan, and the money is to be found by "
    "the autumn. "
)
SAID = (PROSE * 3)[:1_000]
USAGE = {"prompt_tokens": 240, "completion_tokens": 220, "total_tokens": 460}
HEAD = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "mock"}


def whole() -> bytes:
    message = {"role": "assistant", "content": SAID}
    body = json.dumps({**HEAD, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def streamed() -> bytes:
    def event(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}
        data = b"data: " + json.dumps(chunk).encode() + b"\n\n"
        return b"%x\r\n%s\r\n" % (len(data), data)

    parts = [event({"content": SAID[i : i + 5]}) for i in range(0, len(SAID), 5)]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    done = b"data: [DONE]\n\n"
    return head + b"".join(parts) + event({}, "stop") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(done), done)


WHOLE, STREAM = whole(), streamed()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := (await reader.readuntil(b"\r\n\r\n")).lower():
            body = await _body(reader, head)
            writer.write(STREAM if b'"stream":true' in body.replace(b" ", b"") else WHOLE)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def upstream() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def client(url: str, at_once: int, seconds: float, headers: dict[str, str], stream: bool, model: str) -> dict[str, float]:
    """Ask for some seconds, after a tenth of that as a warm-up."""
    where = urlsplit(url)
    took: list[float] = []
    failed = 0
    begun = time.perf_counter() + seconds / 10
    until = begun + seconds

    async def worker(number: int) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        asked = number * 1_000_000
        while (started := time.perf_counter()) < until:
            asked += 1
            writer.write(_request(where.path, where.netloc, headers, f"{asked}. {(PROSE * 3)[:1_000]}", stream, model))
            status = await _reply(reader)
            if started >= begun:
                took.append(time.perf_counter() - started)
                failed += status != 200
        writer.close()

    await asyncio.gather(*(worker(number) for number in range(at_once)))
    took.sort()
    at = lambda share: round(1_000 * took[min(len(took) - 1, int(len(took) * share))], 3)  # noqa: E731 - three uses, one line
    return {"n": len(took), "rate": round(len(took) / seconds, 1), "p50": at(0.5), "p99": at(0.99), "failed": failed}


def _request(path: str, host: str, headers: dict[str, str], text: str, stream: bool, model: str) -> bytes:
    asked = {"model": model, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]}
    body = json.dumps({**asked, **({"stream": True} if stream else {})}).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n{more}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def _reply(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await _body(reader, head)
    return int(head.split(b" ", 2)[1])


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if b"content-length:" in head:
        return await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
    body = b""
    while size := int((await reader.readline()).strip() or b"0", 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["upstream", "client"])
    parser.add_argument("url", nargs="?")
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--headers", default="{}")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--model", default="mock")
    given = parser.parse_args()
    if given.role == "upstream":
        asyncio.run(upstream())
    else:
        asked = client(given.url, given.at_once, given.seconds, json.loads(given.headers), given.stream, given.model)
        print(json.dumps(asyncio.run(asked)))


if __name__ == "__main__":
    main()
