// This agent at a glance.

import { make, setChildren, setText } from "../dom.js";
import { bytes, count, duration, number } from "../format.js";

const FIGURES = [
  ["Round", (s) => (s.round < 0 ? "–" : count(s.round)), (s) => (s.last_round === null ? "" : `of at most ${count(s.last_round)}`)],
  ["Objective", (s) => number(s.objective), () => "own samples"],
  ["Test metric", (s) => number(s.test_metric), (s) => (s.test_metric === null ? "no test samples here" : `${s.test_metric_name ?? ""} on own test samples`)],
  ["Residual", (s) => number(s.residual, 2), () => "relative to the first"],
  ["Disagreement", (s) => number(s.disagreement, 2), () => "with its neighbors"],
  ["Neighbors", (s) => count(s.neighbors), (s) => (s.members === null ? "linked" : `linked, of ${count(s.members)} members`)],
  ["Sent", (s) => bytes(s.bytes_sent), (s) => `received ${bytes(s.bytes_received)}`],
  ["Running", (s) => duration(s.running_s), (s) => `${number(s.processor_s, 3)} s of processor`],
];

export class SummaryView {
  constructor(section) {
    this.list = section.querySelector("dl");
    this.show({ status: null });
  }

  show({ status }) {
    setChildren(
      this.list,
      FIGURES,
      ([title]) => title,
      ([title]) => make("div", {}, make("dt", {}, title), make("dd", { class: "value" }), make("dd", { class: "note" })),
      (element, [, valueOf, noteOf]) => {
        setText(element.children[1], status === null ? "…" : valueOf(status));
        setText(element.children[2], status === null ? "\u00a0" : noteOf(status) || "\u00a0");
      },
    );
  }
}
