"""A kind of one's own, with a script that makes keys and genesis, is the same on both backends."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from contract.nets import IMAGE, Quiet, live, log, plan_text, until

from stressnet.engine.reconcile import reconcile
from stressnet.errors import StageError, UsageError
from stressnet.state import net_directory

pytestmark = pytest.mark.usefixtures("state_home")

KIND = f"""\
name: chain
image: {IMAGE}
env: {{PERIOD: "2"}}
command: [python3, -uc, "print(open('peers.txt').read()); import time; time.sleep(600)"]
ports: {{p2p: 30303/tcp}}
prepare:
  command: [python3, "{{kind_dir}}/make.py", "{{prepare_dir}}", "{{addresses}}", "{{env:PERIOD}}"]
  per_node: "n{{kind_index}}"
files:
  peers.txt:
    template: "{{name}} {{prepared:keys/id}} knows {{knows_prepared:keys/id}} {{env:PERIOD}} {{prepared:genesis}}"
"""

MAKE = """\
import sys
from pathlib import Path
output, addresses, period = sys.argv[1:]
for index, address in enumerate(addresses.split(',')):
    folder = Path(output) / f'n{index}'
    (folder / 'keys').mkdir(parents=True)
    (folder / 'keys' / 'id').write_text(f'key{index}@{address}\\n')
    (folder / 'genesis').write_text(f'period={period}')
"""

NET = """\
name: contract-kinds
subnet: 198.19.60.0/24
defaults: {kind: chain, env: {PERIOD: "7"}}
nodes: {a: {}, b: {}, c: {}}
links: line
"""


def make_kind(folder: Path, script: str) -> Path:
    """Write the kind with its script beside it."""
    kind = folder / "kinds" / "chain"
    kind.mkdir(parents=True)
    (kind / "kind.yaml").write_text(KIND)
    (kind / "make.py").write_text(script)
    return folder / "kinds"


def test_nodes_know_each_other_by_what_was_prepared(backend: str, tmp_path: Path) -> None:
    """A script of the kind's folder makes identities; the files of others have them, and the net's own period."""
    plan = plan_text(tmp_path, NET, backend, kinds=[make_kind(tmp_path, MAKE)])

    async def story() -> list[str]:
        async with live(plan) as net:
            return [(await until(lambda name=name: log(net, name)))[0] for name in "abc"]

    ids = [f"key{index}@198.19.60.{index + 2}" for index in range(3)]
    assert asyncio.run(story()) == [
        f"a {ids[0]} knows {ids[1]} 7 period=7",
        f"b {ids[1]} knows {ids[0]},{ids[2]} 7 period=7",
        f"c {ids[2]} knows {ids[1]} 7 period=7",
    ]


def test_a_preparation_that_leaves_out_a_file_is_told_of(backend: str, tmp_path: Path) -> None:
    """`up` fails with the kind, the file and the node, and removes what it had made."""
    script = MAKE.replace("(folder / 'keys' / 'id')", "(folder / 'keys' / 'key')")
    plan = plan_text(tmp_path, NET, backend, kinds=[make_kind(tmp_path, script)])

    async def story() -> None:
        async with live(plan):
            pass

    with pytest.raises(StageError, match="kind 'chain' left no file 'keys/id' for node 'a'"):
        asyncio.run(story())


def test_what_was_prepared_elsewhere_is_not_made_again(backend: str, tmp_path: Path) -> None:
    """A changed node would get keys and a first block that nobody else has: it is refused, and goes on."""
    kinds = [make_kind(tmp_path, MAKE)]
    plan = plan_text(tmp_path, NET, backend, kinds=kinds)
    other = plan_text(tmp_path, NET.replace("a: {}", "a: {env: {MORE: x}}"), backend, kinds=kinds)

    async def story() -> list[str]:
        async with live(plan) as net:
            shutil.rmtree(net_directory(plan.net) / "prepare")
            with pytest.raises(UsageError, match="kind 'chain' prepared for 'a' is not on this machine"):
                await reconcile(other, net, Quiet())
            return await until(lambda: log(net, "a"))

    assert len(asyncio.run(story())) == 1
