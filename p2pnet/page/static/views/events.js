// What has happened, the latest first.

import { make, setChildren, setEmpty, setText } from "../dom.js";
import { clock, day } from "../format.js";

const SIGNS = { info: "·", warning: "▲", error: "✕", critical: "✕" };

export class EventsView {
  constructor(section, filter) {
    this.box = section.querySelector(".scroll");
    this.list = make("ol", { class: "events" });
    this.box.append(this.list);
    this.filter = filter;
    this.events = [];
    filter.addEventListener("change", () => this.render());
  }

  show(state, update) {
    if (update.events === undefined && this.events.length) return;
    this.events = state.events;
    this.render();
  }

  render() {
    const shown = this.filter.checked ? this.events.filter((event) => event.level !== "info") : this.events;
    const empty = this.filter.checked ? "No warnings." : "Nothing has happened yet.";
    setEmpty(this.box, shown.length ? null : empty);
    setChildren(
      this.list,
      [...shown].reverse(),
      (event) => event,
      (event) =>
        make(
          "li",
          { "data-level": event.level },
          make("time", { datetime: new Date(event.time_s * 1000).toISOString(), title: day(event.time_s) }, clock(event.time_s)),
          make("span", { class: "sign", "aria-hidden": "true" }, SIGNS[event.level] ?? "·"),
          make("span", { class: "text" }, event.level === "info" ? "" : make("span", { class: "unseen" }, `${event.level}: `), event.text),
        ),
      () => {},
    );
  }
}
