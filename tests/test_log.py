"""Logging: what a line looks like, what it hides, and how often a warning repeats."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from arbees_feed.config import LogSettings, redact_text, redact_url
from arbees_feed.log import RateLimitedWarnings, set_up

PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def json_log(level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    set_up(LogSettings.model_validate({"level": level, "format": "json"}), stream)
    return stream


def only_line(stream: io.StringIO) -> dict[str, object]:
    (line,) = stream.getvalue().splitlines()
    fields: dict[str, object] = json.loads(line)
    return fields


def test_a_json_line_has_event_level_logger_time_and_fields() -> None:
    stream = json_log()
    structlog.get_logger("arbees_feed.x").info("connected", venue="kalshi", markets=3)
    line = only_line(stream)
    told = datetime.fromisoformat(str(line.pop("timestamp")))
    assert told.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - told) < timedelta(minutes=1)
    assert line == {
        "event": "connected",
        "level": "info",
        "logger": "arbees_feed.x",
        "venue": "kalshi",
        "markets": 3,
    }


def test_lines_of_other_libraries_look_the_same() -> None:
    stream = json_log()
    logging.getLogger("asyncio").warning("slow %s", f"redis://u:pw@h {PEM}")
    line = only_line(stream)
    assert line["event"] == "slow redis://***@h [redacted PEM]"
    assert (line["level"], line["logger"]) == ("warning", "asyncio")


def test_lines_below_the_level_are_not_written() -> None:
    stream = json_log("warning")
    log = structlog.get_logger()
    log.info("quiet")
    logging.getLogger("aiohttp").info("quiet")
    log.warning("loud")
    assert only_line(stream)["event"] == "loud"


def test_setting_up_again_replaces_the_first_and_keeps_other_handlers() -> None:
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    first, second = json_log(), json_log()
    structlog.get_logger().info("once")
    assert first.getvalue() == ""
    assert only_line(second)["event"] == "once"
    assert other in logging.getLogger().handlers


def test_auto_is_console_on_a_terminal_and_json_elsewhere() -> None:
    auto = LogSettings()
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        set_up(auto, stream)
        structlog.get_logger().info("hello", venue="kalshi")
    assert "hello" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()
    assert only_line(pipe)["event"] == "hello"


def test_console_without_a_terminal_has_no_colours() -> None:
    stream = io.StringIO()
    set_up(LogSettings(format="console"), stream)
    structlog.get_logger().info("hello", venue="kalshi")
    assert "venue=kalshi" in stream.getvalue()
    assert "\x1b[" not in stream.getvalue()


def test_stderr_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(LogSettings())
    structlog.get_logger().info("hello")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "hello"


@pytest.mark.parametrize(
    "name",
    [
        "private_key",
        "private_key_pem",
        "api_key",
        "api_key_id",
        "signature",
        "Authorization",
        "redis_password",
        "KALSHI-ACCESS-KEY",
        "KALSHI-ACCESS-SIGNATURE",
        "client_secret",
    ],
)
def test_fields_with_secret_names_are_hidden(name: str) -> None:
    stream = json_log()
    structlog.get_logger().info("x", **{name: "s3cret"}, headers={name: ["s3cret"]})
    assert "s3cret" not in stream.getvalue()
    assert only_line(stream)[name] == "***"


def test_where_a_key_lies_and_whether_there_is_one_may_be_told() -> None:
    stream = json_log()
    structlog.get_logger().info("x", private_key_path="/k.pem", api_key=True, signature=None)
    line = only_line(stream)
    assert (line["private_key_path"], line["api_key"], line["signature"]) == ("/k.pem", True, None)


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_inside_values_and_tracebacks_are_hidden(form: str) -> None:
    stream = io.StringIO()
    set_up(LogSettings.model_validate({"format": form}), stream)
    log = structlog.get_logger()
    try:
        raise ValueError(f"redis://u:pa@ss/w@h:1 {PEM}")  # noqa: TRY301 - raised to be logged
    except ValueError as exc:
        log.exception("failed redis://:pa@ss@h", error=exc, frames=[PEM.encode()], key=(PEM,))
        logging.getLogger("other").exception("failed")
    text = stream.getvalue()
    assert "Traceback" in text
    for secret in ("pa@ss", "ss/w", "MIGHAgEAMBMGByqGSM49"):
        assert secret not in text
    assert "redis://***@h" in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("redis://:pw@h:6379/0", "redis://***@h:6379/0"),
        ("redis://u:p@w:x/y@h/0", "redis://***@h/0"),
        ("rediss://h/0?password=pw&db=1", "rediss://h/0?password=***&db=1"),
        ("redis+sentinel://u:pw@h1:1,h2:2/m", "redis+sentinel://***@h1:1,h2:2/m"),
        ("embedded", "embedded"),
    ],
)
def test_urls_lose_their_credentials(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_a_pem_cut_short_is_hidden_to_its_end() -> None:
    assert redact_text("key " + PEM[:40]) == "key [redacted PEM]"


class Recorder:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))


def test_a_repeated_warning_is_written_once_an_interval_with_the_number_swallowed() -> None:
    recorder, now_s = Recorder(), 0.0
    warnings = RateLimitedWarnings(recorder, interval_s=60, monotonic=lambda: now_s)
    for _ in range(5):
        warnings.warning("slow", lag_s=1)
    warnings.warning("other")
    now_s = 60.0
    warnings.warning("slow", lag_s=2)
    now_s = 120.0
    warnings.warning("slow", lag_s=3)
    assert recorder.lines == [
        ("slow", {"lag_s": 1}),
        ("other", {}),
        ("slow", {"lag_s": 2, "swallowed": 4}),
        ("slow", {"lag_s": 3}),
    ]
    assert warnings.swallowed == 4


def test_made_up_events_use_no_more_than_bounded_memory() -> None:
    recorder = Recorder()
    warnings = RateLimitedWarnings(recorder, monotonic=lambda: 0.0)
    for number in range(1_000):
        warnings.warning(f"event {number}")
    assert len(recorder.lines) < 300
    assert warnings.swallowed == 1_000 - len(recorder.lines)


HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07 a\r\n2026-11-21 [info] all is well \x9b31m \u202egnorw \u2028\x00"
)


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_texts_from_outside_make_no_second_line_and_do_not_act(
    form: str, kind: type[io.StringIO]
) -> None:
    stream = kind()
    set_up(LogSettings.model_validate({"format": form}), stream)
    structlog.get_logger(HOSTILE).warning(
        HOSTILE, text=HOSTILE, markets=[HOSTILE], told={HOSTILE: [HOSTILE]}, raw=HOSTILE.encode()
    )
    logging.getLogger("aiohttp").warning("got %r and %s", HOSTILE, HOSTILE)
    written = re.sub(r"\x1b\[\d*m", "", stream.getvalue())  # our own colours
    assert len(written.splitlines()) == 2
    assert all(line.isprintable() for line in written.splitlines())
    assert "\\u001b[2J" in written.replace("\\\\", "\\")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_keeps_its_lines_and_none_of_them_looks_like_one_of_ours(form: str) -> None:
    stream = io.StringIO()
    set_up(LogSettings.model_validate({"format": form}), stream)
    try:
        int(HOSTILE)
    except ValueError:
        structlog.get_logger().exception("broken")
    if form == "json":
        text = str(only_line(stream)["exception"])
    else:
        first, _, text = stream.getvalue().partition("\n")
        assert "broken" in first
    first, *others = text.splitlines()
    assert first.startswith("Traceback")
    assert all(line.startswith("  ") for line in others if line)
    assert all(line.isprintable() for line in others)


def test_a_huge_text_is_cut_and_says_by_how_much() -> None:
    stream = json_log()
    structlog.get_logger().warning("venue says", text="x" * 1_000_000)
    text = str(only_line(stream)["text"])
    assert text.endswith("x… (996,000 more)")
    assert len(stream.getvalue()) < 5_000
