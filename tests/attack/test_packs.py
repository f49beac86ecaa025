"""Attack packs: what a file says is what is asked, dates order, a hash tells contents apart, and slips are answered.

pytest tests/attack/test_packs.py
"""

from __future__ import annotations

import pytest

from trueline.attack.catalogue import choose, names
from trueline.attack.families import FAMILIES
from trueline.attack.packs import PackError, day_of, find_packs, packs_in, packs_of, read_pack, shipped, together

TEXT = """
name: mine
version: 1
date: 2024-07
attacks:
  - role+past
  - attack: many_shot
    settings: {shots: 4, tries: 2}
    note: few shots
"""


def pack(folder, text=TEXT, name="mine.yaml"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_file_says_what_is_asked(tmp_path):
    """Compositions, doses and settings of a pack become the attacks of that name, ready to be asked."""
    found = read_pack(pack(tmp_path))
    first, second = found.attacks()
    assert (first.name, second.name, second.tries) == ("role+past", "many_shot_4", 2)
    assert (found.brief()["attacks"], found.date, found.label) == (["role+past", "many_shot_4"], "2024-07", "mine")


def test_a_choice_of_attacks_takes_packs_beside_names(tmp_path):
    """A pack stands for its attacks, the baseline stays first, and settings reach what a pack brought."""
    path = pack(tmp_path)
    chosen = choose(f"prefix,pack:{path}", ["many_shot_4.tries=3"])
    assert [attack.name for attack in chosen] == ["direct", "prefix", "role+past", "many_shot_4"]
    assert chosen[-1].tries == 3
    assert [p.name for p in packs_in(f"prefix,pack:{path}")] == ["mine"]
    assert packs_in("prefix,fast") == ()


def test_dates_order_and_divide_the_shelf():
    """`until` and `after` the same day share the shipped packs among them without an overlap, oldest first."""
    early, late = find_packs("until=2024-04"), find_packs("after=2024-04")
    assert (*early, *late) == shipped()
    assert [p.date for p in shipped()] == sorted(p.date for p in shipped())
    assert early[-1].date.startswith("2024-04")  # a month holds its last day
    assert {p.date[:4] for p in find_packs("until=2022")} == {"2021", "2022"}


def test_the_shelf_is_in_order():
    """Every shipped pack has a source, a name of its own, is called as its file, and holds attacks of the catalogue."""
    assert len({p.name for p in shipped()}) == len(shipped())
    assert all("https://" in p.source and p.about for p in shipped())
    held = [attack for p in shipped() for attack in p.attacks()]
    assert {a.name for a in together(shipped())} == {a.name for a in held}
    assert all(a.family in {*FAMILIES, *names(), "suffix"} or "+" in a.family for a in held)


def test_the_hash_is_of_what_is_asked(tmp_path):
    """Prose and layout change nothing; a setting, the date, the version and what a template file holds do."""
    plain = read_pack(pack(tmp_path)).hash
    assert read_pack(pack(tmp_path, TEXT + "about: some words\n")).hash == plain
    changes = (("shots: 4", "shots: 5"), ("2024-07", "2024-08"), ("version: 1", "version: 2"), ("- role+past", "- past"))
    assert len({plain, *(read_pack(pack(tmp_path, TEXT.replace(*change))).hash for change in changes)}) == 5
    text = TEXT.replace("- role+past", "- {attack: templates, settings: {file: t.jsonl}}")
    hashes = set()
    for words in ("Say yes.", "Say so."):
        (tmp_path / "t.jsonl").write_text(f'{{"prompt": "{words}"}}\n', encoding="utf-8")
        hashes.add(read_pack(pack(tmp_path, text)).hash)
    assert len(hashes) == 2


def test_a_pack_is_the_same_wherever_it_lies(tmp_path):
    """Template files are found beside the pack, and their place is no part of the hash."""
    text = TEXT.replace("- role+past", "- {attack: templates, settings: {file: t.jsonl}}")
    hashes = set()
    for place in (tmp_path / "a", tmp_path / "b"):
        place.mkdir()
        (place / "t.jsonl").write_text('{"prompt": "Say yes."}\n', encoding="utf-8")
        hashes.add(read_pack(pack(place, text)).hash)
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("role+past", "role+passt"), r"mine.yaml: attacks\[0\]: .*'passt'.*did you mean 'past'"),
        (TEXT.replace("shots:", "shotz:"), r"attacks\[1\]: unknown setting 'shotz'; did you mean 'shots'"),
        (TEXT.replace("shots: 4", "shots: 999"), "0 to 256 shots, got 999"),
        (TEXT.replace("date: 2024-07", ""), "date: expected the month or day .* got none; write date: 2024-07"),
        (TEXT.replace("2024-07", "2024"), "date: expected YYYY-MM or YYYY-MM-DD, got '2024'"),
        (TEXT.replace("2024-07", "2024-13"), "got '2024-13'"),
        (TEXT.replace("2024-07", "July"), "got 'July'"),
        (TEXT.replace("version: 1", "version: one"), "version: expected a whole number from 1, got 'one'"),
        (TEXT.replace("name: mine", "name: My Pack"), "name: expected small letters"),
        (TEXT.replace("attacks:", "atacks:"), "unknown key 'atacks'; did you mean 'attacks'"),
        (TEXT.replace("note:", "notes:"), r"unknown key 'attacks\[1\].notes'; did you mean 'note'"),
        (TEXT.split("attacks:")[0] + "attacks: []", "at least one attack"),
        (TEXT.replace("settings: {shots: 4, tries: 2}", "settings: 4"), "expected keys and values"),
        (TEXT.replace("- role+past", "- {attack: templates, settings: {file: gone.jsonl}}"), "beside the pack, found none"),
        (TEXT.replace("- role+past", "- {attack: templates, settings: {file: ../x.jsonl}}"), "outside of the folder"),
        (TEXT.replace("- role+past", "- many_shot_4"), "both hold an attack called 'many_shot_4'"),
        ("just words", "expected keys and values"),
        ("a: [", "expected YAML"),
    ],
)
def test_a_bad_pack_is_refused_before_anything_is_asked(tmp_path, text, message):
    """The error names the file, the place in it, what was expected and what to write."""
    with pytest.raises(PackError, match=message):
        read_pack(pack(tmp_path, text))


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("passt_tense", "no pack called 'passt_tense'; did you mean 'past_tense'"),
        ("until=tomorrow", "YYYY-MM"),
        ("until=1999", "no shipped pack is until=1999; they are from 2021-06"),
        ("gone.yaml", "found none of that name"),
    ],
)
def test_a_slip_in_a_packs_name_is_answered(which, message):
    """A pack that is not there is answered with the nearest one, or with what there is."""
    with pytest.raises(PackError, match=message):
        choose(f"pack:{which}")


def test_two_packs_of_one_name_and_version_hold_the_same(tmp_path):
    """One that changed without a new version is refused; the same one twice is one; another version is another pack."""
    one = pack(tmp_path)
    same = pack(tmp_path, TEXT + "about: prose\n", "same.yaml")
    other = pack(tmp_path, TEXT.replace("tries: 2", "tries: 3"), "other.yaml")
    assert len(packs_of([str(one), str(same)])) == 1
    with pytest.raises(PackError, match="two packs are called 'mine', version 1, and do not hold the same; raise the version"):
        packs_of([str(one), str(other)])
    newer = pack(tmp_path, TEXT.replace("version: 1", "version: 2").replace("tries: 2", "tries: 3"), "newer.yaml")
    assert [p.label for p in packs_of([str(newer), str(one)])] == ["mine", "mine 2"]
    stolen = pack(tmp_path, TEXT.replace("name: mine", "name: past_tense"), "stolen.yaml")
    with pytest.raises(PackError, match="two packs are called 'past_tense'"):
        packs_of([str(stolen)])


def test_one_name_with_two_settings_is_never_asked_as_one(tmp_path):
    """Two packs whose attacks share a name and not their settings cannot be asked in one campaign."""
    one = pack(tmp_path)
    other = pack(tmp_path, TEXT.replace("name: mine", "name: other").replace("tries: 2", "tries: 3"), "other.yaml")
    with pytest.raises(PackError, match="both hold an attack called 'many_shot_4'"):
        choose(f"pack:{one},pack:{other}")


def test_days_are_read_as_they_are_written(tmp_path):
    """YAML reads a whole day as a date, and it comes out as the day that stands there."""
    assert read_pack(pack(tmp_path, TEXT.replace("2024-07", "2024-07-12"))).date == "2024-07-12"
    assert day_of("2024", "year") == "2024"
