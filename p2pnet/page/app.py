"""The routes of the page.

GET  /             the page; its parts are in /static
GET  /stream       updates once a second, as server-sent events
GET  /snapshot     the whole view, once
GET  /metrics      for Prometheus
GET  /healthz      this process lives
GET  /readyz       the agent answers
POST /predict      predictions, where [page] predict allows it
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final, final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from p2pnet.errors import DataError, DataProblemsError, P2pnetError
from p2pnet.page.feed import AgentFeed
from p2pnet.page.guard import Guard
from p2pnet.page.metrics import exposition
from p2pnet.page.options import PageOptions
from p2pnet.page.prediction import Predicting
from p2pnet.page.updates import Updates

STATIC: Final = Path(__file__).parent / "static"
PERIOD_S: Final = 1.0
"""From one update to the next."""
MAX_STREAMS: Final = 16


@final
class TooLargeError(Exception):
    """A body of more bytes than are allowed."""


def make_app(
    options: PageOptions, port: int, feed: AgentFeed, is_ending: Callable[[], bool] = lambda: False
) -> Starlette:
    """The application; `port` is the one that it is served on. Streams end once `is_ending` says so."""
    routes = [
        Route("/", _index),
        Route("/stream", _Streams(feed, is_ending).stream),
        Route("/snapshot", lambda _: JSONResponse(Updates().of(feed.look()))),
        Route("/metrics", lambda request: _metrics(feed, request)),
        Route("/healthz", lambda _: PlainTextResponse("ok\n")),
        Route("/readyz", lambda _: _readiness(feed)),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    predict: Callable[[Request], Awaitable[Response]] = _no_predictions
    if options.is_predicting:
        predict = _Predictions(Predicting(options.state_dir, options.factory), options.max_body_bytes).answer
    routes.append(Route("/predict", predict, methods=["POST"]))
    guard = Middleware(
        Guard,
        names=options.names,
        port=port,
        token=options.token,
        is_encrypted=options.certificate is not None,
    )
    return Starlette(routes=routes, middleware=[guard])


def _index(_: Request) -> Response:
    return FileResponse(STATIC / "index.html")


def _metrics(feed: AgentFeed, request: Request) -> Response:
    content, content_type = exposition(feed.look, request.headers.get("accept", ""))
    return Response(content, headers={"Content-Type": content_type})


def _readiness(feed: AgentFeed) -> Response:
    view = feed.look()
    return PlainTextResponse("ok\n") if view.is_running else PlainTextResponse("the agent does not answer\n", 503)


@final
class _Streams:
    """The streams of updates, a few at once."""

    def __init__(self, feed: AgentFeed, is_ending: Callable[[], bool]) -> None:
        self._feed = feed
        self._is_ending = is_ending
        self._n_open = 0

    async def stream(self, _: Request) -> Response:
        if self._n_open >= MAX_STREAMS:
            return PlainTextResponse(f"p2pnet: {MAX_STREAMS} are looking already\n", 503, {"Retry-After": "10"})
        return StreamingResponse(self._updates(), media_type="text/event-stream")

    async def _updates(self) -> AsyncIterator[str]:
        self._n_open += 1
        updates = Updates()
        try:
            while not self._is_ending():
                view = await run_in_threadpool(self._feed.look)
                yield f"data: {json.dumps(updates.of(view), separators=(',', ':'))}\n\n"
                await asyncio.sleep(PERIOD_S)
        finally:
            self._n_open -= 1


async def _no_predictions(_: Request) -> Response:
    return _refused(
        "there are no predictions here; set predict = true in [page] of agent.toml, and start the page again", 404
    )


@final
class _Predictions:
    """The route `/predict`."""

    def __init__(self, predicting: Predicting, max_body_bytes: int) -> None:
        self._predicting = predicting
        self._max_body_bytes = max_body_bytes

    async def answer(self, request: Request) -> Response:
        if not self._predicting.has_model:
            return _refused("there is no model yet; the agent saves it when training has converged", 503)
        try:
            body = await self._body(request)
            return await run_in_threadpool(self._predicted, request, body)
        except TooLargeError:
            return _refused(f"the body has more than page.max_body_bytes = {self._max_body_bytes} bytes", 413)
        except DataProblemsError as error:
            return JSONResponse({"error": error.headline, "problems": list(error.problems)}, 422)
        except DataError as error:
            return _refused(str(error), 422)
        except P2pnetError as error:
            return _refused(str(error), 500)

    def _predicted(self, request: Request, body: bytes) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            return JSONResponse(self._predicting.of_json(body))
        if kind == "text/csv":
            is_proba = "proba" in request.query_params
            return Response(self._predicting.of_csv(body, is_proba=is_proba), media_type="text/csv")
        return _refused("the rows: Content-Type must be application/json or text/csv", 415)

    async def _body(self, request: Request) -> bytes:
        """The body, of which no more is read than is allowed."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_body_bytes:
                raise TooLargeError
        return bytes(body)


def _refused(reason: str, status: int) -> Response:
    return JSONResponse({"error": reason}, status)
