"""Make TLS contexts from files, with errors that name the file.

Knows ssl and the file system; nothing of listeners or connections.
"""

from __future__ import annotations

import os
import ssl

from taphouse.errors import ConfigurationError

__all__ = ["make_client_context", "make_server_context"]


def make_server_context(certfile: str, keyfile: str | None = None) -> ssl.SSLContext:
    """Return a context for a listener.

    Args:
        certfile: PEM file with the certificate and its chain.
        keyfile: PEM file with the private key; None if it is in ``certfile``.

    Raises:
        ConfigurationError: naming the file that is missing, unreadable or does not fit.
    """
    _check_readable("certfile", certfile)
    if keyfile is not None:
        _check_readable("keyfile", keyfile)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _load_chain(context, certfile, keyfile)
    return context


def make_client_context(
    cafile: str | None = None, certfile: str | None = None, keyfile: str | None = None
) -> ssl.SSLContext:
    """Return a context for a connector: the server's certificate and host name are always verified.

    Args:
        cafile: PEM file with the authorities to trust; None means those of the system.
        certfile: PEM file with our own certificate, if the server asks for one.
        keyfile: PEM file with its private key; None if it is in ``certfile``.

    Raises:
        ConfigurationError: naming the file that is missing, unreadable or does not fit.
    """
    if cafile is not None:
        _check_readable("cafile", cafile)
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=cafile)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"cafile {cafile}: not a PEM file of certificates ({_reason(error)})"
        ) from error
    if certfile is not None:
        _check_readable("certfile", certfile)
        if keyfile is not None:
            _check_readable("keyfile", keyfile)
        _load_chain(context, certfile, keyfile)
    return context


def _check_readable(what: str, path: str) -> None:
    # ssl's own error for a missing file does not say which of the two it was.
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise ConfigurationError(f"{what} {os.fspath(path)}: {error.strerror}") from error


def _load_chain(context: ssl.SSLContext, certfile: str, keyfile: str | None) -> None:
    key = keyfile or certfile

    def no_password() -> str:
        raise ConfigurationError(
            f"keyfile {key}: the key is encrypted, and a server that starts by itself has nobody to ask",
            cure="store the key without a passphrase, readable by the server only",
        )

    try:
        context.load_cert_chain(certfile, keyfile, password=no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigurationError(f"keyfile {key}: does not belong to certfile {certfile}") from error
        raise ConfigurationError(
            f"certfile {certfile}, keyfile {key}: no certificate with its key, as PEM ({_reason(error)})"
        ) from error


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")
