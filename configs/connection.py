# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Connection strings: no server before ogx 1.5 takes one, so the operator splits it (R-D16a).

The engine never sees a value. It says what the Secret ``{name}-storage-env`` must hold, one key a
variable of the server, and where each value comes from (``StorageSecret``). The operator reads the
user's Secrets and calls ``derive``. The password is there twice where both stores are PostgreSQL:
raw for the key-value store, percent-encoded for the SQL store, which pastes it into a URL
unescaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from api.v1alpha2 import SecretKeySelector
from configs.secrets import is_unusable

Family: TypeAlias = Literal["KV", "SQL"]
"""Which store."""

Part: TypeAlias = Literal[
    "host", "port", "db", "user", "user_encoded", "password", "password_encoded", "ssl_mode"
]
"""Part of a connection string."""

KV_PARTS: Final[tuple[Part, ...]] = ("host", "port", "db", "user", "password", "ssl_mode")
"""What the key-value store on PostgreSQL takes."""

SQL_PARTS: Final[tuple[Part, ...]] = ("host", "port", "db", "user_encoded", "password_encoded")
"""What the SQL store on PostgreSQL takes up to 0.7, where it pastes them into a URL."""

OPTIONAL_PARTS: Final[frozenset[Part]] = frozenset({"password", "password_encoded", "ssl_mode"})
"""Parts that may be empty."""

_PREFIX: Final = "LLSD_STORAGE_"

_SCHEME = re.compile(r"postgres(?:ql)?(?:\+[a-z0-9_]+)?", re.IGNORECASE)
_KEYWORD = re.compile(r"\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S*))", re.IGNORECASE)
_HINT: Final = "@ : / ? # and % in user and password are written as %40 %3A %2F %3F %23 and %25"
_ONE_HOST: Final = "must name one host, not a list or a socket"
_PARAMETERS: Final = frozenset({"host", "port", "dbname", "user", "password", "sslmode"})
"""What a connection string may say."""

_OTHER_PARAMETERS: Final = frozenset(
    {
        "application_name", "channel_binding", "client_encoding", "connect_timeout",
        "connection_limit", "fallback_application_name", "gssencmode", "hostaddr", "keepalives",
        "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname",
        "load_balance_hosts", "options", "passfile", "pgbouncer", "pool_timeout", "require_auth",
        "schema", "service", "sslcert", "sslcrl", "sslkey", "sslpassword", "sslrootcert", "sslsni",
        "statement_timeout", "target_session_attrs", "tcp_user_timeout",
    }
)  # fmt: skip
"""What others say in one. Any other word may be a piece of a password with an = in it."""

_SQLITE: Final = "sqlite"
"""What makes the server's SQL store take a URL for one of SQLite, wherever it is in there; then it
connects with arguments that PostgreSQL does not have (sqlalchemy_sqlstore.py of 0.4 to 0.7)."""

_ENCRYPTED: Final = frozenset({"require", "verify-ca", "verify-full"})


class ConnectionStringError(ValueError):
    """A connection string cannot be used. The message never contains any of it but key words."""


@dataclass(frozen=True, slots=True)
class StorageValue:
    """One key of the Secret.

    Attributes:
        key: of the Secret, and name of the variable.
        source: where the user keeps what it is made from.
        part: what it is made from: a part of a connection string, or, for ``redis``, the whole
        value.
        family: which store it is for.
        path: of the field that refers to the source.
        redis: whether the source is a password of redis.
        pasted: whether the server's SQL store pastes the parts into a URL, and cannot encrypt, as
            up to 0.7. The one of ogx takes what the key-value store takes.
    """

    key: str
    source: SecretKeySelector
    part: Part
    family: Family
    path: str
    redis: bool = False
    pasted: bool = True


@dataclass(frozen=True, slots=True)
class StorageSecret:
    """A Secret that the operator must keep for the server.

    Attributes:
        name: of the Secret.
        values: one a key, sorted by key.
    """

    name: str
    values: tuple[StorageValue, ...]

    @property
    def sources(self) -> tuple[SecretKeySelector, ...]:
        """Every key that must be read to fill it, once."""
        return tuple(dict.fromkeys(item.source for item in self.values))


def secret_name(cr_name: str) -> str:
    """The name of the Secret of a resource."""
    return f"{cr_name}-storage-env"


def variable(family: Family, part: Part) -> str:
    """The variable of a part; also its key in the Secret."""
    return f"{_PREFIX}{family}_{part.upper()}"


def is_variable(key: str) -> bool:
    """Whether a key of the Secret is one that ``variable`` made, of any configuration."""
    return key.startswith(_PREFIX)


def derive(secret: StorageSecret, sources: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """The content of the Secret.

    Args:
        secret: what the engine asks for.
        sources: (Secret, key) → value, of every source.

    Raises:
        ConnectionStringError: a value is no connection string, or asks for what the server's store
            cannot do; the message begins with the path of the field.
        KeyError: a source is missing.
    """
    content = {}
    for item in secret.values:
        value = sources[item.source.name, item.source.key]
        if item.redis:
            if not value:
                msg = f"{item.path}: is empty, which to the server is as good as missing"
                raise ConnectionStringError(msg)
            content[item.key] = quote(value, safe="")
            continue
        try:
            family = item.family if item.pasted else "KV"
            content[item.key] = _usable(split(value, family=family)[item.part], item.part)
        except ConnectionStringError as error:
            msg = f"{item.path}: {error}"
            raise ConnectionStringError(msg) from None  # the cause may quote the value
    return content


def _usable(text: str, part: Part) -> str:
    """A part, if it reaches the server as a text.

    Raises:
        ConnectionStringError: no variable can hold it, or the server would convert it (R-D16) and
            not start.
    """
    if "\0" in text:
        raise ConnectionStringError(f"the {part} has a NUL in it, which no variable can hold")
    if text and part != "port" and is_unusable(text):
        name = part.removesuffix("_encoded")
        msg = f"the {name} reads as a number or a boolean, which the server converts; use another"
        raise ConnectionStringError(msg)
    return text


def _encoded(text: str) -> str:
    """Percent-encoded; so much of it that the server takes it neither for a number nor SQLite."""
    found = quote(text, safe="").replace(_SQLITE, f"%{ord(_SQLITE[0]):02X}{_SQLITE[1:]}")
    return f"%{ord(found[0]):02X}{found[1:]}" if found and is_unusable(found) else found


def split(value: str, *, family: Family) -> dict[Part, str]:
    """The parts of a PostgreSQL connection string, URL or ``key=value`` form.

    Args:
        value: the connection string.
        family: the store that it is for; the SQL store cannot encrypt (no release before ogx).

    Raises:
        ConnectionStringError: it is not one, lacks host or user, or has what cannot be passed on.
    """
    found = _from_url(value.strip()) if "://" in value else _from_keywords(value)
    if unknown := set(found) - _PARAMETERS:
        shown = ", ".join(sorted(unknown & _OTHER_PARAMETERS)) or f"that is in it ({_HINT})"
        raise ConnectionStringError(f"the server cannot be given the parameter {shown}")
    if family == "SQL" and found.get("sslmode") in _ENCRYPTED:
        raise ConnectionStringError(
            "sslmode asks for encryption, which the server's SQL store cannot do"
        )
    host, user, port = found.get("host", ""), found.get("user", ""), found.get("port") or "5432"
    if not host or not user:
        raise ConnectionStringError("needs a host and a user")
    if "," in host or "/" in host:
        raise ConnectionStringError(_ONE_HOST)
    if not port.isascii() or not port.isdigit():
        raise ConnectionStringError("the port is not a number")
    database = found.get("dbname") or user  # libpq's default
    if family == "SQL" and set(database) & set("?#/"):
        raise ConnectionStringError("the name of the database must not contain ? # /")
    if family == "SQL" and _SQLITE in f"{host}/{database}":
        raise ConnectionStringError(
            "host and database must not have sqlite in their names: the server's SQL store would "
            "take the database for one of SQLite"
        )
    password = found.get("password", "")
    return {
        # The SQL store pastes the parts into a URL, where an IPv6 address has brackets.
        "host": f"[{host}]" if ":" in host and family == "SQL" else host,
        "port": port,
        "db": database,
        "user": user,
        "user_encoded": _encoded(user),
        "password": password,
        "password_encoded": _encoded(password),
        "ssl_mode": found.get("sslmode", ""),
    }


def _from_url(value: str) -> dict[str, str]:
    try:
        url = urlsplit(value)
        several = "," in url.netloc.rpartition("@")[2]
        port = None if several else url.port
        query = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    except ValueError:
        raise ConnectionStringError(f"is not a URL of postgres ({_HINT})") from None
    if not _SCHEME.fullmatch(url.scheme):
        raise ConnectionStringError("must begin with postgresql://")
    if several:
        raise ConnectionStringError(_ONE_HOST)
    if url.fragment:
        raise ConnectionStringError(f"has a # in it ({_HINT})")
    found = dict(query)
    given = {
        "host": url.hostname or "",
        "port": str(port or ""),
        "dbname": unquote(url.path.removeprefix("/")),
        "user": unquote(url.username or ""),
        "password": unquote(url.password or ""),
    }
    return {**found, **{key: text for key, text in given.items() if text}}


def _from_keywords(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    text = value.rstrip()
    while position < len(text):
        match = _KEYWORD.match(text, position)
        if match is None:
            raise ConnectionStringError("must begin with postgresql://, or be key=value pairs")
        key, quoted, plain = match.groups()
        found[key.lower()] = re.sub(r"\\(.)", r"\1", quoted if quoted is not None else plain)
        position = match.end()
    return found
