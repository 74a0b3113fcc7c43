"""Passwords, and the forms in which a server may repeat them."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote

from hypothesis import strategies as st

USER = "alice"
CORE = "Qz7#"
"""Stands in every password, so that it is found nowhere by chance."""

_characters = st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n\0")
_rest = st.one_of(st.text(_characters, max_size=12), st.text("\"\\ %?*'&+ä=", max_size=12))
passwords = st.builds(lambda before, after: before + CORE + after, _rest, _rest)


def _coded(text: str) -> bytes:
    return base64.b64encode(text.encode())


FORMS: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "in upper case": lambda secret: secret.upper().encode(),
    "in lower case": lambda secret: secret.lower().encode(),
    "in Latin-1": lambda secret: secret.encode("latin-1", "replace"),
    "quoted": lambda secret: secret.replace("\\", "\\\\").replace('"', '\\"').encode(),
    "percent-encoded": lambda secret: quote(secret).encode(),
    "wholly percent-encoded": lambda secret: "".join(
        f"%{octet:02x}" for octet in secret.encode()
    ).encode(),
    "as JSON": lambda secret: json.dumps(secret).encode(),
    "as HTML": lambda secret: html.escape(secret).encode(),
    "in hexadecimal": lambda secret: secret.encode().hex().encode(),
    "in base64": _coded,
    "in base64, upper case": lambda secret: _coded(secret).upper(),
    "in SASL PLAIN": lambda secret: _coded(f"\0{USER}\0{secret}"),
    "in SASL PLAIN for another": lambda secret: _coded(f"root\0{USER}\0{secret}"),
    "in SASL PLAIN, lower case": lambda secret: _coded(f"\0{USER}\0{secret}").lower(),
    "in XOAUTH2": lambda secret: _coded(f"user={USER}\1auth=Bearer {secret}\1\1"),
}


def repeats(text: str, password: str, said: bytes) -> bool:
    """Return whether `text` tells the password, as it is or in the form in which it was said."""
    return any(
        form and form in text
        for form in (password, password.strip(), said.decode("utf-8", "replace").strip())
    )
