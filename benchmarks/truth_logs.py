"""Records with logs of which it is known how many of their lines match: for `log`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

from benchmarks.truth_records import Case, Filed, some_net
from stressnet.making import END, Making
from stressnet.record import runs

_PATTERN = r"^(panic:|fatal error: )"
_USUAL = (
    b"INFO imported block %d",
    b"DEBUG peers=%d",
    b'{"level":"warn","msg":"slow request","ms":%d}',
    "INFO Größe %d, höher".encode(),
    b"",
)
_ALIKE = (
    b"recovered from panic: index %d",
    b" panic: %d, quoted",
    b"panic %d",
    b"Panic: %d",
    b"panics: %d",
    b"fatal errors: %d",
    b"fatal error:%d",
    b'{"msg":"panic: %d"}',
    b"no fatal error: %d blocks",
    b"\xff\xfe panic: %d",
)
_MATCHING = (
    b"panic: runtime error, goroutine %d",
    b"fatal error: all goroutines are asleep (%d)",
    b"panic:%d",
)


def _lines(random: Random, alike: bool) -> list[bytes]:
    kinds = (*_USUAL, *_ALIKE) if alike else _USUAL
    return [_line(random, kinds) for _ in range(random.randint(0, 400))]


def _line(random: Random, kinds: tuple[bytes, ...]) -> bytes:
    form = random.choice(kinds)
    return form % random.randint(0, 9999) if b"%d" in form else form


def _logged(
    random: Random,
    matching: int = 0,
    *,
    sizes: tuple[int, ...] = (1, 4, 8),
    among: slice = slice(None),
    alike: bool = True,
    odd: bool = False,
) -> Filed:
    """So many lines match, in the logs of some of these nodes; `odd`: line ends, bytes and places of all sorts."""
    made = some_net(random, sizes)
    made.event(END + 1, "collected")
    logs = {name: _lines(random, alike) for name in made.looks}
    for _ in range(matching):
        log = logs[random.choice(list(logs)[among])]
        place = random.choice((0, len(log))) if odd else random.randint(0, len(log))
        rest = (
            random.choice((b"\xff\xc3 \x00", b" " + b"x" * 100_000, b"\x1b[0m", b"\x0b \xe2\x80\xa8"))
            if odd
            else b""
        )
        log.insert(place, _line(random, _MATCHING) + rest)
    for name, log in logs.items():
        end = random.choice((b"\n", b"\r\n")) if odd else b"\n"
        last = b"" if odd and random.random() < 0.5 else end
        made.files[f"{runs.LOGS}/{name}.log"] = end.join(log) + (last if log else b"")
    return made


def _some(random: Random, least: int, most: int, **how: object) -> Making:
    return _logged(random, random.randint(least, most), **how)  # type: ignore[arg-type]


def _cut(random: Random, matching: int, *, kept: bool) -> Making:
    """Of one log the first part was not kept; what matches is in its rest, or was before it."""
    made = _logged(random)
    name = random.choice(list(made.looks))
    file = f"{runs.LOGS}/{name}.log"
    found = b"".join(_line(random, _MATCHING) + b"\n" for _ in range(matching))
    whole = made.files[file]
    if kept:
        made.files[file] = whole + found if random.random() < 0.5 else found + whole
    size = random.randint(1 << 20, 1 << 30)
    made.event(END + 0.5, "log cut", node=name, bytes=size, kept=len(made.files[file]))
    return made


def _lost(random: Random) -> Making:
    """The log in which there was such a line could not be read."""
    made = _logged(random, sizes=(4, 8))
    name = random.choice(list(made.looks))
    del made.files[f"{runs.LOGS}/{name}.log"]
    made.event(END + 0.5, "log lost", node=name, why="no space left on device")
    return made


def _cases() -> Iterator[Case]:
    none = {"pattern": _PATTERN}
    few, enough = {**none, "at_most": 5}, {**none, "at_least": 3}
    first = {**none, "of": "n-1"}
    others = slice(1, None)
    yield Case("log", "nothing alike", "pass", partial(_logged, alike=False), none)
    yield Case("log", "lines that resemble it", "pass", _logged, none)
    yield Case(
        "log",
        "on nodes that are not asked",
        "pass",
        partial(_some, least=1, most=9, sizes=(4, 8), among=others),
        first,
    )
    yield Case("log", "as many as may be", "pass", partial(_some, least=0, most=5), few)
    yield Case("log", "enough", "pass", partial(_some, least=3, most=9, odd=True), enough)
    yield Case("log", "enough, a log was cut", "pass", lambda random: _cut(random, 3, kept=True), enough)
    yield Case("log", "one line", "fail", partial(_logged, matching=1), none)
    yield Case("log", "one line, odd bytes and ends", "fail", partial(_logged, matching=1, odd=True), none)
    yield Case("log", "more than may be", "fail", partial(_some, least=6, most=12), few)
    yield Case("log", "too few", "fail", partial(_some, least=0, most=2), enough)
    yield Case("log", "one line, a log was cut", "fail", lambda random: _cut(random, 1, kept=True), none)
    yield Case(
        "log", "a line that was cut away", "not pass", lambda random: _cut(random, 1, kept=False), none
    )
    yield Case("log", "a log that was lost", "not pass", _lost, none)


CASES = tuple(_cases())
