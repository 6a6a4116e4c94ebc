"""The command line as a user meets it: words, exit codes, and what is left when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from needs import require

from stressnet.backends.worlds import MODULE

COMMAND = [sys.executable, "-m", "stressnet"]
NET = "name: cli-test\nnodes:\n  validator: {kind: syncnode, count: 3}\n  late: {kind: syncnode, start: {after: 1h}}\n"
NEVER_READY = (
    "  never: {kind: generic, command: [sleep, '100'], ready: {tcp: {port: p}}, ports: {p: 1/tcp}}\n"
)


def stressnet(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **more}
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, check=False, env=env, timeout=120
    )


@pytest.fixture
def topology(tmp_path: Path, state_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    require("netns")
    # Nets that others have on this machine's engine would make "the only net" ambiguous.
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    file = tmp_path / "cli-test.yaml"
    file.write_text(NET)
    return file


@pytest.fixture
def net(topology: Path) -> Iterator[Path]:
    """A live net on netns."""
    up = stressnet("up", str(topology), "--backend", "netns")
    assert up.returncode == 0, up.stderr
    yield topology
    stressnet("down", "cli-test")


def test_status_shows_every_node(net: Path) -> None:
    """The table has a row a node, and says what a late one waits for."""
    shown = stressnet("status")
    assert "validator-3" in shown.stdout
    assert "1 waiting" in shown.stdout
    assert "starts 3600 s after the net" in shown.stdout


def test_facts_are_json_where_asked(net: Path) -> None:
    """status, ls, plan and doctor print one JSON document."""
    facts = json.loads(stressnet("status", "--json").stdout)
    assert [node["state"] for node in facts["nodes"]] == ["ready"] * 3 + ["waiting"]
    assert json.loads(stressnet("ls", "--json").stdout)[0]["name"] == "cli-test"
    assert json.loads(stressnet("plan", str(net), "--backend", "netns", "--json").stdout)["net"] == "cli-test"
    assert {finding["name"] for finding in json.loads(stressnet("doctor", "--json").stdout)} >= {
        "namespaces",
        "cgroups",
    }


def test_status_until_gives_up_with_exit_code_1(net: Path) -> None:
    """A net whose late node never comes is not `ready` in time."""
    answer = stressnet("status", "--until", "ready", "--timeout", "1s")
    assert answer.returncode == 1
    assert "not ready after 1s" in answer.stderr


def test_logs_of_several_nodes_carry_their_names(net: Path) -> None:
    """Lines of nodes chosen by a pattern are told apart."""
    lines = stressnet("logs", "validator-*", "--tail", "1").stdout.splitlines()
    assert [line.split(" | ")[0] for line in lines] == ["validator-1", "validator-2", "validator-3"]


def test_logs_are_followed(net: Path) -> None:
    """`logs -f` prints what is written later."""
    follow = subprocess.Popen(
        [*COMMAND, "logs", "-f", "validator-1", "--tail", "0"], stdout=subprocess.PIPE, text=True
    )
    log = Path(os.environ["XDG_STATE_HOME"]) / "stressnet/nets/cli-test/logs/validator-1.log"
    seen = threading.Event()

    def write_now_and_then() -> None:
        while not seen.wait(0.2):  # it may take its time until it follows
            with log.open("a") as file:
                file.write("written later\n")

    writer = threading.Thread(target=write_now_and_then)
    writer.start()
    try:
        assert follow.stdout is not None
        assert any("written later" in line for line in iter(follow.stdout.readline, ""))
    finally:
        seen.set()
        writer.join()
        follow.kill()
        follow.communicate()


def test_forward_opens_a_port_by_name(net: Path) -> None:
    """The metrics of a node are read with an ordinary client at the printed address."""
    forward = subprocess.Popen(
        [*COMMAND, "forward", "validator-1", "metrics"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert forward.stdout is not None
        address = forward.stdout.readline().split(" is at ")[1].split()[0]
        with urlopen(f"{address}/metrics", timeout=10) as answer:
            assert b"hmy_" in answer.read()
    finally:
        forward.send_signal(signal.SIGINT)
        forward.communicate(timeout=10)


def test_an_unknown_node_is_named_with_its_neighbour(net: Path) -> None:
    """A slip of the pen gets the nearest name."""
    answer = stressnet("logs", "validator-9")
    assert answer.returncode == 254
    assert "did you mean 'validator-" in answer.stderr


def test_up_of_a_net_that_is_up_says_what_can_be_done(net: Path) -> None:
    """Nothing is changed, and three ways on are shown."""
    answer = stressnet("up", str(net), "--backend", "netns")
    assert answer.returncode == 254
    assert "is up already" in answer.stderr
    for way in ("--reconcile", "--replace", "stressnet down"):
        assert way in answer.stderr


def test_reconcile_touches_only_what_differs(net: Path) -> None:
    """A node that is added starts; one that is gone from the file is removed; the others go on."""
    before = {
        node["node"]: node["age_s"] for node in json.loads(stressnet("status", "--json").stdout)["nodes"]
    }
    net.write_text(NET.replace("late: {kind: syncnode, start: {after: 1h}}", "more: {kind: syncnode}"))
    answer = stressnet("up", str(net), "--backend", "netns", "--reconcile", "--json")
    changes = json.loads(answer.stdout)
    assert (changes["missing"], changes["gone"]) == (["more"], ["late"])
    after = {
        node["node"]: node["age_s"] for node in json.loads(stressnet("status", "--json").stdout)["nodes"]
    }
    unchanged = set(before) - set(changes["changed"]) - {"late"}
    assert all(after[name] > before[name] for name in unchanged)
    assert set(after) == {"validator-1", "validator-2", "validator-3", "more"}


def test_replace_starts_afresh(net: Path) -> None:
    """`--replace` removes the net first."""
    assert stressnet("up", str(net), "--backend", "netns", "--replace").returncode == 0
    ages = [
        node["age_s"] for node in json.loads(stressnet("status", "--json").stdout)["nodes"] if node["age_s"]
    ]
    assert max(ages) < 10


@pytest.mark.parametrize("moment_s", [0.0, 0.1, 0.2, 0.5])
def test_ctrl_c_undoes(topology: Path, state_home: Path, moment_s: float) -> None:
    """`up` that is interrupted leaves nothing, and exits with 130, whenever it is after it has begun to work."""
    topology.write_text(NET + NEVER_READY)
    up = subprocess.Popen(
        [*COMMAND, "up", str(topology), "--backend", "netns"], stderr=subprocess.PIPE, text=True
    )
    while not (state_home / "stressnet" / "locks" / "cli-test").exists():
        assert up.poll() is None
    time.sleep(moment_s)
    up.send_signal(signal.SIGINT)
    _, said = up.communicate(timeout=30)
    assert up.returncode == 130, said
    assert "Traceback" not in said
    assert json.loads(stressnet("ls", "--json").stdout) == []


def test_a_net_that_ends_before_it_is_up_is_told_as_what_it_is(topology: Path) -> None:
    """Not as one that is not there."""
    topology.write_text(NET + NEVER_READY)
    done = stressnet("up", str(topology), "--backend", "netns", "--ttl", "2s")
    assert done.returncode == 255
    assert "came to the end of its time to live, 2s, before it was up" in done.stderr
    assert json.loads(stressnet("ls", "--json").stdout) == []


def test_ctrl_c_ends_a_world_that_is_just_being_made(topology: Path, state_home: Path) -> None:
    """What has been started for the net is over when `up` is: nothing may come to be after it has cleaned up."""
    up = subprocess.Popen([*COMMAND, "up", str(topology), "--backend", "netns"], stderr=subprocess.PIPE)
    while not _making(state_home):
        assert up.poll() is None
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=30)
    assert up.returncode == 130
    assert _making(state_home) == []


def _making(state_home: Path) -> list[str]:
    """The processes that make a world below this folder, or are in it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            continue
        if MODULE in words and str(state_home) in words:
            found.append(pid)
    return found


def test_wrong_words_exit_with_254_and_the_nearest_verb() -> None:
    """A verb that is not there is answered with the one that was meant."""
    answer = stressnet("stauts")
    assert answer.returncode == 254
    assert "Did you mean 'status'?" in answer.stderr


def test_a_missing_topology_is_an_error_in_words(tmp_path: Path, state_home: Path) -> None:
    """No traceback, exit code 254, nothing left behind."""
    answer = stressnet("up", str(tmp_path / "nowhere.yaml"))
    assert answer.returncode == 254
    assert "nowhere.yaml" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_options_come_from_the_environment(topology: Path) -> None:
    """STRESSNET_PLAN_SEED stands for `plan --seed`."""
    plan = stressnet(
        "plan", str(topology), "--json", STRESSNET_PLAN_SEED="42", STRESSNET_PLAN_BACKEND="netns"
    )
    assert json.loads(plan.stdout)["seed"] == 42


def test_exec_ends_with_the_exit_code_of_its_command(net: Path) -> None:
    """What a script asks of a node is answered to the script."""
    answer = stressnet("exec", "validator-1", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (answer.returncode, answer.stdout, answer.stderr) == (7, "out\n", "err\n")


def test_what_is_no_name_of_a_net_is_refused(tmp_path: Path, state_home: Path) -> None:
    """A path in place of a name touches nothing."""
    precious = tmp_path / "precious"
    precious.mkdir()
    for name in (str(precious), "..", "../nets", "", "x" * 300):
        assert stressnet("down", "--data", name, DOCKER_HOST="unix:///nowhere.sock").returncode == 254
    assert precious.is_dir()


def test_an_interrupted_exec_leaves_nothing_running(net: Path) -> None:
    """Ctrl-C ends the command in the node too."""
    command = [*COMMAND, "exec", "validator-1", "sleep", "7777"]
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    time.sleep(1.5)
    running.send_signal(signal.SIGINT)
    assert running.wait(10) == 130
    time.sleep(0.5)
    inside = stressnet("exec", "validator-1", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "sleep 7777" not in inside.stdout
