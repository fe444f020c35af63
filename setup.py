"""The C twins.  Both are optional: without a compiler the Python twins do the same, slower."""

from pathlib import Path

from setuptools import Extension, setup

TWINS = {
    "taphouse.durable._tracker": "src/taphouse/durable/_tracker.c",
    "taphouse.persist._codec": "src/taphouse/persist/_codec.c",
    "taphouse.runtime._outbound": "src/taphouse/runtime/_outbound.c",
    "taphouse.protocols._resp": "src/taphouse/protocols/_resp.c",
}

HERE = Path(__file__).parent


def headers(source: str) -> list[str]:
    """Return what ``source`` may include: a change of one builds it anew."""
    return sorted(str(header.relative_to(HERE)) for header in (HERE / source).parent.glob("*.h"))


setup(
    ext_modules=[
        Extension(name, [source], depends=headers(source), optional=True, extra_compile_args=["-Wall"])
        for name, source in TWINS.items()
        if (HERE / source).exists()
    ]
)
