"""What the server does beside drawing pages: headers, styles, its start and its end."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Seconds that work under way is given to come to its next stop, and keep what it has done.
PATIENCE = 5.0
# Streamlit's page needs styles in place, charts compile code of their own (eval), and components
# and films come as blobs. Nothing is loaded from anywhere else, and no other site frames the page.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


class SecurityHeaders:
    """Adds :data:`HEADERS` to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class Styles:
    """Puts the rules of style of the app and of all its pages into the page that a browser loads.

    As an element of the page they would come after its first words, and all of it would jump.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        folder = Path(__file__).resolve().parent
        sheets = [folder / "assets" / "page.css", *sorted(folder.glob("app_pages/*/page.css"))]
        rules = "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
        # In the body: behind Streamlit's own rules, which are put at the end of the head.
        self.body = f"<body><style>{rules}</style>".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        start: Message | None = None
        parts: list[bytes] = []

        async def send_with_styles(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                kind = MutableHeaders(scope=message).get("content-type", "")
                if kind.startswith("text/html"):
                    start = message
                    return
            if start is None:
                await send(message)
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                page = b"".join(parts).replace(b"<body>", self.body, 1)
                headers = MutableHeaders(scope=start)
                headers["content-length"] = str(len(page))
                del headers["etag"], headers["last-modified"]
                await send(start)
                await send({"type": "http.response.body", "body": page})

        # Files have an ending, pages have none.
        if scope["type"] != "http" or "." in scope["path"].rpartition("/")[2]:
            await self.app(scope, receive, send)
            return
        # The page itself, neither packed nor "as you have it", which may be without these styles.
        unasked = (b"accept-encoding", b"if-none-match", b"if-modified-since")
        kept = [header for header in scope["headers"] if header[0] not in unasked]
        await self.app({**scope, "headers": kept}, receive, send_with_styles)


@contextlib.asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """From the server's start to its end."""
    from dashboard.services import jobs, temporary

    temporary.sweep()
    yield
    await asyncio.to_thread(jobs.end_all, PATIENCE)
    temporary.remove()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads may still compute, such as a page's maps. Were the interpreter taken down around
    # them, torch would abort the process (status -6).
    os._exit(0)


def show_fault(error: Exception) -> bool:
    """What is said where a button's callback, or a part that is drawn alone, has failed."""
    from dashboard.widgets import shell

    return shell.show_fault(error)
