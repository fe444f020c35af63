"""Control: the words of a package about itself, as Debian policy wants them.

Description, changelog, copyright.  What somebody has typed is wrapped and
cannot become a field of its own.  This module must never write a file.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from email.utils import formatdate
from typing import Final

from taphouse.packaging.about import About, Part
from taphouse.packaging.licenses import shortened
from taphouse.packaging.paragraph import continued, format_paragraph, one_line, split_paragraphs

__all__ = ["changelog_text", "control_fields", "copyright_text", "description_value"]

_PRE_DEPENDS: Final = "init-system-helpers (>= 1.54~)"  # deb-systemd-helper as maintainer scripts use it
_WIDEST: Final = 76
_LONGEST_SYNOPSIS: Final = 79  # with the field's name before it lintian allows no more

_FORMAT: Final = "https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"


def control_fields(about: About, architecture: str, depends: Iterable[str]) -> dict[str, str]:
    """Return the fields of the control file, in their order.

    Args:
        about: the package.
        architecture: Debian's name of the machine, or ``all``.
        depends: relations, ``libc6 (>= 2.34)``.
    """
    return {
        "Package": about.name,
        "Version": about.version,
        "Architecture": architecture,
        "Maintainer": about.maintainer,
        "Pre-Depends": _PRE_DEPENDS,
        "Depends": ", ".join(dict.fromkeys(depends)),
        "Section": "net",
        "Priority": "optional",
        "Homepage": about.homepage,
        "Description": description_value(about),
    }


def description_value(about: About) -> str:
    """Return the value of ``Description``: a synopsis, and paragraphs that are wrapped."""
    synopsis = one_line(about.synopsis).rstrip(".") or "server that was built from a tap"
    article, _, rest = synopsis.partition(" ")
    if article.lower() in {"a", "an", "the"} and rest:
        synopsis = rest
    if len(synopsis) > _LONGEST_SYNOPSIS:
        synopsis = textwrap.shorten(synopsis, _LONGEST_SYNOPSIS, placeholder="...")
    paragraphs = split_paragraphs(about.description)
    paragraphs.append(
        f"It runs under systemd, with an account of its own, and keeps its state in /var/lib/{about.name}."
    )
    return "\n".join([synopsis, continued("\n\n".join(_wrapped(part, _WIDEST) for part in paragraphs))])


def changelog_text(about: About) -> str:
    """Return Debian's changelog with one entry, deb-changelog(5)."""
    changes = [one_line(change) for change in about.changes]
    items = [textwrap.indent(_wrapped(change, 74), "    ") for change in changes if change]
    body = "\n".join(f"  * {item.lstrip()}" for item in items)
    date = formatdate(about.epoch, usegmt=True).replace("GMT", "+0000")
    return (
        f"{about.name} ({about.version}) stable; urgency=medium\n\n{body}\n\n -- {about.maintainer}  {date}\n"
    )


def copyright_text(about: About) -> str:
    """Return the file ``copyright`` in the machine-readable form, DEP-5, with a list of all parts."""
    year = formatdate(about.epoch).split()[3]
    listed = "".join(f"\n  {part.name} {part.version} ({_license_of(part)})" for part in about.parts)
    paragraphs = [
        {
            "Format": _FORMAT,
            "Upstream-Name": about.name,
            "Upstream-Contact": about.maintainer,
            "Source": about.homepage or f"the tap and the code that {about.maintainer} has built it from",
            "Comment": "Built with tap2deb."
            + (
                f" The distributions of Python code below are shipped\n in /usr/lib/{about.name}/vendor;"
                f" sbom.json beside it lists them for programs.{listed}"
                if about.parts
                else ""
            ),
        },
        {
            "Files": "*",
            "Copyright": f"{year} {about.maintainer}",
            "License": f"{_tag(one_line(about.license) or 'not-told')}\n{_own_license(about)}",
        },
        *(_part_paragraph(about, part) for part in about.parts),
    ]
    return "\n".join(format_paragraph(paragraph) for paragraph in paragraphs)


def _own_license(about: About) -> str:
    if about.license_text.strip():
        return _license_body(about.license_text)
    return " The text of this licence did not come with the application; ask its maintainer."


def _part_paragraph(about: About, part: Part) -> dict[str, str]:
    holders = dict.fromkeys(
        one_line(line)
        for _, text in part.texts
        for line in text.splitlines()
        if re.match(r"\s*(?:copyright|\(c\)|©)\b.*\d{4}", line, re.IGNORECASE)
    )
    bodies = [
        f" --- {one_line(name)} ---\n{_license_body(text)}" for name, text in part.texts if text.strip()
    ]
    module = re.sub(r"[-_.]+", "?", part.name)
    return {
        "Files": f"usr/lib/{about.name}/vendor/{module}*",
        "Copyright": "\n ".join(holders) or f"the authors of {part.name}",
        "License": f"{_tag(f'{part.name}-{part.version}')}\n"
        + ("\n .\n".join(bodies) or " No text of its licence came with it."),
        "Comment": f"{part.name} {part.version}, whose metadata says: {_license_of(part)}",
    }


def _license_body(text: str) -> str:
    return continued(shortened(text))


def _license_of(part: Part) -> str:
    return textwrap.shorten(one_line(part.license), 100, placeholder="...") or "licence not told"


def _tag(words: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", words).strip("-") or "not-told"


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
