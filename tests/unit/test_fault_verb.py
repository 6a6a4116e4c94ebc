"""`stressnet fault` refuses what is wrong before it looks for a net, and lists what it can do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_topology_verbs import run

from stressnet.faults.kinds import KINDS


def test_kinds_are_listed_with_parameters_and_whether_they_work_here() -> None:
    facts = json.loads(run("fault", "kinds", "--kind", "generic", "--json").stdout)
    assert [one["name"] for one in facts] == list(KINDS)
    assert {one["here"] for one in facts} <= {"yes", "by relay", "no", "not tried"}
    assert next(one for one in facts if one["name"] == "pause")["here"] == "yes"
    shown = run("fault", "kinds").stdout
    assert "latency=80ms [jitter=0s] [toxicity=100%]" in shown


def test_kinds_of_nodes_add_what_they_declare() -> None:
    facts = json.loads(run("fault", "kinds", "--kind", "syncnode", "--json").stdout)
    declared = {one["name"]: one for one in facts if one["layer"] == "protocol"}
    assert declared.keys() == {
        "stream_error", "reset_mid_frame", "truncate_frame", "clean_close", "wrong_block_count", "wrong_hash",
        "delay_reply", "empty_hashes", "discovery_interval",
    }  # fmt: skip
    assert all(one["here"] == "yes" for one in declared.values())
    refused = run("fault", "kinds", "--kind", "syncnod")
    assert refused.returncode == 254
    assert "did you mean 'syncnode'?" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add",), "Missing argument 'KIND'"),
        (("add", "drop", "--for", "60"), "60 has no unit"),
        (("add", "drop", "--for", "0s"), "--for 0s is no time"),
        (("add", "drop", "--between", "a"), "requires 2 arguments"),
        (("heal",), "or --all"),
        (("heal", "f1", "--all"), "or --all"),
        (("add", "drop"), "no net is up"),
    ],
)
def test_what_is_wrong_is_said_in_words(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """Whatever is wrong, it is exit code 254 and no traceback."""
    nowhere = {"XDG_STATE_HOME": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/no-engine"}
    done = run("fault", *arguments, **nowhere)
    assert done.returncode == 254
    assert said in done.stderr
    assert "Traceback" not in done.stderr
