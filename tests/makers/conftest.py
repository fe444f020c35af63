"""What the tests of web servers are given: modules of their own to serve."""

from __future__ import annotations

import pytest

from makers.webbing import Modules


@pytest.fixture
def module(tmp_path):
    """Writes modules, and forgets them at the end."""
    modules = Modules(tmp_path)
    yield modules
    modules.forget()


@pytest.fixture
def web_app(module):
    """Return the options of a server for an application in a new module."""

    def options(text, attribute="app", **more):
        return {"app": f"{module(text)}:{attribute}", "app_dir": str(module.folder), **more}

    return options
