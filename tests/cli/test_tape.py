"""`record` keeps raw frames; `replay` plays them, and other people's, through the decoders."""

import gzip
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.processes import Feed, Run, process

SNAPSHOT = (
    '{"type":"orderbook_snapshot","sid":1,"seq":1,"msg":{"market_ticker":"KXA-1",'
    '"yes_dollars_fp":[["0.4000","10.00"]],"no_dollars_fp":[["0.5000","20.00"]]}}'
)


def delta(seq: int, price: str, change: str, side: str = "yes") -> str:
    return (
        f'{{"type":"orderbook_delta","sid":1,"seq":{seq},"msg":{{"market_ticker":"KXA-1",'
        f'"price_dollars":"{price}","delta_fp":"{change}","side":"{side}","ts_ms":{1000 + seq}}}}}'
    )


FRAMES = [SNAPSHOT, delta(2, "0.4100", "5.00"), delta(3, "0.6000", "1.00"), '{"type":"news"}']


def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_recording_replays_to_the_same_prices(cli: Run, feed: Feed, tmp_path: Path) -> None:
    given = ("--set", "http.port=0", "--set", "kalshi.series=KXNFLGAME", "--set", "log.level=error")
    done = cli(
        *("record", str(tmp_path / "tapes"), "--embedded", "--seconds", "3", *given),
        env=feed.venues,
    )
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "tapes").iterdir())
    assert [file.name.partition("-")[0] for file in files] == ["kalshi", "polymarket"]
    for file, line in zip(files, done.stdout.splitlines(), strict=True):
        told = re.fullmatch(r"(.*): ([\d,]+) frames of 1 connections, ([\d,]+) bytes", line)
        assert told is not None, line
        first = json.loads(gzip.decompress(file.read_bytes()).splitlines()[0])
        assert first.keys() == {"received_ns", "venue", "connection", "frame"}
        found = report(cli("replay", str(file), "--json"))
        assert found["frames"] == int(told[2].replace(",", ""))
        assert found["ended"] == 1
        assert (found["gaps"], found["malformed"], found["broken"]) == (0, 0, 0)
        assert found["books"] >= (2 if found["venue"] == "kalshi" else 20)
        assert found["quotes"] > 20


def test_a_recording_that_is_killed_can_be_read(feed: Feed, cli: Run, tmp_path: Path) -> None:
    given = ("--set", "http.port=0", "--set", "log.level=error", *feed.here)
    with process("record", str(tmp_path), *given, env=feed.venues, stderr=subprocess.PIPE) as rec:
        assert rec.stderr is not None
        assert "recording kalshi, polymarket" in rec.stderr.readline()
        cli("watch", "--count", "150", *feed.here)
        rec.kill()
        rec.wait()
    for file in tmp_path.iterdir():
        assert report(cli("replay", str(file), "--json"))["frames"] > 0


def test_a_folder_that_cannot_be_made_is_one_line(cli: Run, feed: Feed) -> None:
    done = cli("record", "/proc/nowhere", *feed.here, env=feed.venues)
    assert done.returncode == 1
    assert done.stderr.startswith("arbees-feed: cannot record to /proc/nowhere: ")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.jsonl", "\n".join(FRAMES)),
        (
            "event.jsonl",
            "\n".join(f'{{"recv_ms":{1000 + n},"event":{f}}}' for n, f in enumerate(FRAMES)),
        ),
        ("plain.jsonl.gz", "\n".join(FRAMES)),
        (
            "tape.jsonl",
            "\n".join(
                json.dumps({"received_ns": n, "venue": "kalshi", "connection": "k", "frame": f})
                for n, f in enumerate(FRAMES)
            ),
        ),
    ],
)
def test_lines_of_every_form_are_read(name: str, text: str, cli: Run, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    found = report(cli("replay", str(file), "--json"))
    assert found["venue"] == "kalshi"
    assert (found["frames"], found["books"], found["crossed"]) == (4, 1, 1)
    assert found["events"] == {"LevelChanged": 2, "BookSnapshot": 1}
    assert found["unknown_kinds"] == {"news": 1}
    (top,) = found["tops"]
    assert (top["bid"], top["ask"], top["status"]) == (4100, 5000, "live")


def test_people_get_counters_and_tops(cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "plain.jsonl"
    file.write_text("\n".join(FRAMES))
    out = cli("replay", str(file)).stdout
    assert re.search(r"^frames +4$", out, re.MULTILINE)
    assert re.search(r"^  live +bid 0.41 +x 5 +ask 0.50 +x 20 +last .* KXA-1$", out, re.MULTILINE)


def test_a_file_that_does_not_tell_its_venue_needs_one_named(cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "plain.jsonl"
    file.write_text("{}\n")
    done = cli("replay", str(file))
    assert done.returncode == 1
    assert "name it with --venue" in done.stderr
    assert cli("replay", str(file), "--venue", "nowhere").returncode == 2
    assert cli("replay", str(tmp_path / "nothing")).returncode == 2
    (tmp_path / "broken.gz").write_bytes(b"no gzip")
    done = cli("replay", str(tmp_path / "broken.gz"))
    assert done.returncode == 1
    assert done.stderr.startswith("arbees-feed: cannot read ")
