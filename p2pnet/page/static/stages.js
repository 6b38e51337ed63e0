// The stages of agents: a word and a shape each, so that none is told by its color alone.

const WORDS = {
  waiting: "waiting for others",
  training: "training",
  ended: "converged, idle",
  silent: "not heard of lately",
  gone: "not running",
  lost: "connection lost",
};

/** Seconds after which nothing new of an agent is strange: while it trains, each round is news. */
const SILENT_AFTER_S = { training: 15, waiting: 75, ended: 75 };

export function stageOf(agent) {
  const stage = agent.stage in SILENT_AFTER_S ? agent.stage : "waiting";
  return (agent.age_s ?? 0) > SILENT_AFTER_S[stage] ? "silent" : stage;
}

export function stageText(stage) {
  return WORDS[stage] ?? stage;
}

/** The outline of a stage's shape around (0, 0), as the `d` of an SVG path. */
export function shapeOf(stage, r) {
  switch (stage) {
    case "ended": {
      const a = r * 0.9;
      return `M${-a} ${-a}H${a}V${a}H${-a}Z`;
    }
    case "waiting":
      return `M0 ${-r * 1.2}L${r * 1.1} ${r * 0.8}H${-r * 1.1}Z`;
    case "silent":
      return `M0 ${-r * 1.25}L${r * 1.25} 0L0 ${r * 1.25}L${-r * 1.25} 0Z`;
    default:
      return `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
  }
}
