"""The page about archives whose files were proved, and servers that were compared with them."""

from __future__ import annotations

from collections.abc import Iterator

from mailsync.app.report_page.page import Section, Table, number, render
from mailsync.app.verify import Comparison, Proof, Verification, name_of_entry
from mailsync.engine.coverage import Coverage
from mailsync.formats.quantities import messages, octets
from mailsync.mapping import show
from mailsync.model import Entry


def page_of_verification(found: Verification, now: float | None = None) -> str:
    """Return the page about one verification."""
    names = [account for proof in found.proofs for account in proof.accounts]
    whose = ", ".join(dict.fromkeys(names)) or ", ".join(str(one.directory) for one in found.proofs)
    sections = [*map(_of_archive, found.proofs), *map(_of_server, found.comparisons)]
    return render(f"Verification: {whose}", sections, now)


def _of_archive(proof: Proof) -> Section:
    hurt = sum(one.damaged for one in proof.damages)
    if proof.error:
        ended = f"Not looked at: {proof.error}."
    elif hurt:
        ended = f"{hurt:,} damaged: the next pull fetches them anew from the server."
    elif proof.files:
        ended = "Sound: every file is what was put there."
    else:
        ended = "It holds no message yet."
    tables = [
        Table(
            "What is not as it should be",
            ["file", "what", "a message is in danger"],
            [[str(one.path), one.what, "yes" if one.damaged else "no"] for one in proof.damages],
            3,
        )
    ]
    facts = [
        ("Archive", str(proof.directory.absolute())),
        *([("Accounts", ", ".join(proof.accounts))] if proof.accounts else []),
        ("Holds", f"{messages(proof.messages)} in {proof.files:,} files, {octets(proof.octets)}"),
        ("How", "every file was read, and its SHA-256 compared with the one noted on arrival"),
    ]
    good = not proof.error and not hurt
    return Section("The archive", good, ended, facts, tables if proof.damages else [])


def _of_server(comparison: Comparison) -> Section:
    total = sum(one.on_server for one in comparison.mailboxes)
    if comparison.error:
        ended = f"Not compared: {comparison.error}."
    elif comparison.complete:
        ended = f"Complete: the archive has {messages(total)} of {total:,} that are on the server."
    else:
        ended = "The archive does not have everything; what it lacks is named below."
    facts = [("Account", comparison.account)]
    if comparison.left_out:
        facts.append(("Left out, as in a pull", ", ".join(map(show, comparison.left_out))))
    return Section(
        f"The server: {comparison.account}",
        comparison.complete,
        ended,
        facts,
        list(_tables(comparison)),
    )


def _tables(comparison: Comparison) -> Iterator[Table]:
    if comparison.mailboxes:
        yield Table(
            "Mailbox by mailbox",
            ["mailbox", "on the server", "in the archive", "missing", "damaged", "only here"],
            [
                [
                    show(one.mailbox),
                    *map(
                        number,
                        (
                            one.on_server,
                            one.covered,
                            len(one.missing) + one.short,
                            len(one.damaged),
                            one.gone,
                        ),
                    ),
                ]
                for one in comparison.mailboxes
            ],
        )
    lacking = [row for one in comparison.mailboxes for row in _lacking(one)]
    lacking += [["", "", f"cannot be listed: {line}"] for line in comparison.unreadable]
    if lacking:
        yield Table("What is not there, and why", ["mailbox", "message", "what"], lacking, 3)


def _lacking(one: Coverage) -> Iterator[list[str]]:
    name = show(one.mailbox)
    if one.trouble:
        yield [name, "", one.trouble]
    if one.renumbered:
        yield [name, "", "renumbered by the server: the next pull recognises what is here"]
    for entry in one.missing:
        yield [name, _entry(entry), "not in the archive: the next pull fetches it"]
    for entry in one.damaged:
        yield [name, _entry(entry), "damaged in the archive: the next pull fetches it anew"]
    if one.short:
        yield [name, "", f"the archive has {messages(one.short)} too few"]


def _entry(entry: Entry) -> str:
    return f"{name_of_entry(entry)} ({octets(entry.size or 0)})"
