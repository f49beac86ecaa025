"""The layer rule, read from the source of every module: imports go downward, siblings never import each other.

The rule is the table `LAYERS`; a new folder under `trueline/` takes its place there before anything may import it.
Imports inside functions count too, except for start-up time, where only what is imported at once counts.

    python -m pytest tests/test_layers.py
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import trueline

ROOT = Path(trueline.__file__).parent
LAYERS = (
    ("core",),
    ("world", "data", "models", "store", "cluster"),
    ("targets", "judges"),
    ("train", "attack", "evaluate", "guard"),
    ("recipes", "inspecting"),
    ("lab", "watch", "web"),
    ("cli",),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
# Who may import a package, by module prefix. Tensors stay out of everything that has to start fast.
TORCH_ROOMS = (
    "models",
    "cluster",
    "train",
    "judges.learned",
    "targets.local",
    "targets.probed",
    "attack.gradient",
    "evaluate.ladder",
    "recipes",
    "lab",
    "watch.fix.fixing",
    "watch.fix.training",
)
KEEPERS: Mapping[str, tuple[str, ...]] = {
    "torch": TORCH_ROOMS,
    "transformers": TORCH_ROOMS,
    "torch.distributed": ("cluster",),
    "ray": ("cluster",),
    "sqlalchemy": ("store",),
    "alembic": ("store",),
    "inspect_ai": ("evaluate.exports", "inspecting"),
    "trueline.inspecting": (),  # Inspect's entry point, and nobody else's
    "aiohttp": ("targets", "guard", "web", "watch"),
    "onnxruntime": ("guard.learned.transformer",),
}
# What makes a command slow to start: none of it may be loaded before a command is chosen.
SLOW = (
    "torch", "transformers", "tokenizers", "numpy", "pandas", "pyarrow", "datasets", "sqlalchemy", "alembic", "altair",
    "aiohttp", "onnxruntime",
)  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One import statement: who imports (dotted), what (dotted), on which line, and whether it runs when the module loads."""

    by: str
    what: str
    line: int
    at_once: bool


def imports_of(source: str, by: str, package: bool = False) -> list[Import]:
    """Every import in a module's source; `from a import b` counts as `a.b`, since b may be a module."""
    tree = ast.parse(source)
    lazy = {id(inner) for node in ast.walk(tree) if _is_lazy(node) for inner in ast.walk(node)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = by.split(".")[: (1 if package else 0) - node.level or None] if node.level else []
            head = ".".join([*base, *filter(None, [node.module])])
            names = [f"{head}.{alias.name}" for alias in node.names]
        else:
            continue
        found += [Import(by, name, node.lineno, id(node) not in lazy) for name in names]
    return found


def misplaced(found: Import) -> str:
    """Why an import within `trueline` is not allowed, or nothing."""
    room, other = _room(found.by), _room(found.what)
    if room is None or other is None or room == other:
        return ""
    unknown = next((r for r in (room, other) if r not in LEVEL), None)
    if unknown:
        return f"{found.by}:{found.line}: {unknown!r} has no layer; give it a place in LAYERS and in the architecture"
    if LEVEL[other] < LEVEL[room]:
        return ""
    how = "siblings never import each other" if LEVEL[other] == LEVEL[room] else "imports go downward only"
    return f"{found.by}:{found.line} imports {found.what}: {how}; meet through core's types, or in a recipe"


def trespass(found: Import) -> str:
    """Why an import of an outside package is not allowed, or nothing."""
    for package, keepers in KEEPERS.items():
        if _within(found.what, package) and not any(_within(found.by, f"trueline.{k}") for k in keepers):
            if _within(found.by, "trueline.cli") and not found.at_once:
                continue  # the command line may import anything, inside the command that needs it
            return f"{found.by}:{found.line} imports {found.what}: {package} is only for {', '.join(keepers) or 'outside'}"
    return ""


@cache
def modules() -> dict[str, tuple[Import, ...]]:
    """Every module of the package with its imports, by dotted name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = ["trueline", *path.relative_to(ROOT).with_suffix("").parts]
        package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if package else parts)
        found[name] = tuple(imports_of(path.read_text(encoding="utf-8"), name, package))
    return found


def test_imports_go_downward_and_never_sideways():
    """A room imports only from layers below its own."""
    faults = [fault for found in modules().values() for i in found if (fault := misplaced(i))]
    assert not faults, "\n".join(faults)


def test_heavy_packages_stay_in_their_rooms():
    """Torch, transformers, Ray, SQL and the HTTP client are imported only where the architecture keeps them."""
    faults = [fault for found in modules().values() for i in found if (fault := trespass(i))]
    assert not faults, "\n".join(faults)


def test_light_modules_load_no_tensors_through_others():
    """A module that may not import torch does not load it at once through a module that may."""
    heavy = {name for name in modules() if any(_within(name, f"trueline.{room}") for room in TORCH_ROOMS)}
    faults = []
    for name in modules().keys() - heavy:
        chain = next((c for c in _chains(name) if c[-1] in ("torch", "transformers")), None)
        if chain:
            faults.append(" -> ".join(chain))
    assert not faults, "imported at once:\n" + "\n".join(sorted(faults))


@pytest.mark.parametrize(
    "program",
    [
        "import trueline",
        "import trueline.cli",
        "import trueline.cli; trueline.cli.main()",
    ],
)
def test_starting_is_light(program):
    """Importing trueline or its command line, and asking for help, load nothing that takes long to load."""
    code = (
        "import json, sys\n"
        f"try:\n    {program}\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = json.loads(done.stdout.splitlines()[-1])
    slow = [name for name in loaded if name in SLOW]
    assert not slow, f"{program!r} loads {', '.join(slow)}; import them inside the command that needs them"


@pytest.mark.parametrize(
    ("by", "source", "reason"),
    [
        ("trueline.world.facts", "from trueline.train import loop", "downward only"),
        ("trueline.world.facts", "def f():\n    import trueline.data.rows", "siblings never"),
        ("trueline.train.loop", "from ..evaluate import ladder", "siblings never"),
        ("trueline.attic.box", "from trueline.core import types", "'attic' has no layer"),
        ("trueline.guard.rails", "import torch.nn", "torch is only for"),
        ("trueline.train.loop", "import torch.distributed as dist", "torch.distributed is only for cluster"),
        ("trueline.lab.gap", "from sqlalchemy import select", "sqlalchemy is only for store"),
        ("trueline.cli.runs", "import torch", "torch is only for"),
    ],
)
def test_a_forbidden_import_is_seen(by, source, reason):
    """The rule bites: each kind of forbidden import is found and named with its reason."""
    (found,) = imports_of(source, by)
    assert reason in misplaced(found) + trespass(found)


@pytest.mark.parametrize(
    ("by", "source"),
    [
        ("trueline.train.loop", "from trueline.models.policy import Policy"),
        ("trueline.train.loop", "from .batch import Batch"),
        ("trueline.train.loop", "import torch"),
        ("trueline.cli.runs", "def run():\n    import torch\n    from trueline.recipes import align"),
        ("trueline.web.app", "import torchlight"),
    ],
)
def test_a_permitted_import_is_let_through(by, source):
    """Imports from below, from the same room, and of packages in their own room are no fault."""
    assert not [fault for i in imports_of(source, by) if (fault := misplaced(i) + trespass(i))]


def _is_lazy(node: ast.AST) -> bool:
    """Whether what stands inside does not run when the module is imported: a function, or imports for type checkers."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def _room(name: str) -> str | None:
    """The folder (or the module) right under trueline; None outside of the package and for the package itself."""
    head, _, rest = name.partition(".")
    return rest.split(".")[0] if head == "trueline" and rest and not rest.startswith("__") else None


def _within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def _chains(start: str) -> Iterator[list[str]]:
    """Paths of imports from a module to every outside package that is loaded with it at once."""
    known, seen, queue = modules(), {start}, [[start]]
    while queue:
        path = queue.pop()
        for name in [i.what for i in known[path[-1]] if i.at_once]:
            inside = name if name in known else name.rpartition(".")[0]
            if not _within(name, "trueline"):
                yield [*path, name.split(".")[0]]
            for part in _packages(inside):
                if part in known and part not in seen:
                    seen.add(part)
                    queue.append([*path, part])


def _packages(name: str) -> list[str]:
    """A module and the packages it lies in, which are imported first: a.b.c -> a, a.b, a.b.c."""
    parts = name.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]
