"""CPU of a reader for each message, against bare loops of redis-py: `reader.py`, as a section."""

from collections.abc import Sequence

import reader

from loopback.proofs import kept_promise
from loopback.report import Row
from loopback.scene import Options

ROUNDS = 3


def throughput(options: Options) -> Sequence[Row]:
    """Each reader in turn follows the same stream, flat out and at the usual rate."""
    rows: list[Row] = []
    rounds = min(ROUNDS, options.rounds)
    for rate, messages in ((0.0, options.messages), (options.rate, options.messages // 8)):
        told: dict[str, list[reader.Result]] = {name: [] for name in reader.READERS}
        for number in range(rounds):
            for place, name in enumerate(reader.READERS):
                told[name].append(reader.measure(name, messages, rate))
                options.said(number * len(told) + place + 1, rounds * len(told))
        rows += _rows({name: reader.median_of(results) for name, results in told.items()}, rate)
    return rows


def _rows(results: dict[str, reader.Result], rate: float) -> Sequence[Row]:
    speed = f"{rate:,.0f}/s" if rate else "flat out"
    best = min(reader.BARE, key=lambda name: results[name]["cpu_us"])
    bare_us = results[best]["cpu_us"]
    rows = []
    for name in results.keys() - set(reader.BARE):
        cpu_us, per_s = results[name]["cpu_us"], results[name]["messages_s"]
        rows.append(
            kept_promise(
                "throughput", f"{speed}: CPU a message of {name}",
                f"<= {bare_us:.2f} µs (bare {best})",
                f"{cpu_us:.2f} µs, {cpu_us / bare_us:.2f} x; {per_s:,.0f} messages/s",
                passed=cpu_us <= bare_us, cpu_us=cpu_us, bare_us=bare_us, per_s=per_s,
            )
        )  # fmt: skip
    return sorted(rows, key=lambda row: list(results).index(row.what.rpartition(" of ")[2]))
