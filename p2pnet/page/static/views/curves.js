// Four curves of this agent's training, side by side, with one cursor.

import uPlot from "../vendor/uPlot.esm.js";
import { make, setAttribute, setEmpty, setText } from "../dom.js";
import { clock, count, number } from "../format.js";
import { color } from "../theme.js";

const CURVES = [
  { key: "objective", title: "Objective", isLog: false, stroke: "--curve-1" },
  { key: "test_metric", title: "Test metric", isLog: false, stroke: "--curve-2" },
  { key: "residual", title: "Residual", isLog: true, stroke: "--curve-3" },
  { key: "disagreement", title: "Disagreement", isLog: true, stroke: "--curve-4" },
];
const HEIGHT = 168;
const FONT = "12px system-ui, sans-serif";

export class CurvesView {
  constructor(section) {
    this.points = [];
    this.axis = "round";
    this.box = section.querySelector(".curves");
    this.charts = CURVES.map((curve) => new Chart(this.box, curve));
    for (const input of section.querySelectorAll("input[name=axis]")) {
      input.addEventListener("change", () => {
        this.axis = input.value;
        this.redraw();
      });
    }
    new ResizeObserver(() => this.charts.forEach((chart) => chart.fit())).observe(this.box);
  }

  show(state, update) {
    if (update.points === undefined) return;
    this.points = state.points;
    for (const chart of this.charts) chart.show(this.points, this.axis);
  }

  /** Draws all anew, as where colors or the axis have changed. */
  redraw() {
    for (const chart of this.charts) chart.forget();
    for (const chart of this.charts) chart.show(this.points, this.axis);
  }
}

class Chart {
  constructor(parent, curve) {
    this.curve = curve;
    this.plot = null;
    this.points = [];
    this.value = make("span", { class: "value" }, "–");
    this.where = make("span", { class: "note" });
    this.box = make("div", { class: "plot" });
    this.figure = make(
      "figure",
      { role: "group", "aria-label": curve.title },
      make("figcaption", {}, make("span", { class: "name" }, curve.title), this.value, this.where),
      this.box,
    );
    parent.append(this.figure);
    setEmpty(this.box, "No rounds yet.");
  }

  show(points, axis) {
    this.points = points.filter((point) => point[this.curve.key] !== null);
    this.axis = axis;
    const isEmpty = this.points.length === 0;
    setEmpty(this.box, isEmpty ? (points.length ? "None: no samples to measure it on." : "No rounds yet.") : null);
    if (isEmpty) {
      this.forget();
      setText(this.value, "–");
      return;
    }
    if (this.plot === null) this.plot = new uPlot(this.options(), this.data(), this.box);
    else this.plot.setData(this.data());
    this.tell(this.plot.cursor.idx);
  }

  forget() {
    this.plot?.destroy();
    this.plot = null;
  }

  fit() {
    if (this.plot !== null && this.box.clientWidth > 0 && this.box.clientWidth !== this.plot.width) {
      this.plot.setSize({ width: this.box.clientWidth, height: HEIGHT });
    }
  }

  data() {
    const xs = this.points.map((point) => (this.axis === "round" ? point.round : point.time_s));
    const { key, isLog } = this.curve;
    return [xs, this.points.map((point) => (isLog && point[key] <= 0 ? null : point[key]))];
  }

  tell(place) {
    const point = this.points[place ?? -1] ?? this.points.at(-1);
    setText(this.value, number(point[this.curve.key]));
    setText(this.where, this.axis === "round" ? `round ${count(point.round)}` : clock(point.time_s));
    setAttribute(this.box, "role", "img");
    const first = this.points[0];
    const course = `from ${number(first[this.curve.key])} in round ${first.round} to ${number(this.points.at(-1)[this.curve.key])} in round ${this.points.at(-1).round}`;
    setAttribute(this.box, "aria-label", `Curve of ${this.curve.title.toLowerCase()}, ${course}`);
  }

  options() {
    const [grid, text, stroke] = [color("--line"), color("--muted"), color(this.curve.stroke)];
    const axis = { stroke: text, font: FONT, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
    const ofLog = this.curve.isLog ? { filter: powersOfTen } : {};
    return {
      width: this.box.clientWidth || 300,
      height: HEIGHT,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: "training" }, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { x: { time: this.axis === "time" }, y: { distr: this.curve.isLog ? 3 : 1, range: this.range() } },
      axes: [
        { ...axis, space: 64, size: 26 },
        {
          ...axis,
          ...ofLog,
          grid: { ...axis.grid, ...ofLog },
          size: 56,
          values: (_, splits) => splits.map((value) => (value === null ? null : number(value, 3))),
        },
      ],
      series: [{}, { stroke, width: 1.75, points: { show: this.points.length < 2 } }],
      hooks: { setCursor: [(plot) => this.tell(plot.cursor.idx)], draw: [(plot) => this.drawEpochs(plot, text)] },
    };
  }

  /** A flat curve has a scale around it, too. */
  range() {
    if (this.curve.isLog) {
      return (_, low, high) =>
        low === null ? [1e-3, 1] : [10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(high) + 1e-9)];
    }
    return (_, low, high) => {
      if (low === null) return [0, 1];
      const margin = 0.08 * (high - low) || Math.abs(high) * 0.1 || 1;
      return [low - margin, high + margin];
    };
  }

  drawEpochs(plot, stroke) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = stroke;
    ctx.setLineDash([3 * devicePixelRatio, 4 * devicePixelRatio]);
    this.points.forEach((point, k) => {
      if (k === 0 || point.epoch === this.points[k - 1].epoch) return;
      const x = Math.round(plot.valToPos(this.axis === "round" ? point.round : point.time_s, "x", true)) + 0.5;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    });
    ctx.restore();
  }
}

function powersOfTen(_, splits) {
  return splits.map((value) => (Math.abs(Math.log10(value) % 1) < 1e-6 ? value : null));
}
