"""The C twins.  Both are optional: without a compiler the Python twins do the same, slower."""

from pathlib import Path

from setuptools import Extension, setup

TWINS = {
    "taphouse.durable._tracker": "src/taphouse/durable/_tracker.c",
    "taphouse.persist._codec": "src/taphouse/persist/_codec.c",
}

setup(
    ext_modules=[
        Extension(name, [source], optional=True, extra_compile_args=["-Wall"])
        for name, source in TWINS.items()
        if Path(__file__).parent.joinpath(source).exists()
    ]
)
