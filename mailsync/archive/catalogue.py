"""All SQL over messages: messages, files, placements, mailboxes and runs.

Commits nothing by itself.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailsync.archive.paths import read_path, write_path
from mailsync.archive.statements import Statements
from mailsync.model import ArchivedMessage, Known, KnownMessage, MailboxPath, SyncState

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A stored content."""

    id: int
    digest: bytes
    size: int
    message_id: str
    header: bytes


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of the tree: one content in one folder."""

    id: int
    folder: str
    base: str
    message: int
    flags: frozenset[str]
    damaged: bool


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


@dataclass(frozen=True, slots=True)
class ArchivedMailbox:
    """What the archive holds of a mailbox.

    `octets` counts each file once; `complete_at` is when it was last seen whole.

    `live` messages are as many as its server shows; `copies` of them are the same message as
    another of them, stored once. `gone` are those that its server shows no more, under whatever
    UID.
    """

    path: MailboxPath
    special_use: frozenset[str]
    subscribed: bool
    live: int
    gone: int
    octets: int
    complete_at: int | None
    incomplete: bool
    removed: bool
    copies: int = 0


class FlagSets:
    """Flags as the catalogue writes them; equal sets are one object, so that a hundred thousand
    messages stay small.
    """

    def __init__(self) -> None:
        self._sets: dict[str, frozenset[str]] = {}

    def read(self, text: str) -> frozenset[str]:
        """Return the set a text stands for."""
        found = self._sets.get(text)
        if found is None:
            found = self._sets[text] = frozenset(text.split())
        return found

    @staticmethod
    def write(flags: frozenset[str]) -> str:
        """Return the text a set is written as."""
        return " ".join(sorted(flags))


class Catalogue:
    """Questions and statements over one open catalogue."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.sql = Statements(connection)
        self.flags = FlagSets()

    def _one(self, statement: str, *values: Any) -> Any:  # noqa: ANN401  a row of SQLite is untyped
        return self.sql.execute(statement, values).fetchone()

    def begin(self) -> None:
        """Open a transaction unless one is open."""
        if not self.sql.in_transaction:
            self.sql.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make everything since `begin` durable."""
        if self.sql.in_transaction:
            self.sql.execute("COMMIT")

    def rollback(self) -> None:
        """Forget everything since `begin`."""
        self.sql.forget()
        if self.sql.in_transaction:
            self.sql.execute("ROLLBACK")

    # accounts and runs

    def accounts(self) -> list[str]:
        """Name the accounts, in the order in which they came."""
        return [name for (name,) in self.sql.execute("SELECT name FROM accounts ORDER BY id")]

    def account(self, name: str) -> int | None:
        """Return an account's row."""
        row = self._one("SELECT id FROM accounts WHERE name = ?", name)
        return row[0] if row else None

    def make_account(self, name: str) -> int:
        """Return an account's row, made when missing."""
        self.sql.execute("INSERT OR IGNORE INTO accounts (name) VALUES (?)", (name,))
        return int(self._one("SELECT id FROM accounts WHERE name = ?", name)[0])

    def start_run(
        self, account: int, kind: str, started: int, destination: str | None = None
    ) -> int:
        """Record that a run begins."""
        cursor = self.sql.execute(
            "INSERT INTO runs (account, kind, destination, started) VALUES (?, ?, ?, ?)",
            (account, kind, destination, started),
        )
        return int(cursor.lastrowid or 0)

    def end_run(
        self, run: int, ended: int, *, complete: bool, report: Mapping[str, object]
    ) -> None:
        """Record how a run ended."""
        text = json.dumps(report, separators=(",", ":"))
        self.sql.execute(
            "UPDATE runs SET ended = ?, complete = ?, report = ? WHERE id = ?",
            (ended, complete, text, run),
        )

    def note_run(self, run: int, report: Mapping[str, object]) -> None:
        """Record of a run that goes on what is to be known of it if it is killed."""
        self.sql.execute(
            "UPDATE runs SET report = ? WHERE id = ?",
            (json.dumps(report, separators=(",", ":")), run),
        )

    def break_off(self, run: int, ended: int) -> None:
        """Record that a run was killed; what it had said of itself stays."""
        said = json.loads(self._one("SELECT report FROM runs WHERE id = ?", run)[0] or "{}")
        self.end_run(run, ended, complete=False, report={**said, "killed": True})

    def unfinished_runs(self) -> list[int]:
        """Name the runs that never ended."""
        return [run for (run,) in self.sql.execute("SELECT id FROM runs WHERE ended IS NULL")]

    def has_runs(self) -> bool:
        """Return whether any run was ever recorded."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM runs)")[0])

    def was_reindexed(self) -> bool:
        """Return whether this catalogue was ever built from the tree."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM runs WHERE kind = 'reindex')")[0])

    def runs(self, account: str | None, limit: int) -> list[RunRecord]:
        """Return the newest runs, newest first."""
        rows = self.sql.execute(
            "SELECT r.id, a.name, r.kind, r.started, r.ended, r.complete, r.report FROM runs r JOIN"
            " accounts a ON a.id = r.account WHERE ?1 IS NULL OR a.name = ?1 ORDER BY r.id DESC"
            " LIMIT ?2",
            (account, limit),
        )
        return [
            RunRecord(i, name, kind, start, end, bool(ok), json.loads(text or "{}"))
            for i, name, kind, start, end, ok, text in rows
        ]

    def first_complete(self, account: str) -> RunRecord | None:
        """Return the first complete pull of an account."""
        row = self._one(
            "SELECT r.id, a.name, r.kind, r.started, r.ended FROM runs r JOIN accounts a ON a.id ="
            " r.account WHERE a.name = ? AND r.kind = 'pull' AND r.complete ORDER BY r.id LIMIT 1",
            account,
        )
        if row is None:
            return None
        number, name, kind, started, ended = row
        return RunRecord(number, name, kind, started, ended, complete=True, report={})

    def run_as_of(self, account: str, moment: int) -> RunRecord | None:
        """Return the last complete pull of an account that had ended by `moment`."""
        row = self._one(
            "SELECT r.id, a.name, r.kind, r.started, r.ended, r.complete, r.report FROM runs r JOIN"
            " accounts a ON a.id = r.account WHERE a.name = ? AND r.kind = 'pull' AND r.complete"
            " AND r.ended <= ? ORDER BY r.id DESC LIMIT 1",
            account,
            moment,
        )
        if row is None:
            return None
        number, name, kind, started, ended, complete, report = row
        return RunRecord(
            number, name, kind, started, ended, bool(complete), json.loads(report or "{}")
        )

    def first_run_since(self, moment: int) -> int:
        """Return the first run that ended at `moment` or later, or that is still to come."""
        row = self._one(
            "SELECT min(id), (SELECT coalesce(max(id), 0) + 1 FROM runs) FROM runs WHERE"
            " coalesce(ended, started) >= ?",
            moment,
        )
        return int(row[1] if row[0] is None else row[0])

    def vanishing(self, run: int) -> tuple[int | None, int]:
        """Return when the last complete pull of the same account before a run ended, if there was
        one, and when that run did.
        """
        row = self._one(
            "SELECT (SELECT max(b.ended) FROM runs b WHERE b.account = r.account AND b.kind ="
            " 'pull' AND b.complete AND b.id < r.id), coalesce(r.ended, r.started) FROM runs r"
            " WHERE r.id = ?",
            run,
        )
        return row[0], row[1]

    def spent(self, account: str, direction: str, now: int) -> int:
        """Add up the octets an account moved in the 24 hours before `now`."""
        row = self._one(
            "SELECT coalesce(sum(octets), 0) FROM traffic WHERE account = ? AND direction = ? AND"
            " hour > ?",
            account,
            direction,
            now // 3600 - 24,
        )
        return int(row[0])

    def spend(self, account: str, direction: str, octets: int, now: int) -> None:
        """Count octets an account moved."""
        self.sql.execute(
            "INSERT INTO traffic (account, direction, hour, octets) VALUES (?1, ?2, ?3, ?4) ON"
            " CONFLICT DO UPDATE SET octets = octets + ?4",
            (account, direction, now // 3600, octets),
        )

    # folders and mailboxes

    def folder(self, path: MailboxPath) -> tuple[int, str] | None:
        """Return a mailbox's folder as (row, name)."""
        row = self._one("SELECT id, name FROM folders WHERE path = ?", write_path(path))
        return (row[0], row[1]) if row else None

    def path_of_folder(self, name: str) -> MailboxPath | None:
        """Return the mailbox whose folder has this name."""
        row = self._one("SELECT path FROM folders WHERE name = ?", name)
        return read_path(row[0]) if row else None

    def folders(self) -> list[tuple[int, MailboxPath, str]]:
        """Return every folder as (row, path, name)."""
        return [
            (i, read_path(path), name)
            for i, path, name in self.sql.execute("SELECT id, path, name FROM folders")
        ]

    def folder_clashes(self, name: str) -> bool:
        """Return whether another folder's name differs in case only."""
        return bool(
            self._one(
                "SELECT 1 FROM folders WHERE lower(name) = lower(?) AND name <> ?", name, name
            )
        )

    def make_folder(self, path: MailboxPath, name: str) -> int:
        """Record a folder."""
        return int(
            self.sql.execute(
                "INSERT INTO folders (path, name) VALUES (?, ?)", (write_path(path), name)
            ).lastrowid
            or 0
        )

    def mailbox(self, account: int, path: MailboxPath) -> int | None:
        """Return the row of an account's mailbox."""
        row = self._one(
            "SELECT m.id FROM mailboxes m JOIN folders f ON f.id = m.folder WHERE m.account = ? AND"
            " f.path = ?",
            account,
            write_path(path),
        )
        return row[0] if row else None

    def make_mailbox(self, account: int, folder: int) -> int:
        """Return the row of an account's mailbox, made when missing."""
        self.sql.execute(
            "INSERT OR IGNORE INTO mailboxes (account, folder) VALUES (?, ?)", (account, folder)
        )
        return int(
            self._one("SELECT id FROM mailboxes WHERE account = ? AND folder = ?", account, folder)[
                0
            ]
        )

    def state(self, mailbox: int) -> SyncState | None:
        """Return a mailbox's last complete state; None as well while a message of it is damaged and
        must be fetched anew.
        """
        row = self._one(
            "SELECT uidvalidity, uidnext, messages, highestmodseq FROM mailboxes WHERE id = ?",
            mailbox,
        )
        if row is None or row[0] is None or self._damaged(mailbox):
            return None
        return SyncState(*row)

    def _damaged(self, mailbox: int) -> bool:
        return bool(
            self._one(
                # CROSS JOIN: begin with the few damaged files, not with the many placements.
                "SELECT 1 FROM files f CROSS JOIN placements p ON p.file = f.id "
                "WHERE f.damaged AND p.mailbox = ? AND p.gone_run IS NULL LIMIT 1",
                mailbox,
            )
        )

    def mailboxes(self, account: int) -> list[ArchivedMailbox]:
        """Describe the mailboxes of an account by name."""
        # Each table is gone through once, however many mailboxes there are.
        rows = self.sql.execute(
            "WITH held AS (SELECT * FROM placements WHERE mailbox IN (SELECT id FROM mailboxes"
            " WHERE account = ?1)), placed AS (SELECT mailbox, file, sum(gone_run IS NULL) AS"
            " live FROM held GROUP BY mailbox, file), counts AS (SELECT mailbox, sum(live) AS live,"
            " sum(NOT live) AS gone, sum(live > 0) AS stored FROM placed GROUP BY mailbox),"
            " contents AS (SELECT DISTINCT h.mailbox, x.message FROM placed h JOIN files x ON"
            " x.id = h.file), sizes AS (SELECT c.mailbox, sum(s.size) AS octets FROM contents c"
            " JOIN messages s ON s.id = c.message GROUP BY c.mailbox) SELECT f.path, m.attributes,"
            " m.subscribed, m.complete_at, m.incomplete, m.removed_run IS NOT NULL,"
            " coalesce(counts.live, 0), coalesce(counts.gone, 0), coalesce(sizes.octets, 0),"
            " coalesce(counts.live - counts.stored, 0) FROM mailboxes m JOIN folders f ON f.id ="
            " m.folder LEFT JOIN counts ON counts.mailbox = m.id LEFT JOIN sizes ON sizes.mailbox ="
            " m.id WHERE m.account = ?1 ORDER BY f.path <> 'INBOX', f.path",
            (account,),
        )
        return [
            ArchivedMailbox(
                read_path(path),
                self.flags.read(uses),
                bool(sub),
                live,
                gone,
                octets,
                at,
                bool(incomplete),
                bool(removed),
                copies,
            )
            for path, uses, sub, at, incomplete, removed, live, gone, octets, copies in rows
        ]

    # messages and files

    def message_by_digest(self, digest: bytes) -> int | None:
        """Return the row of a content."""
        row = self._one("SELECT id FROM messages WHERE digest = ?", digest)
        return row[0] if row else None

    def messages_of_size(self, size: int, before_run: int) -> list[MessageRow]:
        """Return the contents stored before a run that have this size, or had it where their server
        announced them.
        """
        rows = self.sql.execute(
            "SELECT id, digest, size, message_id, header FROM messages WHERE id IN (SELECT id FROM"
            " messages WHERE size = ?1 AND first_run < ?2 UNION SELECT f.message FROM placements p"
            " JOIN files f ON f.id = p.file WHERE p.size = ?1 AND p.first_run < ?2)",
            (size, before_run),
        )
        return [MessageRow(*row) for row in rows]

    def has_messages(self, before_run: int) -> bool:
        """Return whether any content came before that run."""
        # Rows are numbered as they come, so that the first one tells.
        row = self._one("SELECT first_run FROM messages ORDER BY id LIMIT 1")
        return row is not None and row[0] < before_run

    def has_size(self, size: int, before_run: int) -> bool:
        """Return whether `messages_of_size` would find any."""
        return bool(
            self._one(
                "SELECT EXISTS (SELECT 1 FROM messages WHERE size = ?1 AND first_run < ?2) "
                "OR EXISTS (SELECT 1 FROM placements WHERE size = ?1 AND first_run < ?2)",
                size,
                before_run,
            )[0]
        )

    def files_of(self, message: int, *, folder: int | None = None) -> list[FileRow]:
        """Return the files that hold a content, undamaged ones first."""
        rows = self.sql.execute(
            "SELECT f.id, d.name, f.base, f.message, f.flags, f.damaged FROM files f JOIN folders d"
            " ON d.id = f.folder WHERE f.message = ?1 AND (?2 IS NULL OR f.folder = ?2) ORDER BY"
            " f.damaged, f.id",
            (message, folder),
        )
        return [self._file(row) for row in rows]

    def file(self, row_id: int) -> FileRow:
        """Return a file by its row."""
        return self._file(
            self._one(
                "SELECT f.id, d.name, f.base, f.message, f.flags, f.damaged FROM files f JOIN"
                " folders d ON d.id = f.folder WHERE f.id = ?",
                row_id,
            )
        )

    def _file(self, row: Sequence[Any]) -> FileRow:
        return FileRow(row[0], row[1], row[2], row[3], self.flags.read(row[4]), bool(row[5]))

    def all_files(self, newest: int | None = None) -> Iterator[tuple[FileRow, bytes]]:
        """Return every file (up to that row) with the digest it must have, folder by folder."""
        rows = self.sql.execute(
            "SELECT f.id, d.name, f.base, f.message, f.flags, f.damaged, m.digest FROM files f JOIN"
            " folders d ON d.id = f.folder JOIN messages m ON m.id = f.message WHERE f.damaged < 2"
            " AND (?1 IS NULL OR f.id <= ?1) ORDER BY f.folder, f.id",
            (newest,),
        )
        return ((self._file(row), row[6]) for row in rows)

    def newest_file(self) -> int:
        """Return the row of the file that came last, 0 when there is none."""
        return int(self._one("SELECT coalesce(max(id), 0) FROM files")[0])

    def count_files(self, newest: int | None = None) -> tuple[int, int]:
        """Count files (up to that row) and their octets."""
        row = self._one(
            "SELECT count(*), coalesce(sum(m.size), 0) FROM files f JOIN messages m ON m.id ="
            " f.message WHERE ?1 IS NULL OR f.id <= ?1",
            newest,
        )
        return int(row[0]), int(row[1])

    def count_messages(self) -> int:
        """Count messages: those that servers show, as often as they do, and those that no server
        shows any more.
        """
        row = self._one(
            "SELECT (SELECT count(*) FROM placements WHERE gone_run IS NULL) + (SELECT count(*)"
            " FROM files f WHERE f.damaged < 2 AND NOT EXISTS (SELECT 1 FROM placements p WHERE"
            " p.file = f.id AND p.gone_run IS NULL))"
        )
        return int(row[0])

    def bases(self, folder: str) -> dict[str, int]:
        """Return the base names the catalogue knows in a folder, with their rows."""
        return dict(
            self.sql.execute(
                "SELECT f.base, f.id FROM files f JOIN folders d ON d.id = f.folder WHERE"
                " d.name = ?",
                (folder,),
            )
        )

    def unplaced_folders(self) -> list[tuple[int, MailboxPath]]:
        """Return the folders with files that no placement names, as (row, path)."""
        rows = self.sql.execute(
            "SELECT DISTINCT d.id, d.path FROM files f JOIN folders d ON d.id = f.folder "
            "WHERE NOT EXISTS (SELECT 1 FROM placements p WHERE p.file = f.id) ORDER BY d.id"
        )
        return [(row, read_path(path)) for row, path in rows]

    def place_unconfirmed(self, mailbox: int, folder: int, run: int, *, by_uid: bool) -> int:
        """Place the files of a folder that no placement names in a mailbox, without a UID or UIDL;
        returns how many.

        With `by_uid` they have a UIDVALIDITY that no server gives, so that a complete scan makes
        those gone that it does not find.
        """
        cursor = self.sql.execute(
            "INSERT INTO placements (mailbox, file, digest, size, uidvalidity, uid, internaldate,"
            " flags, first_run, since_run, unconfirmed) SELECT ?1, f.id, m.digest, m.size, iif(?4,"
            " -f.id, 0), iif(?4, 0, NULL), f.internaldate, f.flags, ?3, ?3, 1 FROM files f JOIN"
            " messages m ON m.id = f.message WHERE f.folder = ?2 AND NOT EXISTS (SELECT 1 FROM"
            " placements p WHERE p.file = f.id)",
            (mailbox, folder, run, by_uid),
        )
        return cursor.rowcount

    def mark(self, file: int, *, damaged: bool) -> None:
        """Say of a file whether it holds what it should."""
        self.sql.execute("UPDATE files SET damaged = ? WHERE id = ?", (damaged, file))

    # what a mailbox holds

    def known(self, mailbox: int, uidvalidity: int, state: SyncState | None) -> Known:
        """Return every message of a mailbox under this UIDVALIDITY (0: by UIDL)."""
        key, keyed = (
            ("uid", "p.uidvalidity = ?2") if uidvalidity else ("uidl", "p.uid IS NULL AND ?2 = 0")
        )
        rows = self.sql.execute(
            f"SELECT p.{key}, p.size, p.flags, p.gone_run IS NOT NULL, f.damaged FROM placements p "
            "JOIN files f ON f.id = p.file "
            f"WHERE p.mailbox = ?1 AND {keyed} AND p.{key} IS NOT NULL ORDER BY p.id",
            (mailbox, uidvalidity),
        )
        read = self.flags.read
        messages = {
            key: KnownMessage(size, read(flags), bool(gone), bool(bad))
            for key, size, flags, gone, bad in rows
        }
        return Known(state, messages, sum(not message.gone for message in messages.values()))

    def known_of(
        self,
        mailbox: int,
        uidvalidity: int,
        state: SyncState | None,
        uids: Iterable[int],
        spans: Iterable[range],
    ) -> Known:
        """Return the messages with these UIDs, and the live ones within `spans`; costs as much as
        they are many.
        """
        select = (
            "SELECT p.uid, p.size, p.flags, p.gone_run IS NOT NULL, f.damaged FROM placements p"
            " JOIN files f ON f.id = p.file WHERE p.mailbox = ? AND p.uidvalidity = ? AND "
        )
        rows: list[tuple[int, int | None, str, int, int]] = []
        wanted = list(uids)
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            rows += self.sql.execute(f"{select} p.uid IN ({marks})", (mailbox, uidvalidity, *chunk))
        for span in spans:
            rows += self.sql.execute(
                f"{select} p.gone_run IS NULL AND p.uid BETWEEN ? AND ?",
                (mailbox, uidvalidity, span.start, span.stop - 1),
            )
        messages: dict[int | bytes, KnownMessage] = {
            uid: KnownMessage(size, self.flags.read(flags), bool(gone), bool(bad))
            for uid, size, flags, gone, bad in rows
        }
        live = self._one(
            "SELECT count(*) FROM placements WHERE mailbox = ? AND uidvalidity = ? AND gone_run IS"
            " NULL",
            mailbox,
            uidvalidity,
        )[0]
        return Known(state, messages, live)

    def messages(
        self, mailbox: int, path: MailboxPath, *, include_gone: bool, as_of: int | None
    ) -> Iterator[ArchivedMessage]:
        """Yield one message a file, oldest first; its flags are those of its newest placement
        there, a live one if there is any.

        With `as_of` those placements count that were live at the end of that run, with the flags
        they had then.
        """
        if as_of is None:
            # Spelled out, so that the index on live messages serves.
            live = "" if include_gone else "AND gone_run IS NULL"
            held = (
                f"SELECT file, id, flags, gone_run FROM placements WHERE mailbox = :mailbox {live}"
            )
        else:
            held = (
                "SELECT file, id, flags, NULL AS gone_run FROM placements WHERE mailbox = :mailbox"
                " AND since_run <= :run AND (gone_run IS NULL OR gone_run > :run) UNION ALL SELECT"
                " p.file, p.id, s.flags, NULL FROM placements p JOIN spans s ON s.placement = p.id"
                " WHERE p.mailbox = :mailbox AND s.from_run <= :run AND s.to_run > :run"
            )
        rows = self.sql.execute(
            "SELECT m.digest, m.identity, m.size, f.internaldate, f.copy, m.message_id, "
            "m.presence, m.subject, m.sender, "
            "p.flags, p.gone_run, max((p.gone_run IS NULL) * 1000000000000 + p.id) FROM"
            f" ({held}) p "
            "JOIN files f ON f.id = p.file JOIN messages m ON m.id = f.message GROUP BY f.id ORDER"
            " BY f.internaldate, m.digest",
            {"mailbox": mailbox, "run": as_of},
        )
        for (
            digest,
            identity,
            size,
            date,
            copy,
            message_id,
            presence,
            subject,
            sender,
            flags,
            gone_run,
            _,
        ) in rows:
            yield ArchivedMessage(
                path,
                digest,
                identity,
                size,
                self.flags.read(flags),
                date,
                copy,
                message_id,
                presence,
                subject,
                sender,
                gone_run is not None,
                gone_run,
            )
