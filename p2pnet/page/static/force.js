// Where the agents of a graph are drawn: links pull, agents push each other away. Positions stay as long as the graph
// does, and change little where it does little.

const LENGTH = 1;
const PUSH = 0.9;
const PULL = 0.12;
const CENTER = 0.006;
const MOST_STRETCH = 1.8;
const LEAST_HEAT = 0.02;
const COOLING = 0.985;
const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5));

export class Layout {
  constructor() {
    this.places = new Map();
    this.edges = [];
    this.heat = 0;
  }

  /** Takes over agents and links, pairs of keys; an agent that is new begins beside those it is linked with. */
  take(keys, edges) {
    const before = new Set(this.edges.map(([a, b]) => `${a} ${b}`));
    const isSame =
      keys.length === this.places.size &&
      keys.every((key) => this.places.has(key)) &&
      edges.length === before.size &&
      edges.every(([a, b]) => before.has(`${a} ${b}`));
    if (isSame) return;
    const isFirst = this.places.size === 0;
    const places = new Map();
    keys.forEach((key, k) => places.set(key, this.places.get(key) ?? this.placeFor(key, k, edges)));
    this.places = places;
    this.edges = edges;
    this.heat = Math.max(this.heat, isFirst ? 1 : 0.35);
  }

  placeFor(key, k, edges) {
    const near = edges
      .filter((edge) => edge.includes(key))
      .map(([a, b]) => this.places.get(a === key ? b : a))
      .filter((place) => place !== undefined);
    const radius = 0.6 * LENGTH * Math.sqrt(k + 0.5);
    const around = near.length === 0 ? { x: 0, y: 0 } : near[0];
    const r = near.length === 0 ? radius : 0.5 * LENGTH;
    return { x: around.x + r * Math.cos(k * GOLDEN_ANGLE), y: around.y + r * Math.sin(k * GOLDEN_ANGLE) };
  }

  get isMoving() {
    return this.heat > LEAST_HEAT;
  }

  settle() {
    while (this.isMoving) this.tick();
  }

  tick() {
    const places = [...this.places.values()];
    const moves = new Map(places.map((place) => [place, { x: -CENTER * place.x, y: -CENTER * place.y }]));
    for (let j = 0; j < places.length; j += 1) {
      const one = places[j];
      const ofOne = moves.get(one);
      for (let k = j + 1; k < places.length; k += 1) {
        const other = places[k];
        const dx = one.x - other.x || 1e-3 * (j - k);
        const dy = one.y - other.y || 1e-3;
        const push = (PUSH * LENGTH * LENGTH) / Math.max(dx * dx + dy * dy, 0.04);
        const ofOther = moves.get(other);
        ofOne.x += 0.2 * push * dx;
        ofOne.y += 0.2 * push * dy;
        ofOther.x -= 0.2 * push * dx;
        ofOther.y -= 0.2 * push * dy;
      }
    }
    for (const [a, b] of this.edges) {
      const one = this.places.get(a);
      const other = this.places.get(b);
      const dx = other.x - one.x;
      const dy = other.y - one.y;
      const distance = Math.hypot(dx, dy) || 1e-3;
      const pull = (PULL * (distance - LENGTH)) / distance;
      moves.get(one).x += pull * dx;
      moves.get(one).y += pull * dy;
      moves.get(other).x -= pull * dx;
      moves.get(other).y -= pull * dy;
    }
    for (const [place, move] of moves) {
      const size = Math.hypot(move.x, move.y);
      const step = (this.heat * Math.min(size, 0.5)) / (size || 1);
      place.x += step * move.x;
      place.y += step * move.y;
    }
    this.heat *= COOLING;
  }

  /** Positions in a box of this size, as large as fits, and a little wider or higher than they are where that helps. */
  fitted(width, height, margin) {
    const places = [...this.places.values()];
    const xs = places.map((place) => place.x);
    const ys = places.map((place) => place.y);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const across = (width - 2 * margin) / Math.max(right - left, LENGTH);
    const down = (height - 2 * margin) / Math.max(bottom - top, LENGTH);
    const least = Math.min(across, down);
    const fit = ({ x, y }) => ({
      x: width / 2 + Math.min(across, MOST_STRETCH * least) * (x - (left + right) / 2),
      y: height / 2 + Math.min(down, MOST_STRETCH * least) * (y - (top + bottom) / 2),
    });
    return new Map([...this.places].map(([key, place]) => [key, fit(place)]));
  }
}
