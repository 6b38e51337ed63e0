// What is known of the agent and its network: updates of the stream, put together.

const MAX_POINTS = 3000;
const MAX_EVENTS = 500;
const AGAIN_MS = 3000;

export class Stream {
  /** `changed(state, update)` is called with all that is known, and with what of it is new. */
  constructor(changed) {
    this.changed = changed;
    this.source = null;
    this.state = {
      isConnected: false,
      is_running: false,
      problem: "",
      seen_at_s: null,
      status: null,
      agents: [],
      links: [],
      assessment: null,
      events: [],
      points: [],
    };
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()));
  }

  open() {
    if (this.source !== null || document.hidden) return;
    this.source = new EventSource("/stream");
    this.source.onmessage = (message) => this.take(JSON.parse(message.data));
    this.source.onerror = () => {
      this.state.isConnected = false;
      this.changed(this.state, {});
      // A browser tries again by itself where the connection broke, but not where it was refused.
      if (this.source?.readyState === EventSource.CLOSED) {
        this.close();
        setTimeout(() => this.open(), AGAIN_MS);
      }
    };
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  take(update) {
    const { is_anew: isAnew, events = [], points = [], ...rest } = update;
    const { state } = this;
    Object.assign(state, rest, { isConnected: true });
    if (isAnew || events.length) {
      state.events = [...(isAnew ? [] : state.events), ...events].slice(-MAX_EVENTS);
    }
    if (isAnew || points.length) {
      state.points = [...(isAnew ? [] : state.points), ...points];
      // The same for all that is old: every second round of it.
      if (state.points.length > MAX_POINTS) {
        state.points = state.points.filter((_, k) => k % 2 === 0 || k === state.points.length - 1);
      }
    }
    this.changed(state, update);
  }
}
