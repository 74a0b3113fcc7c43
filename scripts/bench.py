"""Measure mailsync against its peers and against the wire; `scripts/bench --help`.

Speed is stated in two ways that survive a noisy machine: ratios of medians of interleaved runs, and effective round trips =
(seconds at 200 ms round trip − seconds at 0 ms) / 0.2. A peer that is not installed is left out, and said so.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from imapclient import IMAPClient

from scripts.bench_mail import letters
from tests.servers import dovecot, wan

RTT = 0.2
MAILSYNC = [sys.executable, "-m", "mailsync.cli.main"]


@dataclass(slots=True)
class Sample:
    """One measured run of one program."""

    seconds: float
    cpu: float
    peak_mb: float


@dataclass(slots=True)
class Row:
    """What one program did in one setting."""

    work: str
    program: str
    samples: list[Sample] = field(default_factory=list)
    round_trips: float | None = None
    ratio: float | None = None
    target: str = ""

    @property
    def seconds(self) -> float:
        """The median wall time."""
        return statistics.median(sample.seconds for sample in self.samples)


def run(command: Sequence[str], cwd: Path, *, ok: Sequence[int] = (0,)) -> Sample:
    """Run a program to its end and measure it alone, children included."""
    log = cwd / "output.log"
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        peak = 0
        done = 0
        while not done:
            # ru_maxrss would count this script's own memory, which a child shares until it begins.
            peak = max(peak, _high_water(process.pid))
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
            time.sleep(0 if done else 0.005)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in ok:
        sys.exit(f"{command[0]} ended with {process.returncode}:\n{log.read_text(errors='replace')[-3000:]}")
    return Sample(seconds, usage.ru_utime + usage.ru_stime, peak / 1024)


def _high_water(pid: int) -> int:
    """Tell the most memory a process ever held, in kB; 0 once it is gone, or where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


class Peers:
    """How each program is told to do one pull; every call works in a fresh folder."""

    def __init__(self, server: dovecot.Dovecot) -> None:
        self.server = server

    def mailsync_config(self, folder: Path, user: str, protocol: str, port: int, *, tls: bool) -> list[str]:
        """Write a config that pulls `user` over `protocol`; returns the command without its verb."""
        security = f"tls, ca_file: {self.server.ca_file}" if tls else "none"
        (folder / "mailsync.yaml").write_text(
            f"archive: {{root: {folder / 'archives'}}}\n"
            "accounts:\n"
            f"  a: {{protocol: {protocol}, host: 127.0.0.1, port: {port}, security: {security}, "
            f"username: {user}, password: {{env: BENCH}}}}\n"
        )
        return [*MAILSYNC, "--config", str(folder / "mailsync.yaml"), "-q"]

    def mailsync(self, folder: Path, user: str, protocol: str, port: int, *, tls: bool = False) -> list[str]:
        """Pull with mailsync."""
        return [*self.mailsync_config(folder, user, protocol, port, tls=tls), "pull"]

    def mbsync(self, folder: Path, user: str, _protocol: str, port: int, *, tls: bool = False) -> list[str]:
        """Pull with mbsync, fsync on as it is by default."""
        (folder / "mail").mkdir(exist_ok=True)
        host = "localhost" if tls else "127.0.0.1"
        (folder / "mbsyncrc").write_text(
            f"IMAPAccount a\nHost {host}\nPort {port}\nUser {user}\nPass {self.server.password}\nAuthMechs PLAIN\n"
            + (f"SSLType IMAPS\nCertificateFile {self.server.ca_file}\n" if tls else "SSLType None\n")
            + f"\nIMAPStore far\nAccount a\n\nMaildirStore near\nPath {folder}/mail/\nInbox {folder}/mail/INBOX\nSubFolders Verbatim\n\n"
            "Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSync Pull\nSyncState *\n"
        )
        return ["mbsync", "-q", "-c", str(folder / "mbsyncrc"), "c"]

    def mpop(self, folder: Path, user: str, _protocol: str, port: int, *, tls: bool = False) -> list[str]:
        """Pull with mpop, pipelined."""
        for part in ("cur", "new", "tmp"):
            (folder / "mail" / part).mkdir(parents=True, exist_ok=True)
        config = folder / "mpoprc"
        config.write_text(
            f"account a\nhost 127.0.0.1\nport {port}\nuser {user}\npassword {self.server.password}\nauth user\nkeep on\npipelining auto\n"
            f"received_header off\nuidls_file {folder}/uidls\ndelivery maildir {folder}/mail\n"
            + (f"tls on\ntls_starttls off\ntls_trust_file {self.server.ca_file}\n" if tls else "tls off\n")
        )
        config.chmod(0o600)
        return ["mpop", "-Q", "-C", str(config), "a"]

    def getmail(self, folder: Path, user: str, _protocol: str, port: int, *, tls: bool = False) -> list[str]:
        """Pull with getmail over POP3."""
        for part in ("cur", "new", "tmp"):
            (folder / "mail" / part).mkdir(parents=True, exist_ok=True)
        kind = "SimplePOP3SSLRetriever" if tls else "SimplePOP3Retriever"
        (folder / "getmailrc").write_text(
            f"[retriever]\ntype = {kind}\nserver = 127.0.0.1\nport = {port}\nusername = {user}\npassword = {self.server.password}\n\n"
            f"[destination]\ntype = Maildir\npath = {folder}/mail/\n\n[options]\nverbose = 0\ndelete = false\n"
        )
        return ["getmail", "--getmaildir", str(folder), "--rcfile", "getmailrc"]


Command = Callable[..., list[str]]


def fill(server: dovecot.Dovecot, user: str, mailboxes: Sequence[str], count: int, octets: int, seed: int = 1) -> None:
    """Put `count` letters of `octets` in all into `user`'s mailboxes, evenly."""
    for number, content in enumerate(letters(count, octets, seed)):
        server.deliver(user, mailboxes[number % len(mailboxes)], content, internaldate=1_200_000_000 + number)


def round_trips(work: str, program: str, command: Command, user: str, protocol: str, port: int, rounds: int) -> Row:
    """Measure one pull near and far, interleaved, and give its effective round trips."""
    near: list[Sample] = []
    far: list[Sample] = []
    with wan.Proxy(port, rtt=0.0) as short, wan.Proxy(port, rtt=RTT) as long:
        for _ in range(rounds):
            for proxy, samples in ((short, near), (long, far)):
                with tempfile.TemporaryDirectory() as name:
                    folder = Path(name)
                    samples.append(run(command(folder, user, protocol, proxy.port), folder))
    row = Row(work, program, near)
    row.round_trips = (statistics.median(s.seconds for s in far) - statistics.median(s.seconds for s in near)) / RTT
    return row


def no_news(program: str, command: Command, user: str, port: int, rounds: int) -> Row:
    """Measure the second run over mailboxes in which nothing happened."""
    near: list[Sample] = []
    far: list[Sample] = []
    with tempfile.TemporaryDirectory() as name, wan.Proxy(port, rtt=0.0) as short, wan.Proxy(port, rtt=RTT) as long:
        folder = Path(name)
        run(command(folder, user, "imap", short.port), folder)
        run(command(folder, user, "imap", short.port), folder)
        for _ in range(rounds):
            for proxy, samples in ((short, near), (long, far)):
                samples.append(run(command(folder, user, "imap", proxy.port), folder))
    row = Row("no news, 100 mailboxes", program, near, target="≤ 6 round trips")
    row.round_trips = (statistics.median(s.seconds for s in far) - statistics.median(s.seconds for s in near)) / RTT
    return row


def loopback(peers: Peers, work: str, user: str, port: int, rounds: int) -> list[Row]:
    """Compare whole pulls over TLS on loopback, interleaved, every letter forced to disk by each program."""
    rows = [Row(work, name) for name in ("mailsync", "mbsync") if name == "mailsync" or shutil.which(name)]
    # What is deleted in between makes the next run slow on some file systems (ext4 passes over inodes freed a moment ago).
    with tempfile.TemporaryDirectory() as name:
        for number in range(rounds):
            for row in rows:
                command: Command = getattr(peers, row.program)
                folder = Path(name) / f"{row.program}{number}"
                folder.mkdir()
                row.samples.append(run(command(folder, user, "imap", port, tls=True), folder))
    for row in rows[:1]:
        row.target = "≤ 0.6 × mbsync"
        row.ratio = row.seconds / rows[-1].seconds if len(rows) > 1 else None
    return rows


def growth(peers: Peers, server: dovecot.Dovecot, sizes: Sequence[int]) -> list[Row]:
    """Measure a pull of 10 new letters among many, and the peak memory of the first pull."""
    rows: list[Row] = []
    for size in sizes:
        user = server.user()
        fill(server, user, ["INBOX"], size, size * 900, seed=size)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            command = peers.mailsync(folder, user, "imap", server.imap_port)
            rows.append(Row(f"first pull of {size:,} letters", "mailsync", [run(command, folder)]))
            row = Row(f"10 new among {size:,}", "mailsync")
            for turn in range(3):
                fill(server, user, ["INBOX"], 10, 50_000, seed=size + turn + 1)
                _let_notice(server, user)
                row.samples.append(run(command, folder))
            rows.append(row)
        server.forget(user)
    rows[-1].ratio = rows[-1].seconds / rows[1].seconds
    rows[-1].target = "≤ 3 × among 1,000"
    return rows


def _let_notice(server: dovecot.Dovecot, user: str) -> None:
    """Let the server read its folder before the clock starts: how long that takes grows with the folder, and is not our time."""
    with IMAPClient(server.host, server.imap_port, ssl=False) as client:
        client.login(user, server.password)
        client.select_folder("INBOX", readonly=True)


def startup() -> Row:
    """Measure `mailsync --help`."""
    with tempfile.TemporaryDirectory() as name:
        samples = [run([*MAILSYNC, "--help"], Path(name)) for _ in range(10)]
    return Row("mailsync --help", "mailsync", samples, target="≤ 0.1 s of CPU")


def pushes(peers: Peers, server: dovecot.Dovecot, rounds: int) -> list[Row]:
    """Measure a push of a pulled archive into 4 mailboxes of fresh accounts, near and far."""
    user = server.user()
    fill(server, user, ["INBOX", "Box0", "Box1", "Box2"], 2_000, 63_000_000)
    row = Row("push, 2,000 letters / 63 MB in 4 mailboxes", "mailsync", target="≤ 12 round trips")
    far: list[Sample] = []
    with tempfile.TemporaryDirectory() as name, wan.Proxy(server.imap_port, rtt=0.0) as short, wan.Proxy(server.imap_port, rtt=RTT) as long:
        folder = Path(name)
        run(peers.mailsync(folder, user, "imap", server.imap_port), folder)
        for _ in range(rounds):
            for proxy, samples in ((short, row.samples), (long, far)):
                command = peers.mailsync_config(folder, user, "imap", server.imap_port, tls=False)
                destination = f"imap://{server.user()}@127.0.0.1:{proxy.port}"
                samples.append(run([*command, "push", "a", destination, "--destination-password-env", "BENCH"], folder))
    row.round_trips = (statistics.median(s.seconds for s in far) - statistics.median(s.seconds for s in row.samples)) / RTT
    return [row]


def imap_pulls(peers: Peers, server: dovecot.Dovecot, rounds: int) -> list[Row]:
    """Measure a first IMAP pull of 8 mailboxes, near and far."""
    user = server.user()
    fill(server, user, ["INBOX", *(f"Box{n}" for n in range(7))], 2_000, 63_000_000)
    work = "IMAP pull, 2,000 letters / 63 MB"
    rows = [
        round_trips(work, name, getattr(peers, name), user, "imap", server.imap_port, rounds) for name in _installed("mailsync", "mbsync")
    ]
    rows[0].target = "≤ 10 round trips"
    return rows


def pop3_pulls(peers: Peers, server: dovecot.Dovecot, rounds: int) -> list[Row]:
    """Measure a first POP3 pull, near and far."""
    user = server.user()
    fill(server, user, ["INBOX"], 1_400, 45_000_000)
    work = "POP3 pull, 1,400 letters / 45 MB"
    names = _installed("mailsync", "mpop", *(("getmail",) if rounds > 1 else ()))
    rows = [round_trips(work, name, getattr(peers, name), user, "pop3", server.pop3_port, rounds) for name in names]
    rows[0].target = "≤ 8 round trips"
    return rows


def quiet_nights(peers: Peers, server: dovecot.Dovecot, rounds: int) -> list[Row]:
    """Measure a pull that finds nothing new in 100 mailboxes."""
    user = server.user()
    fill(server, user, ["INBOX", *(f"Box{n}" for n in range(99))], 1_000, 5_000_000)
    return [no_news(name, getattr(peers, name), user, server.imap_port, rounds) for name in _installed("mailsync", "mbsync")]


def loopbacks(peers: Peers, server: dovecot.Dovecot, rounds: int) -> list[Row]:
    """Measure a first pull over TLS without any delay."""
    user = server.user()
    count, octets = (10_000, 350_000_000) if rounds > 1 else (2_000, 70_000_000)
    fill(server, user, ["INBOX", *(f"Box{n}" for n in range(7))], count, octets)
    work = f"IMAP pull over TLS on loopback, {count:,} letters / {octets // 1_000_000} MB"
    return loopback(peers, work, user, server.imaps_port, rounds)


def growths(peers: Peers, server: dovecot.Dovecot, rounds: int) -> list[Row]:
    """Measure what a mailbox's size does to a pull of little."""
    return growth(peers, server, (1_000, 10_000, 100_000) if rounds > 1 else (1_000, 10_000))


def startups(peers: Peers, server: dovecot.Dovecot, rounds: int) -> list[Row]:  # noqa: ARG001  all kinds of rows are made alike
    """Measure the start of the program alone."""
    return [startup()]


ROWS: dict[str, Callable[[Peers, dovecot.Dovecot, int], list[Row]]] = {
    "imap": imap_pulls,
    "pop3": pop3_pulls,
    "push": pushes,
    "no-news": quiet_nights,
    "loopback": loopbacks,
    "growth": growths,
    "startup": startups,
}


def measure(server: dovecot.Dovecot, *, quick: bool, only: Sequence[str]) -> list[Row]:
    """Run the rows that `only` names, or all."""
    os.environ["BENCH"] = server.password
    peers = Peers(server)
    rows: list[Row] = []
    for name, make in ROWS.items():
        if not only or name in only:
            print(f"measuring {name} …", file=sys.stderr)
            rows += make(peers, server, 1 if quick else 3)
    return rows


def _installed(*names: str) -> list[str]:
    here = [name for name in names if name == "mailsync" or shutil.which(name)]
    for name in names:
        if name not in here:
            print(f"{name} is not installed: left out", file=sys.stderr)
    return here


def table(rows: Sequence[Row]) -> str:
    """Print the rows as Markdown."""
    lines = [
        "| work | program | wall s | spread | round trips | ratio | CPU s | peak MB | to reach |",
        "|---|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        walls = [sample.seconds for sample in row.samples]
        lines.append(
            f"| {row.work} | {row.program} | {row.seconds:.2f} | {min(walls):.2f}–{max(walls):.2f} "
            f"| {'' if row.round_trips is None else f'{row.round_trips:.1f}'} | {'' if row.ratio is None else f'{row.ratio:.2f}'} "
            f"| {statistics.median(s.cpu for s in row.samples):.2f} | {max(s.peak_mb for s in row.samples):.0f} | {row.target} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Start a server, measure, print."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of each and smaller mailboxes: minutes, for development")
    parser.add_argument("--json", action="store_true", help="print the samples as JSON")
    parser.add_argument("only", nargs="*", help=f"rows to run: {' '.join(ROWS)} (default: all)")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(65_536, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    with tempfile.TemporaryDirectory(prefix="mailsync-bench-") as name:
        Path(name).chmod(0o755)
        with dovecot.start(Path(name)) as server:
            rows = measure(server, quick=options.quick, only=options.only)
    if options.json:
        print(json.dumps([asdict(row) | {"seconds": row.seconds} for row in rows], indent=1))
    else:
        print(table(rows))


if __name__ == "__main__":
    main()
