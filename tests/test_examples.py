"""The examples run as they stand, and the documentation says nothing that the code refuses.

Each example runs in a process of its own, in an empty folder, and must print what its docstring promises between quotes.
In the documents, every `trueline run` line must be a valid order, every named setting must exist, every link must lead
somewhere, and every row of docs/formats.md must be recognised as the format that its heading names.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trueline.attack.catalogue import choose
from trueline.core.config import settings
from trueline.data.recognise import describe, read
from trueline.data.rows import read_rows
from trueline.recipes.running import order, recipes
from trueline.recipes.sweeping import sweep

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_prints_what_it_promises(tmp_path, path):
    """It ends well within seconds, from any folder, and prints the phrase that its docstring puts between quotes."""
    source = path.read_text(encoding="utf-8")
    promised = re.findall(r'prints? "([^"]+)"', source.split('"""')[1])
    assert promised, f'{path.name}: its docstring does not say what it prints: prints "..."'
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for phrase in promised:
        assert phrase in done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short(path):
    """Under 60 lines each, and it says what one learns."""
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 60
    assert "You learn" in source.split('"""')[1]


def _orders():
    """Every `trueline run` command of the documents, with the page that it stands on; a backslash continues a line."""
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
            if line.startswith("    trueline run "):
                words = line.split("#")[0].split()[2:]
                yield pytest.param(words, id=f"{page.stem}-{'-'.join(words[:4])}")


@pytest.mark.parametrize("words", list(_orders()))
def test_a_command_of_the_documents_is_an_order(words):
    """Its recipe, its settings and their values are ones that the command line takes."""
    given = [word for word in words[1:] if not word.startswith("--")]
    flags = {"--out", "--seed", "--world-seed", "--device", "--threads", "--track", "--workers", "--cluster", "--sweep"}
    values = {words[i + 1] for i, word in enumerate(words[:-1]) if word in flags}
    swept = [words[i + 1].strip("'") for i, word in enumerate(words) if word == "--sweep"]
    alone = [word for word in given if word not in values]
    asked = sweep(words[0], alone, swept) if swept else order(words[0], alone)
    assert words[0].endswith(".yaml") or asked.name == words[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_campaign_of_the_documents_can_be_asked_for(page):
    """Every attack, battery and setting on a `trueline attack` line is one that the catalogue knows."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"^ *trueline attack (.*)$", text, re.MULTILINE):
        words = line.split("#")[0].split() if " #" in line else line.split()
        if "--attacks" in words:
            settings_ = [word for word in words[1:] if re.match(r"\w+\.\w+=", word) and words[words.index(word) - 1] != "--ask"]
            assert choose(words[words.index("--attacks") + 1], settings_)


def test_settings_named_in_the_documents_exist():
    """A dotted setting between backticks (`optim.lr`) is a setting of some recipe."""
    known = {setting.name for recipe in recipes().values() for setting in settings(recipe())}
    named = {
        name for page in PAGES for name in re.findall(r"`((?:optim|objective)\.[a-z_]+)[=`]", page.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= known


@pytest.mark.parametrize("path", [*PAGES, ROOT / "examples" / "README.md"], ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    """A link to a file of this repository names one that is there."""
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}, which is not there"


def _rows():
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    return re.findall(r"^\*\*([a-z-]+)\*\*.*?```json\n(.*?)\n```", text, re.MULTILINE | re.DOTALL)


def test_every_format_has_a_row_in_the_documents():
    """The page shows each format that the code knows, and none that it does not."""
    from trueline.data.formats import FORMATS

    assert sorted(name for name, _ in _rows()) == sorted(form.name for form in FORMATS)


@pytest.mark.parametrize(("name", "row"), _rows(), ids=[name for name, _ in _rows()])
def test_a_row_of_the_documents_is_read_as_its_heading_says(tmp_path, name, row):
    """The row is recognised as the format of its heading, and gives one record."""
    file = tmp_path / "row.jsonl"
    file.write_text(row + "\n", encoding="utf-8")
    found = describe(file)
    assert found.format == name
    assert len(list(read(found.kind, file))) == 1


def test_what_the_pains_page_points_at_is_there():
    """Every test that it names is one, in the file that it names, and every pain of training has its row."""
    text = (ROOT / "docs" / "pains.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) > 20
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file} has no {test}"
    assert re.findall(r"^\| (\d+) \|", text, re.MULTILINE) == [str(n) for n in range(1, 25)]


def test_a_document_of_the_documents_has_text(tmp_path):
    """Pre-training reads the field `text`."""
    row = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8").split("```json\n")[-1].split("\n```")[0]
    file = tmp_path / "text.jsonl"
    file.write_text(row + "\n", encoding="utf-8")
    assert next(read_rows(file)).values["text"].startswith("One day")
