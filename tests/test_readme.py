"""The README and the pages in docs/ say what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from birdbath.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SETTINGS = (ROOT / "docs" / "settings.md").read_text()


def rows(part: type[BaseSettings]) -> list[str]:
    """A row for every setting of `part`, with its default and description."""
    found = []
    for name, field in part.model_fields.items():
        default = field.default
        shown = "" if default is None or default == () else f"`{str(default).lower()}`"
        if isinstance(default, tuple) and default:
            shown = f"`{', '.join(default)}`"
        elif not isinstance(default, bool) and default is not None and default != ():
            shown = f"`{default}`"
        found.append(f"| `{name}` | {shown} | {field.description} |")
    return found


def settings_tables() -> str:
    """Every setting, below what its part of the settings is about, as the page is to have it."""
    tables = []
    for part in reversed(Settings.__bases__):
        assert issubclass(part, BaseSettings)
        heading = f"## {(part.__doc__ or '').rstrip('.')}"
        tables.append("\n".join([heading, "", "| setting | default | |", "|---|---|---|", *rows(part)]))
    return "\n\n".join(tables) + "\n"


def anchors(page: Path) -> set[str]:
    """What a link to `page` may name after its `#`, as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_of_settings_lists_every_one() -> None:
    listed = SETTINGS.split("<!-- settings -->\n")[1].split("<!-- /settings -->")[0]
    assert listed == settings_tables()
    assert all(f"| `{name}` |" in listed for name in Settings.model_fields)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    missing = []
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    assert missing == []


def test_every_page_can_be_found_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in readme] == []
