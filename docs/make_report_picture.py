"""Draw docs/images/report.png: the upper part of a run's report, as Chromium shows it.

stressnet run stuck-after-cut && python docs/make_report_picture.py runs/stuck-after-cut/latest
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from stressnet.engine.recheck import recheck
from stressnet.record.record import Record
from stressnet.report.html import render
from stressnet.report.of_record import page_of

PICTURE = Path(__file__).parent / "images" / "report.png"
_SIZE, _SCALE = "900,772", 1.25
"""To the end of the first chart, and below 150 kB."""
_SHOWN = ("about", "backend", "seed", "time scale", "settle", "baseline", "timeline", "observe")
"""Of the facts at the top: what is not of the machine that drew it."""


def draw(record: Record, picture: Path) -> None:
    """Write the report's picture."""
    whole = page_of(record, recheck(record))
    page = replace(whole, asked=tuple(fact for fact in whole.asked if fact[0] in _SHOWN))
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        file.write_text(render(page), encoding="utf-8")
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-lcd-text")
        look = (
            f"--window-size={_SIZE}",
            f"--force-device-scale-factor={_SCALE}",
            f"--screenshot={picture}",
        )
        subprocess.run([chromium, *flags, f"--user-data-dir={folder}/own", *look, file.as_uri()], check=True)


if __name__ == "__main__":
    draw(Record(Path(sys.argv[1])), PICTURE)
