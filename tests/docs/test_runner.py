"""What tries the documents finds what is wrong with them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import documents
from support.command_lines import problem_with, problem_with_program
from support.documents import blocks_of, commands_in_text, lines_like_commands, shell_lines
from support.feed import valkey
from support.pasting import Place, furnish

PAGE = """\
Try `arbees-feed
run` and `no command`.

<!-- test: skip="no network here" file=a.toml -->
```toml
a = 1
```

- in a list:

  ```sh
  # a remark
  redis-cli GET \\
    key
  ```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_blocks_have_their_place_language_and_marks(page: Path) -> None:
    first, second = blocks_of(page)
    assert (first.name, first.language, first.text) == ("page.md:5", "toml", "a = 1\n")
    assert first.marks == {"skip": "no network here", "file": "a.toml"}
    assert (second.name, second.language, second.marks) == ("page.md:11", "sh", {})
    assert shell_lines(second.text) == ["redis-cli GET    key"]


def test_commands_in_the_text_are_found_over_the_end_of_a_line(page: Path) -> None:
    assert commands_in_text(page) == [(1, "arbees-feed run")]


def test_commands_in_what_should_be_output_are_found() -> None:
    assert lines_like_commands("made\n$ make demo\nmake it so\n  make\n") == [
        "$ make demo",
        "make it so",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "make no-such-target",
        "docker compose up nobody",
        "docker compose --profile nothing up demo",
        "docker compose -f nowhere.yml up",
        "docker compose dance",
        "docker compose up --no-such-option",
        "docker compose exec feed arbees-feed dance",
        "docker compose run --rm feed run --no-such-option",
        "docker run busybox",
        "ssh -L wrong HOST",
        "pip install 'arbees-feed[nothing]'",
        "pip install -r nowhere.txt",
        "python benchmarks/nowhere.py",
        "python benchmarks/endurance.py --no-such-option",
    ],
)
def test_what_is_not_run_is_looked_at(line: str) -> None:
    assert problem_with(line)


@pytest.mark.parametrize(
    "line",
    [
        'make test PYTEST_FLAGS="-x -k book"',
        "docker compose --profile demo up -d demo",
        "docker compose logs --tail 20 feed",
        "docker compose exec feed arbees-feed check",
        "docker compose run --rm feed check",
        "A=1 make test",
        "pip install 'arbees-feed[polymarket]'",
    ],
)
def test_what_is_right_is_left_alone(line: str) -> None:
    assert problem_with(line) == ""


def test_what_can_be_run_is_run() -> None:
    assert problem_with("redis-cli PING") is None
    assert problem_with("python follow.py") is None


@pytest.mark.parametrize(
    "words", [["dance"], ["run", "--no-such-option"], ["watch", "--count", "many"]]
)
def test_wrong_arguments_of_the_program_are_told(words: list[str]) -> None:
    assert problem_with_program(words)


@pytest.fixture
def place(tmp_path: Path, redis_port: int) -> Place:
    return Place(tmp_path, furnish(tmp_path, redis_port), {"SHOWN": "'real one'"})


@pytest.fixture
def redis_port() -> Iterator[int]:
    with valkey() as server:
        yield server.port


async def test_lines_are_run_one_after_the_other(place: Place) -> None:
    assert (await place.paste("redis-cli SET key SHOWN")).printed == "OK\n"
    assert (await place.paste("KEY=$(redis-cli GET key)")).code == 0
    assert (await place.paste('echo "$KEY"')).printed == "real one\n"


@pytest.mark.parametrize(
    "line",
    [
        "false | cat",
        "no-such-command",
        "redis-cli NOSUCHCOMMAND",
        "arbees-feed no-such-command",
        "python -c 'raise SystemExit(3)'",
    ],
)
async def test_lines_that_fail_are_told(place: Place, line: str) -> None:
    assert (await place.paste(line)).code != 0


async def test_what_goes_on_is_ended_by_ctrl_c_once_it_works(place: Place) -> None:
    done = await place.paste("redis-cli MONITOR")
    assert (done.code, done.printed) == (0, "OK\n")


async def test_what_should_go_on_and_ends_is_told(place: Place) -> None:
    (place.folder / "short.py").write_text("print('nothing')")
    with pytest.raises(AssertionError, match="ended before it had printed live"):
        await place.paste("python short.py")
