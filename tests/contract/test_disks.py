"""Disks of nodes: of their own size, full while a fault says so, the same on every backend, and gone with the net."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from contract.nets import (
    IMAGE,
    Quiet,
    live,
    log,
    plan_text,
    python_nodes,
    replace_agent,
    until,
)
from needs import require

from stressnet.backends.base import Backend
from stressnet.engine.choose import backend_for
from stressnet.engine.faults import Wish, add, heal, standing
from stressnet.engine.reconcile import reconcile
from stressnet.errors import AgentError, InputError, StageError
from stressnet.plan import Plan
from stressnet.spec.targets import Targets
from stressnet.state import net_directory

pytestmark = pytest.mark.usefixtures("state_home")

MIB = 2**20
FIRST = "a" * 5000
FILL = """
import errno, os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
with open('starts', 'a') as file: file.write('x')
while True:
    try:
        with open('data', 'ab', buffering=0) as file: file.write(bytes(8192))
        print('wrote')
    except OSError as error: print(errno.errorcode[error.errno])
    time.sleep(0.02)
"""
KIND = f"""\
name: filler
image: {IMAGE}
command: [python3, -uc, {FILL!r}]
files:
  folder/first: {{template: {FIRST}}}
"""


def filler(
    folder: Path, backend: str, net: str, disk: str, *, first: str = FIRST, extra: str = "", **options: Any
) -> Plan:
    """A net of one node, `a`, whose first files are on a disk of that size, and that writes on and on."""
    kind = folder / "kinds" / "filler"
    kind.mkdir(parents=True, exist_ok=True)
    (kind / "kind.yaml").write_text(KIND.replace(FIRST, first))
    text = f"name: {net}\nnodes:\n  a: {{kind: filler, disk: {disk}{extra}}}\n"
    return plan_text(folder, text, backend, kinds=[folder / "kinds"], **options)


def last(net: Backend, word: str, node: str = "a") -> Callable[[], Awaitable[bool]]:
    """Ask whether that is what a node has said last."""

    async def question() -> bool:
        return (await log(net, node))[-1:] == [word]

    return question


async def asked(net: Backend, expression: str, node: str = "a") -> bool:
    """Tell whether an expression of Python is true in a node's place."""
    program = f"import os, sys; size = os.statvfs('.'); sys.exit(not ({expression}))"
    try:
        return await net.execute(node, ["python3", "-c", program]) == 0
    except (AgentError, LookupError):
        return False


async def put(plan: Plan, net: Backend, kind: str, *parameters: str, on: str = "a") -> str:
    fault, _ = await add(net, plan, Wish(kind, parameters, Targets(on=on)), plan.seed)
    return fault.id


async def measured(net: Backend, fault: str) -> dict[str, Any]:
    """Wait until a fault has been measured, and return its state and the figure: after it is over, that of after."""

    async def question() -> dict[str, Any] | None:
        one = next(one for one in await standing(net) if one.fault.id == fault)
        found = one.achieved.get("after", {}) if one.over else one.achieved
        return {"state": one.state, **found["figures"][0]} if found.get("figures") else None

    return dict(await until(question))


def test_a_disk_has_its_size_and_the_first_files(backend: str, tmp_path: Path) -> None:
    """A node that writes on and on gets ENOSPC at that size; its first files are there, and its own to write."""
    plan = filler(tmp_path, backend, "contract-size", "1MiB")

    async def scene() -> None:
        async with live(plan) as net:
            await until(last(net, "ENOSPC"))
            assert await asked(net, f"size.f_blocks * size.f_frsize == {MIB} and size.f_bavail == 0")
            assert await asked(net, f"{MIB} - 16384 <= os.stat('data').st_size < {MIB}")
            assert await asked(net, f"open('folder/first').read() == 'a' * {len(FIRST)}")
            assert await asked(net, "os.access('folder/first', os.W_OK)")
            assert await asked(net, "os.getcwd() == '/run/stressnet/nodes/a'")

    asyncio.run(scene())


def test_a_full_disk_takes_no_writes_until_it_is_healed(backend: str, tmp_path: Path) -> None:
    """The narrowest of several holds, what a node deletes gives it no room, and healing gives all of it back."""
    plan = filler(tmp_path, backend, "contract-full", "64MiB")

    async def scene() -> None:
        async with live(plan) as net:
            await until(last(net, "wrote"))
            wide = await put(plan, net, "disk_full", "free=256KiB")
            full = await put(plan, net, "disk_full")
            await until(last(net, "ENOSPC"))
            found = await measured(net, full)
            assert (found["state"], found["asked"], found["found"], found["holds"]) == ("on", 0, 0, True)
            assert await net.execute("a", ["rm", "data"]) == 0
            await asyncio.sleep(1.0)
            await until(last(net, "ENOSPC"))
            assert await asked(net, "os.stat('data').st_size < 2 ** 20")

            await heal(net, [full], everything=False)
            await until(last(net, "wrote"))
            after = await measured(net, full)
            assert (after["asked"], after["holds"]) == (256 * 1024, True)
            await until(last(net, "ENOSPC"))  # what was free is used up, and is not given again
            assert await asked(net, "size.f_bavail == 0 and size.f_blocks * size.f_frsize < 4 * 2 ** 20")

            await heal(net, [wide], everything=False)
            await until(last(net, "wrote"))
            after = await measured(net, wide)
            assert (after["name"], after["found"], after["holds"]) == ("size of disk", 64 * MIB, True)
            assert await asked(net, f"size.f_blocks * size.f_frsize == {64 * MIB}")

    asyncio.run(scene())


def test_data_and_fault_outlive_node_and_agent(backend: str, tmp_path: Path) -> None:
    """A node that starts again finds what it wrote, and a full disk; so does an agent that takes another's place."""
    plan = filler(tmp_path, backend, "contract-lasting", "64MiB")

    async def scene() -> None:
        async with live(plan) as net:
            restarted = await put(plan, net, "restart")
            await until(lambda: asked(net, "open('starts').read() == 'xx'"))
            await replace_agent(plan, net)
            full = await put(plan, net, "disk_full")
            assert full != restarted  # an agent gives no name twice that another has given
            await until(last(net, "ENOSPC"))
            await replace_agent(plan, net)
            assert [one.fault.id for one in await standing(net) if not one.over] == [full]
            await until(last(net, "ENOSPC"))
            assert (await measured(net, full))["found"] == 0
            killed = await put(plan, net, "kill")
            await heal(net, [killed], everything=False)
            await until(lambda: asked(net, "open('starts').read() == 'xxx'"))  # its page has room for it
            await until(last(net, "ENOSPC"))
            await replace_agent(plan, net)
            await heal(net, [], everything=True)
            await until(last(net, "wrote"))
            assert await asked(net, f"size.f_blocks * size.f_frsize == {64 * MIB}")

    asyncio.run(scene())


def test_a_node_that_begins_afresh_gets_another_disk(backend: str, tmp_path: Path) -> None:
    """It has the first files alone, and is full at once where a fault says so."""
    plan = filler(tmp_path, backend, "contract-afresh", "64MiB")

    async def scene() -> None:
        async with live(plan) as net:
            await until(lambda: asked(net, "os.stat('data').st_size > 65536"))
            await put(plan, net, "disk_full", "free=32KiB")
            await until(last(net, "ENOSPC"))
            await put(plan, net, "restart", "data=fresh")
            await until(lambda: asked(net, "open('starts').read() == 'x' and size.f_bavail == 0"))
            assert await asked(net, "os.stat('data').st_size <= 32768 and os.stat('folder/first').st_size")
            await heal(net, [], everything=True)
            await until(last(net, "wrote"))

    asyncio.run(scene())


def test_a_node_that_has_ended_goes_on_with_its_disk(backend: str, tmp_path: Path) -> None:
    """`up --reconcile` starts it again: with all that it wrote, as full as it was."""
    plan = filler(tmp_path, backend, "contract-ended", "64MiB")

    async def scene() -> None:
        async with live(plan) as net:
            await until(lambda: asked(net, "os.stat('data').st_size > 65536"))
            await put(plan, net, "disk_full")
            async with await net.connect() as agent:
                await agent.call("stop", names=["a"])
            await reconcile(plan, net, Quiet())
            await until(lambda: asked(net, "open('starts').read() == 'xx'"))
            assert await asked(net, "os.stat('data').st_size > 65536 and size.f_bavail == 0")

    asyncio.run(scene())


def test_reconcile_makes_a_disk_of_another_size(backend: str, tmp_path: Path) -> None:
    """A disk that has changed is made anew; one that was not there comes, and goes again."""
    net = "contract-other"
    plan = filler(tmp_path, backend, net, "1MiB")

    async def scene() -> None:
        async with live(plan) as running:
            for size in (2, 0, 3):
                changed = filler(tmp_path, backend, net, f"{size}MiB" if size else "null")
                await reconcile(changed, running, Quiet())
                has_it = f"size.f_blocks * size.f_frsize == {size * MIB}"
                assert await asked(running, has_it) == bool(size)
                assert await asked(running, "os.stat('folder/first').st_size")

    asyncio.run(scene())


def test_a_node_at_its_gate_has_its_disk_once(backend: str, tmp_path: Path) -> None:
    """Also where another agent finds it there."""
    plan = filler(tmp_path, backend, "contract-held", "1MiB", extra=", start: {after: 1h}")
    path = "/run/stressnet/nodes/a"

    async def scene() -> None:
        async with live(plan) as net:

            async def held() -> bool:
                async with await net.connect() as agent:
                    return (await agent.call("status"))["nodes"]["a"]["state"] == "waiting"

            for _ in range(2):
                await until(held)
                assert await asked(net, f"open('/proc/self/mountinfo').read().count(' {path} ') == 1")
                assert await asked(net, f"open('{path}/folder/first').read() == 'a' * {len(FIRST)}")
                await replace_agent(plan, net)

    asyncio.run(scene())


def test_nodes_that_change_at_their_gates_get_their_new_first_files(backend: str, tmp_path: Path) -> None:
    """A gate whose node is removed knocks again at once, while the engine is busy with the others."""
    late = ", count: 8, start: {after: 1h}"
    plan = filler(tmp_path, backend, "contract-change", "1MiB", extra=late)

    async def scene() -> None:
        async with live(plan) as net:
            changed = filler(tmp_path, backend, "contract-change", "1MiB", extra=late, first="b" * 6000)
            await reconcile(changed, net, Quiet())
            for node in plan.nodes:
                is_new = f"open('{node.directory}/folder/first').read() == 'b' * 6000"
                assert await asked(net, is_new, node.name), node.name

    asyncio.run(scene())


def test_first_files_that_do_not_fit_are_told_of(backend: str, tmp_path: Path) -> None:
    """`up` says whose they are and how much they take, and removes what it had made."""
    plan = filler(tmp_path, backend, "contract-little", "64KiB", first="a" * 70_000)

    async def scene() -> None:
        with pytest.raises(StageError, match=r"disk of a \(72KiB, and its disk has 64KiB\)"):
            async with live(plan):
                pass

    asyncio.run(scene())


def test_nodes_without_a_disk_are_refused(backend: str, tmp_path: Path) -> None:
    """All of them are named at once, and nothing is done."""
    text = python_nodes("contract-none", dict.fromkeys("abc", FILL)).replace("  b:", "  b:\n    disk: 8MiB")
    plan = plan_text(tmp_path, text, backend)

    async def scene() -> None:
        async with live(plan) as net:
            with pytest.raises(InputError) as refusal:
                await put(plan, net, "disk_full", on="all")
            assert [problem.found for problem in refusal.value.problems] == [
                "a has no disk of its own",
                "c has no disk of its own",
            ]
            await until(last(net, "wrote", "b"))
            assert await standing(net) == []

    asyncio.run(scene())


def test_a_net_with_disks_ends_by_itself(backend: str, tmp_path: Path) -> None:
    """At its time to live nothing is left, though a folder on which something is mounted cannot be removed."""
    plan = filler(tmp_path, backend, "contract-ends", "8MiB", ttl_s=6.0)

    async def scene() -> None:
        async with live(plan):

            async def gone() -> bool:
                if backend == "netns":
                    return not net_directory(plan.net).exists()
                return not _docker("ps", "-aq", "--filter", f"label=stressnet.net={plan.net}")

            await until(gone, timeout_s=40)

    asyncio.run(scene())


@pytest.mark.docker
def test_the_disk_is_that_of_the_images_user(tmp_path: Path) -> None:
    """A container that does not run as root may write to its disk, and to its first files."""
    require("docker")
    image = "stressnet-test/user:1"
    made = _docker("create", IMAGE)
    try:
        _docker("commit", "--change", "USER 4711:4712", made, image)
        plan = filler(tmp_path, "docker", "contract-user", "1MiB", extra=f", image: '{image}'")

        async def scene() -> None:
            async with live(plan) as net:
                await until(last(net, "ENOSPC"))
                assert await asked(net, "os.getuid() == 4711 and os.access('folder/first', os.W_OK)")
                assert await asked(net, "(os.stat('folder').st_uid, os.stat('.').st_gid) == (4711, 4712)")

        asyncio.run(scene())
    finally:
        _docker("rm", made)
        subprocess.run(["docker", "rmi", image], capture_output=True, check=False)


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.strip()


def test_nothing_of_a_disk_is_left_on_the_machine(backend: str, tmp_path: Path) -> None:
    """While the net is up this machine has no mount of it in its own namespace, and afterwards no folder."""
    plan = filler(tmp_path, backend, "contract-clean", "8MiB")

    async def scene() -> None:
        async with live(plan):
            own = Path("/proc/self/mountinfo").read_text()
            assert "stressnet/nodes" not in own
            assert "stressnet/disks" not in own
        assert not net_directory(plan.net).exists()
        await backend_for(backend, plan.net).destroy()  # also twice

    asyncio.run(scene())


def test_what_is_tried_hides_nothing_of_the_machine() -> None:
    """Programs may lie below the folder on which a disk is tried, and are needed afterwards."""
    require("netns")
    trial = (
        "import os, sys; from stressnet.agent.world import enter; from stressnet.agent.disks import try_out"
    )
    words = (
        f"{trial}; before = os.listdir('/tmp'); enter(); try_out(); sys.exit(before != os.listdir('/tmp'))"
    )
    subprocess.run([sys.executable, "-c", words], check=True)
