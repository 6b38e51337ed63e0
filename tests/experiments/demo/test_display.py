import io
from dataclasses import replace
from typing import final

from p2pnet.experiments.demo.display import Display, LiveTable, PlainLines, make_display
from p2pnet.experiments.demo.progress import AgentProgress
from p2pnet.training.records import RoundRecord


@final
class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def progress(*rounds: int | None) -> list[AgentProgress]:
    return [
        AgentProgress(
            f"agent-{k}", None if at is None else RoundRecord(at, 0.0, 0.5 * k, 0.9 - 0.1 * k, 2e-3, 0.1, 1500 * k)
        )
        for k, at in enumerate(rounds, start=1)
    ]


def without(k: int, frame: list[AgentProgress]) -> list[AgentProgress]:
    """The same when the agent in place k has been killed."""
    return [*frame[:k], replace(frame[k], gone_because="killed by signal 9"), *frame[k + 1 :]]


def shown(display: Display, stream: io.StringIO, *frames: list[AgentProgress]) -> list[str]:
    with display:
        for frame in frames:
            display.show(frame)
    return stream.getvalue().splitlines()


def test_a_terminal_gets_a_table_anything_else_gets_lines() -> None:
    assert isinstance(make_display(Terminal(), "headline", "accuracy", 50), LiveTable)
    assert isinstance(make_display(io.StringIO(), "headline", "accuracy", 50), PlainLines)


def test_lines_begin_when_all_agents_train_and_come_once_a_round() -> None:
    stream = io.StringIO()
    display = PlainLines(stream, "headline", "accuracy", 50)
    lines = shown(display, stream, progress(None, None), progress(4, None), progress(7, 6), progress(8, 6))

    assert lines == [
        "headline",
        "round 6 of at most 50: objective 0.75, worst accuracy 0.700, disagreement 2.0e-03, 4.5 kB sent",
    ]


def test_lines_say_once_who_has_gone_and_go_on_about_the_others() -> None:
    stream = io.StringIO()
    display = PlainLines(stream, "headline", "accuracy", 50)
    frames = [
        progress(5, 5),
        without(1, progress(5, 5)),
        without(1, progress(8, 5)),
        without(0, without(1, progress(8, 5))),
    ]
    lines = shown(display, stream, *frames)

    assert [line.partition(":")[0] for line in lines] == [
        "headline",
        "round 5 of at most 50",
        "agent-2 has gone",
        "round 8 of at most 50",
        "agent-1 has gone",
    ]
    assert lines[2] == "agent-2 has gone: killed by signal 9; the others train on"
    assert lines[3].endswith("objective 0.5, worst accuracy 0.800, disagreement 2.0e-03, 1.5 kB sent")


def test_the_table_keeps_the_row_of_an_agent_that_has_gone() -> None:
    stream = Terminal()
    frame = shown(LiveTable(stream, "headline", "R²", 50), stream, without(0, progress(4, 12)))[-9:]

    assert any("round 12 of at most 50" in line for line in frame)
    row, farewell = (line for line in frame if "agent-1" in line)
    assert "0.5000" in row
    assert farewell.strip() == "agent-1 has gone: killed by signal 9; the others train on"


def test_the_table_has_one_row_an_agent_and_a_bar() -> None:
    stream = Terminal()
    lines = shown(LiveTable(stream, "headline", "R²", 50), stream, progress(12, None))
    frame = lines[-8:]

    assert "headline" in lines[0]
    assert [line.split() for line in frame if "agent-" in line] == [
        ["agent-1", "12", "0.5000", "0.8000", "2.0e-03", "1.5", "kB"],
        ["agent-2", *"–––––"],
    ]
    assert any("the agents are starting" in line for line in frame)


def test_the_bar_ends_full_when_all_have_finished_early() -> None:
    stream = Terminal()
    with LiveTable(stream, "headline", "R²", 50) as display:
        display.show(progress(10, 12))
        before = stream.getvalue()
        display.finish(progress(20, 20))
    assert "round 10 of at most 50" in before
    assert "20 rounds" in stream.getvalue().removeprefix(before)
