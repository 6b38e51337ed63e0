"""The guard: lets in a client that knows the token and calls the page by its name, and has browsers keep to the page.

The token comes once in the address that is printed, and from then on in a cookie for this page alone; or in a header,
`Authorization: Bearer TOKEN`, for programs. The Host is checked since a page of another site may have its own name lead
here. What only says that the process lives is open to all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hmac import compare_digest
from typing import Final, final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN_TO_ALL: Final = frozenset({"/healthz", "/readyz"})
_SECONDS_OF_COOKIE: Final = 30 * 86_400
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_TO_BE_LET_IN: Final = (
    "p2pnet: not let in. Open the address that `p2pnet page` printed when it was started, with its token; a program "
    "sends the token in a header, Authorization: Bearer TOKEN.\n"
)


@final
class Guard:
    """ASGI middleware before all routes."""

    def __init__(self, app: ASGIApp, names: Collection[str], port: int, token: str, *, is_encrypted: bool) -> None:
        """`names` are the hosts, in lower case, by which the page may be called."""
        self._app = app
        default_port = 443 if is_encrypted else 80
        self._hosts = {f"{name}:{port}" for name in names} | (set(names) if port == default_port else set())
        self._cookie = f"p2pnet-{port}"  # browsers share cookies between the ports of a host
        self._token = token
        self._is_encrypted = is_encrypted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._refusal_or_entry(Request(scope))
        await (self._app if answer is None else answer)(scope, receive, send_with_headers)

    def _refusal_or_entry(self, request: Request) -> Response | None:
        """The answer to a request that is not to reach the routes."""
        if request.url.path in OPEN_TO_ALL:
            return None
        host = request.headers.get("host", "").lower()
        if host not in self._hosts:
            return PlainTextResponse("p2pnet: this page is not called by that name; see --host\n", 421)
        if "token" in request.query_params and request.url.path == "/":
            if not self._is_right(request.query_params["token"]):
                return PlainTextResponse(_TO_BE_LET_IN, 401)
            return self._entry()
        shown = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if self._is_right(shown or request.cookies.get(self._cookie, "")):
            return None
        return PlainTextResponse(_TO_BE_LET_IN, 401, {"WWW-Authenticate": "Bearer"})

    def _entry(self) -> Response:
        """The page again, now by a cookie, so that the token is not left in the address."""
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            self._cookie,
            self._token,
            max_age=_SECONDS_OF_COOKIE,
            httponly=True,
            samesite="strict",
            secure=self._is_encrypted,
        )
        return answer

    def _is_right(self, token: str) -> bool:
        return compare_digest(token.encode(), self._token.encode())
