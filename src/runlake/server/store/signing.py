"""Signs URLs: a URL allows one method on one object, until it expires or the object is deleted."""

from __future__ import annotations

import json
import re
import secrets
import time
from urllib.parse import quote

from itsdangerous import Signer

from runlake.server.store.database import Database

# Few digits, because Python refuses to parse integers with thousands of digits.
SECONDS_FORM = re.compile(r"[0-9]{1,12}")


class UrlSigner:
    """Signs and checks URLs of objects.

    Parameters
    ----------
    database : Database
        Keeps the secret for signatures, so that URLs stay valid after a restart.
    url : str
        Origin that serves the objects.
    expiry : float
        Seconds for which a URL is valid.
    """

    def __init__(self, database: Database, url: str, expiry: float) -> None:
        self._url = url
        self._expiry = expiry
        with database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO secrets VALUES ('signing', ?)", (secrets.token_hex(32),)
            )
        row = database.row("SELECT value FROM secrets WHERE name = 'signing'")
        self._signer = Signer(row["value"] if row else "", salt="runlake-storage")

    def sign(self, method: str, name: str, number: int | None, md5: str = "") -> str:
        """Return a signed URL for an object.

        Parameters
        ----------
        method, name : str
            The allowed HTTP method, and the name of the object.
        number : int or None
            Database id of the object; None if the database does not have the object.
        md5 : str
            MD5 in hex that an upload must have; empty allows any content.
        """
        expires = str(int(time.time() + self._expiry))
        known = "" if number is None else str(number)
        signature = self._signer.get_signature(_text(method, name, known, expires, md5)).decode()
        query = f"object={known}&expires={expires}&signature={signature}"
        promise = f"&md5={md5}" if md5 else ""
        return f"{self._url}/storage/{quote(name)}?{query}{promise}"

    def allows(
        self, method: str, name: str, number: str, expires: str, signature: str, md5: str
    ) -> bool:
        """Return whether a signature is valid and not expired; a GET signature also allows HEAD."""
        if not SECONDS_FORM.fullmatch(expires) or int(expires) < time.time():
            return False
        signed = "GET" if method == "HEAD" else method
        return self._signer.verify_signature(_text(signed, name, number, expires, md5), signature)


def _text(*parts: str) -> str:
    # The parts are joined as JSON, because a name may contain any separator.
    return json.dumps(parts)
