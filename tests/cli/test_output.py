"""Lines on stdout: what cannot be seen is written out, and a line stays a line."""

import json

import pytest

from arbees_feed.cli.output import put, say

HOSTILE = "\x1b[2J a\r\nb \x9b31m \u202egnorw \x00 \U000e0041"


def test_a_line_stays_one_and_does_not_act(capsys: pytest.CaptureFixture[str]) -> None:
    put(f"id\t{HOSTILE}\tSão Paulo")
    (line,) = capsys.readouterr().out.splitlines()
    fields = line.split("\t")
    assert [fields[0], fields[2]] == ["id", "São Paulo"]
    assert fields[1].isprintable()


def test_a_line_of_json_keeps_its_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    put(json.dumps({"title": HOSTILE}, ensure_ascii=False))
    out = capsys.readouterr().out
    assert out.rstrip("\n").isprintable()
    assert json.loads(out) == {"title": HOSTILE}


def test_what_is_said_to_a_person_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("arbees-feed: \\u001b[2J a b")
    assert line.isprintable()
