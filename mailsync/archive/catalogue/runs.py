"""The tables `accounts`, `runs` and `traffic`: whose mail is here, which runs there were and what
they said of themselves, how many octets moved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mailsync.archive.catalogue.connection import Connection

HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One recorded run; `ended` None means that it was killed, or is still going."""

    id: int
    account: str
    kind: str
    started: int
    ended: int | None
    complete: bool
    report: Mapping[str, object]


class Accounts:
    """The accounts, by name and by row."""

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    def names(self) -> list[str]:
        """Return the names of the accounts, in the order in which they came."""
        return [name for (name,) in self._sql.all("SELECT name FROM accounts ORDER BY id")]

    def find(self, name: str) -> int | None:
        """Return an account's row."""
        row = self._sql.one("SELECT id FROM accounts WHERE name = ?", name)
        return row[0] if row else None

    def make(self, name: str) -> int:
        """Return an account's row, made when missing."""
        self._sql.execute("INSERT OR IGNORE INTO accounts (name) VALUES (?)", (name,))
        return int(self._sql.one("SELECT id FROM accounts WHERE name = ?", name)[0])

    def rename(self, old: str, new: str) -> None:
        """Give an account another name, which none has; what it spent today goes along."""
        self._sql.execute("UPDATE accounts SET name = ? WHERE name = ?", (new, old))
        self._sql.execute("UPDATE OR IGNORE traffic SET account = ? WHERE account = ?", (new, old))

    def server(self, account: int) -> str:
        """Return the server that an account's mail came from, empty where nobody knows."""
        row = self._sql.one("SELECT coalesce(server, '') FROM accounts WHERE id = ?", account)
        return str(row[0])

    def remember(self, account: int, server: str) -> None:
        """Record the server that an account's mail comes from, unless one is recorded."""
        self._sql.execute(
            "UPDATE accounts SET server = ? WHERE id = ? AND server IS NULL", (server, account)
        )


class Runs:
    """The runs, numbered as they came."""

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    def start(self, account: int, kind: str, started: int, destination: str | None = None) -> int:
        """Record that a run begins, and return its row."""
        cursor = self._sql.execute(
            "INSERT INTO runs (account, kind, destination, started) VALUES (?, ?, ?, ?)",
            (account, kind, destination, started),
        )
        return int(cursor.lastrowid or 0)

    def end(self, run: int, ended: int, *, complete: bool, report: Mapping[str, object]) -> None:
        """Record how a run ended."""
        self._sql.execute(
            "UPDATE runs SET ended = ?, complete = ?, report = ? WHERE id = ?",
            (ended, complete, _written(report), run),
        )

    def note(self, run: int, report: Mapping[str, object]) -> None:
        """Record of a run that goes on what is to be known of it if it is killed."""
        self._sql.execute("UPDATE runs SET report = ? WHERE id = ?", (_written(report), run))

    def break_off(self, run: int, ended: int) -> None:
        """Record that a run was killed; what it had said of itself stays."""
        noted = json.loads(self._sql.one("SELECT report FROM runs WHERE id = ?", run)[0] or "{}")
        self.end(run, ended, complete=False, report={**noted, "killed": True})

    def began(self) -> Iterator[int]:
        """Yield when the runs began by this machine's clock, the last one first."""
        return (at for (at,) in self._sql.each("SELECT started FROM runs ORDER BY id DESC"))

    def unfinished(self) -> list[int]:
        """Return the runs that never ended."""
        return [run for (run,) in self._sql.all("SELECT id FROM runs WHERE ended IS NULL")]

    def has_any(self) -> bool:
        """Return whether any run was ever recorded."""
        return bool(self._sql.one("SELECT EXISTS (SELECT 1 FROM runs)")[0])

    def has_guesses(self, account: int) -> bool:
        """Return whether a reindex, or a move of the account to another server, may have left
        messages whose places are guesses.
        """
        row = self._sql.one(
            "SELECT EXISTS (SELECT 1 FROM runs WHERE kind = 'reindex')"
            " OR EXISTS (SELECT 1 FROM accounts WHERE id = ? AND moved_run IS NOT NULL)",
            account,
        )
        return bool(row[0])

    def newest(self, account: str | None, limit: int) -> list[RunRecord]:
        """Return the newest runs of an account, or of all, newest first."""
        rows = self._sql.all(
            "SELECT r.id, a.name, r.kind, r.started, r.ended, r.complete, r.report"
            " FROM runs r JOIN accounts a ON a.id = r.account"
            " WHERE ?1 IS NULL OR a.name = ?1"
            " ORDER BY r.id DESC LIMIT ?2",
            (account, limit),
        )
        return [_record(row) for row in rows]

    def first_complete(self, account: str) -> RunRecord | None:
        """Return the first complete pull of an account, without its report."""
        row = self._sql.one(
            "SELECT r.id, a.name, r.kind, r.started, r.ended, r.complete, NULL"
            " FROM runs r JOIN accounts a ON a.id = r.account"
            " WHERE a.name = ? AND r.kind = 'pull' AND r.complete"
            " ORDER BY r.id LIMIT 1",
            account,
        )
        return _record(row) if row else None

    def as_of(self, account: str, moment: int) -> RunRecord | None:
        """Return the last complete pull of an account that had ended by `moment`."""
        row = self._sql.one(
            "SELECT r.id, a.name, r.kind, r.started, r.ended, r.complete, r.report"
            " FROM runs r JOIN accounts a ON a.id = r.account"
            " WHERE a.name = ? AND r.kind = 'pull' AND r.complete AND r.ended <= ?"
            " ORDER BY r.id DESC LIMIT 1",
            account,
            moment,
        )
        return _record(row) if row else None

    def first_since(self, moment: int) -> int:
        """Return the first run that ended at `moment` or later, or that is still to come."""
        first, next_one = self._sql.one(
            "SELECT min(id), (SELECT coalesce(max(id), 0) + 1 FROM runs)"
            " FROM runs WHERE coalesce(ended, started) >= ?",
            moment,
        )
        return int(next_one if first is None else first)

    def first_after(self, moment: int) -> int | None:
        """Return the first run that ended after `moment`."""
        row = self._sql.one("SELECT min(id) FROM runs WHERE coalesce(ended, started) > ?", moment)
        return row[0]  # type: ignore[no-any-return]  # a row of SQLite is untyped

    def vanishing(self, run: int) -> tuple[int | None, int]:
        """Return when the last complete pull of the same account before a run ended, if there was
        one, and when that run did.
        """
        row = self._sql.one(
            "SELECT (SELECT max(b.ended) FROM runs b WHERE b.account = r.account"
            " AND b.kind = 'pull' AND b.complete AND b.id < r.id),"
            " coalesce(r.ended, r.started)"
            " FROM runs r WHERE r.id = ?",
            run,
        )
        return row[0], row[1]


class Traffic:
    """Octets that went `down` from or `up` to an account (a name, or a destination's key)."""

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    def spent(self, account: str, direction: str, now: int) -> int:
        """Return how many octets an account moved in the 24 hours before `now`; what was counted
        while the clock was ahead is not among them.
        """
        row = self._sql.one(
            "SELECT coalesce(sum(octets), 0) FROM traffic"
            " WHERE account = ? AND direction = ? AND hour > ? AND hour <= ?",
            account,
            direction,
            now // HOUR - 24,
            now // HOUR + 1,
        )
        return int(row[0])

    def spend(self, account: str, direction: str, octets: int, now: int) -> None:
        """Count octets an account moved."""
        self._sql.execute(
            "INSERT INTO traffic (account, direction, hour, octets) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT DO UPDATE SET octets = octets + ?4",
            (account, direction, now // HOUR, octets),
        )


def _written(report: Mapping[str, object]) -> str:
    return json.dumps(report, separators=(",", ":"))


def _record(row: Any) -> RunRecord:  # noqa: ANN401  a row of SQLite is untyped
    run, account, kind, started, ended, complete, report = row
    return RunRecord(run, account, kind, started, ended, bool(complete), json.loads(report or "{}"))
