"""Documents name what exists (settings, files, commands, events), and can be found and read."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from support.documents import FENCE, ROOT, documents

from arbees_feed import __version__
from arbees_feed.cli import app
from arbees_feed.config.model import Settings, known_keys
from arbees_feed.config.sources import ALIASES

DOCUMENTS = documents()
SECTIONS = "|".join(Settings.model_fields)
MKDOCS = shutil.which("mkdocs")
NOT_SETTINGS = {"ARBEES_CORPUS", "ARBEES_MATCHING"}  # where the tests find recordings and labels
FILES = {"pairs.csv"}  # looks like a setting, and is none
VARIABLES = {f"ARBEES_{key.replace('.', '__').upper()}" for key in known_keys()}


def name(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_settings_that_are_named_exist(document: Path) -> None:
    text = document.read_text()
    dotted = re.findall(rf"`((?:{SECTIONS})\.[a-z_]+)`", text)
    dotted += re.findall(rf"--set ((?:{SECTIONS})\.[a-z_]+)=", text)
    assert set(dotted) - FILES <= known_keys()
    assert set(re.findall(r"\bARBEES_[A-Z0-9_]*[A-Z0-9]\b", text)) <= VARIABLES | NOT_SETTINGS
    others = re.findall(r"`(KALSHI_[A-Z_]+)`", text)
    assert set(others) <= set(ALIASES)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in links_of(document):
        path, _, fragment = target.partition("#")
        found = document.parent / path if path else document
        assert found.exists(), target
        if fragment:
            assert fragment in anchors(found.read_text()), target


def links_of(document: Path) -> list[str]:
    """Return what a document links to, but for other places of the network."""
    found: list[str] = re.findall(r"\]\(([^)]+)\)", FENCE.sub("", document.read_text()))
    return [target for target in found if "://" not in target]


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        document = ahead.pop()
        reached.add(document)
        paths = (
            (document.parent / link.partition("#")[0]).resolve() for link in links_of(document)
        )
        ahead += {path for path in paths if path.suffix == ".md"} - reached
    assert [name(document) for document in DOCUMENTS if document not in reached] == []


def test_the_menu_of_the_site_has_every_document_once() -> None:
    menu = yaml.safe_load((ROOT / "config" / "mkdocs.yml").read_text())["nav"]
    assert sorted(pages_of(menu)) == sorted(name(document) for document in DOCUMENTS)


def pages_of(menu: Any) -> list[str]:
    """Return the pages of a menu of mkdocs: texts, in lists and under titles."""
    if isinstance(menu, str):
        return [menu]
    parts = menu.values() if isinstance(menu, dict) else menu
    return [page for part in parts for page in pages_of(part)]


@pytest.mark.skipif(
    MKDOCS is None, reason="mkdocs is in the group docs: `make docs` builds the site"
)
def test_the_site_can_be_built_and_asks_nobody_else(tmp_path: Path) -> None:
    assert MKDOCS is not None
    done = subprocess.run(
        [MKDOCS, "build", "--strict", "-f", "config/mkdocs.yml", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > len(DOCUMENTS)
    loads = r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"?(?:https?:)?//[^>]+>"
    assert [found for page in pages for found in re.findall(loads, page.read_text())] == []


def test_the_reference_of_settings_is_that_of_the_models() -> None:
    path = ROOT / "docs" / "configuration_reference.py"
    spec = importlib.util.spec_from_file_location("configuration_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.page(), f"old: python {name(path)}"
    told = re.findall(r"^### (\S+)$", module.page(), re.MULTILINE)
    assert sorted(told) == sorted(known_keys())


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_lines_are_for_reading(document: Path) -> None:
    """Tables may be wide; prose is not, and nothing is left to do."""
    lines = FENCE.sub("", document.read_text()).splitlines()
    prose = [line for line in lines if not line.startswith("|")]
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
