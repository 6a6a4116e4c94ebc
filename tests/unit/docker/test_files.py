"""The tars that travel to the engine: files of nodes, build contexts, the local Python."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from unit.docker.test_bodies import NODE

from stressnet.backends.docker.bodies import ImageFacts
from stressnet.backends.docker.nodes import files_archive
from stressnet.images import cache, localpython
from stressnet.images.context import Context

ROOT_USER = ImageFacts((), 0, 0)
OTHER_USER = ImageFacts((), 1000, 1001)


def members(content: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {member.name: member for member in archive}


def test_no_files_no_archive(tmp_path: Path) -> None:
    """A node without files costs no call to the engine."""
    assert files_archive(NODE, tmp_path, ROOT_USER) == b""
    assert files_archive(NODE, tmp_path / "missing", ROOT_USER) == b""


def test_files_belong_to_the_images_user(tmp_path: Path) -> None:
    """Directory and files are the user's, with their modes."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "key").write_text("secret")
    (tmp_path / "config" / "key").chmod(0o600)
    found = members(files_archive(NODE, tmp_path, OTHER_USER))
    root = NODE.directory.lstrip("/")
    assert list(found) == [root, f"{root}/config", f"{root}/config/key"]
    assert {(member.uid, member.gid) for member in found.values()} == {(1000, 1001)}
    assert found[f"{root}/config/key"].mode == 0o600


def test_another_user_gets_its_directory_even_empty(tmp_path: Path) -> None:
    """The gate cannot make the directory where the image's user is not root, so it is brought."""
    assert list(members(files_archive(NODE, tmp_path, OTHER_USER))) == [NODE.directory.lstrip("/")]


def test_of_kept_data_only_rendered_files_are_renewed(tmp_path: Path) -> None:
    """What the preparation made stays as the node left it."""
    (tmp_path / "config.toml").write_text("new")
    (tmp_path / "state.json").write_text("old")
    found = members(files_archive(NODE, tmp_path, ROOT_USER, only={"config.toml"}))
    root = NODE.directory.lstrip("/")
    assert list(found) == [root, f"{root}/config.toml"]


def test_equal_content_gives_equal_contexts(tmp_path: Path) -> None:
    """Times and owners of files do not count, so an image is not built again for them."""

    def context() -> bytes:
        made = Context()
        made.folder(tmp_path)
        return made.finish().getvalue()

    (tmp_path / "a").write_text("1")
    before = context()
    (tmp_path / "a").write_text("1")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert context() == before
    (tmp_path / "a").write_text("2")
    assert context() != before


def test_a_digest_changes_with_content_and_name(tmp_path: Path) -> None:
    """The tag of the agent's image stands for its very sources."""
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("1")
    assert cache.digest([tmp_path / "a"]) != cache.digest([tmp_path / "b"])
    before = cache.digest([tmp_path / "a"])
    (tmp_path / "a").write_text("2")
    assert cache.digest([tmp_path / "a"]) != before


def test_a_half_filled_cache_folder_does_not_stay(tmp_path: Path) -> None:
    """What fails on the way leaves nothing that looks whole."""

    def fail() -> None:
        with cache.filled(tmp_path / "target") as folder:
            (folder / "half").write_text("x")
            raise OSError("disk full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_the_local_python_is_whole(tmp_path: Path) -> None:
    """The root file system has an interpreter, a shell and a standard library, and no path out of itself."""
    localpython.write(tmp_path / "root.tar")
    with tarfile.open(tmp_path / "root.tar") as archive:
        names = archive.getnames()
    assert len(names) == len(set(names))
    assert {"usr/bin/env", "etc/passwd", "usr/bin/python3"} <= set(names)
    assert any(name.endswith("asyncio/__init__.py") for name in names)
    assert {Path(name).name for name in names} >= {"libgcc_s.so.1", "libstdc++.so.6", "libpthread.so.0"}
    assert not any(name.startswith(("/", "..")) or "site-packages" in name for name in names)
