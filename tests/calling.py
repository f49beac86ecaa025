"""Calling the command line inside the tests' own process, through the door that the console script uses."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

import torch

from trueline.cli import main


class Result(NamedTuple):
    """How a command ended, and what it printed where."""

    code: int
    out: str
    err: str


def trueline(*words: object) -> Result:
    """Run `trueline WORDS`; neither output is a terminal."""
    out, err, code, threads = io.StringIO(), io.StringIO(), None, torch.get_num_threads()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main([str(word) for word in words])
    except SystemExit as end:
        code = end.code
    finally:
        torch.set_num_threads(threads)
    assert code is None or isinstance(code, int)
    return Result(code or 0, out.getvalue(), err.getvalue())
