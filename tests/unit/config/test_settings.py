from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.config.account import ImapAccount, Pop3Account, port_of
from mailsync.config.file import Configuration, load
from mailsync.config.policies import SeenOlderThan
from mailsync.config.values import safe_name
from mailsync.errors import ConfigError

IMAP = "protocol: imap, host: imap.example.org, username: alice, password: {env: X}"
POP3 = "protocol: pop3, host: pop.example.org, username: alice, password: {env: X}"


def write(directory: Path, text: str) -> Path:
    path = directory / "mailsync.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def account(directory: Path, line: str) -> Pop3Account | ImapAccount:
    path = write(directory, f"archive: {{root: mail}}\naccounts:\n  a: {{{line}}}\n")
    return load(path).account("a")


def complaints(directory: Path, text: str) -> list[str]:
    path = write(directory, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [str(problem).removeprefix(f"{directory}/") for problem in caught.value.problems]


def complaint(directory: Path, line: str) -> str:
    (only,) = complaints(directory, f"archive: {{root: mail}}\naccounts:\n  a: {{{line}}}\n")
    return only


def test_every_mistake_is_reported_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = """archive:
  root: mail
  dedup: exact
accounts:
  old:
    protocol: pop
    host: pop.example.org:995
    user: alice
    security: none
    password: {commando: x}
    port: 99999
  new:
    host: imap.example.org
    username: alice
    host: other
"""
    said = complaints(tmp_path, text)
    assert [line.split(":")[1] for line in said] == [
        "3",
        "5",
        "6",
        "7",
        "8",
        "10",
        "11",
        "12",
        "15",
    ]
    assert "did you mean `dedupe`?" in said[0]
    assert "username` is missing" in said[1]
    assert "must be pop3 or imap (not 'pop')" in said[2]
    assert "the port has a line of its own" in said[3]
    assert "did you mean `username`?" in said[4]
    assert "{env: NAME}" in said[5]
    assert "at most 65535" in said[6]
    assert "protocol` is missing: write pop3 or imap" in said[7]
    assert "`host` is given twice (first on line 13)" in said[8]


@pytest.mark.parametrize(
    ("line", "port"),
    [
        (f"{POP3}", 995),
        (f"{POP3}, security: starttls", 110),
        (f"{IMAP}", 993),
        (f"{IMAP}, security: starttls", 143),
        (f"{IMAP}, port: 1993", 1993),
    ],
)
def test_the_port_follows_from_protocol_and_security(tmp_path: Path, line: str, port: int) -> None:
    assert port_of(account(tmp_path, line)) == port


def test_plain_text_to_another_machine_is_refused_unless_allowed_in_so_many_words(
    tmp_path: Path,
) -> None:
    assert "readable over the network" in complaint(tmp_path, f"{IMAP}, security: none")
    assert account(tmp_path, f"{IMAP}, security: none, allow_plaintext: true").security == "none"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", '"::1"', '"[::1]"'])
def test_plain_text_to_this_machine_needs_no_permission(tmp_path: Path, host: str) -> None:
    assert (
        account(tmp_path, f"protocol: imap, host: {host}, username: a, security: none").security
        == "none"
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("mailboxes: [a]", "one mailbox"),
        ("map: {a: b}", "one mailbox"),
        ("connections: 2", "one connection"),
    ],
)
def test_an_imap_setting_on_a_pop3_account_is_refused_with_the_reason(
    tmp_path: Path, line: str, why: str
) -> None:
    assert why in complaint(tmp_path, f"{POP3}, {line}")


@pytest.mark.parametrize("line", ["mark: seen", "pipelining: off", "keep: forever"])
def test_a_pop3_setting_on_an_imap_account_is_refused_with_the_reason(
    tmp_path: Path, line: str
) -> None:
    assert "belongs to POP3" in complaint(tmp_path, f"{IMAP}, {line}")


def test_limits_are_read_with_their_units(tmp_path: Path) -> None:
    write(
        tmp_path,
        f"archive: {{root: m}}\naccounts: {{a: {{{POP3}, limits: {{bytes_per_day: 2.5GB,"
        " bytes_per_second: 500 kB}}}",
    )
    limits = load(tmp_path / "mailsync.yaml").settings.accounts["a"].limits
    assert (limits.bytes_per_day, limits.bytes_per_second) == (2_500_000_000, 500_000)


def test_messages_may_be_deleted_from_a_pop3_server_after_a_while(tmp_path: Path) -> None:
    write(
        tmp_path, f"archive: {{root: m}}\naccounts: {{a: {{{POP3}, keep: {{delete_after: 14d}}}}}}"
    )
    account = load(tmp_path / "mailsync.yaml").settings.accounts["a"]
    assert account.protocol == "pop3"
    assert account.keep != "forever"
    assert account.keep.delete_after == 14 * 86400


@pytest.mark.parametrize(
    "line",
    [
        "limits: {bytes_per_day: much}",
        "limits: {per_day: 2GB}",
        "keep: {delete_after: soon}",
        "keep: never",
    ],
)
def test_a_limit_or_policy_that_makes_no_sense_is_not_accepted(tmp_path: Path, line: str) -> None:
    assert complaint(tmp_path, f"{POP3}, {line}")


def test_a_format_there_is_not_is_not_accepted(tmp_path: Path) -> None:
    (said,) = complaints(
        tmp_path, f"archive: {{root: m, format: mbx}}\naccounts: {{a: {{{IMAP}}}}}"
    )
    assert said.startswith("mailsync.yaml:1: `archive.format` must be maildir or mbox (not 'mbx'")


def test_off_means_off_and_not_false(tmp_path: Path) -> None:
    got = account(tmp_path, f"{POP3}, pipelining: off")
    assert isinstance(got, Pop3Account)
    assert got.pipelining == "off"


def test_the_age_from_which_messages_count_as_read_is_kept_in_seconds(tmp_path: Path) -> None:
    got = account(tmp_path, f"{POP3}, mark: {{seen_older_than: 30d}}")
    assert isinstance(got, Pop3Account)
    assert got.mark == SeenOlderThan(seen_older_than=30 * 86400)


@pytest.mark.parametrize(
    ("written", "seconds"), [("90", 90), ("1.5", 1.5), ("2m", 120), ("90s", 90)]
)
def test_a_timeout_is_seconds_or_has_a_unit(tmp_path: Path, written: str, seconds: float) -> None:
    assert account(tmp_path, f"{IMAP}, timeout: {written}").timeout == seconds


@pytest.mark.parametrize("written", ["0", "-1", "never", "99h", "", "[1]"])
def test_an_impossible_timeout_is_refused(tmp_path: Path, written: str) -> None:
    assert "timeout" in complaint(tmp_path, f"{IMAP}, timeout: {written}")


@pytest.mark.parametrize("globs", ["[]", '[""]', '["!"]', "INBOX"])
def test_a_choice_of_mailboxes_that_chooses_nothing_is_refused(tmp_path: Path, globs: str) -> None:
    assert "mailboxes" in complaint(tmp_path, f"{IMAP}, mailboxes: {globs}")


def test_leaving_out_is_choosing_all_the_rest(tmp_path: Path) -> None:
    got = account(tmp_path, f'{IMAP}, mailboxes: ["!Spam"]')
    assert isinstance(got, ImapAccount)
    assert got.mailboxes == ("!Spam",)


def test_a_mapped_name_with_an_empty_level_is_refused(tmp_path: Path) -> None:
    assert "not a mailbox name" in complaint(tmp_path, f"{IMAP}, map: {{Old: Archive//Old}}")


def test_relative_paths_start_where_the_configuration_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_text("x")
    monkeypatch.chdir("/")
    got = account(tmp_path, f"{IMAP}, ca_file: ./ca.pem")
    assert got.ca_file == tmp_path / "ca.pem"
    assert load(tmp_path / "mailsync.yaml").archive_directory("a") == tmp_path / "mail" / "a"


def test_a_ca_file_that_cannot_be_read_is_found_before_any_connection(tmp_path: Path) -> None:
    assert "cannot be read" in complaint(tmp_path, f"{IMAP}, ca_file: nowhere.pem")


def test_tilde_is_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    path = write(tmp_path, f"archive: {{root: ~/mail}}\naccounts: {{a: {{{IMAP}}}}}")
    assert load(path).archive_directory("a") == Path("/home/alice/mail/a")


def test_accounts_that_name_one_archive_share_it(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"archive: {{root: m}}\naccounts:\n  a: {{{POP3}, archive: c}}\n  b: {{{IMAP}, archive:"
        " c}\n",
    )
    config = load(path)
    assert config.archive_directory("a") == config.archive_directory("b") == tmp_path / "m" / "c"


def test_archives_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    (said,) = complaints(
        tmp_path, f"archive: {{root: m}}\naccounts:\n  a: {{{POP3}}}\n  A: {{{IMAP}}}\n"
    )
    assert "upper and lower case" in said


@pytest.mark.parametrize(
    "name", ["..", "a/b", "-x", ".hidden", "a:b", "a\\b", "'a '", "x" * 201, '"a\\u202eb"']
)
def test_an_archive_name_that_leaves_its_place_is_refused(tmp_path: Path, name: str) -> None:
    assert "archive" in complaint(tmp_path, f"{IMAP}, archive: {name}")


def test_an_account_name_must_be_able_to_name_its_archive(tmp_path: Path) -> None:
    (said,) = complaints(tmp_path, f"archive: {{root: m}}\naccounts:\n  ../up: {{{IMAP}}}\n")
    assert said.startswith("mailsync.yaml:3: the account name '../up'")


@given(st.text(max_size=30))
def test_a_name_that_is_accepted_is_one_directory_below_its_root(name: str) -> None:
    try:
        safe = safe_name(name)
    except ValueError:
        return
    joined = Path("/root") / safe
    assert joined.parent == Path("/root")
    assert joined.name == name not in {".", ".."}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("just words", "must be lines of"),
        ("archive: {root: m}", "`accounts` is missing"),
        ("archive: {root: m}\naccounts:", "lines of"),
        ("archive: {root: m}\naccounts: {}", "must not be empty"),
        ("archive: {root: m}\naccounts: {a: x}", "lines of"),
        ("archive: {root: m}\naccounts: {a: [x]}", "lines of"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_with_what_is_missing(
    tmp_path: Path, text: str, words: str
) -> None:
    assert words in "\n".join(complaints(tmp_path, text))


def test_no_password_stands_in_the_repr_of_a_configuration(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "archive: {root: m}\naccounts:\n  a: {protocol: imap, host: h, username: u, password:"
        " hunter2}\n",
    )
    config = load(path)
    assert isinstance(config, Configuration)
    assert "hunter2" not in repr(config)


@given(
    st.sampled_from(
        [
            "{hunter2}",
            "[hunter2]",
            "{hunter2: 1, hunter2: 2}",
            "{env: hunter2 x}",
            "{command: 'hunter2 \"x'}",
            "{command: hunter2, env: hunter2}",
            "{command: echo hunter2}",
            "{file: [hunter2]}",
            "{env: [hunter2]}",
            "hunter2",
            "{command: {hunter2: 1}}",
            "{secret: {env: hunter2}}",
        ]
    ),
    st.sampled_from(["", ", port: x", ", mailboxes: 3", ", pasword: x"]),
)
def test_no_mistake_beside_or_in_a_password_shows_it(written: str, more: str) -> None:
    with TemporaryDirectory() as name:
        path = write(
            Path(name),
            "archive: {root: m}\naccounts:\n  a: {protocol: imap, host: h, username: u,"
            f" password: {written}{more}}}\n",
        )
        try:
            said = repr(load(path))
        except ConfigError as error:
            said = f"{error!r} {error}"
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "line",
    [
        "port: hunter2-secret",
        "security: hunter2-secret",
        "timeout: hunter2-secret",
        "timeout: 90hunter2",
        "keep: hunter2-secret",
        "mailboxes: hunter2-secret",
    ],
)
def test_a_password_on_the_line_of_another_setting_is_not_repeated(
    tmp_path: Path, line: str
) -> None:
    said = complaint(tmp_path, f"protocol: imap, host: h, username: u, password: x, {line}")
    assert "hunter2" not in said
