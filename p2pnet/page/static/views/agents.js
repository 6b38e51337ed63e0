// The table of all agents of the network, sortable by each column.

import { make, makeSvg, setAttribute, setChildren, setEmpty, setText } from "../dom.js";
import { bytes, count, duration, number, plural } from "../format.js";
import { shapeOf, stageOf, stageText } from "../stages.js";

const COLUMNS = [
  { key: "name", title: "Agent", of: (a) => a.name, text: (a) => a.name },
  { key: "stage", title: "State", of: stageOf, text: (a) => stageText(stageOf(a)) },
  { key: "round", title: "Round", of: (a) => a.round, text: (a) => (a.round < 0 ? "–" : count(a.round)), isNumber: true },
  { key: "residual", title: "Residual", of: (a) => a.residual, text: (a) => number(a.residual, 2), isNumber: true },
  {
    key: "disagreement",
    title: "Disagreement",
    of: (a) => a.disagreement,
    text: (a) => number(a.disagreement, 2),
    isNumber: true,
  },
  { key: "objective", title: "Objective", of: (a) => a.objective, text: (a) => number(a.objective), isNumber: true },
  { key: "metric", title: "Metric", of: (a) => a.test_metric, text: (a) => number(a.test_metric), isNumber: true },
  { key: "links", title: "Links", of: (a) => a.n_neighbors, text: (a) => count(a.n_neighbors), isNumber: true },
  { key: "sent", title: "Sent", of: (a) => a.bytes_sent, text: (a) => bytes(a.bytes_sent), isNumber: true },
  { key: "heard", title: "Heard", of: (a) => a.age_s, text: (a) => `${duration(a.age_s)} ago`, isNumber: true },
  { key: "version", title: "Version", of: (a) => a.software, text: (a) => a.software },
];
const UNSHARED = new Set(["objective", "metric"]);

export class AgentsView {
  /** `highlight(peer)` is called for the agent that is pointed at or has the focus, with null for none. */
  constructor(section, highlight) {
    this.aside = section.querySelector(".aside");
    this.box = section.querySelector(".scroll");
    this.highlight = highlight;
    this.agents = [];
    this.own = "";
    this.sorted = { key: "name", isDown: false };
    this.heads = new Map();
    const row = make("tr");
    for (const column of COLUMNS) {
      const button = make("button", { type: "button" }, column.title, make("span", { class: "arrow", "aria-hidden": "true" }));
      button.addEventListener("click", () => this.sortBy(column.key));
      const head = make("th", { scope: "col", class: column.isNumber ? "number" : null }, button);
      this.heads.set(column.key, head);
      row.append(head);
    }
    this.body = make("tbody");
    this.table = make("table", {}, make("thead", {}, row), this.body);
    this.box.append(this.table);
    this.mark();
  }

  sortBy(key) {
    const isSame = this.sorted.key === key;
    this.sorted = { key, isDown: isSame ? !this.sorted.isDown : COLUMNS.find((one) => one.key === key).isNumber === true };
    this.mark();
    this.render();
  }

  mark() {
    for (const [key, head] of this.heads) {
      const isSorted = key === this.sorted.key;
      setAttribute(head, "aria-sort", isSorted ? (this.sorted.isDown ? "descending" : "ascending") : null);
      setText(head.querySelector(".arrow"), isSorted ? (this.sorted.isDown ? "▼" : "▲") : "");
    }
  }

  show(state, update) {
    if (update.agents === undefined && update.status === undefined) return;
    this.agents = state.agents;
    this.own = state.status?.public_key ?? "";
    this.render();
  }

  render() {
    const { key, isDown } = this.sorted;
    const { of } = COLUMNS.find((column) => column.key === key);
    const rows = [...this.agents].sort((a, b) => compare(of(a), of(b), isDown) || compare(a.name, b.name, false));
    const isShared = this.agents.some((agent) => agent.objective !== null || agent.test_metric !== null);
    this.table.classList.toggle("without-metrics", !isShared);
    setText(this.aside, this.agents.length ? `${plural(this.agents.length, "agent")} heard of` : "");
    setEmpty(this.box, this.agents.length ? null : "No agent has been heard of yet.");
    this.table.hidden = this.agents.length === 0;
    setChildren(this.body, rows, (agent) => agent.peer, (agent) => this.makeRow(agent.peer), (row, agent) => this.fill(row, agent));
  }

  makeRow(peer) {
    const shape = makeSvg("svg", { viewBox: "-9 -9 18 18", "aria-hidden": "true", class: "mark" }, makeSvg("path", { class: "shape" }));
    const button = make("button", { type: "button", class: "name" });
    const row = make("tr", {}, make("th", { scope: "row" }, shape, button, make("span", { class: "tag" })));
    for (const column of COLUMNS.slice(1)) {
      row.append(make("td", { class: [column.isNumber ? "number" : "", UNSHARED.has(column.key) ? "metric" : ""].join(" ") }));
    }
    row.addEventListener("pointerenter", () => this.highlight(peer));
    row.addEventListener("pointerleave", () => this.highlight(null));
    button.addEventListener("focus", () => this.highlight(peer));
    button.addEventListener("blur", () => this.highlight(null));
    return row;
  }

  fill(row, agent) {
    const [shape, button, tag] = row.firstElementChild.children;
    const stage = stageOf(agent);
    setAttribute(shape.firstElementChild, "d", shapeOf(stage, 6));
    setAttribute(shape.firstElementChild, "data-stage", stage);
    setText(button, agent.name);
    setText(tag, agent.peer === this.own ? "this agent" : "");
    COLUMNS.slice(1).forEach((column, k) => setText(row.children[k + 1], column.text(agent)));
  }

  /** Brings the row of an agent into view, and focuses it. */
  focus(peer) {
    this.body.keyed?.get(peer)?.querySelector("button").focus();
  }
}

/** Smaller first, or larger first; what is not known comes last either way. */
function compare(one, other, isDown) {
  if (one === other) return 0;
  if (one === null || one === undefined) return 1;
  if (other === null || other === undefined) return -1;
  const order = typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : one - other;
  return isDown ? -order : order;
}
