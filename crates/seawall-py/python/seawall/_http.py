"""What an HTTP response asks for."""

from __future__ import annotations

import datetime
from typing import Any


def http_retry_after(error: Any) -> float | datetime.datetime | None:
    """The ``Retry-After`` of an error's HTTP response, for ``retry_after=``.

    Looks for ``error.response.headers`` (httpx, requests) and ``error.headers`` (aiohttp, urllib).
    """
    for holder in (getattr(error, "response", None), error):
        headers = getattr(holder, "headers", None)
        get = getattr(headers, "get", None)
        text = None
        if callable(get):
            text = get("Retry-After") or get("retry-after")
        if isinstance(text, bytes):
            text = text.decode("ascii", "replace")
        if isinstance(text, str) and text.strip():
            text = text.strip()
            if text.isascii() and text.isdigit():
                return float(text)
            # A date is rare, and what reads it is a tenth of the time to import this package.
            import email.utils

            try:
                return email.utils.parsedate_to_datetime(text)
            except (TypeError, ValueError):
                return None
    return None
