"""Fuzzing that is led by coverage: atheris looks for inputs that break what the tests of hypothesis say.

    python -m tests.guard.fuzzing scan -max_total_time=600       # and the other targets; needs pip install atheris
    python -m tests.guard.fuzzing stream crash-1a2b              # a found input again

Each target is a test of this folder, asked with bytes that atheris mutates toward lines that were not run before. Options after
the target are libFuzzer's. A failure prints the assertion and leaves the input in a file named crash-...; what it says becomes
an `@example` of its test.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st


def targets() -> dict[str, Callable[..., None]]:
    """The tests by name; what they call is instrumented."""
    import atheris  # type: ignore[import-not-found]  # here alone: pytest imports this file too

    with atheris.instrument_imports(include=["trueline.guard.scan", "trueline.guard.wires"]):
        from tests.guard.scan import test_decoding, test_folding, test_growing, test_scanner
        from tests.guard.wires import test_hostile, test_sse

    @given(path=st.sampled_from(sorted(test_hostile.REQUESTS)), data=st.data())
    def body(path, data):
        """A body of any wire that has anything anywhere."""
        test_hostile.test_a_broken_body_is_read_or_refused.hypothesis.inner_test(path, data)

    @given(path=st.sampled_from(sorted(test_hostile.STREAMS)), data=st.data())
    def events(path, data):
        """A stream of any wire with an event that has anything anywhere."""
        test_hostile.test_a_broken_stream_is_read_or_refused.hypothesis.inner_test(path, data)

    return {
        "fold": test_folding.test_every_folded_character_knows_its_source,
        "decode": test_decoding.test_every_part_of_a_decoded_text_knows_its_source,
        "scan": test_scanner.test_any_text_can_be_scanned_and_every_hit_reads_as_it_says,
        "stream": test_growing.test_a_stream_finds_what_the_whole_text_holds_however_it_is_cut,
        "sse": test_sse.test_any_split_gives_the_same_events,
        "body": body,
        "events": events,
    }


def main() -> None:
    import atheris

    known = targets()
    if len(sys.argv) < 2 or sys.argv[1] not in known:
        raise SystemExit(f"expected one of {', '.join(known)}, got {' '.join(sys.argv[1:]) or 'nothing'}\n\n{__doc__}")
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, known[name].hypothesis.fuzz_one_input)  # type: ignore[attr-defined]
    atheris.Fuzz()


if __name__ == "__main__":
    main()
