// The epochs: how often training went on since samples had changed, and what came of it.

import { make, setChildren, setEmpty, setText } from "../dom.js";
import { clock, count, duration, number, plural } from "../format.js";

const HEADS = ["Epoch", "Rounds", "Began", "Took", "Objective"];

export class EpochsView {
  constructor(section) {
    this.aside = section.querySelector(".aside");
    this.box = section.querySelector(".scroll");
    this.body = make("tbody");
    const heads = HEADS.map((title, k) => make("th", { scope: "col", class: k === 0 ? null : "number" }, title));
    this.table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), this.body);
    this.box.append(this.table);
  }

  show(state, update) {
    if (update.points === undefined && this.body.children.length) return;
    const epochs = epochsOf(state.points);
    setEmpty(this.box, epochs.length ? null : "Training has not begun.");
    this.table.hidden = epochs.length === 0;
    const isFirst = epochs.length === 1 && epochs[0].number === 0;
    setText(this.aside, isFirst ? "the first: no samples have changed since training finished" : epochs.length ? plural(epochs.length, "epoch") : "");
    setChildren(this.body, [...epochs].reverse(), (epoch) => epoch.number, makeRow, (row, { number: name, first, last }) => {
      const [title, rounds, began, took, objective] = row.children;
      setText(title, count(name));
      setText(rounds, `${count(first.round)} – ${count(last.round)}`);
      setText(began, clock(first.time_s));
      setText(took, duration(last.time_s - first.time_s));
      setText(objective, `${number(first.objective)} → ${number(last.objective)}`);
    });
  }
}

function epochsOf(points) {
  const epochs = [];
  for (const point of points) {
    const latest = epochs.at(-1);
    if (latest === undefined || latest.number !== point.epoch) epochs.push({ number: point.epoch, first: point, last: point });
    else latest.last = point;
  }
  return epochs;
}

function makeRow() {
  return make("tr", {}, make("th", { scope: "row" }), ...HEADS.slice(1).map(() => make("td", { class: "number" })));
}
