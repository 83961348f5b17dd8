"""The README says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from birdbath.settings import Settings

README = (Path(__file__).parent.parent / "README.md").read_text()


def between(name: str) -> str:
    return README.split(f"<!-- {name} -->\n")[1].split(f"<!-- /{name} -->")[0]


def settings_table() -> str:
    """Every setting with its default and description, as the README is to have it."""
    rows = ["| setting | default | |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = "" if default is None or default == () else f"`{str(default).lower()}`"
        if isinstance(default, tuple) and default:
            shown = f"`{', '.join(default)}`"
        elif not isinstance(default, bool) and default is not None and default != ():
            shown = f"`{default}`"
        rows.append(f"| `{name}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


def test_the_readme_lists_every_setting() -> None:
    assert between("settings") == settings_table()


def test_what_the_readme_links_to_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (Path(__file__).parent.parent / link).exists()] == []
