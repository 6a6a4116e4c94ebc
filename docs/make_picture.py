"""Draw docs/images/status.svg: what `stressnet status` shows of a live net when late nodes have begun to sync.

    stressnet up topologies/quickstart.yaml --set nodes.late.start.height=30 \\
        --set defaults.config.chain.payload=256KiB && python docs/make_picture.py quickstart
"""

from __future__ import annotations

import asyncio
import io
import re
import sys
import time
from contextlib import aclosing
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from stressnet.cli.table import summary, table
from stressnet.engine.choose import live_backend
from stressnet.engine.plans import plan_of
from stressnet.engine.status import NetStatus, watch
from stressnet.engine.up import is_late

PICTURE = Path(__file__).parent / "images" / "status.svg"
_WIDTH = 92
_PATIENCE_S = 60.0
_BEHIND = 3
"""A node this many blocks behind is worth a picture."""


def draw(net: NetStatus) -> str:
    """Return the table as SVG; it names only fonts that the reader's machine has."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(summary(net))
    console.print()
    console.print(table(net))
    own_fonts = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    plain = re.sub(r"\s*<!--.*?-->", "", own_fonts).replace("Fira Code", "ui-monospace")
    return console.export_svg(title=f"stressnet status {net.net}", code_format=plain, unique_id="status")


async def main(name: str) -> None:
    """Look until a late node catches up, and draw that; where none is seen to, draw the last look."""
    found, backend = live_backend(name)
    plan = await plan_of(found, backend)
    late = {node.name for node in plan.nodes if is_late(node)}
    deadline = time.monotonic() + _PATIENCE_S
    async with aclosing(watch(plan, backend, 0.05)) as states:
        async for status in states:
            joined = any(node.node in late and (node.lag or 0) >= _BEHIND for node in status.nodes)
            if joined or time.monotonic() > deadline:
                break
    PICTURE.write_text(draw(status) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
