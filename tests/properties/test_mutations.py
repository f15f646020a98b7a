"""Both decoders and the table under damaged frames, each judged in the moment it is received.

What a reader can tell to be damaged must never lead to a price that is not the venue's: the worlds
and the recorded sessions know the truth, and answer what the decoder asks, so that it can mend.
"""

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

import pytest
from support import mutations
from support.conversation import Conversation, Venue
from support.mutations import Mutation
from support.recordings import corpus
from support.tapes import EndOfTape, recorded_sessions
from support.worlds import KalshiWorld, PolymarketWorld

WORLDS: dict[str, Callable[[int], Venue]] = {"kalshi": KalshiWorld, "polymarket": PolymarketWorld}


def named(mutation: Mutation) -> str:
    return mutation.__name__


def seeds(count: int) -> Iterator[Random]:
    return (Random(seed) for seed in range(count))


def distinct(damages: tuple[Mutation, ...]) -> list[Mutation]:
    return list(dict.fromkeys(damages))


@pytest.mark.parametrize("venue", WORLDS)
@pytest.mark.parametrize("damage", distinct(mutations.VISIBLE), ids=named)
def test_a_damaged_frame_never_makes_a_wrong_price_and_is_mended(
    venue: str, damage: Mutation
) -> None:
    for random in seeds(12):
        talk = Conversation(venue, WORLDS[venue](random.randrange(100)))
        for _ in range(4):
            talk.step()
            talk.step(partial(damage, random=random))
            talk.step()
            talk.wait(random.choice((0, 2)))
        assert talk.unhealed() == []


@pytest.mark.parametrize("venue", WORLDS)
@pytest.mark.parametrize("damage", distinct(mutations.SILENT), ids=named)
def test_a_lie_is_no_reason_to_fail_and_a_new_session_ends_it(venue: str, damage: Mutation) -> None:
    """Nobody can see it; what is shown can still be sent, and is never crossed."""
    for random in seeds(25):
        talk = Conversation(venue, WORLDS[venue](random.randrange(100)))
        talk.step()
        talk.lied = True
        for _ in range(3):
            talk.step(partial(damage, random=random))
            talk.step()
        talk.wait(12)
        talk.table.lose(talk.link, "a new session")
        talk.lied = False
        talk.connect()
        assert talk.unhealed() == []


def other_side(frame: bytes) -> bytes:
    return (
        frame.replace(b'"side":"no"', b'"side":"?"')
        .replace(b'"yes"', b'"no"')
        .replace(b"?", b"yes")
    )


@pytest.mark.parametrize("seed", range(8))
def test_the_judge_finds_a_wrong_price(seed: int) -> None:
    """A lie that is taken for the truth is exactly what it must see."""
    talk = Conversation("kalshi", KalshiWorld(seed))
    with pytest.raises(AssertionError, match="shown"):
        [talk.step(other_side) for _ in range(12)]


@pytest.mark.timeout(120)
def test_recorded_frames_under_damage_never_make_a_wrong_price() -> None:
    """Sessions of both venues, begun anywhere on the tape, each frame damaged with p = 0.2."""
    sessions = list(recorded_sessions(corpus()))
    assert {venue for venue, _, _ in sessions} == {"kalshi", "polymarket"}
    for venue, tape, told in sessions:
        damaged = sum(_play_damaged(venue, tape, told, random) for random in seeds(40))
        assert damaged > 100


def _play_damaged(venue: str, tape: Any, told: list[Any], random: Random) -> int:
    talk = Conversation(venue, tape(told, random.randrange(len(told))))
    damaged = 0

    def damage(frame: bytes) -> bytes:
        return random.choice(mutations.VISIBLE)(frame, random)

    try:
        for _ in range(40):
            hurt = random.random() < 0.2
            damaged += hurt
            talk.step(damage if hurt else None)
            talk.wait(random.choice((0, 0, 0, 1.5)))
    except EndOfTape:
        return damaged
    assert talk.unhealed() == []
    return damaged


@pytest.mark.parametrize("venue", WORLDS)
def test_recorded_frames_undamaged_are_never_doubted_for_long(venue: str) -> None:
    """A whole tape ends with the venue's own prices, on the first connection."""
    for name, tape, told in recorded_sessions(corpus()):
        if name != venue:
            continue
        talk = Conversation(venue, tape(told, 0))
        for _ in told:
            talk.step()
        assert (talk.violations, talk.unhealed()) == (0, [])


@pytest.mark.parametrize("damage", distinct((*mutations.VISIBLE, *mutations.SILENT)), ids=named)
def test_damage_is_repeatable_and_does_something(damage: Mutation) -> None:
    frame = b'{"type":"a","sid":1,"size":"1.5","msg":{"price":"0.5","yes":[["0.4","1"]]}}'
    first = [damage(frame, random) for random in seeds(30)]
    assert first == [damage(frame, random) for random in seeds(30)]
    assert set(first) - {frame}
