"""What a PromQL expression asks for: enough to compare names, no parser."""

import re

_TEXT = re.compile(r'"(?:\\.|[^"\\])*"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_OFFSET = re.compile(r"\boffset\s+\w+")
_SELECTOR = re.compile(r"([A-Za-z_:][\w:]*)\s*\{([^}]*)\}")
_NAME = re.compile(r"(?<![\w:.$])([A-Za-z_:][\w:]*)(?!\s*\()(?![\w:])")
_WORDS = frozenset({"and", "or", "unless", "bool", "group_left", "group_right"})


def metrics_of(expression: str) -> set[str]:
    """Return the names of all metrics in *expression*, with the suffix of a histogram's series."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", " ", _TEXT.sub('""', expression))
    return set(_NAME.findall(_OFFSET.sub(" ", _GROUPING.sub(" ", bare)))) - _WORDS


def labels_of(expression: str) -> set[tuple[str, str]]:
    """Return (metric, label) for each label that *expression* selects by."""
    bare = _TEXT.sub('""', expression)
    return {
        (metric, label)
        for metric, matchers in _SELECTOR.findall(bare)
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)
    }
