// The network as a graph: an agent's shape says its stage, its color how far it disagrees with its neighbors.

import { make, makeSvg, setAttribute, setChildren, setEmpty, setText } from "../dom.js";
import { number, plural } from "../format.js";
import { Layout } from "../force.js";
import { shapeOf, stageOf, stageText } from "../stages.js";

const MARK_LENGTH = 8;
const STAGES = ["training", "ended", "waiting", "silent"];
/** Upper ends of the classes of disagreement; the last class has none. */
const STEPS = [1e-6, 1e-4, 1e-2, 1e-1];
const MAX_NAMED = 40;
const MAX_FIGURES = 24;
/** Narrower than this there is room for half of the text. */
const NARROW = 480;
const NEW_MS = 2500;

const stepOf = (value) => (value === null ? "unknown" : String(STEPS.filter((end) => value >= end).length));

export class NetworkView {
  constructor(section) {
    this.aside = section.querySelector(".aside");
    this.box = section.querySelector(".graph");
    this.onChosen = () => {};
    this.layout = new Layout();
    this.agents = [];
    this.edges = [];
    this.own = "";
    this.shown = null;
    this.firstSeen = new Map();
    this.lines = makeSvg("g", { class: "edges" });
    this.nodes = makeSvg("g", { class: "nodes" });
    this.svg = makeSvg("svg", { role: "img", "aria-label": "No agents yet" }, this.lines, this.nodes);
    this.note = make("p", { class: "graph-note" }, "\u00a0");
    this.box.append(this.svg);
    this.box.after(this.note);
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.frame = null;
    new ResizeObserver(() => this.draw()).observe(this.box);
    this.makeLegend(section.querySelector(".legend"));
    setEmpty(this.box, "Nothing is known of the network yet: agents tell each other of themselves every two seconds.");
  }

  makeLegend(legend) {
    this.counts = new Map();
    const stages = make("ul", { "aria-label": "Shapes: stages" });
    for (const stage of STAGES) {
      const text = make("span", {}, stageText(stage));
      this.counts.set(stage, text);
      const shape = makeSvg("path", { d: shapeOf(stage, 6), class: "shape" });
      stages.append(make("li", {}, makeSvg("svg", { viewBox: "-9 -9 18 18", "aria-hidden": "true" }, shape), text));
    }
    const steps = make("ul", { "aria-label": "Colors: relative disagreement with the neighbors" });
    const names = [...STEPS.map((end) => `< ${number(end, 1)}`), `≥ ${number(STEPS.at(-1), 1)}`];
    names.forEach((name, k) => {
      steps.append(make("li", {}, make("span", { class: "swatch", "data-step": k, "aria-hidden": "true" }), name));
    });
    legend.append(stages, steps);
    steps.prepend(make("li", { class: "legend-title" }, "disagreement"));
  }

  show(state, update) {
    if (update.agents === undefined && update.status === undefined) return;
    this.agents = state.agents;
    this.own = state.status?.public_key ?? "";
    this.edges = linksOf(this.agents);
    const now = performance.now();
    const names = new Set(this.edges.map(([a, b]) => `${a} ${b}`));
    for (const name of names) if (!this.firstSeen.has(name)) this.firstSeen.set(name, this.firstSeen.size ? now : -NEW_MS);
    for (const name of this.firstSeen.keys()) if (!names.has(name)) this.firstSeen.delete(name);
    setEmpty(this.box, this.agents.length ? null : "Nothing is known of the network yet: agents tell each other of themselves every two seconds.");
    this.svg.toggleAttribute("hidden", this.agents.length === 0);
    if (this.agents.length === 0) return;
    this.layout.take(this.agents.map((agent) => agent.peer), this.edges);
    if (this.calm.matches) this.layout.settle();
    this.tell();
    this.draw();
  }

  /** What is drawn, in words. */
  tell() {
    const stages = this.agents.map(stageOf);
    for (const [stage, text] of this.counts) {
      const n = stages.filter((one) => one === stage).length;
      setText(text, `${n} ${stageText(stage)}`);
    }
    const size = `${plural(this.agents.length, "agent")}, ${plural(this.edges.length, "link")}`;
    setText(this.aside, size);
    const told = [...this.counts].map(([, text]) => text.textContent).filter((text) => !text.startsWith("0 "));
    setAttribute(this.svg, "aria-label", `Graph of ${size}: ${told.join(", ")}. The table of agents has the same in words.`);
    this.tellOfOne();
  }

  tellOfOne() {
    const agent = this.agents.find((one) => one.peer === this.shown);
    if (agent === undefined) {
      setText(this.note, "Point at an agent to see what it is linked with.");
      return;
    }
    const names = this.edges
      .filter((edge) => edge.includes(agent.peer))
      .map(([a, b]) => this.nameOf(a === agent.peer ? b : a));
    const parts = [stageText(stageOf(agent)), agent.round < 0 ? null : `round ${agent.round}`];
    if (agent.disagreement !== null) parts.push(`disagreement ${number(agent.disagreement, 2)}`);
    const linked = names.length ? `linked with ${names.sort().join(", ")}` : "linked with none that says so too";
    setText(this.note, `${agent.name}: ${[...parts, linked].filter((part) => part !== null).join(" · ")}`);
  }

  nameOf(peer) {
    return this.agents.find((agent) => agent.peer === peer)?.name ?? peer.slice(0, MARK_LENGTH);
  }

  /** Shows one agent and its links above the others; null: none. */
  highlight(peer) {
    this.shown = peer;
    this.tellOfOne();
    this.draw();
  }

  draw() {
    if (this.frame === null && this.agents.length) {
      this.frame = requestAnimationFrame(() => {
        this.frame = null;
        if (!this.calm.matches && this.layout.isMoving) {
          this.layout.tick();
          this.layout.tick();
          this.draw();
        }
        this.paint();
      });
    }
  }

  paint() {
    const width = this.box.clientWidth;
    const height = this.svg.clientHeight || 320;
    const n = this.agents.length;
    const isNarrow = width < NARROW;
    const radius = n <= 20 && !isNarrow ? 11 : n <= 60 ? 8 : n <= 200 ? 5 : 3.5;
    const hasFigures = n <= (isNarrow ? MAX_FIGURES / 4 : MAX_FIGURES);
    const places = this.layout.fitted(width, height, n <= MAX_NAMED ? 44 : 16);
    setAttribute(this.svg, "viewBox", `0 0 ${width} ${height}`);
    const isNear = (a, b) => this.shown === null || a === this.shown || b === this.shown;
    const near = new Set([this.shown, ...this.edges.filter(([a, b]) => isNear(a, b)).flat()]);
    const now = performance.now();
    setChildren(
      this.lines,
      this.edges,
      ([a, b]) => `${a} ${b}`,
      () => makeSvg("line"),
      (line, [a, b]) => {
        const [one, other] = [places.get(a), places.get(b)];
        setAttribute(line, "x1", one.x.toFixed(1));
        setAttribute(line, "y1", one.y.toFixed(1));
        setAttribute(line, "x2", other.x.toFixed(1));
        setAttribute(line, "y2", other.y.toFixed(1));
        line.classList.toggle("new", now - this.firstSeen.get(`${a} ${b}`) < NEW_MS);
        line.classList.toggle("dim", !isNear(a, b));
      },
    );
    setChildren(
      this.nodes,
      this.agents,
      (agent) => agent.peer,
      (agent) => this.makeNode(agent.peer),
      (node, agent) => {
        const place = places.get(agent.peer);
        setAttribute(node, "transform", `translate(${place.x.toFixed(1)} ${place.y.toFixed(1)})`);
        node.classList.toggle("own", agent.peer === this.own);
        node.classList.toggle("dim", this.shown !== null && !near.has(agent.peer));
        const [ring, shape, name, figure] = node.children;
        setAttribute(ring, "r", agent.peer === this.own ? radius + 5 : 0);
        const stage = stageOf(agent);
        setAttribute(shape, "d", shapeOf(stage, radius));
        setAttribute(shape, "data-stage", stage);
        setAttribute(shape, "data-step", stepOf(agent.disagreement));
        const isNamed = n <= MAX_NAMED || agent.peer === this.shown || agent.peer === this.own;
        setText(name, isNamed ? agent.name : "");
        setAttribute(name, "y", radius + 15);
        setText(figure, hasFigures && agent.disagreement !== null ? number(agent.disagreement, 2) : "");
        setAttribute(figure, "y", radius + 28);
      },
    );
  }

  makeNode(peer) {
    const node = makeSvg(
      "g",
      { class: "node" },
      makeSvg("circle", { class: "ring" }),
      makeSvg("path", { class: "shape" }),
      makeSvg("text", { "text-anchor": "middle" }),
      makeSvg("text", { "text-anchor": "middle", class: "figure" }),
    );
    node.addEventListener("pointerenter", () => this.highlight(peer));
    node.addEventListener("pointerleave", () => this.highlight(null));
    node.addEventListener("click", () => this.onChosen(peer));
    return node;
  }
}

/** Pairs of agents that both say that they are linked: one that is gone may still be said to have links. */
function linksOf(agents) {
  const peers = new Map(agents.map((agent) => [agent.peer.slice(0, MARK_LENGTH), agent.peer]));
  const links = new Map(agents.map((agent) => [agent.peer, new Set(agent.links.map((mark) => peers.get(mark)))]));
  const pairs = [];
  for (const [peer, others] of links) {
    for (const other of others) {
      if (other !== undefined && peer < other && links.get(other).has(peer)) pairs.push([peer, other]);
    }
  }
  return pairs.sort();
}
