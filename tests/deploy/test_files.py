"""What can be said of the container files without running them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from arbees_feed import __version__
from arbees_feed.config.model import known_keys
from arbees_feed.config.sources import ALIASES

ROOT = Path(__file__).parents[2]
COMPOSE = ("docker-compose.yml", "docker-compose.override.yml")
DEMO = ("demo", "demo-pairs", "demo-shard", "sim")
"""What runs our image in the demo, beside its Redis."""
LOCKS = (
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-build.lock",
    "requirements-bench.lock",
    "requirements-docs.lock",
)


def services(name: str = COMPOSE[0]) -> dict[str, dict[str, Any]]:
    return yaml.safe_load((ROOT / name).read_text())["services"]


def variables() -> set[str]:
    """Return every environment variable that the daemon reads."""
    return set(ALIASES) | {f"ARBEES_{key.replace('.', '__').upper()}" for key in known_keys()}


def names(environment: list[str]) -> list[str]:
    return [entry.partition("=")[0] for entry in environment]


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2]) for line in lines]


def test_compose_files_need_no_newer_compose_than_1_29() -> None:
    for name in COMPOSE:
        document = yaml.safe_load((ROOT / name).read_text())
        assert not {"name", "include", "configs"} & document.keys()


def test_no_image_is_whatever_is_newest() -> None:
    used = [service["image"] for service in services().values()]
    used += [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert used
    for image in used:
        tag = image.partition(":")[2]
        assert tag, f"{image} has no tag"
        assert tag != "latest"


def test_the_image_is_named_after_the_version() -> None:
    built = {service["image"] for service in services().values() if "build" in service}
    assert built == {f"arbees-feed:{__version__}"}


def test_ports_are_opened_on_loopback_only() -> None:
    ports = [
        port for file in COMPOSE for s in services(file).values() for port in s.get("ports", [])
    ]
    assert len(ports) == 6
    assert all(str(port).startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", ["feed", "pairs", *DEMO])
def test_our_containers_may_do_little(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert int(service["stop_grace_period"].removesuffix("s")) > 5 + 1


@pytest.mark.parametrize(
    ("name", "its_redis"), [("feed", "redis"), ("pairs", "redis"), ("demo", "demo-redis")]
)
def test_a_feed_waits_for_a_healthy_redis(name: str, its_redis: str) -> None:
    assert services()[name]["depends_on"][its_redis]["condition"] == "service_healthy"
    assert services()[its_redis]["healthcheck"]["test"]
    assert f"ARBEES_REDIS__URL=redis://{its_redis}:6379/0" in services()[name]["environment"]


@pytest.mark.parametrize("name", ["redis", "demo-redis"])
def test_redis_keeps_nothing_and_evicts_nothing(name: str) -> None:
    command = " ".join(services()[name]["command"])
    assert "--save  --appendonly no" in command
    assert "--maxmemory-policy noeviction" in command


def test_simulated_venues_start_only_when_asked_for() -> None:
    started = [name for name, service in services().items() if "profiles" not in service]
    assert sorted(started) == ["feed", "redis"]
    of_demo = [name for name, service in services().items() if service.get("profiles") == ["demo"]]
    assert sorted(of_demo) == sorted((*DEMO, "demo-redis"))


def test_the_demo_shares_nothing_with_the_live_feed() -> None:
    """Neither does it need anything live, so it can be started alone by its name."""
    names_of_demo = {*DEMO, "demo-redis"}
    used = {name: {v.split(":")[0] for v in s.get("volumes", ())} for name, s in services().items()}
    for name in names_of_demo:
        service = services()[name]
        assert set(service.get("depends_on", {})) <= names_of_demo
        assert used[name] & used["feed"] == set()
        urls = re.findall(r"://([\w-]+)", str([service.get("environment"), service.get("command")]))
        assert set(urls) <= names_of_demo


def test_what_the_demo_runs_is_mounted_and_read_only() -> None:
    for name in ("sim", "demo-shard"):
        service = services()[name]
        assert "./examples:/opt/examples:ro" in service["volumes"]
        assert service["environment"] == ["PYTHONPATH=/opt/examples"]
        module = service["entrypoint"][-1].replace(".", "/")
        path = ROOT / "examples" / module
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def test_volumes_are_declared_and_used() -> None:
    document = yaml.safe_load((ROOT / COMPOSE[0]).read_text())
    mounts = [v.split(":")[0] for s in services().values() for v in s.get("volumes", ())]
    assert {name for name in mounts if not name.startswith("./")} == set(document["volumes"])


def test_every_setting_can_be_given_to_the_container() -> None:
    """A key that compose does not pass on would be ignored in silence."""
    passed = names(services()["feed"]["environment"])
    assert sorted(passed) == sorted(set(passed))
    of_pairs = names(services()["pairs"]["environment"])
    assert set(of_pairs) <= variables()
    passed += [name for name in of_pairs if name.startswith("ARBEES_PAIRS__")]
    # Without the endpoint there is no health.
    wanted = variables() - {"ARBEES_HTTP__ENABLED"}
    assert wanted - set(passed) == set(), "add these to `environment` in docker-compose.yml"
    assert set(passed) - wanted == set(), "these are no settings"


def test_compose_sets_nothing_that_the_daemon_does_not_know() -> None:
    assert set(names(services()["demo"]["environment"])) <= variables()


def test_env_example_names_real_variables() -> None:
    text = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^#([A-Z][A-Z0-9_]+)=", text, re.MULTILINE))
    of_compose = set(re.findall(r"\$\{(\w+)", "".join((ROOT / f).read_text() for f in COMPOSE)))
    assert named <= variables() | of_compose
    assert of_compose <= named


def test_incidents_go_to_a_volume_that_any_user_of_the_container_can_write_to() -> None:
    (folder,) = re.findall(
        r"^#ARBEES_INCIDENTS__DIR=(.+)$", (ROOT / ".env.example").read_text(), re.MULTILINE
    )
    assert f"incidents:{folder}" in services()["feed"]["volumes"]
    made = " ".join(rest for word, rest in instructions() if word == "RUN")
    assert re.search(rf"--mode 777 {folder}\b", made)


def test_the_image_runs_as_nobody_in_particular() -> None:
    final = [word for word, _ in instructions()]
    done = dict(instructions())
    assert done["USER"] == "10001:10001"
    assert done["STOPSIGNAL"] == "SIGTERM"
    assert done["ENTRYPOINT"] == '["arbees-feed"]'
    assert done["CMD"] == '["run"]'
    assert "arbees_feed.ops.probe" in done["HEALTHCHECK"]
    assert final.index("USER") > final.index("RUN")


def test_the_image_is_made_from_the_lock() -> None:
    installs = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    assert installs
    assert all("--no-deps" in rest for rest in installs)
    assert "--require-hashes" in installs[0]


def test_the_image_is_built_from_named_files_only() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in allowed)


@pytest.mark.parametrize("name", LOCKS)
def test_locks_name_versions_and_hashes_and_no_server(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "index-url" not in text
    blocks = re.split(r"\n(?=\S)", text)
    pinned = [block for block in blocks if not block.startswith("#")]
    assert pinned
    for block in pinned:
        assert re.match(r"[\w.-]+==\S+", block), block.splitlines()[0]
        assert "--hash=sha256:" in block


def test_the_locks_agree_with_each_other_and_with_the_project() -> None:
    runtime, dev = (pins(name) for name in LOCKS[:2])
    assert runtime.items() <= dev.items()
    project = (ROOT / "pyproject.toml").read_text()
    wanted = re.search(r"\ndependencies = \[(.*?)\n\]", project, re.DOTALL)
    assert wanted is not None
    for name in re.findall(r'^\s*"([\w-]+)', wanted.group(1), re.MULTILINE):
        assert name in runtime, f"{name} is not locked: make lock"


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))
