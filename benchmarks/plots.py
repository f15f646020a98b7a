"""Draws the pictures of docs/performance.md from the figures that the scripts beside it have left.

    python benchmarks/plots.py [--figures build/bench] [--into docs/images]

Of `speed.json`, `peers.json`, `polling.json` and `endurance.json` those are drawn that are there;
pictures of others stay as they are. Nothing is measured here. Backgrounds are transparent and
colours between light and dark, so that one file serves on both; text is text, in the reader's
font. Needs matplotlib: the dependency group `bench`, or `make plots`.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

ROOT = Path(__file__).parents[1]
GREY, BLUE, ORANGE, GREEN = "#78818c", "#2f81f7", "#d4760a", "#2da44e"
COLOURS = (BLUE, ORANGE, GREEN, GREY)
WIDTH_IN, BAR_IN = 8.0, 0.3
LONGEST = 4.0
"""How often the median bar the longest may be."""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "arbees-feed",  # the same figures make the same file
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": GREY,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}

Told = Mapping[str, Any]
Draw = Callable[[Told, Figure], None]


def plain(value: float, _: object = None) -> str:
    """Return a number without an exponent."""
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def rows_of(told: Told, section: str) -> Sequence[Told]:
    """Return the rows of a section of speed.json that have a curve.

    Raises:
        LookupError: there are none.
    """
    rows = [row for row in told["results"] if row["section"] == section and row["curve"]]
    if not rows:
        raise LookupError(f"{section} was not measured")
    return rows


def alone(fill: Callable[[Told, Axes], None]) -> Draw:
    """Return what draws a picture with a single panel."""
    return lambda told, figure: fill(told, figure.add_subplot())


def latency(told: Told, axes: Axes) -> None:
    """How many messages had arrived after how long."""
    for row, colour in zip(rows_of(told, "latency"), COLOURS, strict=False):
        points = [(1 / (1 - percent / 100), ms) for percent, ms in row["curve"] if percent < 100]
        axes.plot(*zip(*points, strict=True), color=colour, label=row["what"], marker=".")
    shown = (50, 90, 99, 99.9, 99.99)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([1 / (1 - percent / 100) for percent in shown]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{percent:g} %" for percent in shown])
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(plain))
    axes.set_xlabel("share of messages")
    axes.set_ylabel("at most so many ms")
    axes.legend(loc="upper left")


def scale(told: Told, axes: Axes) -> None:
    """Cost of a frame against the number of markets."""
    for row, colour in zip(rows_of(told, "scale"), COLOURS, strict=False):
        label = row["what"].rpartition(", ")[2]
        axes.plot(*zip(*row["curve"], strict=True), color=colour, label=label, marker="o")
    axes.set_xscale("log")
    markets = [x for x, _ in rows_of(told, "scale")[0]["curve"]]
    axes.xaxis.set_major_locator(FixedLocator(markets))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(plain))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("markets followed")
    axes.set_ylabel("CPU of a ticker, µs")
    axes.legend(loc="upper left")


def polling(told: Told, axes: Axes) -> None:
    """Age of a price: from the median to the 99th percentile, for each way of reading."""
    rows = list(reversed(told["rows"]))
    for place, row in enumerate(rows):
        ages = row["age_ms"]
        colour = BLUE if "daemon" in row["way"] else ORANGE
        axes.plot([ages["50"], ages["99"]], [place, place], color=colour, linewidth=5, alpha=0.5)
        axes.plot([ages["50"]], [place], color=colour, marker="o")
    axes.set_yticks(range(len(rows)), [f"{row['venue']}: {row['way']}" for row in rows])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(plain))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(visible=False, axis="y")
    axes.set_xlim(left=10)
    axes.set_xlabel("age of a price, ms: median (dot) to p99")


def endurance(told: Told, axes: Axes) -> None:
    """Resident memory over time, and the medians that are compared."""
    samples = [sample for sample in told["samples"] if sample["at_s"] > 0]
    minutes = [sample["at_s"] / 60 for sample in samples]
    axes.plot(minutes, [sample["rss_mb"] for sample in samples], color=BLUE)
    judged, quarter = told["verdict"], told["minutes"] / 4
    for name, start in (("second_quarter_mb", quarter), ("last_quarter_mb", 3 * quarter)):
        label = f"{name.split('_')[0]} quarter: {judged[name]:.1f} MB"
        colour = {"second_quarter_mb": ORANGE, "last_quarter_mb": GREEN}[name]
        axes.hlines(judged[name], start, start + quarter, color=colour, linewidth=3, label=label)
    axes.set_ylim(0, 1.2 * judged["highest_mb"])
    axes.set_xlabel("minutes")
    axes.set_ylabel("resident memory, MB")
    axes.legend(loc="lower right")


def peers(told: Told, figure: Figure) -> None:
    """CPU of a frame beside that of other clients: a panel for each contest."""
    contests = bars_of(told)
    heights = [len(bars) + 2 for bars in contests.values()]
    figure.set_figheight(sum(heights) * BAR_IN)
    panels = figure.subplots(len(contests), 1, height_ratios=heights, squeeze=False)
    for (title, bars), axes in zip(contests.items(), panels[:, 0], strict=True):
        names, costs_us, labels = zip(*cut(bars), strict=True)
        colours = [BLUE if name.startswith("arbees") else GREY for name in names]
        drawn = axes.barh(names, costs_us, color=colours)
        axes.bar_label(drawn, labels=labels, padding=4, color=GREY)
        axes.set_xlim(right=max(costs_us) * 1.7)
        axes.grid(visible=False, axis="y")
        axes.set_title(title, fontsize="medium", loc="left")
    axes.set_xlabel("CPU of a frame, µs; frames a second, flat out")


def cut(bars: Sequence[tuple[str, float, str]]) -> Sequence[tuple[str, float, str]]:
    """Shorten bars beside which no other could be seen, and say so."""
    most = LONGEST * median(us for _, us, _ in bars)
    return [
        (name, most, f"{label} (bar cut)") if us > most else (name, us, label)
        for name, us, label in bars
    ]


def bars_of(told: Told) -> Mapping[str, Sequence[tuple[str, float, str]]]:
    """Return (who and where it ends, CPU in µs, label), the cheapest last, of each contest."""
    found: dict[str, list[tuple[str, float, str]]] = {}
    for peer in sorted(
        (peer for peer in told["peers"] if peer["median"] and not peer["reason"]),
        key=lambda peer: -peer["median"]["cpu_us"],
    ):
        name = f"{peer['name']}: {peer['ends_at']}"
        us, per_s = peer["median"]["cpu_us"], peer["median"]["per_s"]
        found.setdefault(peer["contest"], []).append((name, us, f"{us:.1f} µs, {per_s:,.0f}/s"))
    contests = dict.fromkeys(peer["contest"] for peer in told["peers"])
    return {contest: found[contest] for contest in contests if contest in found}


PICTURES: Mapping[str, tuple[str, Draw, float]] = {
    "latency": ("speed.json", alone(latency), 3.6),
    "scale": ("speed.json", alone(scale), 3.2),
    "polling": ("polling.json", alone(polling), 3.6),
    "peers": ("peers.json", peers, 4.0),
    "endurance": ("endurance.json", alone(endurance), 2.8),
}
"""Of each: where its figures are, what draws it, and its height in inches."""


def draw(name: str, told: Told, into: Path) -> Path:
    """Draw one picture and return where it is."""
    _, fill, height_in = PICTURES[name]
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    fill(told, figure)
    path = into / f"{name}.svg"
    figure.savefig(path, transparent=True, metadata={"Date": None})
    return path


def main() -> int:
    """Draw what there are figures for; exit 1 if there are none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figures", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "images")
    arguments = parser.parse_args()
    drawn = 0
    with mpl.rc_context(STYLE):
        for name, (source, _, _) in PICTURES.items():
            try:
                told = json.loads((arguments.figures / source).read_text())
                print(draw(name, told, arguments.into))
                drawn += 1
            except (OSError, LookupError) as missing:
                print(f"{name}: not drawn: {missing}", file=sys.stderr)
    return int(not drawn)


if __name__ == "__main__":
    sys.exit(main())
