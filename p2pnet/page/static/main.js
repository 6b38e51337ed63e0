// The page: one stream of updates, and a view for each section.

import { setAttribute, setText } from "./dom.js";
import { clock, duration } from "./format.js";
import { Stream } from "./stream.js";
import { toggleTheme, useTheme } from "./theme.js";
import { stageOf, stageText } from "./stages.js";
import { AgentsView } from "./views/agents.js";
import { CurvesView } from "./views/curves.js";
import { EpochsView } from "./views/epochs.js";
import { EventsView } from "./views/events.js";
import { LinksView } from "./views/links.js";
import { ModelView } from "./views/model.js";
import { NetworkView } from "./views/network.js";
import { QualityView } from "./views/quality.js";
import { SummaryView } from "./views/summary.js";

const byId = (id) => document.getElementById(id);

const network = new NetworkView(byId("network"));
const agents = new AgentsView(byId("agents"), (peer) => network.highlight(peer));
network.onChosen = (peer) => agents.focus(peer);
const curves = new CurvesView(byId("training"));

const views = [
  new SummaryView(byId("summary")),
  network,
  curves,
  agents,
  new LinksView(byId("links")),
  new EventsView(byId("events"), byId("only-warnings")),
  new ModelView(byId("model")),
  new QualityView(byId("quality")),
  new EpochsView(byId("epochs")),
];

let announced = "";

function announce(text) {
  if (text === announced) return;
  announced = text;
  byId("announcer").textContent = text;
}

function showHead(state) {
  const { status } = state;
  const name = status?.agent ?? "\u00a0";
  setText(byId("agent-name"), name);
  document.title = status === null ? "p2pnet" : `${name} · p2pnet`;
  const stage = !state.isConnected ? "lost" : !state.is_running ? "gone" : stageOf(status);
  const element = byId("agent-state");
  setAttribute(element, "data-stage", stage);
  setText(element, stageText(stage));
  const software = status === null ? "" : `p2pnet ${status.software} · process ${status.pid} · ${status.state_dir}`;
  setText(byId("footer"), software);
}

function showBanner(state) {
  const since = state.seen_at_s === null ? "" : ` Shown is what was known at ${clock(state.seen_at_s)}.`;
  let text = "";
  if (!state.isConnected) {
    const advice = "If the page was started anew, open the address that it has printed.";
    text = `The connection to the page is lost; trying again. ${advice}${since}`;
  } else if (!state.is_running) text = `The agent does not answer: ${state.problem}.${since} Trying again.`;
  const banner = byId("banner");
  banner.hidden = text === "";
  setText(banner, text);
  if (text !== "") announce(text);
  else if (state.status !== null) {
    const { agent, neighbors, running_s: age } = state.status;
    const stage = stageText(stageOf(state.status));
    announce(`${agent}: ${stage}, ${neighbors} neighbors linked${age < 5 ? `, started ${duration(age)} ago` : ""}`);
  }
}

const stream = new Stream((state, update) => {
  showHead(state);
  showBanner(state);
  for (const view of views) view.show(state, update);
});

useTheme(byId("theme"), () => curves.redraw());
byId("theme").addEventListener("click", toggleTheme);
stream.open();
