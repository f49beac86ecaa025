"""A model with random weights under another's tokenizer: its size, its words, and that it shares nothing else.

pytest tests/recipes/test_blank.py
"""

import pytest
import torch

from tests.models.small import WORDS
from tests.recipes import toys
from trueline.core.config import ConfigError
from trueline.models.policy import Policy, tiny
from trueline.models.tokens import word_tokenizer
from trueline.recipes.running import order


def blank(folder, *words):
    run, _ = toys.run(folder / "run", "blank", f"like={toys.model(folder)}", *words)
    return Policy.load(run / "stages/blank/model")


def test_it_speaks_the_same_words_at_the_size_that_is_asked(tmp_path):
    """Width and layers are as given; what is not given is as in the model whose tokenizer it is."""
    made = blank(tmp_path, "width=64", "layers=1")
    config = made.model.config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (64, 1, 2)
    assert made.codec.ids("a b") == [8, 9]


def test_it_does_not_begin_where_a_base_of_the_same_seed_began(tmp_path):
    """A new model of the run's own seed and size has other weights: a student from scratch shares no initialisation."""
    made = blank(tmp_path)
    torch.manual_seed(0)
    base = tiny(word_tokenizer(WORDS), width=32, layers=2, heads=2, context=640)
    theirs = dict(base.named_parameters())
    assert not any(torch.equal(p, theirs[name]) for name, p in made.named_parameters() if p.ndim == 2)


def test_the_same_seed_makes_the_same_model(tmp_path):
    """It is a function of the run's seed."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (blank(tmp_path / name) for name in "ab")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_width_that_heads_do_not_divide_is_refused(tmp_path):
    """Where both are given it is said before work starts, else with the model whose heads they are."""
    with pytest.raises(ConfigError, match="multiple of heads, got 33 and 2"):
        order("blank", ["width=33", "heads=2"])
    with pytest.raises(ConfigError, match="set heads too"):
        blank(tmp_path, "width=33")
