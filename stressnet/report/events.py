"""Events of a run's journal in words: for the terminal while it goes on, and for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stressnet.report.figures import achieved


def event_words(event: Mapping[str, Any]) -> str:
    """Return what an event says to whoever watches; nothing where it is of no interest while a run goes on."""
    name = event["event"]
    if name == "fault on":
        return f"on    {event['step']}: {event['fault']['asked']}"
    if name == "fault over":
        return f"over  {event.get('step', event['id'])}" if event["by"] != "itself" else ""
    if name == "mark":
        return f"mark  {event['text']}"
    if name in ("step missed", "step failed"):
        return f"{name.removeprefix('step ')}  {event['step']}: {event['why']}"
    if name == "breach":
        return f"fail  {event['check']}: {event['summary']}"
    if name == "stopped":
        return f"stopped: {event['why']}"
    if name in ("load on", "load over"):
        return f"{name}  {event['step']}"
    return ""


def event_text(event: Mapping[str, Any]) -> str:
    """Return all that an event says, without its name and time."""
    name = event["event"]
    if name == "phase":
        return str(event["phase"])
    if name == "step":
        return f"{event['step']}: {event['action']}, due at {event['asked_s']:g} s, {event['drift_s'] * 1e3:+.0f} ms"
    if name == "fault on":
        notes = "".join(f"; {note}" for note in event["notes"])
        return f"{event['id']} {event['step']}: {event['fault']['asked']}{notes}"
    if name == "fault seen":
        return f"{event['id']} {event['state']}: {achieved(event['achieved'])}"
    if name == "fault over":
        by = {
            "time": "by its time",
            "plan": "healed by the plan",
            "end": "healed at the end",
            "itself": "at once",
        }
        gone = f", and gone before: {_short(event['missing'])}" if event.get("missing") else ""
        return f"{event['id']} {by.get(event['by'], 'ended by another')}{gone}"
    particulars = {key: value for key, value in event.items() if key not in ("event", "time", "monotonic")}
    return ", ".join(f"{key}: {_short(value)}" for key, value in particulars.items())


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
