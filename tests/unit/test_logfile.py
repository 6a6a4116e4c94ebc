"""The log of a node on netns: cut from the front, read from either end, followed across a cut."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from contract.nets import until
from hypothesis import given
from hypothesis import strategies as st

from stressnet.agent import logfile

PART = 40 * 4096


async def _read(path: Path, tail: int | None, since: int) -> list[bytes]:
    return [line async for line in logfile.lines(path, follow=False, tail=tail, since=since)]


def read(path: Path, tail: int | None = None, since: int = 0) -> list[bytes]:
    return asyncio.run(_read(path, tail, since))


def numbered(count: int, first: int = 0) -> bytes:
    return b"".join(b"%09d\n" % number for number in range(first, first + count))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "n.log"


def test_a_log_that_is_not_there_has_no_lines(log: Path) -> None:
    """A node that has not started wrote nothing."""
    assert read(log) == read(log, 3) == []


def test_a_log_is_read_from_where_it_ended_before(log: Path) -> None:
    """What was written before that place is left out, also where fewer lines are asked for than follow."""
    log.write_bytes(b"old\nolder\n")
    end = log.stat().st_size
    assert read(log, since=end) == []
    log.write_bytes(b"old\nolder\nnew\nnewer\n")
    assert read(log, since=end) == read(log, 3, since=end) == [b"new", b"newer"]
    assert read(log, 1, since=end) == [b"newer"]


@given(text=st.binary(max_size=300), tail=st.integers(0, 20), chunk=st.integers(1, 50))
def test_the_last_lines_are_those_of_all(
    tmp_path_factory: pytest.TempPathFactory, text: bytes, tail: int, chunk: int
) -> None:
    """Read from the end, in pieces of any size, they are the same as counted from the front."""
    path = tmp_path_factory.mktemp("log") / "n.log"
    path.write_bytes(text)
    everything = text.split(b"\n")
    everything = everything if everything[-1] else everything[:-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logfile, "_CHUNK", chunk)
        assert read(path) == everything
        assert read(path, tail) == everything[len(everything) - min(tail, len(everything)) :]


def test_a_tail_does_not_read_the_whole_log(log: Path) -> None:
    """Of 30 MB only the end is read, as the kernel counts."""
    log.write_bytes(numbered(3_000_000))
    before = bytes_read()
    assert read(log, 3) == numbered(3, 2_999_997).splitlines()
    assert bytes_read() - before < 5_000_000


def bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


def test_a_log_keeps_its_last_part(log: Path) -> None:
    """What is older gives its space back; what is left begins with a whole line."""
    written = b"odd\n" + numbered(3 * PART // 10)
    log.write_bytes(written)
    logfile.trim(log, PART)
    assert log.stat().st_blocks * 512 < 1.5 * PART
    left = read(log)
    assert left == written.splitlines()[-len(left) :]
    assert PART - 20 < 10 * len(left) < PART + 4096
    assert read(log, 10**9) == left


def test_a_log_below_its_limit_is_left_alone(log: Path) -> None:
    """Nothing is lost before there is too much."""
    log.write_bytes(numbered((logfile.PARTS * PART - 10) // 10))
    logfile.trim(log, PART)
    assert len(read(log)) == (logfile.PARTS * PART - 10) // 10


def test_a_log_is_cut_again_and_again(log: Path) -> None:
    """The limit counts what is on the disk, not what once was."""
    for part in range(9):
        with log.open("ab") as file:
            file.write(numbered(PART // 10, part * PART // 10))
        logfile.trim(log, PART)
        assert log.stat().st_blocks * 512 <= logfile.PARTS * PART + 4096
    assert read(log)[-1] == b"%09d" % (9 * PART // 10 - 1)
    assert len(read(log)) * 10 > 0.9 * PART


def test_a_reader_goes_on_across_a_cut(log: Path) -> None:
    """What it had not read and is gone is passed over up to a whole line; all that was left comes, once."""
    log.write_bytes(numbered(10))
    got: list[bytes] = []

    async def follow() -> None:
        async for line in logfile.lines(log, follow=True, tail=None):
            got.append(line)
            if len(got) == 10:  # the rest comes while this reader is away
                with log.open("ab") as file:
                    file.write(numbered(3 * PART // 10, 10))
                logfile.trim(log, PART)

    async def story() -> None:
        async def all_read() -> bool:
            return got[-1:] == [b"%09d" % (3 * PART // 10 + 9)]

        following = asyncio.create_task(follow())
        await until(all_read)
        with log.open("ab") as file:
            file.write(b"half")
        await asyncio.sleep(0.5)
        with log.open("ab") as file:
            file.write(b" a line\nno end")
        log.unlink()
        await asyncio.wait_for(following, 10)

    asyncio.run(story())
    assert got[:10] == numbered(10).splitlines()
    assert got[-2:] == [b"half a line", b"no end"]
    later = [int(line) for line in got[10:-2]]
    assert later == list(range(later[0], 3 * PART // 10 + 10))
    assert 10 * len(later) > PART - 20
