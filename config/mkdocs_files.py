"""A hook of mkdocs: the site has the paths of the repository.

Documents link to each other, and to settings, examples and source, as files of one tree: that works
where the repository is read. So the site is not the folder docs alone, but every document of the
project at its own path, and beside them each other file that a document links to.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "*.md",
    "docs/**/*.md",
    "examples/**/*.md",
    "arbees_feed/**/*.md",
    "benchmarks/*.md",
)
OTHERS = ("docs/site.css", "docs/images/favicon.svg")
_LINK = re.compile(r"\]\(([^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Put the documents and what they link to in place of the files of one folder."""
    theme = [file for file in files if file.src_dir != config["docs_dir"]]
    found = {path for pattern in DOCUMENTS for path in ROOT.glob(pattern)}
    documents = {path for path in found if "node_modules" not in path.parts}
    linked = {path for document in documents for path in _linked(document)}
    others = {ROOT / path for path in OTHERS}
    own = [_file(path, config) for path in sorted(documents | linked | others)]
    return Files([*theme, *own])


def _linked(document: Path) -> set[Path]:
    """Return the files inside the repository that *document* links to."""
    targets = [target for target in _LINK.findall(document.read_text()) if "://" not in target]
    found = {(document.parent / target).resolve() for target in targets}
    return {path for path in found if path.is_file() and path.is_relative_to(ROOT)}


def _file(path: Path, config: Any) -> File:
    return File(
        path.relative_to(ROOT).as_posix(),
        str(ROOT),
        config["site_dir"],
        config["use_directory_urls"],
    )
