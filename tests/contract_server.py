"""A server that speaks vLLM's API for rollouts on a tiny model: it stands in for vLLM in the tests, in a process of its own.

    python -m tests.contract_server MODEL_FOLDER          # prints its address, serves until its standard input closes

Read from the source of vLLM 0.33.0. Theirs, by name and meaning:

- GET /v1/models: `data[].id`, `max_model_len`, `root`. POST /tokenize: `model`, `prompt`, `add_special_tokens` -> `tokens`.
- POST /v1/completions, asked: `model`, `prompt` (lists of ids), `n`, `seed`, `temperature`, `max_tokens`, `logprobs`,
  `prompt_logprobs`, `return_token_ids`, `return_weight_versions`, `ignore_eos`, `stop_token_ids`, `top_p`, `top_k`, `min_p` and
  three penalties; answered, in `choices[]`: `index`, `text`, `finish_reason` (stop, length), `token_ids` (the stop token
  included), `prompt_token_ids`, `logprobs.token_logprobs`, `prompt_logprobs` (null first; then {id: {logprob, ...}}), and
  `weight_versions` ([{version, start, end}]). `n` > 1 at temperature 0 is refused. Log-probabilities of samples are from after
  the temperature, as with `--logprobs-mode processed_logprobs`, or from before it (`raw`, their default); of prompts, before.
- In development mode alone: POST /pause?mode=wait (completions are then refused with 503), /resume, /collective_rpc with
  `method` "reload_weights" and `kwargs.weights_path`, /reset_prefix_cache -> `success`, /update_weight_version with
  `new_version`, GET /weight_info -> `weight_version`, and /init_weight_transfer_engine (`init_info`), /start_weight_update,
  /update_weights (`update_info`: `names`, `dtype_names`, `shapes`), /finish_weight_update (`weight_version`).

Ours: `checksum` in /weight_info; the transport of /update_weights, which is a file named in `update_info` and waited for; that
samples of one seed are those of `models.generate.sample`; and POST /fault, by which a test makes the server wrong:
stale (takes new weights and keeps the old), cached (samples from old weights, scores with new), raw, unsaid (no labels beside
samples, as 0.32), unlabelled (none at all), closed (not in development mode), free (nothing is wrong).
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from safetensors.torch import load_file

from trueline.models.checkpoint import digest_of
from trueline.models.generate import sample
from trueline.models.policy import Policy
from trueline.models.remote import seed_of

DEVELOPMENT = (
    "/pause", "/resume", "/collective_rpc", "/reset_prefix_cache", "/update_weight_version", "/weight_info",
    "/init_weight_transfer_engine", "/start_weight_update", "/update_weights", "/finish_weight_update",
)  # fmt: skip


class RefusedError(Exception):
    """A request that is answered with a status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Question:
    """One completion that waits for its turn; those that wait at the same time are sampled together."""

    prompt: list[int]
    n: int
    max_tokens: int
    temperature: float
    seed: int
    made: Any = None
    label: str = ""


class Engine:
    """The model, and what was done to it."""

    def __init__(self, folder: str) -> None:
        self.policy = Policy.load(folder)
        self.old = self.policy  # what samples while the fault is `cached`
        self.folder, self.fault, self.label, self.checksum = folder, "", "default", ""
        self.paused, self.done = False, 0
        self.updating: dict[str, torch.Tensor] | None = None
        self.lock, self.waiting = threading.Lock(), []  # type: ignore[var-annotated]
        self.log: list[str] = []

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take weights in place; names and shapes must be the model's."""
        with self.lock:
            self.checksum = digest_of(tensors)
            if self.fault == "stale":
                return
            self.old = copy.deepcopy(self.policy)
            self.policy.model.load_state_dict(tensors, strict=False)

    def answer(self, question: Question) -> None:
        """Sample: whoever comes first does it for all that wait."""
        self.waiting.append(question)
        with self.lock:
            if question.made is not None:
                return
            asked, self.waiting = self.waiting, []
            policy = self.old if self.fault == "cached" else self.policy
            alike: dict[tuple[int, int, float], list[Question]] = {}
            for one in asked:
                alike.setdefault((one.n, one.max_tokens, one.temperature), []).append(one)
            for (n, max_tokens, temperature), some in alike.items():
                heads, seeds = [q.prompt for q in some], [seed_of(q.seed, q.prompt) for q in some]
                drawn = sample(policy, heads, count=n, max_tokens=max_tokens, temperature=temperature, seed=seeds)
                for one, made in zip(some, drawn, strict=True):
                    one.made, one.label = made, self.label

    def scored(self, row: list[int]) -> list[float]:
        tokens = torch.tensor([row])
        mask = torch.ones_like(tokens, dtype=torch.bool)
        with self.lock, torch.no_grad():
            logp = self.policy(tokens, mask, frozenset({"logp"})).logp
        return logp[0, 1:].tolist()

    def completions(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.paused:
            raise RefusedError(503, "generation is paused")
        (prompt,), limit = body["prompt"], self.policy.model.config.max_position_embeddings
        if body["max_tokens"] + len(prompt) > limit:
            raise RefusedError(400, f"the maximum context length is {limit} tokens")
        if max(prompt) >= self.policy.model.config.vocab_size:
            raise RefusedError(400, f"token id {max(prompt)} is out of vocabulary")
        n, temperature = body.get("n", 1), body["temperature"]
        if n > 1 and temperature == 0:
            raise RefusedError(400, "n must be 1 when using greedy sampling")
        question = Question(prompt, n, body["max_tokens"], temperature, body.get("seed", 0))
        self.answer(question)
        self.done += 1
        found = []
        for index, made in enumerate(question.made):
            logps = list(made.logprobs)
            if self.fault == "raw":
                logps = self.scored([*prompt, *made.ids])[len(prompt) - 1 :]
            choice = {"index": index, "text": "", "finish_reason": made.finish, "stop_reason": None}
            if body.get("logprobs") is not None:
                choice["logprobs"] = {"tokens": [], "token_logprobs": logps, "top_logprobs": [], "text_offset": []}
            if body.get("return_token_ids"):
                choice |= {"token_ids": list(made.ids), "prompt_token_ids": prompt}
            if body.get("return_weight_versions") and self.fault not in ("unlabelled", "unsaid"):
                choice["weight_versions"] = [{"version": question.label, "start": 0, "end": len(made.ids)}]
            if body.get("prompt_logprobs") is not None:
                places = zip(prompt[1:], self.scored(prompt), strict=True)
                choice["prompt_logprobs"] = [None, *({str(i): {"logprob": x, "rank": 1}} for i, x in places)]
            found.append(choice)
        return {"id": "cmpl-0", "object": "text_completion", "model": self.folder, "choices": found}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.log.append(path)
        if (self.fault == "closed" and path in DEVELOPMENT) or (self.fault == "unlabelled" and "version" in path):
            raise RefusedError(404, "Not Found")
        if path == "/v1/completions":
            return self.completions(body)
        if path == "/tokenize":
            return {"tokens": self.policy.codec.ids(body["prompt"]), "max_model_len": 0}
        if path == "/pause":
            self.paused = True
        elif path == "/resume":
            self.paused = False
        elif path == "/collective_rpc":
            folder = Path(body["kwargs"]["weights_path"])
            if body["method"] != "reload_weights" or not (folder / "model.safetensors").is_file():
                raise RefusedError(500, f"no weights in {folder}")
            self.load(load_file(folder / "model.safetensors"))
            return {"results": [None]}
        elif path == "/reset_prefix_cache":
            return {"success": True}
        elif path == "/update_weight_version":
            self.label = body["new_version"]
            return {"success": True, "new_version": self.label}
        elif path == "/start_weight_update":
            self.updating = {}
        elif path == "/update_weights":
            self.receive(body["update_info"])
        elif path == "/finish_weight_update":
            self.load(self.updating or {})
            self.label, self.updating = body["weight_version"], None
        elif path == "/fault":
            self.fault = "" if body["name"] == "free" else body["name"]
        elif path != "/init_weight_transfer_engine" or "init_info" not in body:
            raise RefusedError(404, "Not Found")
        return {"message": "done"}

    def receive(self, info: dict[str, Any]) -> None:
        """Wait for the tensors that were announced, as a broadcast waits for its sender."""
        if self.updating is None:
            raise RefusedError(400, "no update was started")
        until = time.monotonic() + 20
        while not Path(info["file"]).is_file():
            if time.monotonic() > until:
                raise RefusedError(500, "no tensors came")
            time.sleep(0.01)
        tensors = load_file(info["file"])
        announced = dict(zip(info["names"], zip(info["dtype_names"], info["shapes"], strict=True), strict=True))
        found = {name: (str(t.dtype).removeprefix("torch."), list(t.shape)) for name, t in tensors.items()}
        if {k: (d, s) for k, (d, s) in announced.items()} != found:
            raise RefusedError(400, "other tensors came than were announced")
        self.updating = tensors

    def get(self, path: str) -> dict[str, Any]:
        if path == "/v1/models":
            length = self.policy.model.config.max_position_embeddings
            return {"object": "list", "data": [{"id": "tiny", "root": self.folder, "max_model_len": length}]}
        if path == "/log":  # ours
            return {"paths": self.log, "completions": self.done}
        if path == "/weight_info" and self.fault not in ("closed", "unlabelled"):
            return {"weight_version": self.label, "checksum": self.checksum}
        raise RefusedError(404, "Not Found")


def handler(engine: Engine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self):
            self.reply(lambda: engine.get(urlsplit(self.path).path))

        def do_POST(self):
            read = self.rfile.read(int(self.headers.get("content-length", 0)))
            self.reply(lambda: engine.post(urlsplit(self.path).path, json.loads(read) if read else {}))

        def reply(self, work):
            try:
                status, said = 200, work()
            except RefusedError as error:
                status, said = error.status, {"error": {"message": str(error), "code": error.status}}
            except (KeyError, ValueError, TypeError) as error:
                status, said = 400, {"error": {"message": repr(error), "code": 400}}
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, *_):
            pass

    return Handler


@contextmanager
def contract_server(folder: str) -> Iterator[str]:
    """The server on a model folder, in a process of its own; gives its address."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.contract_server", str(folder)]
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=root) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    folder = parser.parse_args().folder
    torch.set_num_threads(1)  # a request is answered on a thread, from which nothing may fork
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(Engine(folder)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
