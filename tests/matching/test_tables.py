"""The data files: complete, unambiguous, and of the shape that the code reads."""

import re

import pytest

from arbees_feed.matching.frame import SLOTS
from arbees_feed.matching.games import game_series, leagues, split_codes, team
from arbees_feed.matching.placeholders import PLACEHOLDERS
from arbees_feed.matching.tables import country, data, entity, parties, states, table

TABLES = sorted({name for row in leagues().values() for name in row["teams"]})


@pytest.mark.parametrize("name", TABLES)
def test_no_code_and_no_alias_names_two_teams(name: str) -> None:
    members = set(table(name).words.values())
    assert set(table(name).codes.values()) <= members
    assert len(members) >= 10


@pytest.mark.parametrize(
    ("league", "words", "found"),
    [
        ("nba", "Los Angeles C", "nba:lac"),
        ("nba", "LA Clippers", "nba:lac"),
        ("nba", "Los Angeles", ""),
        ("nfl", "New York G", "nfl:nyg"),
        ("nfl", "New York", ""),
        ("nhl", "NYI Islanders", "nhl:nyi"),
        ("mlb", "Chicago WS", "mlb:cws"),
        ("mlb", "A's", "mlb:ath"),
        ("bundesliga", "1. FSV Mainz 05", "bundesliga:mainz"),
        ("bundesliga", "FC Bayern München", "bundesliga:bayern"),
        ("ligue1", "Paris FC", "ligue1:paris_fc"),
        ("ligue1", "Paris Saint-Germain FC", "ligue1:psg"),
        ("ligue1", "Paris", ""),
        ("seriea", "Virtus Bologna", ""),
        ("worldcup", "Korea Republic", "country:kr"),
    ],
)
def test_a_team_is_found_by_any_of_its_names_or_not_at_all(
    league: str, words: str, found: str
) -> None:
    assert team(league, words) == found


def test_glued_codes_are_split_by_the_table_and_only_where_one_cut_fits() -> None:
    assert split_codes("nba", "BKNMEM") == ("nba:bkn", "nba:mem")
    assert split_codes("nfl", "LACAR") == ("nfl:la", "nfl:car")
    assert split_codes("bundesliga", "FCHM05") == ("bundesliga:heidenheim", "bundesliga:mainz")
    assert split_codes("nba", "XXXYYY") == ("", "")


def test_every_template_uses_known_placeholders_kinds_and_slots() -> None:
    for row in data("templates")["template"]:
        assert row["kind"] in data("kinds"), row
        assert set(row.get("set", {})) <= set(SLOTS), row
        for text in row["match"]:
            assert set(re.findall(r"\{(\w+)\}", text)) <= PLACEHOLDERS.keys(), text


def test_every_kind_speaks_of_known_slots() -> None:
    for name, row in data("kinds").items():
        told = {*row["required"], *row["block"], *row.get("tolerated", {}), *row.get("noted", {})}
        assert told <= set(SLOTS), name


def test_every_competition_has_a_kind_and_a_table() -> None:
    for name, row in data("competitions").items():
        assert row["kind"] in data("kinds"), name
        assert row["entity"] == "person" or table(row["entity"]).words, name


def test_nothing_stands_in_the_data_that_nobody_reads() -> None:
    competition = {
        "kind", "series", "entity", "phrases", "bare", "us", "us_golf", "golf", "lone_year",
        "variant",
    }  # fmt: skip
    league = {
        "series", "teams", "slugs", "says", "titles", "open", "draws", "conflicts", "variant",
    }  # fmt: skip
    kind = {"required", "tolerated", "noted", "block", "conflicts", "step"}
    for rows, known in (
        (data("competitions"), competition), (leagues(), league), (data("kinds"), kind),
        (data("variants"), {"says", "in_rules"}),
    ):  # fmt: skip
        for name, row in rows.items():
            assert set(row) <= known, name
    assert set(data("names")["proposition"]) == {"stop", "same", "least_words"}


def test_every_variant_that_is_named_is_one() -> None:
    for row in (*data("competitions").values(), *leagues().values()):
        assert row.get("variant", "women") in data("variants")


def test_every_game_series_has_a_kind() -> None:
    assert game_series()["KXNBAGAME"][0] == "nba"
    assert all(row["kind"] in data("kinds") for _league, row in game_series().values())


def test_placeholders_are_nobody() -> None:
    for nobody in ("Other", "Player W", "Candidate X", "C", "Person AB", "Another party"):
        assert entity("person", nobody) == ""


def test_states_countries_and_parties_are_told_apart() -> None:
    assert len(states()) == 50
    assert states()["california"] == "ca"
    assert country("Canadian") != country("Argentine")
    assert parties()["democratic party"] == parties()["democrats"] == "dem"
