"""MLflow's stores: which address is one, and a client of it. Nobody is told of its use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mic2e_bench import texts
from mic2e_bench.errors import BadInput

if TYPE_CHECKING:
    from mlflow import MlflowClient

NEEDS = "share: --mlflow needs mlflow-skinny, sqlalchemy and alembic; one is missing here: pip install '.[track]'."
SCHEMES = ("sqlite", "http", "https", "postgresql")
# MLflow reads them on import; a server that does not answer is not waited for long
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_LOGGING_LEVEL": "ERROR",
         "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}  # fmt: skip


def check(uri: str) -> str:
    """The address without a password, for messages. Raises ``BadInput`` for one that MLflow has no store at."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise BadInput(f"share: --mlflow {uri}: that is no address. Give sqlite:///FILE, or a server's.") from None
    scheme = parts.scheme.partition("+")[0]
    if scheme in ("", "file"):
        raise BadInput(
            f"share: --mlflow {uri}: a folder is no store: MLflow refuses its file store since 3.13. Give "
            "sqlite:///FILE (of an absolute path sqlite:////FILE), or a server's http://."
        )
    if scheme not in SCHEMES:
        raise BadInput(f"share: --mlflow {uri}: unknown store '{scheme}'. Known: {', '.join(SCHEMES)}.")
    if scheme == "sqlite":
        file = file_of(uri)
        if file.is_dir() or not file.name or not uri.startswith("sqlite:///"):
            raise BadInput(f"share: --mlflow {uri}: give the database's file: sqlite:///FILE.")
        if not file.parent.is_dir():
            raise BadInput(f"share: --mlflow {uri}: there is no folder {file.parent}.")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.password else uri


def file_of(uri: str) -> Path:
    """The file of an SQLite database's address."""
    return Path(urlsplit(uri).path.removeprefix("/"))


@contextlib.contextmanager
def opened(uri: str) -> Iterator[MlflowClient]:
    """A client of the store; what the store refuses raises ``BadInput``."""
    shown = check(uri)
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    try:
        import alembic  # noqa: F401
        import sqlalchemy
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise BadInput(NEEDS) from None
    try:
        if not uri.startswith("http"):
            _look(uri, shown)
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError, ImportError) as error:  # the last: a database's driver
        raise BadInput(f"share: --mlflow {shown}: {texts.one_line(error)[:400]}") from None


def _look(uri: str, shown: str) -> None:
    """Open the database once: MLflow would try for 100 s, and put its tables into another program's."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    try:
        tables = sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()
    if tables and "experiments" not in tables:
        raise BadInput(f"share: --mlflow {shown}: it is another program's database (it has {', '.join(tables[:5])}).")
