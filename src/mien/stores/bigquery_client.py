"""A dataset in BigQuery: statements go in, rows come out; rows go in by the Storage Write API.

Credentials are found as Google's programs find them. `BIGQUERY_EMULATOR_HOST` (an URL) and
`BIGQUERY_STORAGE_EMULATOR_HOST` (host:port, gRPC) name an emulator, which asks for none.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import grpc
from google.api_core.exceptions import GoogleAPIError
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import types
from google.cloud.bigquery_storage_v1.services.big_query_write import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from requests.exceptions import RequestException

from mien.errors import StoreError
from mien.stores.bigquery_tables import COLUMNS

__all__ = ["ANSWER_S", "Dataset"]

ANSWER_S = 60.0
"""How long a statement may take, in seconds."""
RETRY = bigquery.DEFAULT_RETRY.with_timeout(10.0)
REQUEST_BYTES = 4 << 20
"""Rows go in pieces of about so many bytes; BigQuery takes 10 MB at once."""
KINDS: dict[type, str] = {str: "STRING", bytes: "BYTES", int: "INT64", float: "FLOAT64", datetime: "TIMESTAMP"}
ADVICE = {
    "default credentials": "; set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
    "ermission": "; the account needs the roles BigQuery Data Editor and BigQuery Job User",
    "Access Denied": "; the account needs the roles BigQuery Data Editor and BigQuery Job User",
    "onnect": "; check the network, nothing is lost meanwhile",
}
FIELD = descriptor_pb2.FieldDescriptorProto
WIRE = {
    "STRING": FIELD.TYPE_STRING,
    "BYTES": FIELD.TYPE_BYTES,
    "INTEGER": FIELD.TYPE_INT64,
    "TIMESTAMP": FIELD.TYPE_INT64,  # microseconds since 1970
    "FLOAT": FIELD.TYPE_DOUBLE,
    "BOOLEAN": FIELD.TYPE_BOOL,
    "RECORD": FIELD.TYPE_MESSAGE,
}

LABELS = {"REQUIRED": FIELD.LABEL_REQUIRED, "NULLABLE": FIELD.LABEL_OPTIONAL, "REPEATED": FIELD.LABEL_REPEATED}


class Dataset:
    """A dataset and the connections to it.

    Args:
        project: The Google Cloud project.
        name: The dataset's name in it.
        location: Where it is, or is to be made; None: as BigQuery decides.

    Raises:
        StoreError: There are no credentials.
    """

    def __init__(self, project: str, name: str, location: str | None) -> None:
        self.name = f"{project}.{name}"
        self._path = f"projects/{project}/datasets/{name}"
        self._rows: dict[str, _RowBatch] = {}
        emulator = os.environ.get("BIGQUERY_EMULATOR_HOST")
        storage = os.environ.get("BIGQUERY_STORAGE_EMULATOR_HOST")
        if bool(emulator) != bool(storage):
            raise StoreError("BIGQUERY_EMULATOR_HOST and BIGQUERY_STORAGE_EMULATOR_HOST go together: set both, or none")
        with self.explained("open"):
            credentials: Any = AnonymousCredentials() if emulator else None  # type: ignore[no-untyped-call]
            self.client = bigquery.Client(project=project, location=location, credentials=credentials)
            if storage:
                transport = BigQueryWriteGrpcTransport(channel=grpc.insecure_channel(storage))
                self._writer = BigQueryWriteClient(transport=transport)
            else:
                self._writer = BigQueryWriteClient()

    def table(self, name: str) -> str:
        """Return a table's name as statements write it."""
        return f"`{self.name}.{name}`"

    def read(self, text: str, **values: Any) -> Iterator[Any]:
        """Run a query with parameters and yield its rows; they come over the wire in pages."""
        with self.explained("read"):
            yield from self._run(text, values).result(retry=RETRY, timeout=ANSWER_S, job_retry=None)

    def write(self, text: str, **values: Any) -> int:
        """Run a statement with parameters to its end, and return how many rows it changed."""
        with self.explained("write"):
            job = self._run(text, values)
            job.result(retry=RETRY, timeout=ANSWER_S, job_retry=None)
        return job.num_dml_affected_rows or 0

    def bytes_of(self, tables: Iterable[str]) -> int:
        """Return how many bytes tables hold, with an estimate of what still is in their streaming buffers."""
        total = 0
        with self.explained("read"):
            for name in tables:
                table = self.client.get_table(f"{self.name}.{name}", retry=RETRY, timeout=ANSWER_S)
                waiting = table.streaming_buffer.estimated_bytes if table.streaming_buffer else 0
                total += (table.num_bytes or 0) + (waiting or 0)
        return total

    def widen(
        self, columns: Mapping[str, Sequence[bigquery.SchemaField]], renamed: Mapping[tuple[str, str], str]
    ) -> None:
        """Rename columns that tables of an earlier version have, and add those that they lack."""
        with self.explained("upgrade"):
            there = {item.table_id for item in self.client.list_tables(self.name, timeout=ANSWER_S)}
        for name in sorted(there & columns.keys()):
            with self.explained("upgrade"):
                table = self.client.get_table(f"{self.name}.{name}", retry=RETRY, timeout=ANSWER_S)
            known = {column.name for column in table.schema}
            for (of, old), new in renamed.items():
                if of == name and old in known:
                    self.write(f"ALTER TABLE {self.table(name)} RENAME COLUMN {old} TO {new}")
                    known = known - {old} | {new}
            before = [column for column in columns[name] if column.name in known]
            table.schema = [*before, *(column for column in columns[name] if column.name not in known)]
            with self.explained("upgrade"):
                self.client.update_table(table, ["schema"], timeout=ANSWER_S)

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows to a table's default stream; when this returns they are there to be read.

        Raises:
            StoreError: Some may not be there; they may be sent again.
        """
        if not rows:
            return
        made = self._rows.setdefault(table, _RowBatch(table))
        stream = f"{self._path}/tables/{table}/streams/_default"
        requests = [
            types.AppendRowsRequest(
                write_stream=stream,
                proto_rows=types.AppendRowsRequest.ProtoData(
                    writer_schema=types.ProtoSchema(proto_descriptor=made.descriptor),
                    rows=types.ProtoRows(serialized_rows=some),
                ),
            )
            for some in _pieces(made.serialized(rows))
        ]
        routing = (("x-goog-request-params", f"write_stream={stream}"),)
        with self.explained("write"):
            answers = list(self._writer.append_rows(iter(requests), retry=None, timeout=ANSWER_S, metadata=routing))
        for answer in answers:
            if answer.row_errors or answer.error.code:
                reasons = [error.message for error in answer.row_errors] or [answer.error.message]
                raise StoreError(f"cannot write the store '{self.name}': {reasons[0]}")
        if len(answers) < len(requests):
            raise StoreError(f"cannot write the store '{self.name}': it took {len(answers)} of {len(requests)} pieces")

    def close(self) -> None:
        """Give the connections back."""
        transport: Any = self._writer.transport
        transport.close()
        self.client.close()  # type: ignore[no-untyped-call]

    @contextmanager
    def explained(self, verb: str) -> Iterator[None]:
        """Turn what goes wrong in the block into one line."""
        try:
            yield
        except (GoogleAPIError, GoogleAuthError, RequestException, FutureTimeoutError, TimeoutError) as error:
            cause = " ".join(str(error).split())[:300]
            advice = next((advice for sign, advice in ADVICE.items() if sign in cause), "")
            raise StoreError(f"cannot {verb} the store '{self.name}': {cause}{advice}") from error

    def _run(self, text: str, values: Mapping[str, Any]) -> Any:
        config = bigquery.QueryJobConfig(query_parameters=[_parameter(name, value) for name, value in values.items()])
        return self.client.query(text, config, retry=RETRY, timeout=ANSWER_S, job_retry=None)


class _RowBatch:
    """Rows of one table as the Storage Write API takes them: messages, and their description, which goes ahead."""

    def __init__(self, table: str) -> None:
        self.descriptor = _described(table, COLUMNS[table])
        file = descriptor_pb2.FileDescriptorProto(name=f"{table}.proto", syntax="proto2")
        file.message_type.add().CopyFrom(self.descriptor)
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file)
        self._message: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName(table))

    def serialized(self, rows: Iterable[Mapping[str, Any]]) -> list[bytes]:
        """Return the rows as bytes; times are microseconds since 1970."""
        return [self._message(**row).SerializeToString() for row in rows]


def _pieces(rows: Iterable[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    size = 0
    for row in rows:
        if piece and size + len(row) > REQUEST_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += len(row)
    yield piece


def _parameter(name: str, value: Any) -> Any:
    if isinstance(value, list):
        kind = KINDS[type(value[0])] if value else "STRING"
        return bigquery.ArrayQueryParameter(name, kind, value)
    return bigquery.ScalarQueryParameter(name, KINDS[type(value)], value)


def _described(name: str, columns: Iterable[bigquery.SchemaField]) -> descriptor_pb2.DescriptorProto:
    described = descriptor_pb2.DescriptorProto(name=name)
    for number, column in enumerate(columns, 1):
        label = LABELS[column.mode]
        field = described.field.add(name=column.name, number=number, type=WIRE[column.field_type], label=label)
        if column.fields:
            field.type_name = f"{column.name}_row"
            described.nested_type.add().CopyFrom(_described(field.type_name, column.fields))
    return described
