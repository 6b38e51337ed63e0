"""Updates: what a browser is sent of a view, of which it knows an earlier one."""

from __future__ import annotations

from typing import Any, final

from p2pnet.page.feed import View


@final
class Updates:
    """Makes the updates of one browser: at first everything, then what has changed."""

    def __init__(self) -> None:
        self._known: View | None = None
        self._last_event = self._last_point = 0

    def of(self, view: View) -> dict[str, Any]:
        """What JSON can hold. A section that is missing is as before; `events` and `points` are those to be added, or
        all where `is_anew`.
        """
        known = self._known
        is_anew = known is None or known.generation != view.generation
        if is_anew:
            self._last_event = self._last_point = 0
        update: dict[str, Any] = {
            "is_anew": is_anew,
            "is_running": view.is_running,
            "problem": view.problem,
            "seen_at_s": view.seen_at_s,
        }
        for section in ("status", "agents", "links", "assessment"):
            value = getattr(view, section)
            if known is None or getattr(known, section) is not value:
                update[section] = value
        for section, last in (("events", self._last_event), ("points", self._last_point)):
            if news := [value for number, value in getattr(view, section) if number > last]:
                update[section] = news
        self._known = view
        self._last_event = max((number for number, _ in view.events[-1:]), default=0)
        self._last_point = max((number for number, _ in view.points[-1:]), default=0)
        return update
