"""Say before a net is made what may mislead of it, such as limits that this machine cannot hold."""

from __future__ import annotations

from stressnet.agent import cgroups
from stressnet.plan import Plan


def warnings(plan: Plan) -> list[str]:
    """Return what whoever brings up a net should know before, of its plan and of this machine."""
    return [*plan.warnings, *_unheld(plan)]


def _unheld(plan: Plan) -> list[str]:
    """Return a warning for the groups whose cpu or memory limits will not hold; nothing where all will."""
    limited = dict.fromkeys(node.group for node in plan.nodes if node.cpu or node.memory)
    if not limited or plan.backend != "netns" or cgroups.find() is not None:
        return []
    names = ", ".join(limited)
    return [
        f"cpu and memory limits do not hold on netns for this user (groups: {names}): see `stressnet doctor`"
    ]
