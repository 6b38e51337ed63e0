// The layers of the model, and how sparse they are.

import { bar, make, setBar, setChildren, setEmpty, setText } from "../dom.js";
import { count, number, percent, plural } from "../format.js";

const HEADS = ["Layer", "Shape", "Parameters", "Zero", "", "Idle neurons", "Norm"];

export class ModelView {
  constructor(section) {
    this.aside = section.querySelector(".aside");
    this.box = section.querySelector(".scroll");
    const heads = HEADS.map((title, k) => (title ? make("th", { scope: "col", class: k >= 2 ? "number" : null }, title) : make("td", { class: "bars" })));
    this.body = make("tbody");
    this.table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), this.body);
    this.box.append(this.table);
  }

  show({ assessment }) {
    setEmpty(this.box, assessment === null ? "The model is not known yet: training has not been prepared." : null);
    this.table.hidden = assessment === null;
    if (assessment === null) return;
    const { layers } = assessment;
    const [n, nZero] = [sum(layers, "n_params"), sum(layers, "n_zero")];
    const zeros = nZero ? `, ${percent(nZero / n)} of them 0` : "";
    setText(this.aside, `${assessment.network}: ${plural(n, "parameter")}${zeros}, in round ${count(assessment.round)}`);
    setChildren(this.body, layers, (layer) => layer.name, makeRow, (row, layer) => {
      const [name, shape, size, zero, zeroBar, idle, norm] = row.children;
      setText(name, layer.name);
      setText(shape, `${count(layer.n_inputs)} → ${count(layer.n_outputs)}`);
      setText(size, count(layer.n_params));
      setText(zero, percent(layer.n_zero / layer.n_params));
      setBar(zeroBar.firstElementChild, layer.n_zero / layer.n_params);
      setText(idle, `${count(layer.n_idle)} of ${count(layer.n_outputs)}`);
      setText(norm, number(layer.norm, 3));
    });
  }
}

function sum(layers, key) {
  return layers.reduce((total, layer) => total + layer[key], 0);
}

function makeRow() {
  return make(
    "tr",
    {},
    make("th", { scope: "row" }),
    make("td"),
    make("td", { class: "number" }),
    make("td", { class: "number" }),
    make("td", { class: "bars" }, bar("zero")),
    make("td", { class: "number" }),
    make("td", { class: "number" }),
  );
}
