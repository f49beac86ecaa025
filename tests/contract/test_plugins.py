"""What every registered plugin promises, whatever its kind: its fields are its settings, and they read, print and explain.

A plugin is found by its decorator, `@register(KIND)`, in the source: a new file with a new plugin is under contract at once.

    python -m pytest tests/contract
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
import sys
from dataclasses import is_dataclass
from pathlib import Path

import pytest
import yaml

import trueline
from trueline.core.config import ConfigError, from_spec, override, settings, to_spec, to_yaml
from trueline.core.registry import plugins
from trueline.recipes.running import order

ROOT = Path(trueline.__file__).parent


def registrations() -> dict[str, set[str]]:
    """Modules that register a plugin, with the kinds that they register."""
    found: dict[str, set[str]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                for mark in filter(_is_register, node.decorator_list):
                    name = ".".join(["trueline", *path.relative_to(ROOT).with_suffix("").parts])
                    found.setdefault(name, set()).add(mark.args[0].value)
    return found


def _is_register(node: ast.expr) -> bool:
    """Whether a decorator reads `register("kind", ...)`."""
    named = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("register")
    return named and bool(node.args) and isinstance(node.args[0], ast.Constant)


def _ours() -> list[tuple[str, str, type]]:
    """Every plugin of this package: kind, name, class. Those of other packages are their authors' to test."""
    for module in registrations():
        importlib.import_module(module)
    kinds = sorted(set().union(*registrations().values()))
    return [(k, n, p) for k in kinds for n, p in plugins(k).items() if p.__module__.startswith("trueline.")]


OURS = _ours()
# A rail is settings of a policy file, not of a command; tests/guard/rails/test_contract.py has what it promises.
TYPED = [(k, n, p) for k, n, p in OURS if k != "rail"]
EVERY = pytest.mark.parametrize("plugin", [pytest.param(p, id=f"{k}-{n}") for k, n, p in TYPED])
EVERY_NAMED = pytest.mark.parametrize(("kind", "name", "plugin"), [pytest.param(k, n, p, id=f"{k}-{n}") for k, n, p in OURS])


def leaves(spec: dict[str, object], prefix: str = "") -> list[str]:
    """The dotted names of a nested spec, in order."""
    found: list[str] = []
    for key, value in spec.items():
        found += leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return found


def commands(text: str) -> list[list[str]]:
    """The `trueline ...` lines of a docstring, each as its words."""
    lines = re.findall(r"^ +(trueline .+)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def test_every_registration_is_under_contract():
    """Each class that the source marks with @register is in the registry; the recipes of this release are among them."""
    modules = {plugin.__module__ for _, _, plugin in OURS}
    assert modules == set(registrations())
    assert {name for kind, name, _ in OURS if kind == "recipe"} >= {"pretrain", "sft", "reward", "grpo", "ppo", "dpo", "align"}


@EVERY
def test_a_plugin_is_a_frozen_dataclass_with_a_default_for_every_field(plugin):
    """An object is its own config: it can be made without arguments, does not change, and equals its like."""
    assert is_dataclass(plugin)
    assert plugin.__dataclass_params__.frozen
    assert plugin() == plugin()


@EVERY
def test_every_setting_is_listed_once_with_a_meaning(plugin):
    """What `trueline show` prints is the whole spec, each setting with its type and one line that says what it means."""
    listed = list(settings(plugin()))
    assert [s.name for s in listed] == leaves(to_spec(plugin()))
    for setting in listed:
        assert setting.type, setting.name
        assert setting.meaning.strip(), setting.name
        assert "\n" not in setting.meaning, setting.name


@EVERY
def test_an_inherited_setting_keeps_its_meaning(plugin):
    """A comment beside a field of a base class is the field's meaning in every class that inherits it."""
    listed = {s.name: s.meaning for s in settings(plugin())}
    for base in plugin.__mro__[1:-1]:
        if is_dataclass(base) and not inspect.isabstract(base):  # settings are read off an object
            own = inspect.get_annotations(plugin)
            expected = {s.name: s.meaning for s in settings(base()) if s.name.split(".")[0] not in own}
            assert {name: listed[name] for name in expected} == expected


@EVERY
def test_a_printed_default_can_be_typed(plugin):
    """The default that is shown for a setting, written as key=value, is read as that default: its type is one we can read."""
    for setting in settings(plugin()):
        assert override(plugin(), [f"{setting.name}={setting.default}"]) == plugin(), setting.name


@EVERY
def test_a_spec_survives_yaml(plugin):
    """The YAML that a person is given to edit is read back as the same object, and so is the plain spec."""
    assert from_spec(plugin, yaml.safe_load(to_yaml(plugin())) or {}) == plugin()
    assert from_spec(plugin, yaml.safe_load(yaml.safe_dump(to_spec(plugin())))) == plugin()


@EVERY
def test_an_unknown_key_is_refused_with_the_nearest_right_one(plugin):
    """A slip in any key, nested or not, is answered with the key that was meant."""
    for setting in settings(plugin()):
        slip = f"{setting.name}z"
        with pytest.raises(ConfigError) as refused:
            override(plugin(), [f"{slip}={setting.default}"])
        assert f"unknown setting {slip!r}; did you mean {setting.name.split('.')[-1]!r}?" in str(refused.value)


@EVERY
def test_a_module_of_plugins_shows_a_command(plugin):
    """The docstring of the file says how to run what is in it, and every class says in a sentence what it is."""
    assert commands(sys.modules[plugin.__module__].__doc__ or ""), f"{plugin.__module__} has no `trueline ...` line"
    assert plugin.__doc__
    assert not plugin.__doc__.startswith(plugin.__name__ + "("), "the docstring is the one that dataclass makes up"


@EVERY_NAMED
def test_the_commands_of_a_recipe_are_accepted(kind, name, plugin):
    """Every `trueline run` line in a recipe's file names a recipe and settings that exist."""
    if kind != "recipe":
        pytest.skip("only recipes are run by name")
    for _, verb, what, *words in commands(sys.modules[plugin.__module__].__doc__ or ""):
        if verb == "run":
            assert what.endswith(".yaml") or order(what, words).name == what
