"""The application: what the commands do, for the command line and for any other program.

Accounts become logins, a request says what is wanted, one function of the same name does it and
returns a report:

    accounts = Accounts(Path("mailsync.yaml"), os.environ, Path.cwd(), Path.home())
    request = PullRequest([accounts.one("old")])
    (report,) = pull(request, secrets, Silence())

`secrets` brings the password of a login when it is needed, and a `mailsync.progress.Progress`
listens meanwhile. Each module is one kind of work; `requests` holds what can be asked.
"""
