// Numbers, sizes and times as people read them.

const MISSING = "–";

/** Four digits, or a power of ten where the number is very small or large. */
export function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return MISSING;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(Math.min(digits - 1, 1)).replace(".0e", "e").replace("e+", "e").replace("-", "−");
  return Number(value.toPrecision(digits)).toString().replace("-", "−");
}

export function count(value) {
  return value === null || value === undefined ? MISSING : value.toLocaleString("en").replaceAll(",", "\u202f");
}

export function percent(share) {
  if (share === 0 || share === 1) return `${100 * share} %`;
  return `${Math.min(99.9, Math.max(0.1, 100 * share)).toFixed(1)} %`;
}

export function bytes(value) {
  if (value === null || value === undefined) return MISSING;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let k = 0;
  while (value >= 1000 && k < units.length - 1) {
    value /= 1000;
    k += 1;
  }
  return `${k === 0 ? Math.round(value) : Number(value.toPrecision(3))} ${units[k]}`;
}

export function duration(seconds) {
  if (seconds < 120) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB");
}

export function day(seconds) {
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}

export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}
