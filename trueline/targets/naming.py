"""From a TARGET, as it is written on the command line, to a target that is open.

    RUN, RUN/STAGE or a model folder     a model in this process; hf:NAME one of the hub
    openai:MODEL                         OpenAI's chat completions; openai-responses:MODEL its responses API
    anthropic:MODEL                      Anthropic's messages
    http://HOST/v1#MODEL                 anything that speaks OpenAI's chat completions; https too
    FILE.yaml                            a deployment: one of these with a system prompt, tools, documents, a guard

Torch is loaded for a model in this process, and for nothing else.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit, urlunsplit

from trueline.core.ports import Limiter, Target
from trueline.core.records import nearest
from trueline.targets.chat_wire import ChatWire
from trueline.targets.deployment import read_deployment
from trueline.targets.errors import UnknownTargetError
from trueline.targets.http import Address, Asking, connected
from trueline.targets.messages_wire import MessagesWire
from trueline.targets.responses_wire import ResponsesWire
from trueline.targets.wire import Wire
from trueline.targets.wrappers import Deployment

Kind = Literal["local", "remote", "deployment"]
Guarding = Callable[[Target, Path], Target]  # a target, and the policy file of its guard
FORMS = "a run or model folder, hf:NAME, openai:MODEL, anthropic:MODEL, http://HOST/v1#MODEL or a deployment FILE.yaml"
OPENAI, ANTHROPIC = ("https://api.openai.com/v1", "OPENAI_API_KEY"), ("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY")
SERVICES: dict[str, tuple[tuple[str, str], Wire]] = {
    "openai": (OPENAI, ChatWire(limit="max_completion_tokens")),
    "openai-responses": (OPENAI, ResponsesWire()),
    "anthropic": (ANTHROPIC, MessagesWire()),
}
SCHEMES = (*SERVICES, "hf", "http", "https")


def kind_of(reference: str) -> Kind:
    """Which kind of target a TARGET names. Raises UnknownTargetError where it begins like none."""
    scheme, colon, _ = reference.partition(":")
    if Path(reference).suffix in (".yaml", ".yml") and scheme not in SCHEMES:
        return "deployment"
    if scheme in SCHEMES and colon:
        return "local" if scheme == "hf" else "remote"
    if colon and re.fullmatch(r"[\w.-]+", scheme) and not Path(reference).exists():
        raise UnknownTargetError(
            f"{_shown(reference)}: expected {FORMS}, got something that begins with {scheme!r}{nearest(scheme, SCHEMES)}"
        )
    return "local"


@asynccontextmanager
async def open_target(
    reference: str,
    *,
    template: str = "model",
    asking: Asking = Asking(),  # noqa: B008 - frozen
    guarding: Guarding | None = None,
    limiter: Limiter | None = None,
) -> AsyncIterator[Target]:
    """Open the target that a TARGET names; what it holds open is closed at the end.

    `template` is the chat template of a model in this process, `asking` how a remote one is asked, `limiter` what keeps its
    pace and budget where other processes ask it too, and `guarding` what puts a guard before a model (guard/opening.py, which
    brings it along).
    """
    async with _opened(reference, template, asking, limiter, guarding, ()) as target:
        yield target


@asynccontextmanager
async def _opened(
    reference: str, template: str, asking: Asking, limiter: Limiter | None, guarding: Guarding | None, within: tuple[Path, ...]
) -> AsyncIterator[Target]:
    kind = kind_of(reference)
    if kind == "deployment":
        path = Path(reference)
        if path.resolve() in within:
            raise UnknownTargetError(f"{reference}: this deployment is its own model; name another in model:")
        if not path.is_file():
            beside = [other.name for other in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
            raise UnknownTargetError(
                f"{reference}: expected a deployment file, found none of that name{nearest(path.name, beside)}"
            )
        file = read_deployment(path)
        if file.guards is not None and guarding is None:
            raise UnknownTargetError(f"{reference}: guards: nothing here can guard; open it with trueline.guard.opening")
        async with _opened(file.settings.model, template, asking, limiter, guarding, (*within, path.resolve())) as target:
            yield Deployment(
                label=file.settings.name or path.stem,
                # As a gateway stands: between what is deployed and the model.
                target=guarding(target, file.guards) if guarding is not None and file.guards is not None else target,
                system=file.settings.system,
                tools=file.tools,
                documents=file.documents,
                temperature=file.settings.temperature,
                max_tokens=file.settings.max_tokens,
            )
    elif kind == "remote":
        if template != "model":
            raise UnknownTargetError(f"{reference}: template={template} is for a model in this process; leave it out here")
        async with connected(address_of(reference), asking, limiter=limiter) as remote:
            yield remote
    else:
        from trueline.targets.local import LocalModel  # torch: only where a model runs here

        yield LocalModel.load(reference, template)


def address_of(reference: str) -> Address:
    """Where a remote TARGET answers. Raises UnknownTargetError with the nearest right form."""
    scheme, _, rest = reference.partition(":")
    if scheme in SERVICES:
        (url, variable), wire = SERVICES[scheme]
        if not rest.strip():
            raise UnknownTargetError(f"{reference!r}: expected {scheme}:MODEL, got no model; name one after the colon")
        return Address(name=reference, url=url, model=rest, wire=wire, variable=variable)
    parts = _split(reference)
    if parts.username is not None or parts.query:
        raise UnknownTargetError(
            f"{_shown(reference)}: expected an address without user, password or ?query; put the key into TRUELINE_API_KEY"
        )
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    url = urlunsplit(parts._replace(path=path, fragment=""))
    if not parts.hostname or not parts.fragment or path != parts.path.rstrip("/"):
        right = urlunsplit(
            parts._replace(netloc=parts.netloc or "HOST", path=path or "/v1", fragment=parts.fragment or "MODEL")
        )
        raise UnknownTargetError(f"{reference!r}: expected {scheme}://HOST/v1#MODEL; write {right!r}")
    return Address(name=reference, url=url, model=parts.fragment, wire=ChatWire(), variable="TRUELINE_API_KEY", needs_key=False)


def _shown(reference: str) -> str:
    """A reference as an error shows it: without a user, a password or a query, which may be secrets."""
    return repr(re.sub(r"\?[^#]*", "", re.sub(r"//[^/]*@", "//", reference)))


def _split(reference: str) -> SplitResult:
    try:
        parts = urlsplit(reference)
        _ = parts.port  # raises for one that is no number
        if not reference.isprintable() or "\\" in parts.netloc:
            raise ValueError("there is a character in it that no address has")
        (parts.hostname or "").encode("idna")  # raises for a name that cannot be looked up
    except ValueError as error:
        raise UnknownTargetError(f"{_shown(reference)}: expected http://HOST:PORT/v1#MODEL: {error}") from None
    return parts
