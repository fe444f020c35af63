"""Write docs/man/*.1, from the prose beside taphouse.cli.guide and from the parsers.

python scripts/manpages.py           # after a change of an option, a verb or the prose
"""

from pathlib import Path

from taphouse.cli.guide.manual import PAGES, page

FOLDER = Path(__file__).parents[1] / "docs" / "man"

if __name__ == "__main__":
    for name in PAGES:
        (FOLDER / f"{name}.1").write_text(page(name))
        print(f"docs/man/{name}.1")
