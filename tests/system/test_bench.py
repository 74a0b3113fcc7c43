"""What no noise can break of the promises on speed: waits for an answer, octets on the line,
memory, statements; and scripts/bench itself.

The waits are counted by the proxy over a line so long that nothing a slow machine does adds many.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from scripts.benchmark import mailboxes, measure, picture, programs, table
from scripts.benchmark.bench import Bench, boxes
from scripts.benchmark.mailboxes import Mail, NotTheSameWork
from scripts.benchmark.programs import Login, Protocol, account, archived, mailsync
from scripts.benchmark.record import (
    FAR,
    NEAR,
    OURS,
    WIRE,
    Comparison,
    Entry,
    Record,
    Sample,
    UnusableRecord,
    load,
)
from tests.messages import plain
from tests.servers.dovecot import Dovecot, start
from tests.servers.wan import Proxy
from tests.unit.engine.rig import Rig

RTT = 0.2
ONE_BY_ONE = (
    "IMAP4rev1 SASL-IR ENABLE NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE UIDPLUS LITERAL+"
    " CONDSTORE ESEARCH"
)


@pytest.fixture
def bench(dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("BENCH", dovecot.password)
    return Bench(dovecot, 1, quick=True)


@pytest.fixture
def far(dovecot: Dovecot) -> Iterator[Proxy]:
    with Proxy(dovecot.imap_port, rtt=RTT) as proxy:
        yield proxy


def pull(
    bench: Bench, folder: Path, mail: Mail, login: Login, proxy: Proxy | None = None
) -> Sample:
    sample = measure.run(mailsync(folder, ["pull"], a=account(login)), folder, proxy)
    mail.arrived(archived(folder), exactly=True)
    bench.server.forget(mail.user)
    return sample


def crossed(sample: Sample) -> int:
    assert sample.to_server is not None
    assert sample.from_server is not None
    return sample.to_server + sample.from_server


def waits(sample: Sample) -> int:
    assert sample.turns is not None
    return sample.turns


@pytest.mark.parametrize(("protocol", "most"), [("imap", 10), ("pop3", 8)])
def test_a_first_pull_waits_few_times_and_moves_little_but_mail(
    bench: Bench, tmp_path: Path, protocol: Protocol, most: int
) -> None:
    mail = bench.filled(boxes(8 if protocol == "imap" else 1), 600, 12_000_000, protocol=protocol)
    with Proxy(bench.direct(mail.user, protocol).port, rtt=RTT) as proxy:
        sample = pull(
            bench,
            tmp_path,
            mail,
            Login(protocol, proxy.port, mail.user, bench.server.password),
            proxy,
        )
    assert waits(sample) <= most
    assert crossed(sample) <= 1.02 * mail.octets
    assert sample.peak_mb <= 100 + 3 * mail.largest / 1e6


def test_a_message_of_fifteen_megabytes_takes_three_times_its_size_of_memory_at_most(
    bench: Bench, tmp_path: Path
) -> None:
    user = bench.server.user()
    mail = mailboxes.fill(bench.server, user, ["INBOX"], 3, 45_000_000)
    assert mail.largest > 15_000_000
    assert pull(bench, tmp_path, mail, bench.direct(user)).peak_mb <= 100 + 3 * mail.largest / 1e6


def push(bench: Bench, folder: Path, server: Dovecot) -> Sample:
    mail = bench.filled(boxes(4), 400, 8_000_000)
    pull(bench, folder, mail, bench.direct(mail.user))
    there = server.user("to")
    with Proxy(server.imap_port, rtt=RTT) as proxy:
        to = account(Login("imap", proxy.port, there, server.password), ", backup: false")
        sample = measure.run(
            mailsync(folder, ["push", "a", "b"], a=account(bench.direct(mail.user)), b=to),
            folder,
            proxy,
        )
    mail.arrived(mailboxes.received(server, there))
    # A sample of 20 of the 400 is read back, to see that it is what was sent.
    assert crossed(sample) <= 1.12 * mail.octets
    assert sample.peak_mb <= 100 + 3 * mail.largest / 1e6
    return sample


def test_a_push_of_many_messages_a_command_waits_twelve_times_at_most(
    bench: Bench, tmp_path: Path
) -> None:
    assert waits(push(bench, tmp_path, bench.server)) <= 12


def test_a_push_of_one_message_a_command_waits_forty_times_at_most(
    bench: Bench, tmp_path: Path
) -> None:
    with start(imap_capability=ONE_BY_ONE) as server:
        assert waits(push(bench, tmp_path, server)) <= 40


def test_a_night_without_news_in_a_hundred_mailboxes_waits_six_times_at_most(
    bench: Bench, far: Proxy, tmp_path: Path
) -> None:
    mail = bench.filled(boxes(100), 200, 200_000)
    # By the same port: another one is another server.
    login = Login("imap", far.port, mail.user, bench.server.password)
    measure.run(programs.MAILSYNC_PROGRAM.pull(tmp_path, login), tmp_path, far)
    sample = measure.run(mailsync(tmp_path, ["pull"], a=account(login)), tmp_path, far)
    assert waits(sample) <= 6
    assert crossed(sample) <= 24_000  # one in seven is opened, whatever its counters say


def statements(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> int:
    """Pull, and count what the catalogue is asked and told meanwhile."""
    said: list[str] = []
    connect = sqlite3.connect

    def traced(*arguments: object, **options: object) -> sqlite3.Connection:
        connection = connect(*arguments, **options)  # type: ignore[call-overload]
        connection.set_trace_callback(said.append)
        assert isinstance(connection, sqlite3.Connection)
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", traced)
        assert rig.pull().complete
    return len(said)


def test_ten_new_messages_cost_as_many_statements_among_many_as_among_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    for size in (100, 1_000):
        rig = Rig(tmp_path / str(size))
        for number in range(size):
            rig.old.deliver(("INBOX",), plain(number))
        rig.pull()
        for number in range(size, size + 10):
            rig.old.deliver(("INBOX",), plain(number))
        asked.append(statements(rig, monkeypatch))
    assert asked[1] <= asked[0]


def test_a_new_message_costs_few_statements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    for size in (100, 600):
        rig = Rig(tmp_path / str(size))
        for number in range(size):
            rig.old.deliver(("INBOX",), plain(number))
        asked.append(statements(rig, monkeypatch))
    assert (asked[1] - asked[0]) / 500 <= 8


def record() -> Record:
    here = {
        "processor": "one",
        "cores": "2",
        "memory": "4 GB",
        "kernel": "Linux 6.1",
        "python": "3.11",
        "commit": "abc",
        "load": "0.1",
    }
    entries = [
        Entry(
            name,
            "all",
            name == "peer",
            {
                NEAR: [Sample(near, 1.0, 30.0, 10, 990, 5)],
                FAR: [Sample(far, 1.0, 31.0, 10, 990, 5)],
            },
        )
        for name, near, far in ((OURS, 1.0, 2.0), (WIRE, 0.5, 1.0), ("peer", 2.0, 8.0))
    ]
    return Record(
        here | {"date": "2026-01-01"},
        {OURS: "1"},
        ["other"],
        [Comparison("IMAP pull", "1 message", 1000, "soon", "", entries)],
    )


def test_a_record_outlives_its_file_and_is_told_as_a_table_and_a_picture(tmp_path: Path) -> None:
    record().save(tmp_path / "record.json")
    loaded = load(tmp_path / "record.json")
    assert loaded == record()
    told = table.markdown(loaded)
    assert "| mailsync | 1.00 | 2.00 | 0.50 · 0.25 | 5.0 | 1.00 | 31 | 1.000 | all |" in told
    assert "Not installed here, so not measured: other." in told
    drawn = picture.svg(loaded)
    assert {"mailsync", "bare socket", "peer", "8.00 s"} <= {
        text.text for text in fromstring(drawn).iter()
    }


def test_two_commits_are_compared_and_noise_is_told_from_change() -> None:
    new = record()
    new.comparisons[0].entries[0].lines[FAR] = [Sample(3.0, 1.0, 31.0, 10, 990, 5)]
    told = table.against(record(), new)
    assert "| 1.00 → 1.00 | +0 % (within the spread) |" in told
    assert "| 2.00 → 3.00 | +50 % | 0.25 → 0.38 | 1.00 → 1.00 | 5.0 → 10.0 |" in told


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("[]")
    with pytest.raises(UnusableRecord, match="not a record"):
        load(tmp_path / "x")


def test_a_program_that_lost_or_changed_a_message_did_not_do_the_work(dovecot: Dovecot) -> None:
    mail = mailboxes.fill(dovecot, dovecot.user(), ["INBOX"], 5, 20_000)
    found = list(mailboxes.received(dovecot, mail.user))
    mail.arrived(found, exactly=True)
    mail.arrived([content.replace(b"\r\n", b"\n") for content in found])
    for wrong in (
        found[1:],
        [*found[1:], found[1]],
        [*found[1:], found[0][:-9] + b"x" + found[0][-8:]],
    ):
        with pytest.raises(NotTheSameWork, match="of 5 messages 1 did not arrive"):
            mail.arrived(wrong)


def test_the_script_measures_and_writes_what_was_asked_for(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "scripts.benchmark",
        "--quick",
        "start",
        "--json",
        str(tmp_path / "new.json"),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert "**start-up, --help**" in done.stdout
    assert load(tmp_path / "new.json").comparisons[0].entry(OURS)
