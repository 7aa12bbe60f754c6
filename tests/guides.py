"""Commands of the guides in docs/admin, and how each says that it is tested."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ADMIN = Path(__file__).parents[1] / "docs" / "admin"
PAGES = ("index", "secrets", "backup", "upgrade")
"""In the order in which an administrator comes to them."""
KNOWN = {
    "run: checkout",
    "run: api-server",
    "run: postgresql",
    "needs: container engine",
    "needs: pods",
    "needs: chart repositories",
}


class Block(NamedTuple):
    """One block of commands."""

    page: str
    how: str
    text: str


def blocks(how: str | None = None, pages: tuple[str, ...] = PAGES) -> list[Block]:
    """Return the blocks of commands, those that are tested in one way when it is named."""
    found = []
    for page in pages:
        text = (ADMIN / f"{page}.md").read_text()
        for marker, _, body in re.findall(r"(?:<!-- (.*?) -->\n *)?```(console|sql)\n(.*?)```", text, re.DOTALL):
            found.append(Block(page, marker, textwrap.dedent(body)))
    return [block for block in found if how in {None, block.how}]
