"""The store in BigQuery: observations are streamed in by the Storage Write API, figures are counted when asked for.

BigQuery knows no keys: a row may come twice, and the views keep one for each id. So that few come twice, a writer
remembers the ids that it has written, and looks up what is older than itself. Every statement is bound to the
partitions of the period asked for.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from mien.errors import MissingExtraError, StoreError
from mien.masking import without_password
from mien.observation import Observation
from mien.stores import rows
from mien.stores.base import BUCKETS, SUM_COLUMNS, Arrivals, Bucket, DeadLetter, Marker, SourceInfo, Summary, Sums

try:
    from google.api_core.exceptions import NotFound

    from mien.stores import bigquery_tables as sql
    from mien.stores.bigquery_client import ANSWER_S, Dataset
    from mien.stores.bigquery_dead_letters import DeadLetters
    from mien.stores.bigquery_markers import Markers
except ImportError as error:
    raise MissingExtraError("a store at 'bigquery:'", "bigquery") from error

__all__ = ["BigQueryStore"]

URL = re.compile(r"bigquery://([a-z][a-z0-9.:-]{3,99})/([A-Za-z0-9_]{1,1024})(?:\?location=([A-Za-z0-9-]+))?")
REMEMBERED = 100_000
REFUSALS_S = 60.0
"""How long what is refused is taken from memory before it is read again, in seconds."""
MINUTE = timedelta(minutes=1)


class BigQueryStore:
    """A store in a BigQuery dataset, made if need be.

    Args:
        url: `bigquery://project/dataset`, with `?location=EU` for where a new dataset is to be.
        read_only: Never write; the store must be there.

    Raises:
        StoreError: BigQuery cannot be reached or refuses, or the tables are of another version.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        if not (match := URL.fullmatch(url)):
            raise StoreError(
                f"'{without_password(url)}' is no URL of a BigQuery store: expected bigquery://project/dataset"
            )
        self._read_only = read_only
        self._lock = threading.Lock()
        self._written: dict[str, None] = {}
        self._refusals: tuple[float, int, list[tuple[str, int, int]]] | None = None
        self._opened_at = datetime.now(timezone.utc)
        self._dataset = Dataset(match[1], match[2], match[3])
        self._name = self._dataset.name
        self._dead_letters, self._markers = DeadLetters(self._dataset), Markers(self._dataset)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def add(self, observations: Sequence[Observation], *, arrived: datetime | None = None) -> int:
        """Append what the store never had, and return how many those were."""
        given = {observation.id: (rows.taken_at(observation), observation) for observation in observations}
        came = rows.present() if arrived is None else rows.to_microseconds(arrived)
        self._check_writable()
        with self._lock:
            new = {key: item for key, item in given.items() if key not in self._written}
            for key in self._looked_up([observation for _, observation in new.values()]):
                del new[key]
            refused = self._refused(new)
            mark, _ = self._refusals_now()
            odd = {key: "refused" if key in refused else "late" for key in new if key in refused or new[key][0] < mark}
            kinds = [{"id": key, "source": new[key][1].source, "kind": kind} for key, kind in odd.items()]
            for key in refused:
                del new[key]
            self._dataset.append(
                "observations", [sql.to_row(at, observation, came) for at, observation in new.values()]
            )
            self._dataset.append("arrivals", kinds)
            for key in given:
                self._written.pop(key, None)
                self._written[key] = None
            while len(self._written) > REMEMBERED:
                del self._written[next(iter(self._written))]
        return len(new)

    def arrivals(self) -> list[Arrivals]:
        """Return what came late, or was refused, by source."""
        kinds = ", ".join(f"COUNT(DISTINCT IF(kind = '{kind}', id, NULL)) AS {kind}" for kind in ("late", "refused"))
        query = f"SELECT source, {kinds} FROM {self._dataset.table('arrivals')} GROUP BY source ORDER BY source"
        return [Arrivals(row.source, row.late, row.refused) for row in self._dataset.read(query)]

    def add_dead_letters(self, letters: Sequence[tuple[str, str, bytes]]) -> None:
        """Keep messages (topic, reason, payload) that are no valid observations; the newest 10,000 stay."""
        self._check_writable()
        now = datetime.now(timezone.utc)
        self._dead_letters.add([(now, *letter) for letter in letters])

    def take_dead_letters(self, letters: Sequence[DeadLetter]) -> int:
        """Keep another store's dead letters that are not here yet, and return how many those were."""
        self._check_writable()
        return self._dead_letters.take(letters)

    def dead_letters(self, limit: int = 100, before: int | None = None) -> list[DeadLetter]:
        """Return the newest dead letters, newest first; with `before` those with a lower number."""
        return self._dead_letters.newest(limit, before)

    def dropped_dead_letters(self) -> int:
        """Return how many dead letters made room for newer ones so far."""
        return self._dead_letters.dropped()

    def drop_dead_letters(self, numbers: Sequence[int]) -> None:
        """Delete dead letters by number."""
        self._check_writable()
        self._dead_letters.drop(numbers)

    def sources(self) -> list[SourceInfo]:
        """Return every source by name."""
        rows_read = self._dataset.read(
            "SELECT source, MIN(first) AS first, MAX(last) AS last, SUM(frames) AS frames "
            f"FROM ({sql.minutes(self._name)}) GROUP BY source ORDER BY source"
        )
        return [SourceInfo(row.source, row.first, row.last, row.frames) for row in rows_read]

    def timeline(
        self, start: datetime, end: datetime, bucket: str, sources: Sequence[str] | None = None
    ) -> list[Bucket]:
        """Return the non-empty buckets that begin in [start, end), oldest first."""
        if bucket != "second" and bucket not in BUCKETS:
            raise ValueError(f"no bucket '{bucket}': expected one of second, {', '.join(BUCKETS)}")
        seconds = BUCKETS.get(bucket, 1)
        counted = self._minutes if bucket in BUCKETS else self._seconds
        query, values = counted(_ceil(start, seconds), _ceil(end, seconds), sources)
        rows_read = self._dataset.read(
            f"SELECT TIMESTAMP_TRUNC(start, {bucket.upper()}) AS start, {sql.sums()} FROM ({query}) "
            "GROUP BY 1 ORDER BY 1",
            **values,
        )
        return [Bucket(row.start, Sums.of_row(row)) for row in rows_read]

    def summary(self, start: datetime, end: datetime, sources: Sequence[str] | None = None) -> Summary:
        """Return the sum of what was seen in [start, end), or in whole minutes where the raw rows are gone."""
        end = max(start, end)
        first, last = _floor(start, 60), _floor(end, 60)
        if first < start < end or last < end:  # within a minute: of the past ones there are no rows to divide
            of, values = _of("m", sources)
            past = sql.past_minutes(self._name, f"m.start IN (@first, @last) AND {of}")
            read = self._dataset.read(f"SELECT DISTINCT start FROM ({past})", first=first, last=last, **values)
            whole = {row.start for row in read}
            start = first if first in whole else start
            end = last + MINUTE if last in whole and last < end else end
        query, values = self._minutes(start, end, sources)
        (row,) = self._dataset.read(f"SELECT {sql.sums()} FROM ({query})", **values)
        total = Summary(start=start, end=end)
        total += Sums.of_row(row)
        return total

    def recent(self, start: datetime, sources: Sequence[str] | None = None, limit: int = 1000) -> list[Observation]:
        """Return the newest raw observations since `start`, oldest first."""
        of, values = _of("o", sources)
        query = sql.unique(self._name, f"o.time >= @start AND {of}")
        newest = f"{query} ORDER BY time DESC, id DESC LIMIT {int(limit)}"
        return [sql.from_row(row) for row in self._dataset.read(newest, start=start, **values)][::-1]

    def observations(
        self,
        batch: int = 1000,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        sources: Sequence[str] | None = None,
        after: tuple[datetime, str] | None = None,
    ) -> Iterator[list[Observation]]:
        """Yield the raw observations of [start, end) in batches, by time and id; each day is asked for in its turn."""
        of, values = _of("o", sources)
        behind, key = after or (rows.EPOCH, "")
        values |= {"start": max(start or rows.EPOCH, behind), "until": end or rows.LATEST, "behind": behind, "key": key}
        since = "o.time >= @start AND (o.time > @behind OR (o.time = @behind AND o.id > @key))"
        where = f"{since} AND o.time < @until AND {of}"
        table = self._dataset.table("observations")
        days = f"SELECT DISTINCT TIMESTAMP_TRUNC(o.time, DAY) FROM {table} AS o WHERE {where} ORDER BY 1"
        of_day = sql.unique(self._name, f"{where} AND o.time >= @day AND o.time < TIMESTAMP_ADD(@day, INTERVAL 1 DAY)")
        collected: list[Observation] = []
        for (day,) in list(self._dataset.read(days, **values)):
            for row in self._dataset.read(f"{of_day} ORDER BY time, id", day=day, **values):
                collected.append(sql.from_row(row))
                if len(collected) == batch:
                    yield collected
                    collected = []
        if collected:
            yield collected

    def prune(self, before: datetime) -> int:
        """Delete raw rows that arrived before `before`, keep their sums, and return how many rows went."""
        self._check_writable()
        old, mark = self.pruned_before() or rows.EPOCH, _floor(before, 60)
        gone = self._fold(old, mark) if mark > old else 0
        self._refusals = None
        observations, erased = map(self._dataset.table, ("observations", "erased"))
        self._dataset.write(  # all rows of an id, for it may have come again since
            f"DELETE FROM {observations} WHERE id IN "
            f"(SELECT id FROM {observations} WHERE IFNULL(arrived, time) < @mark)",
            mark=max(mark, old),
        )
        self._dataset.write(  # what a writer brought that did not know yet of the erasure
            f"DELETE FROM {observations} AS o WHERE EXISTS (SELECT 1 FROM {erased} AS e "
            "WHERE e.source = o.source AND o.time >= e.start AND o.time < e.until)"
        )
        self._dead_letters.trim()
        return gone

    def prune_rollups(self, before: datetime) -> int:
        """Delete the figures of days that ended before `before`, and return of how many minutes those were."""
        self._check_writable()
        until = min(_floor(before, 86400), _floor(self.pruned_before() or rows.EPOCH, 86400))
        past = self._dataset.table("past_minutes")
        return self._dataset.write(f"DELETE FROM {past} WHERE start < @until", until=until)

    def pruned_before(self) -> datetime | None:
        """Return the time before which raw rows may be missing; None: nothing was pruned."""
        (mark,) = self._dataset.read(f"SELECT {sql.mark(self._name)} AS mark")
        return mark[0] if mark[0] > rows.EPOCH else None

    def erase(self, source: str, start: datetime, end: datetime) -> int:
        """Delete what was seen in [start, end), refuse it from now on, and return how many rows went."""
        self._check_writable()
        period = {"source": source, "start": start, "until": end}
        seen = sql.unique(self._name, "o.source = @source AND o.time >= @start AND o.time < @until")
        ((gone,),) = self._dataset.read(f"SELECT COUNT(*) FROM ({seen})", **period)
        observations, past, letters, markers, erased = map(
            self._dataset.table, ("observations", "past_minutes", "dead_letters", "markers", "erased")
        )
        self._keep_runs(seen, period)
        self._dataset.write(f"INSERT INTO {erased} (source, start, until) VALUES (@source, @start, @until)", **period)
        self._refusals = None
        within = "source = @source AND {0} >= @start AND {0} < @until"
        self._dataset.write(f"DELETE FROM {observations} WHERE {within.format('time')}", **period)
        whole = {**period, "start": _floor(start, 60)}
        self._dataset.write(f"DELETE FROM {past} WHERE {within.format('start')}", **whole)
        came = "ENDS_WITH(topic, CONCAT('/', @source, '/observations')) AND time >= @start AND time < @until"
        self._dataset.write(f"DELETE FROM {letters} WHERE {came}", **period)
        self._dataset.write(f"DELETE FROM {markers} WHERE {within.format('time')}", **period)
        return int(gone)

    def add_minutes(self, source: str, minutes: Sequence[Bucket]) -> int:
        """Commit the figures of minutes of which there are none here, and return how many minutes that were."""
        self._check_writable()
        if not minutes:
            return 0
        starts = [minute.start for minute in minutes]
        query, values = self._minutes(min(starts), max(starts) + MINUTE, [source])
        here = {row.start for row in self._dataset.read(f"SELECT start FROM ({query})", **values)}
        _, gone = self._refusals_now()
        new = [minute for minute in minutes if minute.start not in here and not _erased(gone, source, minute.start)]
        self._dataset.append("past_minutes", [sql.minute_row(source, minute) for minute in new])
        return len(new)

    def add_markers(self, markers: Sequence[Marker]) -> int:
        """Commit the markers whose ids the store does not have, and return how many that were."""
        self._check_writable()
        return self._markers.add(markers)

    def markers(
        self, start: datetime, end: datetime, sources: Sequence[str] | None = None, limit: int = 1000
    ) -> list[Marker]:
        """Return the newest markers of [start, end), oldest first: those of these sources, and those of all."""
        return self._markers.between(start, end, sources, limit)

    def marker(self, key: str) -> Marker | None:
        """Return the marker with this id."""
        return self._markers.find(key)

    def drop_marker(self, key: str) -> bool:
        """Delete the marker with this id, and return whether there was one."""
        self._check_writable()
        return self._markers.drop(key)

    def size(self) -> int:
        """Return how many bytes the tables hold; BigQuery counts what was just streamed in by its own estimate."""
        return self._dataset.bytes_of(sql.COLUMNS)

    def vacuum(self) -> None:
        """Do nothing: BigQuery sees to its own room."""

    def close(self) -> None:
        """Give the connections back."""
        self._dataset.close()

    def _prepare(self) -> None:
        state = self._dataset.table("state")
        try:
            ((version,),) = self._dataset.read(f"SELECT MAX(value) FROM {state} WHERE name = 'schema'")
        except StoreError as error:
            if not isinstance(error.__cause__, NotFound):
                raise
            version = None
        if version == sql.SCHEMA:
            return
        if version is not None and (version > sql.SCHEMA or self._read_only):
            todo = "upgrade Mien" if version > sql.SCHEMA else "start `mien forward`, which upgrades it"
            raise StoreError(
                f"the store '{self._name}' has version {version} of the tables, this Mien reads {sql.SCHEMA}: {todo}"
            )
        if self._read_only:
            raise StoreError(f"the store '{self._name}' is empty: start `mien forward` (or `mien up`), which fills it")
        if version is not None:
            self._dataset.widen(sql.COLUMNS, sql.RENAMED)
        with self._dataset.explained("make"):
            self._dataset.client.create_dataset(self._name, exists_ok=True, timeout=ANSWER_S)
            for table in sql.tables(self._name):
                self._dataset.client.create_table(table, exists_ok=True, timeout=ANSWER_S)
        for name, query in sql.views(self._name).items():
            self._dataset.write(f"CREATE OR REPLACE VIEW {self._dataset.table(name)} AS {query}")
        self._dataset.write(f"INSERT INTO {state} (name, value) VALUES ('schema', {sql.SCHEMA})")

    def _check_writable(self) -> None:
        if self._read_only:
            raise StoreError(f"cannot write the store '{self._name}': it was opened for reading alone")

    def _fold(self, old: datetime, mark: datetime) -> int:
        """Keep the sums of what arrived before the mark, then set it: that takes their raw rows out of sight."""
        past = self._dataset.table("past_minutes")
        self._dataset.write(  # what was kept by one that did not come to its end
            f"DELETE FROM {past} WHERE origin = 'pruned' AND pruned_at > @old", old=old
        )
        raw = sql.unique(self._name, came="IFNULL(o.arrived, o.time) < @mark")
        ((gone,),) = self._dataset.read(f"SELECT COUNT(*) FROM ({raw})", mark=mark)
        if gone:
            names = ", ".join(["start", "source", "first", "last", *SUM_COLUMNS])
            self._keep_runs(raw, {"mark": mark})
            self._dataset.write(
                f"INSERT INTO {past} (origin, pruned_at, {names}) "
                f"SELECT 'pruned', @mark, {names} FROM ({sql.counted(raw)})",
                mark=mark,
            )
        state = self._dataset.table("state")
        value = rows.to_microseconds(mark)
        self._dataset.write(f"INSERT INTO {state} (name, value) VALUES ('prune_mark', @value)", value=value)
        return int(gone)

    def _keep_runs(self, rows: str, values: Mapping[str, Any]) -> None:
        """Take note of raw rows that are about to go: what is sent again after that is known."""
        gone = self._dataset.table("gone")
        self._dataset.write(f"INSERT INTO {gone} (session, first, last) {sql.runs(rows)}", **values)

    def _refused(self, given: Mapping[str, tuple[int, Observation]]) -> set[str]:
        """Return the ids of what is of a time that was erased."""
        _, gone = self._refusals_now()
        return {
            key
            for key, (at, observation) in given.items()
            if any(source == observation.source and start <= at < until for source, start, until in gone)
        }

    def _refusals_now(self) -> tuple[int, list[tuple[str, int, int]]]:
        """Return the prune mark and the periods that were erased, in microseconds since 1970."""
        if self._refusals is None or time.monotonic() - self._refusals[0] > REFUSALS_S:
            mark = self.pruned_before() or rows.EPOCH
            gone = [
                (row.source, rows.to_microseconds(row.start), rows.to_microseconds(row.until))
                for row in self._dataset.read(f"SELECT * FROM {self._dataset.table('erased')}")
            ]
            self._refusals = time.monotonic(), rows.to_microseconds(mark), gone
        return self._refusals[1:]

    def _looked_up(self, given: Sequence[Observation]) -> set[str]:
        """Return which ids are, or were, there, of those older than this writer, that another one may have brought."""
        latest = datetime.now(timezone.utc) + MINUTE
        old = {
            observation.id: observation.time
            for observation in given
            if observation.time and not self._opened_at <= observation.time <= latest
        }
        if not old:
            return set()
        rows_read = self._dataset.read(
            f"SELECT DISTINCT id FROM {self._dataset.table('observations')} "
            "WHERE time >= @first AND time <= @last AND id IN UNNEST(@ids)",
            first=min(old.values()),
            last=max(old.values()),
            ids=list(old),
        )
        known = {row.id for row in rows_read}
        gone = list(
            self._dataset.read(
                f"SELECT session, first, last FROM {self._dataset.table('gone')} WHERE session IN UNNEST(@sessions)",
                sessions=sorted({observation.session for observation in given if observation.id in old}),
            )
        )
        refused = self._dataset.read(
            f"SELECT DISTINCT id FROM {self._dataset.table('arrivals')} WHERE kind = 'refused' AND id IN UNNEST(@ids)",
            ids=list(old),
        )
        known |= {row.id for row in refused}
        return known | {
            observation.id
            for observation in given
            if observation.id in old
            and any(row.session == observation.session and row.first <= observation.seq <= row.last for row in gone)
        }

    def _minutes(self, start: datetime, end: datetime, sources: Sequence[str] | None) -> tuple[str, dict[str, Any]]:
        """Return the SQL for the minutes that begin in [start, end), and its parameters."""
        of, values = _of("o", sources)
        raw = f"o.time >= @start AND o.time < @until AND {of}"
        past = f"m.start >= @start AND m.start < @until AND {_of('m', sources)[0]}"
        return sql.minutes(self._name, raw, past), {"start": start, "until": end, **values}

    def _seconds(self, start: datetime, end: datetime, sources: Sequence[str] | None) -> tuple[str, dict[str, Any]]:
        """Return the SQL for the seconds of raw rows that begin in [start, end), and its parameters."""
        of, values = _of("o", sources)
        raw = sql.unique(self._name, f"o.time >= @start AND o.time < @until AND {of}")
        return sql.counted(raw, "SECOND"), {"start": start, "until": end, **values}


def _of(table: str, sources: Sequence[str] | None) -> tuple[str, dict[str, Any]]:
    if sources is None:
        return "TRUE", {}
    return f"{table}.source IN UNNEST(@sources)", {"sources": list(sources)}


def _floor(at: datetime, seconds: int) -> datetime:
    microseconds = rows.to_microseconds(at)
    return rows.to_time(microseconds - microseconds % (seconds * 1_000_000))


def _ceil(at: datetime, seconds: int) -> datetime:
    microseconds = rows.to_microseconds(at)
    return rows.to_time(microseconds + -microseconds % (seconds * 1_000_000))


def _erased(gone: list[tuple[str, int, int]], source: str, minute: datetime) -> bool:
    first = rows.to_microseconds(minute)
    return any(of == source and start < first + 60_000_000 and first < until for of, start, until in gone)
