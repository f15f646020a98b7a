"""The environment without our settings, for a child process that gets settings of its own."""

import os
from collections.abc import Mapping

from arbees_feed.config.sources import ALIASES, PREFIX


def without_settings(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that are no settings of ours."""
    return {
        name: value
        for name, value in environ.items()
        if name not in ALIASES and not name.upper().startswith(PREFIX)
    }
