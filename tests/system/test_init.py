"""`mailsync init` on a terminal and without one, against a real server, a web server that announces
it, and liars.
"""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import pexpect
import pytest
import trustme

from mailsync.config.file import load
from mailsync.config.oauth.settings import Client
from mailsync.stores.proxies import Proxy
from tests.messages import plain
from tests.servers import dovecot as dovecot_
from tests.servers.certificates import Certificate
from tests.servers.dovecot import Dovecot
from tests.servers.processes import HOST, free_ports
from tests.servers.proxies import RecordingProxy
from tests.servers.scripted import Conversation, Scripted
from tests.servers.web import Answer, Web
from tests.system.cli_home import MAILSYNC, Home
from tests.system.terminal import Screen
from tests.unit.formats.test_autoconfig import server, xml

ANNOUNCED = "https://autoconfig.example.org/mail/config-v1.1.xml"
ANNOUNCED_PLAINLY = "http://autoconfig.example.org/mail/config-v1.1.xml"
Talk = Sequence[tuple[str, str]]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def user(dovecot: Dovecot) -> str:
    user = dovecot.user()
    for number in range(3):
        dovecot.deliver(user, "INBOX", plain(number))
    dovecot.deliver(user, "Work", plain(10))
    dovecot.deliver(user, "Spam", plain(20))
    return user


def here(dovecot: Dovecot, user: str, *more: str) -> list[str]:
    """Name the server by options."""
    at = ("--host", dovecot.host, "--port", str(dovecot.imap_port), "--security", "none")
    return ["init", "alice@home.example", *at, "--username", user, *more]


def configuration(home: Home) -> Path:
    return home.directory / ".config" / "mailsync" / "mailsync.yaml"


def talk(home: Home, *arguments: str, dialogue: Talk, columns: int = 80) -> Screen:
    """Run a command on a terminal; answer each question when it is asked, and nothing else."""
    # The terminal itself says how wide it is, not whoever runs the tests.
    kept = {name: value for name, value in home.environment().items() if name != "COLUMNS"}
    child = pexpect.spawn(
        MAILSYNC[0],
        [*MAILSYNC[1:], *arguments],
        cwd=str(home.directory),
        env={**kept, "NO_COLOR": "1"},
        dimensions=(50, columns),
        timeout=60,
        encoding="utf-8",
    )
    child.logfile_read = shown = io.StringIO()
    try:
        for question, answer in dialogue:
            child.expect_exact(question)
            child.sendline(answer)
        child.expect(pexpect.EOF)
    finally:
        child.close()
    return Screen(child.exitstatus or 0, shown.getvalue().replace("\r\n", "\n"))


# On a terminal


def test_a_person_is_led_from_an_address_to_a_first_pull(
    home: Home, dovecot: Dovecot, user: str
) -> None:
    screen = talk(
        home,
        "init",
        dialogue=[
            ("E-mail address:", "nonsense"),
            ("E-mail address:", "alice@home.example"),
            ("Look for its servers? [Y/n]:", "n"),
            ("[imap]:", ""),
            ("Server:", dovecot.host),
            ("[tls]:", "none"),
            ("Port [143]:", str(dovecot.imap_port)),
            ("User name [alice@home.example]:", user),
            ("Password for", "wrong"),
            ("Password for", "secret"),
            ("Leave out (Enter: none):", "Spam, Trash"),
            ("Archive directory [~/mail-archive]:", ""),
            ("Name of the account [home]:", "mine"),
            ("Keep it [file]:", ""),
            ("(HH:MM, or no) [no]:", "3:17"),
            ("Fetch everything now? [Y/n]:", ""),
        ],
    )
    assert screen.code == 0, screen.text
    assert "That must be an e-mail address" in screen
    assert "Please try again" in screen
    assert "There are 7 mailboxes, 5 messages" in screen
    assert "are free there" in screen
    assert "17 3 * * *" in screen
    assert "mine: complete: 4 messages" in screen
    assert "secret" not in screen.text
    file = configuration(home)
    assert file.stat().st_mode & 0o777 == 0o600
    password = file.parent / "mine.password"
    assert password.stat().st_mode & 0o777 == 0o600
    assert password.read_text() == "secret\n"
    assert "secret" not in file.read_text()
    # What cron will run.
    done = home.run("-q", "pull")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    archive = home.directory / "mail-archive" / "mine" / "mail"
    assert len(list(archive.rglob("*.mailsync,*"))) == 4


def test_a_server_that_cannot_be_reached_is_asked_for_again(
    home: Home, dovecot: Dovecot, user: str
) -> None:
    (nobody,) = free_ports(1)
    screen = talk(
        home,
        *("init", "alice@home.example", "--no-pull", "--keep-password", "ask"),
        *("--host", dovecot.host, "--port", str(nobody), "--security", "none"),
        dialogue=[
            ("[imap]:", ""),
            ("User name [alice@home.example]:", user),
            ("Try another server? [Y/n]:", ""),
            ("[imap]:", ""),
            (f"Server [{dovecot.host}]:", ""),
            ("[none]:", ""),
            (f"Port [{nobody}]:", str(dovecot.imap_port)),
            (f"User name [{user}]:", ""),
            ("Password for", "secret"),
            ("Leave out (Enter: none):", ""),
            ("[~/mail-archive]:", "kept here"),
            ("Name of the account [home]:", ""),
        ],
    )
    assert screen.code == 0, screen.text
    assert "refuses connections" in screen
    account = load(configuration(home)).account("home")
    assert (account.port, account.password) == (dovecot.imap_port, None)
    assert load(configuration(home)).settings.archive.root == home.directory / "kept here"


def test_a_password_goes_into_the_key_ring_and_comes_back_from_it(
    home: Home, dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "tests.servers.ring.FileRing")
    screen = talk(
        home,
        *here(dovecot, user, "--no-pull", "--root", "mail", "--name", "home", "--at", "no"),
        dialogue=[
            ("[imap]:", ""),
            ("Password for", "secret"),
            ("Leave out (Enter: none):", ""),
            ("Keep it [file]:", "keyring"),
        ],
    )
    assert screen.code == 0, screen.text
    ring = json.loads((home.directory / "ring.json").read_text())
    assert ring == {f"mailsync home/{user}": "secret"}
    assert "complete: 5 messages" in home.well("pull")


def test_three_wrong_passwords_end_it_and_nothing_is_written(
    home: Home, dovecot: Dovecot, user: str
) -> None:
    screen = talk(
        home,
        *here(dovecot, user),
        dialogue=[("[imap]:", ""), *[("Password for", "wr0ng")] * 3],
    )
    assert screen.code == 12
    assert "wr0ng" not in screen.text
    assert not (home.directory / ".config").exists()


def test_ctrl_c_in_the_middle_writes_nothing(home: Home, dovecot: Dovecot, user: str) -> None:
    screen = talk(
        home,
        *here(dovecot, user),
        dialogue=[
            ("[imap]:", ""),
            ("Password for", "secret"),
            ("Leave out (Enter: none):", ""),
            ("Archive directory", "\x03"),
        ],
    )
    assert screen.code == 130
    assert "interrupted; nothing was written, unless it says so above" in screen
    assert list(home.directory.iterdir()) == []


def test_a_provider_that_takes_no_passwords_is_set_up_for_signing_in(
    home: Home, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greet(talk: Conversation) -> None:
        talk.line("* OK ready")
        talk.silence()

    place, ca = tmp_path_factory.mktemp("microsoft"), trustme.CA()
    ca.cert_pem.write_to_path(place / "ca.pem")
    leaf = ca.issue_cert("outlook.office365.com").private_key_and_cert_chain_pem
    leaf.write_to_path(place / "server.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(place / "ca.pem"))
    with (
        Scripted(greet, Certificate(place / "server.pem")) as microsoft,
        RecordingProxy({"outlook.office365.com:993": (HOST, microsoft.port)}) as proxy,
    ):
        screen = with_proxy(
            home,
            proxy,
            *("init", "alice@outlook.com", "--root", "mail", "--at", "no"),
            dialogue=[
                ("Use this? [Y/n]:", ""),
                ("Client id:", "1234-5678"),
                ("Name of the account [outlook]:", "work"),
            ],
        )
    assert screen.code == 0, screen.text
    assert "`mailsync login work` signs you in" in screen
    account = load(configuration(home)).account("work")
    assert account.password is None
    assert account.oauth2 == Client(provider="microsoft", tenant="consumers", client_id="1234-5678")


@pytest.mark.parametrize("columns", [40, 80])
def test_everything_said_fits_the_terminal(
    columns: int, home: Home, dovecot: Dovecot, user: str
) -> None:
    screen = talk(
        home,
        *("init", "alice@home.example", "--port", str(dovecot.imap_port), "--security", "none"),
        dialogue=[
            ("Look for its servers? [Y/n]:", "n"),
            ("[imap]:", ""),
            ("Server:", dovecot.host),
            ("User name [alice@home.example]:", user),
            ("Password for", "secret"),
            ("Leave out (Enter: none):", ""),
            ("Archive directory", "mail"),
            ("Name of the account [home]:", ""),
            ("Keep it [file]:", ""),
            ("(HH:MM, or no) [no]:", ""),
            ("Fetch everything now? [Y/n]:", "n"),
        ],
        columns=columns,
    )
    assert screen.code == 0, screen.text
    # Paths and questions may be longer than a line.
    said = [line for line in screen.text.splitlines() if "/" not in line and ":" not in line]
    assert max(map(len, said)) <= columns


# Without a terminal


def test_options_answer_every_question(home: Home, dovecot: Dovecot, user: str) -> None:
    done = home.run(
        *here(dovecot, user, "--password-env", "PASSWORD", "--root", "mail", "--name", "n"),
        *("--leave-out", "Spam", "--at", "23:05", "--pull"),
        *("--config", "conf/new.yaml"),
    )
    assert done.returncode == 0, done.stderr
    assert "n: complete: 4 messages" in done.stdout
    assert "5 23 * * *  " in done.stderr
    assert f"--config {home.directory}/conf/new.yaml -q pull" in done.stderr
    assert home.run("--config", "conf/new.yaml", "status").returncode == 0


def test_the_command_that_is_named_at_the_end_finds_what_was_written(
    home: Home, dovecot: Dovecot, user: str
) -> None:
    asked = (*here(dovecot, user, "--password-env", "PASSWORD"), "--root", "mail", "--name", "n")
    done = home.run(*asked, "--no-pull", "--config", "my conf.yaml")
    assert done.returncode == 0, done.stderr
    command = done.stderr.rpartition("Then `mailsync ")[2].partition("`")[0]
    home.well(*shlex.split(command))
    assert "`mailsync init` makes one" in home.run("pull").stderr


def test_a_mailbox_over_pop3_is_counted_and_weighed(
    home: Home, dovecot: Dovecot, user: str
) -> None:
    done = home.run(
        *("init", "alice@home.example", "--protocol", "pop3", "--host", dovecot.host),
        *("--port", str(dovecot.pop3_port), "--security", "none", "--username", user),
        *("--password-env", "PASSWORD", "--json"),
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["mailboxes"] == [{"mailbox": "INBOX", "messages": 3}]
    assert "3 messages, " in done.stderr
    assert answer["reports"] == []


def test_what_systemd_hands_over_is_tried_and_configured(
    home: Home, dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mail").write_text("secret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    done = home.run(*here(dovecot, user, "--password-credential", "mail"))
    assert done.returncode == 0, done.stderr
    assert "password: {credential: mail}" in configuration(home).read_text()


def test_a_configuration_that_is_there_is_never_overwritten(
    home: Home, dovecot: Dovecot, user: str
) -> None:
    file = configuration(home)
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    done = home.run(*here(dovecot, user, "--password-env", "PASSWORD"))
    assert done.returncode == 2
    assert "is not overwritten" in done.stderr
    assert "Connecting" not in done.stderr
    assert file.read_text() == "mine"


def test_printing_writes_nothing(home: Home, dovecot: Dovecot, user: str) -> None:
    done = home.run(*here(dovecot, user, "--password-env", "PASSWORD", "--print"))
    assert done.returncode == 0
    assert list(home.directory.iterdir()) == []
    (home.directory / "mailsync.yaml").write_text(done.stdout)
    assert load(home.directory / "mailsync.yaml").account("home").username == user


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--config", "file/mailsync.yaml"], 2, "file cannot be made: File exists"),
        (["--root", "file/mail"], 2, "--root cannot be made"),
        (["--name", "../up"], 2, "--name must be a plain name"),
        (["--at", "25:00"], 2, "--at must be a time such as 03:17"),
        (["--leave-out", "!"], 2, "must name mailboxes"),
        (["--username", "a\nb"], 2, "--username must not contain control characters"),
    ],
)
def test_an_answer_that_cannot_be_is_told_and_nothing_is_written(
    options: list[str], code: int, said: str, home: Home, dovecot: Dovecot, user: str
) -> None:
    (home.directory / "file").write_text("in the way")
    done = home.run(*here(dovecot, user, "--password-env", "PASSWORD", *options))
    assert done.returncode == code
    assert said in done.stderr
    assert [path.name for path in home.directory.iterdir()] == ["file"]


def test_a_refused_login_writes_nothing(home: Home, dovecot: Dovecot, user: str) -> None:
    (home.directory / "password").write_text("wr0ng\n")
    done = home.run(*here(dovecot, user, "--password-file", "password"))
    assert done.returncode == 12
    assert not configuration(home).exists()


def test_what_is_missing_is_named_with_its_option(home: Home, dovecot: Dovecot, user: str) -> None:
    for given, option in (
        (["init"], "ADDRESS"),
        (["init", "alice@unknown.example"], "--host"),
        (here(dovecot, user), "--password-command"),
    ):
        done = home.run(*given)
        assert done.returncode == 2, given
        assert "there is no terminal to ask" in done.stderr
        assert option in done.stderr


def test_a_provider_without_imap_is_told(home: Home) -> None:
    done = home.run("init", "alice@tuta.com")
    assert done.returncode == 2
    assert "Tuta offers neither IMAP nor POP3" in " ".join(done.stderr.split())


# What a domain announces


@pytest.fixture(scope="module")
def far() -> Iterator[Dovecot]:
    """Return a server whose certificate is for mail.example.org."""
    with dovecot_.start(certificate="wrong_name") as server:
        yield server


@pytest.fixture
def web_certificate(
    far: Dovecot, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Certificate:
    place, ca = tmp_path_factory.mktemp("web"), trustme.CA()
    leaf = ca.issue_cert("example.org", "*.example.org").private_key_and_cert_chain_pem
    leaf.write_to_path(place / "web.pem")
    both = place / "both.pem"
    both.write_bytes(ca.cert_pem.bytes() + far.ca_file.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(both))
    return Certificate(place / "web.pem")


def with_proxy(
    home: Home, proxy: RecordingProxy, *arguments: str, dialogue: Talk | None = None
) -> Screen:
    """Run a command, on a terminal if there is a dialogue; its network is what the proxy knows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALL_PROXY", f"socks5://{HOST}:{proxy.port}")
        if dialogue is not None:
            return talk(home, *arguments, dialogue=dialogue)
        done = home.run(*arguments)
        return Screen(done.returncode, done.stdout + done.stderr)


def world(far: Dovecot, web: Web) -> dict[str, str | tuple[str, int]]:
    mail = (HOST, far.imaps_port)
    return {
        "autoconfig.example.org:443": (HOST, web.https),
        "example.org:443": (HOST, web.https),
        "autoconfig.example.org:80": (HOST, web.http),
        "mail.example.org:993": mail,
        "evil.example:993": mail,
    }


def test_a_domain_that_announces_its_server_needs_an_address_alone(
    home: Home, far: Dovecot, web_certificate: Certificate
) -> None:
    far.deliver("alice@example.org", "INBOX", plain(1))
    pages = {ANNOUNCED: Answer(xml(server(host="mail.example.org")))}
    with Web(web_certificate, pages) as web, RecordingProxy(world(far, web)) as proxy:
        screen = with_proxy(
            home,
            proxy,
            *("init", "alice@example.org", "--root", "mail"),
            dialogue=[
                ("Look for its servers? [Y/n]:", ""),
                ("Use this? [Y/n]:", ""),
                ("Password for alice@example.org:", "secret"),
                ("Leave out (Enter: none):", ""),
                ("Name of the account [example]:", ""),
                ("Keep it [file]:", ""),
                ("[no]:", ""),
                ("Fetch everything now? [Y/n]:", ""),
            ],
        )
    assert screen.code == 0, screen.text
    assert "example: complete: 1 message" in screen
    account = load(configuration(home)).account("example")
    assert (account.host, account.port, account.username) == (
        "mail.example.org",
        None,
        "alice@example.org",
    )
    # Cron knows nothing of ALL_PROXY.
    assert account.proxy == Proxy("socks5", HOST, proxy.port)


def test_without_a_terminal_nobody_is_asked_unless_that_is_said(
    home: Home, far: Dovecot, web_certificate: Certificate
) -> None:
    pages = {ANNOUNCED: Answer(xml(server(host="mail.example.org")))}
    with Web(web_certificate, pages) as web, RecordingProxy(world(far, web)) as proxy:
        given = ["init", "alice@example.org", "--password-env", "PASSWORD"]
        silent = with_proxy(home, proxy, *given)
        assert (silent.code, proxy.asked) == (2, [])
        done = with_proxy(home, proxy, *given, "--lookup")
    assert done.code == 0, done.text
    assert load(configuration(home)).account("example").host == "mail.example.org"


@pytest.mark.parametrize(
    ("page", "answer", "doubt"),
    [
        (ANNOUNCED_PLAINLY, xml(server(host="mail.example.org")), "answered unencrypted"),
        (ANNOUNCED, xml(server(host="evil.example")), "evil.example lies outside example.org"),
    ],
)
def test_a_doubtful_announcement_gets_no_password(
    page: str,
    answer: bytes,
    doubt: str,
    home: Home,
    far: Dovecot,
    web_certificate: Certificate,
) -> None:
    with (
        Web(web_certificate, {page: Answer(answer)}) as web,
        RecordingProxy(world(far, web)) as proxy,
    ):
        given = ["init", "alice@example.org", "--lookup", "--password-env", "PASSWORD"]
        done = with_proxy(home, proxy, *given)
        assert done.code == 2
        assert doubt in done
        assert "--trust-lookup" in done
        screen = with_proxy(
            home,
            proxy,
            *given,
            # Enter alone is no.
            dialogue=[("Use it? [y/N]:", ""), ("[imap]:", "\x03")],
        )
        assert screen.code == 130
        assert doubt in screen
        assert not any(port == 993 for _, port in proxy.asked)


def test_a_doubtful_announcement_is_used_when_that_is_said(
    home: Home, far: Dovecot, web_certificate: Certificate
) -> None:
    pages = {ANNOUNCED_PLAINLY: Answer(xml(server(host="mail.example.org")))}
    with Web(web_certificate, pages) as web, RecordingProxy(world(far, web)) as proxy:
        given = ["init", "alice@example.org", "--lookup", "--password-env", "PASSWORD"]
        done = with_proxy(home, proxy, *given, "--trust-lookup")
    assert done.code == 0, done.text


def test_a_host_that_cannot_prove_its_name_gets_no_password(
    home: Home, far: Dovecot, web_certificate: Certificate
) -> None:
    pages = {ANNOUNCED: Answer(xml(server(host="evil.example")))}
    with Web(web_certificate, pages) as web, RecordingProxy(world(far, web)) as proxy:
        given = ["init", "alice@example.org", "--lookup", "--password-env", "PASSWORD"]
        done = with_proxy(home, proxy, *given, "--trust-lookup")
    assert done.code == 14
    assert not configuration(home).exists()
