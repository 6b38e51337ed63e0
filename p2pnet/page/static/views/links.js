// Bytes over each link of this agent, and how fast they come.

import { bar, make, setBar, setChildren, setEmpty, setText } from "../dom.js";
import { bytes, count, plural } from "../format.js";

const HEADS = ["Neighbor", "Link", "Round", "Sent", "", "Received", ""];
const SMOOTHING = 0.3;

export class LinksView {
  constructor(section) {
    this.aside = section.querySelector(".aside");
    this.box = section.querySelector(".scroll");
    this.rates = new Map();
    const heads = HEADS.map((title, k) => (title ? make("th", { scope: "col", class: k >= 2 ? "number" : null }, title) : make("td", { class: "bars" })));
    this.body = make("tbody");
    this.table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), this.body);
    this.box.append(this.table);
  }

  show(state, update) {
    const { links, seen_at_s: now } = state;
    const isEmpty = links.length === 0;
    setEmpty(this.box, isEmpty ? "No neighbor yet." : null);
    this.table.hidden = isEmpty;
    if (update.status !== undefined) for (const link of links) this.measure(link, now);
    for (const peer of this.rates.keys()) if (!links.some((link) => link.public_key === peer)) this.rates.delete(peer);
    const most = Math.max(1, ...links.flatMap((link) => [link.bytes_sent, link.bytes_received]));
    const total = links.reduce((sum, link) => sum + (this.rates.get(link.public_key)?.perSecond ?? 0), 0);
    setText(this.aside, isEmpty ? "" : `${plural(links.length, "neighbor")}, ${bytes(total)}/s both ways`);
    setChildren(this.body, links, (link) => link.public_key, makeRow, (row, link) => {
      const [name, state_, round, sent, sentBar, received, receivedBar] = row.children;
      setText(name, link.name || link.public_key.slice(0, 8));
      setText(state_, link.state);
      setText(round, link.round < 0 ? "–" : count(link.round));
      setText(sent, bytes(link.bytes_sent));
      setText(received, bytes(link.bytes_received));
      setBar(sentBar.firstElementChild, link.bytes_sent / most);
      setBar(receivedBar.firstElementChild, link.bytes_received / most);
    });
  }

  measure(link, now) {
    const total = link.bytes_sent + link.bytes_received;
    const known = this.rates.get(link.public_key);
    if (known === undefined || total < known.total) {
      this.rates.set(link.public_key, { total, at: now, perSecond: 0 });
    } else if (now > known.at) {
      const perSecond = (total - known.total) / (now - known.at);
      known.perSecond += (known.perSecond === 0 ? 1 : SMOOTHING) * (perSecond - known.perSecond);
      Object.assign(known, { total, at: now });
    }
  }
}

function makeRow() {
  return make(
    "tr",
    {},
    make("th", { scope: "row" }),
    make("td"),
    make("td", { class: "number" }),
    make("td", { class: "number" }),
    make("td", { class: "bars" }, bar("sent")),
    make("td", { class: "number" }),
    make("td", { class: "bars" }, bar("received")),
  );
}
