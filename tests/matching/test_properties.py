"""What holds for every pair: symmetry, and that one changed slot is never overlooked."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.matching import LOOK_ALIKES, NETS, ONE_QUESTION, kalshi, polymarket

from arbees_feed.matching.frame import Frame, Slot
from arbees_feed.matching.judge import block_key, judge, spec_of

PAIRS = [(ours, theirs) for ours, theirs, _polarity in ONE_QUESTION.values()]
OPPOSITE = {"only kalshi": "only polymarket", "only polymarket": "only kalshi"}

pair = st.sampled_from(PAIRS)


def swapped(frame: Frame) -> Frame:
    """Return *frame* as if the other venue had told it."""
    venue = "polymarket" if frame.venue == "kalshi" else "kalshi"
    return msgspec.structs.replace(frame, venue=venue)


def changed(frame: Frame, name: str, value: str) -> Frame:
    """Return *frame* with another value of a slot; an empty one takes it out."""
    slots = tuple(
        Slot(slot.name, value, slot.source) if slot.name == name else slot
        for slot in frame.slots
        if value or slot.name != name
    )
    return msgspec.structs.replace(frame, slots=slots)


@given(pair | st.sampled_from(list(LOOK_ALIKES.values())))
def test_it_does_not_matter_which_venue_tells_what(frames: tuple[Frame, Frame]) -> None:
    ours, theirs = frames
    verdict, other = judge(ours, theirs), judge(swapped(theirs), swapped(ours))
    assert (verdict.grade, verdict.polarity) == (other.grade, other.polarity)
    assert verdict.conflicts == other.conflicts
    turned = [OPPOSITE.get(reason.outcome, reason.outcome) for reason in other.reasons]
    assert [reason.outcome for reason in verdict.reasons] == turned


@given(pair, st.data())
def test_a_required_slot_that_is_taken_out_unmakes_the_pair(
    frames: tuple[Frame, Frame], data: st.DataObject
) -> None:
    ours, theirs = frames
    spec = spec_of(ours.get("kind"))
    assert spec is not None
    name = data.draw(st.sampled_from(sorted(spec.required)))
    if data.draw(st.booleans()):
        ours = changed(ours, name, "")
    else:
        theirs = changed(theirs, name, "")
    assert not judge(ours, theirs).confirmed


@given(pair, st.data())
def test_a_slot_that_is_changed_unmakes_the_pair(
    frames: tuple[Frame, Frame], data: st.DataObject
) -> None:
    """Every slot counts but those of which a difference is known and named."""
    ours, theirs = frames
    spec = spec_of(ours.get("kind"))
    assert spec is not None
    told = [slot.name for slot in ours.slots if slot.name not in spec.noted]
    compared = sorted({*told} & {slot.name for slot in theirs.slots} - {"against", "code"})
    name = data.draw(st.sampled_from(compared))
    value = "[7,8]" if name == "range" else "03:17" if name == "time" else "something else"
    if name == "start":
        value = "2031-05-05"
    assert not judge(changed(ours, name, value), theirs).confirmed


@pytest.mark.parametrize("name", ONE_QUESTION)
def test_candidates_share_a_block(name: str) -> None:
    ours, theirs, _polarity = ONE_QUESTION[name]
    assert block_key(ours) == block_key(theirs) != ""


@given(st.sampled_from(["BKN", "MEM"]), st.permutations([("BKN", "Nets"), ("MEM", "Grizzlies")]))
def test_swapping_the_outcomes_turns_the_polarity(
    side: str, outcomes: list[tuple[str, str]]
) -> None:
    ours = kalshi(f"KXNBAGAME-26DEC11BKNMEM-{side}", "Brooklyn at Memphis Winner?")
    names = tuple(name for _code, name in outcomes)
    theirs = polymarket("Nets vs. Grizzlies", **{**NETS, "outcomes": names})
    expected = "same" if side == outcomes[0][0] else "inverted"
    assert judge(ours, theirs).polarity == expected


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_any_text_is_parsed_and_judged(title: str, rules: str, more: str) -> None:
    ours = kalshi("KXANY-26-A", title, rules=rules, yes_sub_title=more, event_title=more)
    theirs = polymarket(title, rules=rules, event_title=more, end_time=more, game_start=more)
    assert judge(ours, theirs).polarity in ("same", "inverted", "unknown")
