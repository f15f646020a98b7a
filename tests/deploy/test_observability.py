"""Alerts, dashboard and what starts them: they name things that exist, and each other.

What an alert does is tested by promtool, where there is one (`apt-get install prometheus`).
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import typer
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.coverage import matcher
from support.feed import reading, running, settings_for, url_of, valkey
from support.promql import labels_of, metrics_of

from arbees_feed import errors
from arbees_feed.cli import app
from arbees_feed.config.model import Settings, known_keys
from arbees_feed.sim import SimConfig, SimServer

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "config" / "observability"
DASHBOARD = FOLDER / "dashboards" / "arbees-feed.json"
OPERATIONS = ROOT / "docs" / "operations.md"
PROMTOOL = shutil.which("promtool")
SERVICES = ("prometheus", "grafana")
OF_PROMETHEUS = {"up", "ALERTS", "scrape_duration_seconds"}
ADDED_BY_PROMETHEUS = {"instance", "job"}
AFTER_A_FAILURE = {
    "arbees_feed_matcher_malformed_total",
    "arbees_feed_redis_errors_by_kind_total",
    "arbees_feed_unknown_fields_total",
}
"""These have a sample only once something has failed; tests/docs/test_tables.py knows them, too."""


@cache
def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return document


def rules() -> list[dict[str, Any]]:
    return [rule for group in load("rules.yml")["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


@cache
def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return document


def panels() -> list[dict[str, Any]]:
    """Return what draws something: all but the headings of rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def dashboard_expressions() -> Iterator[str]:
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert found, variable["name"]
            yield found[1]


@cache
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


# -- alerts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(alerts()))
def test_an_alert_says_what_is_wrong_and_what_to_do(name: str) -> None:
    alert = alerts()[name]
    said = alert["annotations"]
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert said.keys() == {"summary", "description", "runbook"}
    assert said["runbook"] == f"docs/operations.md#{name.lower()}"
    # One thought, and an order: "…: look at x", "Raise y", not only a state of affairs.
    assert said["description"].endswith(".")
    assert 40 < len(said["description"]) < 250


def test_no_two_alerts_have_one_name() -> None:
    names = [rule["alert"] for rule in rules() if "alert" in rule]
    assert len(names) == len(set(names)) > 20


def test_each_alert_has_its_section_and_each_section_its_alert() -> None:
    text = OPERATIONS.read_text().partition("\n## Alerts\n")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == sorted(alerts())


@pytest.mark.parametrize("name", sorted(alerts()))
def test_what_an_alert_names_exists(name: str) -> None:
    """Events of the log, settings and commands."""
    quoted = re.findall(r"`([^`]+)`", alerts()[name]["annotations"]["description"])
    events = [text for text in quoted if re.fullmatch(r"(?!docker)[a-z]+( [a-z]+)+", text)]
    for event in events:
        assert f"\n| `{event}" in OPERATIONS.read_text(), event
    sections = "|".join(Settings.model_fields)
    settings = [text for text in quoted if re.fullmatch(rf"(?:{sections})\.\w+", text)]
    assert set(settings) <= known_keys()
    commands = [text.split()[1] for text in quoted if text.startswith("arbees-feed ")]
    assert set(commands) <= set(typer.main.get_command(app).list_commands(None))


def test_every_alert_is_seen_to_fire_and_not_to_fire() -> None:
    """In one and the same test of promtool, so that the difference is the alert's."""
    fires, rests = set(), set()
    for test in load("rules.test.yml")["tests"]:
        seen = [
            firing(case) for case in test.get("promql_expr_test", ()) if "ALERTS" in case["expr"]
        ]
        for names in seen:
            fires |= names
            rests |= set().union(*seen) - names
    assert fires == rests == set(alerts())


def firing(case: dict[str, Any]) -> set[str]:
    labels = " ".join(sample["labels"] for sample in case["exp_samples"])
    return set(re.findall(r'alertname="(\w+)"', labels))


def test_causes_of_restarts_are_those_that_the_feed_knows() -> None:
    """An error that is added must be foreseen, or would be called a bug."""
    known = {
        name
        for name, error in vars(errors).items()
        if isinstance(error, type) and issubclass(error, errors.FeedError)
    } - {"FeedError"}
    fatal = {name for name in known if issubclass(getattr(errors, name), errors.FatalError)}
    assert causes("FeedBug") == known
    assert causes("FeedRefused") == fatal


def causes(alert: str) -> set[str]:
    (matcher,) = set(re.findall(r'cause[=!]~"([^"]+)"', alerts()[alert]["expr"]))
    return set(matcher.split("|"))


# -- dashboard -------------------------------------------------------------------------------------


def test_panels_have_a_place_an_id_a_unit_and_a_description() -> None:
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels():
        assert panel["fieldConfig"]["defaults"].get("unit"), panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        assert panel["targets"], panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs)), panel["title"]


def test_panels_do_not_lie_on_each_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                other = taken.setdefault((x, y), panel["title"])
                assert other == panel["title"], f"{panel['title']} lies on {other}"


def test_the_first_row_tells_whether_prices_can_be_trusted() -> None:
    first = [panel for panel in panels() if panel["gridPos"]["y"] == 0]
    asked = set().union(*(metrics_of(t["expr"]) for panel in first for t in panel["targets"]))
    assert asked >= {
        "arbees_feed_venue_live",
        "arbees_feed_degraded",
        "arbees_feed_markets",
        "arbees_feed_markets_live",
        "arbees_feed_probes_differed_total",
        "arbees_feed_redis_connected",
        "ALERTS",
    }


def test_variables_are_declared_and_used() -> None:
    declared = {variable["name"] for variable in dashboard()["templating"]["list"]}
    assert declared == {"datasource", "instance", "venue"}
    used = set(re.findall(r"\$\{?(\w+)\}?", json.dumps(dashboard())))
    assert used - {"__rate_interval", "__all"} == declared


def test_the_dashboard_can_be_imported_anywhere() -> None:
    found = dashboard()
    assert found["id"] is None  # Grafana gives it one; of its own it has a uid
    assert found["uid"] == "arbees-feed"
    assert found["schemaVersion"] == 42  # of Grafana 12.2 to 13; newer ones migrate it
    assert "__inputs" not in found
    # Recorded names would bind the dashboard to our rules.
    for expression in dashboard_expressions():
        assert not metrics_of(expression) & recorded()


# -- names -----------------------------------------------------------------------------------------


def test_names_are_found_in_expressions() -> None:
    text = (
        'sum by (le, a) (rate(x_bucket{a="up{b}",c!~"d"}[5m])) / on (a) group_left y:z > bool 0.5'
    )
    assert metrics_of(text) == {"x_bucket", "y:z"}
    assert labels_of(text) == {("x_bucket", "a"), ("x_bucket", "c")}
    assert metrics_of("a unless b offset 10m or absent(c) + 1e6 * vector(0)") == {"a", "b", "c"}
    assert metrics_of("rate(d{v=\"$v\"}[$__rate_interval])") == {"d"}  # fmt: skip


Series = dict[str, set[str]]
"""Names of series, each with its labels."""


@pytest.fixture
async def served(tmp_path: Path) -> Series:
    """What a feed serves that has lost a connection once."""
    config = SimConfig(seed=3, kalshi_markets=4, polymarket_markets=4, rate=200.0)
    with valkey() as server:
        async with SimServer(config) as sim, reading(url_of(server)) as reader:
            folder = str(tmp_path / "incidents")
            settings = settings_for(sim, url_of(server), incidents__dir=folder)
            async with running(settings) as (_, found), matcher(url_of(server)):
                await reader.until(
                    lambda: reader.state("kalshi") == reader.state("polymarket") == "live"
                )
                sim.faults.abort_sockets("polymarket")
                async with aiohttp.ClientSession() as session:
                    url = f"{found.http_url}/metrics"
                    text = ""
                    while not ("_restarts_total{" in text and "_cross_pairs{" in text):
                        await reader.heartbeat()
                        text = await get(session, url)
    series: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series.setdefault(sample.name, set()).update(sample.labels)
    return series


async def get(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as answer:
        return await answer.text()


async def test_rules_and_dashboard_ask_for_what_the_feed_serves(served: Series) -> None:
    known = served.keys() | OF_PROMETHEUS | AFTER_A_FAILURE
    of_rules = [rule["expr"] for rule in rules()]
    for expression in of_rules:
        assert metrics_of(expression) <= known | recorded(), expression
    for expression in dashboard_expressions():
        assert metrics_of(expression) <= known, expression
    for expression in [*of_rules, *dashboard_expressions()]:
        for metric, label in labels_of(expression):
            if metric in served:
                assert label in served[metric] | ADDED_BY_PROMETHEUS, f"{metric} has no {label}"


async def test_the_dashboard_shows_all_that_the_feed_serves(served: Series) -> None:
    shown = set().union(*(metrics_of(expression) for expression in dashboard_expressions()))
    ours = {name for name in served if not re.search(r"_(count|sum|created)$", name)}
    assert ours - shown == set()


# -- what starts them ------------------------------------------------------------------------------


def test_they_start_only_with_their_profile() -> None:
    for name in SERVICES:
        assert compose()["services"][name]["profiles"] == ["observability"]
    others = [s for n, s in compose()["services"].items() if n not in SERVICES]
    assert not any("observability" in service.get("profiles", []) for service in others)


@pytest.mark.parametrize("name", SERVICES)
def test_their_containers_may_do_little(name: str) -> None:
    service = compose()["services"][name]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert "ports" not in service  # they are in the override file, on loopback


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_exists_and_is_read_only_or_a_named_volume(name: str) -> None:
    for volume in compose()["services"][name]["volumes"]:
        source, _, rest = volume.partition(":")
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
            assert rest.endswith(":ro"), volume
        else:
            assert source in compose()["volumes"]


def test_grafana_has_no_account_and_visitors_may_only_look() -> None:
    given = dict(e.split("=", 1) for e in compose()["services"]["grafana"]["environment"])
    assert given["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert given["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert given["GF_AUTH_BASIC_ENABLED"] == "false"
    assert not [name for name in given if "PASSWORD" in name or "SECRET" in name]


def test_prometheus_looks_where_the_feed_serves() -> None:
    services = compose()["services"]
    (job,) = (j for j in load("prometheus.yml")["scrape_configs"] if j["job_name"] == "arbees-feed")
    (where,) = job["dns_sd_configs"]
    # The dot: none of the search domains of the machine may make a stranger of them.
    assert where["names"] == ["feed.", "demo."]
    for name in ("feed", "demo"):
        assert "ARBEES_HTTP__HOST=0.0.0.0" in services[name]["environment"]
        ports = [e for e in services[name]["environment"] if e.startswith("ARBEES_HTTP__PORT=")]
        assert set(ports) <= {f"ARBEES_HTTP__PORT={where['port']}"}
    for rule in rules():
        assert set(re.findall(r'job="([^"]+)"', rule["expr"])) <= {job["job_name"]}


def test_grafana_is_given_prometheus_and_the_dashboard() -> None:
    (source,) = load("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert source["jsonData"]["timeInterval"] == load("prometheus.yml")["global"]["scrape_interval"]
    (provider,) = load("grafana/provisioning/dashboards/arbees-feed.yml")["providers"]
    mounts = compose()["services"]["grafana"]["volumes"]
    assert f"./config/observability/dashboards:{provider['options']['path']}:ro" in mounts


# -- promtool --------------------------------------------------------------------------------------

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool here: apt-get install prometheus"
)


@needs_promtool
@pytest.mark.parametrize("what", ["check rules rules.yml", "check config prometheus.yml"])
def test_promtool_takes_rules_and_configuration(what: str) -> None:
    assert_promtool(*what.split())


@needs_promtool
@pytest.mark.timeout(120)
def test_alerts_fire_and_rest_as_the_unit_tests_say() -> None:
    assert_promtool("test", "rules", "rules.test.yml")


def assert_promtool(*arguments: str) -> None:
    done = subprocess.run(
        [str(PROMTOOL), *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
