"""Other clients beside the daemon: one run, the same frames, each at its best.

    python benchmarks/peers.py [--only synpath,ccxt] [--contests tops,delays] [--rounds N]
                               [--json FILE] [--write-docs]

They end in user code, the daemon at a Redis subscriber; the tables say what each checks. Clients
live in virtual environments of their own under build/peers, made at the first run from the pinned
lists in `sidebyside/requirements/`; one that can't be installed is a row with the reason. With
ARBEES_CORPUS set, recorded frames of Kalshi are played as well as generated ones.
"""

import argparse
import sys
import time
from pathlib import Path

from loopback import report
from sidebyside import standings
from sidebyside.catalogue import OURS, PEERS
from sidebyside.contests import CONTESTS, Options
from sidebyside.environments import Unavailable, python_of
from sidebyside.results import Result


def main() -> int:
    """Measure who is asked for; exit 1 if the document has no place for the tables."""
    arguments = _arguments()
    _prepare()
    if arguments.install:
        return 0
    options = Options(arguments.rounds, frozenset(filter(None, arguments.only.split(","))))
    results: list[Result] = []
    for name in arguments.contests.split(","):
        began_s = time.monotonic()
        results += CONTESTS[name](options)
        print(f"{name}: {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)
    standings.show(results)
    told = standings.told(results)
    report.save(told, arguments.json)
    if arguments.write_docs:
        try:
            report.put(standings.lines(results, told), "peers")
        except (OSError, ValueError) as missing:
            print(f"peers: nothing written to the document: {missing}", file=sys.stderr)
            return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = sorted({OURS, *(peer.package for peer in PEERS)})
    parser.add_argument("--only", default="", help=f"clients, with commas: {', '.join(names)}")
    parser.add_argument("--contests", default=",".join(CONTESTS), help="some, with commas")
    parser.add_argument("--rounds", type=int, default=5)
    default = report.RESULTS / "peers.json"
    parser.add_argument("--json", type=Path, default=default, help="figures, versions, machine")
    parser.add_argument("--write-docs", action="store_true", help="the tables into the document")
    parser.add_argument("--install", action="store_true", help="make the environments, no more")
    arguments = parser.parse_args()
    wanted = {*filter(None, arguments.only.split(","))}
    if unknown := wanted - set(names) | set(arguments.contests.split(",")) - CONTESTS.keys():
        parser.error(f"no such client or contest: {', '.join(sorted(unknown))}")
    whole = not arguments.only and set(arguments.contests.split(",")) == CONTESTS.keys()
    if arguments.write_docs and not whole:
        parser.error("--write-docs wants all clients and contests: the tables come from one run")
    return arguments


def _prepare() -> None:
    """Make what environments can be made, before anything is measured."""
    for environment in {peer.environment for peer in PEERS}:
        try:
            python_of(environment)
        except Unavailable as failure:
            print(f"peers: no environment {environment.name}: {failure}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
