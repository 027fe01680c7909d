"""Milestones are plain lines; how far a job is shows as a bar on a terminal, and as lines elsewhere."""

import os
import pty
import subprocess
import sys

import pytest

from hwr.errors import InputError
from pipelines import console

PROGRAM = """
from pipelines import console
with console.progress("images", 3) as advance:
    for _ in range(3):
        advance(1, "fast")
    console.milestone("half way")
"""


RELAYED = """
from pipelines import console
with console.relay() as show:
    for line in ("begun", "12 of 12 parts to do", "20 of 1,000 images, 10/s, 98 s left",
                 "40 of 1,000 images, 10/s, 96 s left", "a long line " * 20, "done"):
        show(line)
"""


def test_control_characters_are_made_harmless(capsys):
    console.milestone("a\x1b[2Jb\nc")
    assert capsys.readouterr().out == "a?[2Jb?c\n"


def test_colours_go_without_a_trace(capsys):
    console.milestone("\x1b[33m(raylet)\x1b[0m a \x1b[1;31mword")
    assert capsys.readouterr().out == "(raylet) a word\n"


def test_elsewhere_there_are_only_milestones():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "half way\n"
    assert done.stderr == ""


def test_elsewhere_a_line_a_minute_says_how_far_it_is(capsys, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with console.progress("images", 12_000) as advance:
        for _ in range(5):
            now += 25
            advance(1000, "")
        now += 60
        advance(1000, "so it goes")
    assert capsys.readouterr().out == (
        "3,000 of 12,000 images, 40/s, 225 s left\n6,000 of 12,000 images, 32/s, 185 s left: so it goes\n"
    )


def test_a_job_that_someone_looks_at_from_afar_says_it_more_often(capsys, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setenv(console.PROGRESS_S, "2")
    with console.progress("images", 100) as advance:
        for _ in range(4):
            now += 1
            advance(10, "")
    assert capsys.readouterr().out == "20 of 100 images, 10/s, 8 s left\n40 of 100 images, 10/s, 6 s left\n"


def test_what_was_done_before_says_nothing_of_the_speed_and_slow_is_not_nothing(capsys, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with console.progress("steps", 720) as advance:
        now += 60
        advance(240, "", is_work=False)
        now += 70
        advance(35, "")
    assert capsys.readouterr().out == "275 of 720 steps, 0.5/s, 890 s left\n"


@pytest.mark.parametrize("said", ["often", "-1", "nan"])
def test_a_variable_for_progress_that_is_no_number_of_seconds_is_a_mistake(said, monkeypatch):
    monkeypatch.setenv(console.PROGRESS_S, said)
    with pytest.raises(InputError, match=f"^HWR_PROGRESS_S={said} is not a number of seconds$"):
        console.progress("images", 1).__enter__()


def test_elsewhere_lines_from_afar_are_passed_on_as_they_come(capsys):
    with console.relay() as show:
        for line in ("begun", "20 of 100 images, 10/s, 8 s left", "a\x1b[2Jb"):
            show(line)
    assert capsys.readouterr().out == "begun\n20 of 100 images, 10/s, 8 s left\na?[2Jb\n"


def test_on_a_terminal_progress_from_afar_is_one_line_that_changes_and_goes():
    shown = on_a_terminal(RELAYED)
    assert b"begun\r\n" in shown
    assert b"12 of 12 parts to do\r\n" in shown
    assert b"a long line " * 20 in shown, "where it breaks is the terminal's business: it can be copied whole"
    assert b"done\r\n" in shown
    assert b"20 of 1,000 images, 10/s, 98 s left" in shown
    last = shown.rpartition(b"40 of 1,000 images, 10/s, 96 s left")[2]
    assert last.endswith(b"\x1b[2K"), "the line is taken away at the end"


def test_on_a_terminal_there_is_a_bar_and_the_milestone_stays_whole():
    shown = on_a_terminal(PROGRAM)
    assert b"3/3" in shown
    assert b"half way\r\n" in shown


def on_a_terminal(program):
    """What a program writes there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-c", program], stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # Linux says so when the other side has closed the terminal
                break
            shown += piece
        assert process.wait() == 0
    os.close(ours)
    return shown


def test_a_table_shows_names_with_brackets_as_they_are(capsys):
    console.table("done", [("file", "a/[red]b")])
    assert "a/[red]b" in capsys.readouterr().out
