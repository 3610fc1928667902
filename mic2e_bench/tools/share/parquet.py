"""Records as one Parquet file, which pandas, DuckDB, Polars and Hugging Face's ``datasets`` read.

The same records give the same bytes. Each field's metadata has its ``unit`` and its ``description``.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from mic2e_bench import files
from mic2e_bench.errors import BadInput
from mic2e_bench.tools.share import columns
from mic2e_bench.tools.share.stored import Stored

if TYPE_CHECKING:
    import pyarrow

NEEDS = "share: --parquet needs pyarrow, which is not installed: pip install '.[track]'."


def write(stored: Stored, path: Path) -> int:
    """Write the file whole or not at all; returns its rows. Raises ``BadInput``."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise BadInput(NEEDS) from None

    rows = [columns.row(one, file, stored.results) for one, file in stored.records]
    table = pyarrow.Table.from_pylist(rows, schema=schema())
    made = io.BytesIO()
    parquet.write_table(table, made, compression="zstd")
    files.write_whole(path, made.getvalue())
    return table.num_rows


def schema() -> pyarrow.Schema:
    """The file's fields, whatever the records have."""
    import pyarrow

    return pyarrow.schema([_field(column) for column in columns.every()])


def _field(column: columns.Column) -> pyarrow.Field:
    import pyarrow

    if column.type == "nested":
        keys = columns.NESTED[column.name]
        kind = pyarrow.list_(pyarrow.struct([pyarrow.field(name, _type(of)) for name, of in keys.items()]))
    else:
        kind = _type(column.type)
    said = {"unit": column.unit, "description": column.about}
    return pyarrow.field(column.name, kind, metadata={name: text for name, text in said.items() if text})


def _type(name: str) -> pyarrow.DataType:
    import pyarrow

    if name.startswith("list<"):
        return pyarrow.list_(_type(name[5:-1]))
    if name == columns.TIME:
        return pyarrow.timestamp("us", tz="UTC")
    return {
        columns.STRING: pyarrow.string(), columns.BOOL: pyarrow.bool_(), columns.INTEGER: pyarrow.int64(),
        columns.DOUBLE: pyarrow.float64(),
    }[name]  # fmt: skip
