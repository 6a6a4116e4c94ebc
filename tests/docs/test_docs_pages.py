"""The documentation is whole: its links lead somewhere, and it leaves out no verb, option or part."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from docs_pages import REPOSITORY, anchors, links, name, pages

from stressnet.cli import VERBS, group

_COMMANDS = REPOSITORY / "docs" / "commands.md"
_TOUR = REPOSITORY / "docs" / "tour.md"


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [REPOSITORY / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for link in links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists() and target not in reached:
                waiting.append(target)
    assert set(pages()) <= reached


def _section(verb: str) -> str:
    found = re.search(rf"^## {verb}\n(.*?)(?=^## |\Z)", _COMMANDS.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"docs/commands.md has no section {verb!r}"
    return found[1]


def _commands(verb: str) -> list[click.Command]:
    command = group.get_command(click.Context(group), verb)
    assert command is not None
    return [command, *(command.commands.values() if isinstance(command, click.Group) else ())]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_described_with_all_its_options(verb: str) -> None:
    section = _section(verb)
    for command in _commands(verb):
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.opts[0] in section, f"{command.name} {parameter.opts[0]}"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_option_has_help(verb: str) -> None:
    for command in _commands(verb):
        assert command.help
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{command.name} {parameter.opts[0]}"


def test_the_tour_names_only_modules_that_there_are() -> None:
    for path in re.findall(r"`((?:stressnet|images|scripts|tests)/[\w./-]*)`", _TOUR.read_text()):
        assert (REPOSITORY / path).exists(), path


def test_the_tour_visits_every_package() -> None:
    text = _TOUR.read_text()
    packages = {
        path.parent.relative_to(REPOSITORY) for path in (REPOSITORY / "stressnet").rglob("__init__.py")
    }
    assert [str(package) for package in sorted(packages) if f"`{package}/" not in text] == []


def test_pictures_load_nothing_from_elsewhere() -> None:
    pictures = list((REPOSITORY / "docs" / "images").glob("*.svg"))
    assert pictures
    for picture in pictures:
        text = picture.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|url\((?!#)|@import", text), picture.name


def test_pictures_are_small() -> None:
    pictures = list((REPOSITORY / "docs" / "images").iterdir())
    assert {
        picture.name: picture.stat().st_size for picture in pictures if picture.stat().st_size > 150_000
    } == {}
