"""Documents name things that exist: settings, files, commands, targets, events of the log."""

import re
from pathlib import Path

import pytest
import typer

from arbees_feed import __version__
from arbees_feed.cli import app
from arbees_feed.config.model import Settings, known_keys
from arbees_feed.config.sources import ALIASES

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "arbees_feed").rglob("*.md"),
    ]
)
SECTIONS = "|".join(Settings.model_fields)
VARIABLES = {f"ARBEES_{key.replace('.', '__').upper()}" for key in known_keys()}


def name(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_settings_that_are_named_exist(document: Path) -> None:
    text = document.read_text()
    dotted = re.findall(rf"`((?:{SECTIONS})\.[a-z_]+)`", text)
    dotted += re.findall(rf"--set ((?:{SECTIONS})\.[a-z_]+)=", text)
    assert set(dotted) <= known_keys()
    assert set(re.findall(r"\bARBEES_[A-Z0-9_]*[A-Z0-9]\b", text)) <= VARIABLES
    others = re.findall(r"`(KALSHI_[A-Z_]+)`", text)
    assert set(others) <= set(ALIASES)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        path, _, fragment = target.partition("#")
        if "://" in target:
            continue
        found = document.parent / path if path else document
        assert found.exists(), target
        if fragment:
            assert fragment in anchors(found.read_text()), target


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_lines_are_for_reading(document: Path) -> None:
    """Tables may be wide; prose is not, and nothing is left to do."""
    prose = [line for line in document.read_text().splitlines() if not line.startswith("|")]
    assert [line for line in prose if len(line) > 120] == []
    assert not re.search(r"\b(TODO|FIXME|TBD)\b", document.read_text())


def test_config_file_is_the_only_list_of_all_settings() -> None:
    """config/feed.toml has them all; pages that repeat some point to it."""
    for page in ("README.md", "docs/configuration.md"):
        assert "config/feed.toml" in (ROOT / page).read_text()


def test_commands_in_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text()
    table = text.partition("## Commands")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", table, re.MULTILINE)
    shown = {command for row in rows for command in re.findall(r"\w+", row)}
    registered = set(typer.main.get_command(app).list_commands(None))
    assert shown == registered
    used = re.findall(r"\barbees-feed (\w+)", "".join(d.read_text() for d in DOCUMENTS))
    assert set(used) <= registered | {"in"}


def test_make_targets_in_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text()
        used = re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)
        assert set(used) <= targets, name(document)


def test_operations_lists_every_event_of_the_log() -> None:
    source = "".join(path.read_text() for path in sorted((ROOT / "arbees_feed").rglob("*.py")))
    calls = r"\b(?:_?(?:log|warnings|warner)\.|_)(debug|info|warn(?:ing)?|error)\(\s*\"([^\"]+)\""
    levels = {"warn": "warning"}
    logged = {(event, levels.get(level, level)) for level, event in re.findall(calls, source)}
    text = (ROOT / "docs" / "operations.md").read_text()
    shown = set(re.findall(r"^\| `([^`]+)` \| (info|warning|error) \|", text, re.MULTILINE))
    assert shown == logged


def test_the_changelog_tells_of_this_version() -> None:
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()
