"""A command that ends when whoever started it is gone: its standard input is a pipe of theirs.

`python -m arbees_feed.cli.child COMMAND …` is `arbees-feed COMMAND …` that gets SIGTERM when the
pipe closes. A pipe closes however its owner dies, and on every platform; Linux's PR_SET_PDEATHSIG
was rejected because it follows the thread that started us, and exists nowhere else.
"""

import os
import signal
import threading

from arbees_feed.cli import main

STDIN = 0
GRACE_S = 10.0


def _end_with_stdin() -> None:
    while os.read(STDIN, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    main()
