"""Whatever the documentation tells a reader to type works, page by page, in the order of the page."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from docs_pages import REPOSITORY, Block, blocks, name, pages, sort
from needs import require

from stressnet.images import relay

pytestmark = pytest.mark.timeout(
    900
)  # the first test waits until all pages have been read, and some run plans
_PATIENCE_S = 120
_READERS = 4
_TYPED = {page: [block for block in blocks(page) if block.language in ("console", "sh")] for page in pages()}
_RUN = [page for page, found in _TYPED.items() if found]


class Reader:
    """Someone who types what a page says, in a folder of their own, with a home of their own."""

    def __init__(self, folder: Path, *, docker: bool) -> None:
        self._folder = folder / "here"
        self._env = _environment(folder, docker=docker)
        self._background: list[subprocess.Popen[str]] = []
        self._folder.mkdir()
        for shared in ("topologies", "images", "faults"):
            (self._folder / shared).symlink_to(REPOSITORY / shared)

    def write_files(self, page: Path) -> None:
        """Write the page's topologies and fault plans as NAME.yaml, and its kinds as my-kinds/NAME/kind.yaml."""
        for block in blocks(page):
            if block.language != "yaml":
                continue
            content = yaml.safe_load(block.text)
            what = sort(content)
            if what == "part":
                continue
            name = content["name"]
            file = self._folder / (f"my-kinds/{name}/kind.yaml" if what == "kind" else f"{name}.yaml")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)

    def have_own_node(self) -> None:
        """Have what kinds.md takes for granted: a program `mychain` on PATH, and a topology that uses it."""
        shutil.copy(self._folder / "first.yaml", self._folder / "net.yaml")
        file = self._folder / "bin" / "mychain"
        file.parent.mkdir()
        file.write_text("#!/bin/sh\nexec sleep 1000\n")
        file.chmod(0o755)

    def run(self, block: Block) -> None:
        """Type the commands of a block, one after the other."""
        how, _, argument = block.mark.partition(" ")
        for command in block.commands():
            where = f"{name(block.page)}:{block.line}: {command}"
            if command.startswith("make "):
                # CI calls these verbs themselves; here it is enough that they are there.
                verbs = shlex.split(command, comments=True)[1:]
                subprocess.run(["make", "-n", *verbs], cwd=REPOSITORY, check=True, capture_output=True)
            elif how == "background":
                self._start(command, where)
            elif how == "for":
                seconds, _, code = argument.partition(" exit ")
                self._run_for(float(seconds), command, where, [int(code)] if code else [0, 130])
            else:
                wanted = [int(word) for word in argument.split(" or ")] if how == "exit" else [0]
                done = self._popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                said, _ = done.communicate(timeout=_PATIENCE_S)
                assert done.returncode in wanted, f"{where}\nexit code {done.returncode}:\n{said}"

    def _popen(self, command: str, **streams: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._env,
            text=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            **streams,
        )

    def _start(self, command: str, where: str) -> None:
        """Start a command and wait until it has said something."""
        process = self._popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._background.append(process)
        assert process.stdout is not None
        if not process.stdout.readline():
            raise AssertionError(f"{where}\nended at once:\n{process.communicate(timeout=_PATIENCE_S)[1]}")

    def _run_for(self, seconds: float, command: str, where: str, wanted: Sequence[int]) -> None:
        process = self._popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(seconds)
        assert process.poll() is None, f"{where}\nended by itself with {process.returncode}"
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=_PATIENCE_S / 4)
        assert process.returncode in wanted, f"{where}\nended with {process.returncode}:\n{said}"

    def leave(self) -> str:
        """Stop what still runs, remove every net, and return what could not be removed."""
        for process in self._background:
            with suppress(ProcessLookupError):  # it has ended, and nets are to be removed all the same
                os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=10)
        own = Path(self._env["XDG_STATE_HOME"], "stressnet", "nets")
        left = [path.name for path in own.iterdir()] if own.is_dir() else []
        ended = [self._popen(f"stressnet down {net}", stderr=subprocess.PIPE) for net in left]
        said = [process.communicate(timeout=_PATIENCE_S)[1] for process in ended]
        return "".join(words for words, process in zip(said, ended, strict=True) if process.returncode)


def _environment(folder: Path, *, docker: bool) -> dict[str, str]:
    """A new user's environment: nothing of ours set, and no net of anyone else's in sight."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("STRESSNET_", "XDG_"))}
    own = {f"XDG_{word}_HOME": str(folder / word.lower()) for word in ("STATE", "CACHE", "CONFIG", "DATA")}
    path = f"{folder}/here/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    if built := relay.find():
        path += f":{built.parent}"  # a new user's cache is empty, and each would build it
    engine = {} if docker else {"DOCKER_HOST": f"unix://{folder}/no-engine"}
    return {**kept, **own, **engine, "HOME": str(folder), "PATH": path}


def _read(page: Path, folder: Path, *, docker: bool) -> None:
    typing = Reader(folder, docker=docker)
    typing.write_files(page)
    if page.name == "kinds.md":
        typing.have_own_node()
    try:
        for block in _TYPED[page]:
            if not block.mark.startswith("not run") and (block.mark == "docker") == docker:
                typing.run(block)
    finally:
        left = typing.leave()
    assert left == ""


def _selected(request: pytest.FixtureRequest, test: str) -> list[Path]:
    return [item.callspec.params["page"] for item in request.session.items if item.originalname == test]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def readings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[Path, Future[None]]:
    """Pages being read side by side, each by a reader of its own: most of the time is waiting for nets."""
    folder = tmp_path_factory.mktemp("readers")
    relay.ensure(print)
    chosen = _selected(request, "test_every_command_of_a_page_works")
    with ThreadPoolExecutor(_READERS) as readers:
        tasks = {}
        for page in chosen:
            (own := folder / page.stem).mkdir()
            tasks[page] = readers.submit(_read, page, own, docker=False)
    return tasks


@pytest.mark.netns
def test_a_page_that_does_not_work_leaves_no_net(tmp_path: Path) -> None:
    """Also where a command in the background has ended long before the reader leaves."""
    require("netns")
    typing = Reader(tmp_path, docker=False)
    node = '{kind: generic, command: [sleep, "1000"]}'
    (tmp_path / "here" / "left.yaml").write_text(f"name: left\nnodes: {{a: {node}}}\n")
    typing.run(Block(pages()[0], 1, "console", ("$ stressnet up left.yaml",), ""))
    with pytest.raises(AssertionError, match="ended at once"):
        typing.run(Block(pages()[0], 2, "console", ("$ stressnet forward nobody rpc",), "background"))
    assert typing.leave() == ""
    assert not list(tmp_path.glob("state/stressnet/nets/*"))


@pytest.mark.netns
@pytest.mark.parametrize("page", _RUN, ids=name)
def test_every_command_of_a_page_works(page: Path, request: pytest.FixtureRequest) -> None:
    require("netns")
    request.getfixturevalue("readings")[page].result()


@pytest.mark.docker
@pytest.mark.parametrize(
    "page", [page for page in _RUN if any(block.mark == "docker" for block in _TYPED[page])], ids=name
)
def test_every_command_for_containers_works(page: Path, tmp_path: Path) -> None:
    require("docker")
    _read(page, tmp_path, docker=True)


@pytest.mark.parametrize("page", pages(), ids=name)
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    for block in blocks(page):
        if block.mark.startswith("not run"):
            assert len(block.mark.removeprefix("not run:").split()) > 3, f"{name(page)}:{block.line}"


@pytest.mark.parametrize("page", pages(), ids=name)
def test_commands_stand_in_blocks_whose_commands_are_run(page: Path) -> None:
    for block in blocks(page):
        if block.language not in ("console", "sh"):
            typed = [line for line in block.lines if line.startswith(("$ ", "stressnet "))]
            assert typed == [], f"{name(page)}:{block.line}: a block of ```{block.language} hides commands"
        elif block.language == "console":
            assert list(block.commands()), f"{name(page)}:{block.line}: no line begins with '$ '"
