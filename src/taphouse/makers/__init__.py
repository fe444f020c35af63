"""makers: the built-in types of server, one module or package each.

A maker is what ``mktap TYPE`` needs: ``Options``, ``updateApplication(app, config)`` and a ``description``.
It is found by its entry point (group ``taphouse.makers`` in pyproject.toml), as anybody's is: nothing in
taphouse imports this room, and its servers are made of what users have.  One maker must not know another.

A new type is a new module here, its entry point, ``docs/makers/TYPE.md``, and its tests in ``tests/makers``.
"""
