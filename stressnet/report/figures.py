"""What was measured of a fault, in words: each figure beside what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stressnet.spec.fault import FORMATS


def achieved(found: Mapping[str, Any]) -> str:
    """Say what was measured, each figure beside what was asked; while it is over, only what has not gone with it."""
    after = found.get("after")
    if after:
        left = [figure(one) for one in after["figures"] if not one["holds"]]
        return "still: " + "; ".join(left) if left else "gone" if after["figures"] else "–"
    if found.get("failed"):
        words = "; ".join(f"{node}: {why}" for node, why in found["failed"].items())
        return words if found.get("figures") else f"still: {words}"
    if found.get("not_measured"):
        return f"not measured: {found['not_measured']}"
    shown = [one for one in found.get("figures", ()) if not one["holds"]] or found.get("figures", ())[:1]
    return "; ".join(map(figure, shown)) or "–"


def figure(one: Mapping[str, Any]) -> str:
    """Say what one figure was found to be, and what was asked."""
    if one["unit"] == "count":
        return f"{one['name']} {one['found']:.0f} of {one['of']}"
    form = FORMATS[one["unit"]]
    asked = f"asked {form(one['asked'])}" if one["asked"] or one["unit"] != "rate" else "no limit asked"
    more = one["how"] or (f"{one['of']} packets" if one["unit"] == "share" else "")
    found = one["found"] if one["found"] == one["asked"] else _shown(one["found"])
    return f"{one['name']} {form(found)}, {asked}" + (f" ({more})" if more else "")


def _shown(found: float) -> float:
    """Four digits say all that a measurement knows."""
    return float(f"{found:.4g}")
