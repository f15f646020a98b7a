"""What holds for every pair: symmetry, and that one changed slot is never overlooked."""

import msgspec
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from support.matching import LOOK_ALIKES, NETS, ONE_QUESTION, kalshi, polymarket

from arbees_feed.matching.frame import Frame, Slot
from arbees_feed.matching.judge import block_keys, judge, spec_of
from arbees_feed.matching.matches import KEPT
from arbees_feed.matching.words import name_codes

# A test is to fail for what is wrong, and not for a machine that has much to do.
UNHURRIED = settings(deadline=None)

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


@UNHURRIED
@given(pair | st.sampled_from(list(LOOK_ALIKES.values())))
def test_it_does_not_matter_which_venue_tells_what(frames: tuple[Frame, Frame]) -> None:
    ours, theirs = frames
    verdict, other = judge(ours, theirs), judge(swapped(theirs), swapped(ours))
    assert (verdict.grade, verdict.polarity) == (other.grade, other.polarity)
    assert verdict.conflicts == other.conflicts
    turned = [OPPOSITE.get(reason.outcome, reason.outcome) for reason in other.reasons]
    assert [reason.outcome for reason in verdict.reasons] == turned


@UNHURRIED
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


@UNHURRIED
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
    assert {*block_keys(ours)} & {*block_keys(theirs)}


word = st.text("abcdefghij", min_size=1, max_size=8)
name_words = st.lists(
    word | st.sampled_from(["mike", "michael", "jr", "iii"]), min_size=1, max_size=4
)


@st.composite
def spelled_twice(draw: st.DrawFn) -> tuple[str, str, str]:
    """Return a name, how it is spelled elsewhere, and the slot that this stands in.

    There is a gap more or less, a nickname, a middle name, a suffix, or a code for it.
    """
    words = draw(name_words)
    other = list(words)
    match draw(st.sampled_from(["gap", "middle", "nickname", "suffix", "code"])):
        case "gap" if len(other) > 1:
            cut = draw(st.integers(0, len(other) - 2))
            other[cut : cut + 2] = ["".join(other[cut : cut + 2])]
        case "middle":
            other.insert(1, draw(word))
        case "nickname":
            words[0], other[0] = "mike", "michael"
        case "suffix":
            other.append("jr")
        case "code":
            name = " ".join(words)
            return name, draw(st.sampled_from(sorted(name_codes(name)))), "code"
    return " ".join(words), " ".join(other), "subject"


def person(name: str, market: str, venue: str, slot: str) -> Frame:
    """Return a frame on who wins an election, told by a name or a code."""
    told = {"kind": "person_wins", "office": "mayor", "place": "x", "season": "2026", slot: name}
    slots = tuple(Slot(name, value, "title") for name, value in told.items())
    return Frame(venue, market, "", slots)


@UNHURRIED
@given(spelled_twice())
def test_two_spellings_of_a_name_that_may_be_one_share_a_block(told: tuple[str, str, str]) -> None:
    """A pair that is judged to be one is never out of sight of the other market."""
    name, other, slot = told
    ours = person(name, "K", "kalshi", "subject")
    theirs = person(other, "1", "polymarket", slot)
    verdict = judge(ours, theirs)
    note(verdict.grade)
    if verdict.grade in KEPT:
        assert {*block_keys(ours)} & {*block_keys(theirs)}


@UNHURRIED
@given(st.sampled_from(["BKN", "MEM"]), st.permutations([("BKN", "Nets"), ("MEM", "Grizzlies")]))
def test_swapping_the_outcomes_turns_the_polarity(
    side: str, outcomes: list[tuple[str, str]]
) -> None:
    ours = kalshi(f"KXNBAGAME-26DEC11BKNMEM-{side}", "Brooklyn at Memphis Winner?")
    names = tuple(name for _code, name in outcomes)
    theirs = polymarket("Nets vs. Grizzlies", **{**NETS, "outcomes": names})
    expected = "same" if side == outcomes[0][0] else "inverted"
    assert judge(ours, theirs).polarity == expected


@UNHURRIED
@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_any_text_is_parsed_and_judged(title: str, rules: str, more: str) -> None:
    ours = kalshi("KXANY-26-A", title, rules=rules, yes_sub_title=more, event_title=more)
    theirs = polymarket(title, rules=rules, event_title=more, end_time=more, game_start=more)
    assert judge(ours, theirs).polarity in ("same", "inverted", "unknown")
