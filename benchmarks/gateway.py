"""What a gateway adds to an exchange of 1.2 KB each way, beside other gateways, in one run.

    python benchmarks/gateway.py                                          # ours alone
    python benchmarks/gateway.py --litellm /tmp/litellm --portkey /tmp/portkey
        python -m venv /tmp/litellm && /tmp/litellm/bin/pip install 'litellm[proxy]'
        npm install --prefix /tmp/portkey @portkey-ai/gateway

Two rows of ours: the full default policy, and, for the fair row, the three rules that the others are given too: a word that
blocks, an e-mail address that is masked, a US social security number that blocks, on both sides. Each gateway is one process on
one core, the upstream and the client on another, since they would compete otherwise. What is printed is the median over rounds:
milliseconds added to the upstream's own (p50, p99), requests a second at 1, 8 and 64 at once, resident memory, size on disk.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
LOAD = [sys.executable, str(HERE / "gateway_load.py")]
AT_ONCE = (1, 8, 64)
THREE = """name: three
rails:
  - {type: words, words: [confidential]}
  - {type: pii, name: email, kinds: [email], action: redact}
  - {type: pii, name: ssn, kinds: [ssn], action: block}
"""
LITELLM = """model_list:
  - {model_name: mock, litellm_params: {model: openai/mock, api_base: "UPSTREAM/v1", api_key: sk-mock}}
guardrails:
  - guardrail_name: three
    litellm_params:
      guardrail: litellm_content_filter
      mode: [pre_call, post_call]
      default_on: true
      patterns:
        - {pattern_type: prebuilt, pattern_name: email, action: MASK}
        - {pattern_type: prebuilt, pattern_name: us_ssn, action: BLOCK}
      blocked_words: [{keyword: confidential, action: BLOCK}]
litellm_settings: {callbacks: [], num_retries: 0, telemetry: false}
general_settings: {master_key: KEY}
"""


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """How a gateway is started and asked; UPSTREAM, PORT and FOLDER stand for what a run has."""

    name: str
    command: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    size: tuple[Path, ...] = ()  # folders that it is installed in


def ours(name: str, policy: str, *more: str) -> Gateway:
    serve = (sys.executable, "-m", "trueline", "guard", "serve", "FOLDER/policy.yaml", "--upstream", "UPSTREAM")
    where = ("--port", "PORT", "--folder", "FOLDER/guard", "--database", "FOLDER/guard.db")
    return Gateway(name=name, command=(*serve, *where, *more), files={"policy.yaml": policy})


def litellm(venv: Path) -> Gateway:
    key = f"sk-{secrets.token_hex(24)}"
    return Gateway(
        name="LiteLLM, three rules",
        command=(str(venv / "bin" / "litellm"), "--config", "FOLDER/config.yaml", "--host", "127.0.0.1", "--port", "PORT"),
        files={"config.yaml": LITELLM.replace("KEY", key)},
        headers={"authorization": f"Bearer {key}"},
        environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        size=(venv,),
    )


def portkey(folder: Path) -> Gateway:
    start = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    words = {"id": "default.contains", "parameters": {"words": ["confidential"], "operator": "none"}}
    ssn = {"id": "default.regexMatch", "parameters": {"rule": r"\b\d{3}-\d{2}-\d{4}\b", "not": True}}
    hooks = [{"type": "guardrail", "deny": True, "id": check["id"], "checks": [check]} for check in (words, ssn)]
    rules = {"before_request_hooks": hooks, "after_request_hooks": hooks}
    return Gateway(
        name="Portkey, two rules (it masks nothing by itself)",
        command=("node", str(start), "--port=PORT", "--headless"),
        headers={
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": "UPSTREAM/v1",
            "x-portkey-config": json.dumps(rules),
            "authorization": "Bearer x",
        },
        environment={"PORT": "PORT"},
        size=(folder / "node_modules",),
    )


@contextmanager
def upstream(core: int) -> Iterator[str]:
    with subprocess.Popen([*pinned(core), *LOAD, "upstream"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


@contextmanager
def running(gateway: Gateway, behind: str, core: int) -> Iterator[tuple[str, int]]:
    """The address of a gateway that answers, and its process id."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:

        def put(text: str) -> str:
            return text.replace("UPSTREAM", behind).replace("PORT", str(port)).replace("FOLDER", folder)

        for name, text in gateway.files.items():
            (Path(folder) / name).write_text(put(text))
        environment = {**os.environ, **{name: put(value) for name, value in gateway.environment.items()}}
        command = [*pinned(core), *map(put, gateway.command)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                url = f"http://127.0.0.1:{port}/v1/chat/completions"
                headers = {name: put(value) for name, value in gateway.headers.items()}
                _until_it_answers(url, headers, gateway.name)
                yield url, process.pid
            finally:
                process.terminate()
                process.wait(30)


def asked(url: str, headers: dict[str, str], at_once: int, seconds: float, core: int) -> dict[str, float]:
    words = ["client", url, "--at-once", str(at_once), "--seconds", str(seconds), "--headers", json.dumps(headers)]
    done = subprocess.run([*pinned(core), *LOAD, *words], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def measured(gateway: Gateway, seconds: float, rounds: int) -> dict[str, float | str]:
    cores = sorted(os.sched_getaffinity(0))
    with upstream(cores[-1]) as behind, running(gateway, behind, cores[0]) as (url, pid):
        headers = {name: value.replace("UPSTREAM", behind) for name, value in gateway.headers.items()}
        direct: list[dict[str, float]] = []
        through: dict[int, list[dict[str, float]]] = {n: [] for n in AT_ONCE}
        for _ in range(rounds):
            direct.append(asked(f"{behind}/v1/chat/completions", {}, 1, seconds, cores[-1]))
            for n in AT_ONCE:
                through[n].append(asked(url, headers, n, seconds, cores[-1]))
        memory = _resident(pid)
    failed = sum(one["failed"] for some in through.values() for one in some)
    row: dict[str, float | str] = {"gateway": gateway.name}
    for quantile in ("p50", "p99"):
        added = [there[quantile] - here[quantile] for there, here in zip(through[1], direct, strict=True)]
        row[f"{quantile} added, ms"] = round(median(added), 2)
    row |= {f"req/s at {n}": round(median(one["rate"] for one in through[n])) for n in AT_ONCE}
    row |= {"MB resident": round(memory), "MB on disk": round(sum(map(_size, gateway.size))) or "", "failed": failed}
    return row


def pinned(core: int) -> list[str]:
    return ["taskset", "-c", str(core)] if Path("/usr/bin/taskset").exists() else []


def _until_it_answers(url: str, headers: dict[str, str], name: str) -> None:
    for _ in range(120):
        time.sleep(0.5)
        try:
            if asked(url, headers, 1, 0.2, max(os.sched_getaffinity(0)))["failed"] == 0:
                return
        except subprocess.CalledProcessError:
            continue
    raise SystemExit(f"{name}: no good answer within a minute; start it by hand and see what it says")


def _resident(pid: int) -> float:
    """MB of a process and of all that it has started."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    children = listed.stdout.split()
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return (int(found[1]) / 1024 if found else 0) + sum(_resident(int(child)) for child in children)


def _size(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink()) / 2**20


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litellm", type=Path, help="A virtual environment with litellm[proxy].")
    parser.add_argument("--portkey", type=Path, help="A folder with node_modules/@portkey-ai/gateway.")
    parser.add_argument("--beside", action="store_true", help="Also ours with a second policy that judges the same.")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    from importlib.resources import files

    default = files("trueline.guard").joinpath("policies/default.yaml").read_text(encoding="utf-8")
    gateways = [ours("trueline, the default policy", default)]
    if given.beside:
        gateways.append(ours("the same, with itself beside", default, "--beside", "FOLDER/policy.yaml"))
    gateways.append(ours("trueline, three rules", THREE))
    gateways += [litellm(given.litellm)] if given.litellm else []
    gateways += [portkey(given.portkey)] if given.portkey else []
    for gateway in gateways:
        row = measured(gateway, given.seconds, given.rounds)
        print(json.dumps(row) if given.json else "  ".join(f"{name}: {value}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
