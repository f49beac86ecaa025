"""What people see of a run: lines in a log, one bar in a terminal, and never more than there is to say."""

from io import StringIO

from rich.console import Console

from trueline.recipes.progress import Live, Plain


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def plain() -> tuple[Plain, Clock, StringIO]:
    clock, out = Clock(), StringIO()
    return Plain(console=Console(file=out, soft_wrap=True, highlight=False), clock=clock), clock, out


def test_a_log_has_a_line_at_the_start_the_end_and_every_fifteen_seconds():
    """Sixty steps of one second give start, four lines between, and end; each line stands alone."""
    show, clock, out = plain()
    show.begin("sft", again=False)
    show.steps("sft", 60)
    bar = show.bar("sft")
    for step in range(1, 61):
        clock.now += 1
        bar(step, {"loss": 1 / step}, 2000.0 * step, float(step))
    show.end("sft", 60.0, {"loss": 0.0167})
    assert out.getvalue().splitlines() == [
        "sft: starts",
        "sft: step 15 of 60, loss 0.06667, 2.0k tok/s",
        "sft: step 30 of 60, loss 0.03333, 2.0k tok/s",
        "sft: step 45 of 60, loss 0.02222, 2.0k tok/s",
        "sft: step 60 of 60, loss 0.01667, 2.0k tok/s",
        "sft: done in 60 s, loss 0.0167",
    ]


def test_a_stage_that_goes_on_says_so():
    """A stage taken up again is told from one that starts."""
    show, _, out = plain()
    show.begin("grpo", again=True)
    assert out.getvalue() == "grpo: goes on where it stopped\n"


def test_a_bar_without_a_total_counts():
    """A measurement does not say how many steps it has: the line says how far it is."""
    show, clock, out = plain()
    bar = show.bar("measure/sft")
    clock.now = 20
    bar(300, {}, 0.0, 0.0)
    assert out.getvalue() == "measure/sft: step 300\n"


def test_the_last_line_keeps_to_the_main_numbers():
    """Of many numbers the first five are shown, underscores as spaces: the report has them all."""
    show, _, out = plain()
    show.end("reward", 3.2, {f"number_{i}": float(i) for i in range(9)})
    assert out.getvalue() == "reward: done in 3 s, number 0 0, number 1 1, number 2 2, number 3 3, number 4 4\n"


def test_what_looks_like_markup_is_text():
    """Brackets in what is said are shown, not obeyed."""
    show, _, out = plain()
    show.say("sft", "[red]not red[/]")
    assert out.getvalue() == "sft: [red]not red[/]\n"


def test_a_terminal_keeps_one_bar_and_a_line_for_each_stage_done():
    """However many stages a run has, the bar of a stage that is done gives way to one line."""
    out = StringIO()
    with Live(console=Console(file=out, force_terminal=True, width=100, height=24)) as live:
        for i in range(30):
            live.begin(f"stage{i}", again=False)
            live.steps(f"stage{i}", 10)
            live.bar(f"stage{i}")(10, {"loss": 0.5}, 100.0, 1.0)
            assert len(live.progress.tasks) == 1
            live.end(f"stage{i}", 1.0, {"loss": 0.5})
        assert live.progress.tasks == []
    assert out.getvalue().count("done in 1 s, loss 0.5") == 30


def test_what_is_said_cannot_steer_the_terminal():
    """Escapes and turns of direction in a stage's name, or in what a target said, are spelled out, live and in a log."""
    nasty = "\x1b[2J\u202e[red]x[/nope]"
    show, _, out = plain()
    screen = StringIO()
    for one in (show, Live(console=Console(file=screen, soft_wrap=True))):
        one.say(f"stage {nasty}", f"failed: {nasty}")
    for written in (out.getvalue(), screen.getvalue()):
        assert written.count("⟨U+001B⟩[2J⟨U+202E⟩[red]x[/nope]") == 2
        assert "\x1b[2J" not in written
