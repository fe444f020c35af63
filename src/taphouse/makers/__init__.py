"""makers: the built-in types of server, one module or package each.

A maker is what ``mktap TYPE`` needs: ``Options``, ``updateApplication(app, config)`` and a ``description``.
It is found by its entry point (group ``taphouse.makers`` in pyproject.toml), as anybody's is: nothing in
taphouse imports this room, and its servers are made of what users have.  One maker must not know another.

A new type (mail, socks, dns, ftp, chat, shell are names that are kept free) is a new module or package
here, a line among the entry points, ``docs/makers/TYPE.md``, and tests in ``tests/makers``: nothing else has
to change.  Options that several have are in ``listening`` and ``small``, which are no makers.
"""
