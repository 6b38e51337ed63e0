// How good the model is on this agent's own test samples, by class.

import { bar, make, setBar, setChildren, setEmpty, setText } from "../dom.js";
import { count, number, percent } from "../format.js";

const NONE =
  "This agent has no test samples of its own: data.test_source names some, and data.split holds some out.";

export class QualityView {
  constructor(section) {
    this.aside = section.querySelector(".aside");
    this.box = section.querySelector(".scroll");
    this.metrics = make("dl", { class: "metrics" });
    this.body = make("tbody");
    const heads = ["Class", "Samples", "Precision", "", "Recall", "", "F1", ""].map((title, k) =>
      title ? make("th", { scope: "col", class: k >= 1 ? "number" : null }, title) : make("td", { class: "bars" }),
    );
    this.table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), this.body);
    this.box.append(this.metrics, this.table);
  }

  show({ assessment }) {
    const metrics = Object.entries(assessment?.metrics ?? {});
    setEmpty(this.box, assessment === null ? "Not known yet." : metrics.length ? null : NONE);
    this.table.hidden = !assessment?.per_class.length;
    this.metrics.hidden = metrics.length === 0;
    setText(this.aside, metrics.length ? `own test samples, in round ${count(assessment.round)}` : "");
    setChildren(
      this.metrics,
      metrics,
      ([name]) => name,
      ([name]) => make("div", {}, make("dt", {}, name), make("dd")),
      (element, [, value]) => setText(element.children[1], number(value)),
    );
    setChildren(this.body, assessment?.per_class ?? [], (one) => one.label, makeRow, (row, one) => {
      const cells = row.children;
      setText(cells[0], one.label);
      setText(cells[1], count(one.n_samples));
      ["precision", "recall", "f1"].forEach((key, k) => {
        setText(cells[2 + 2 * k], percent(one[key]));
        setBar(cells[3 + 2 * k].firstElementChild, one[key]);
      });
    });
  }
}

function makeRow() {
  const pairs = ["precision", "recall", "f1"].flatMap((kind) => [
    make("td", { class: "number" }),
    make("td", { class: "bars" }, bar(kind)),
  ]);
  return make("tr", {}, make("th", { scope: "row" }), make("td", { class: "number" }), ...pairs);
}
