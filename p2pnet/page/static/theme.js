// Light, dark, or as the system has it; the choice is kept by this browser.

const THEMES = ["auto", "light", "dark"];
const KEY = "p2pnet-theme";

let button = null;
let changed = () => {};

/** Puts the theme that was chosen last in force; `onChange` is called whenever colors change. */
export function useTheme(themeButton, onChange) {
  button = themeButton;
  changed = onChange;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => changed());
  apply(kept());
}

export function toggleTheme() {
  const next = THEMES[(THEMES.indexOf(kept()) + 1) % THEMES.length];
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // A browser that keeps nothing: the choice holds until the page is left.
    document.documentElement.dataset.chosen = next;
  }
  apply(next);
}

function kept() {
  let name = document.documentElement.dataset.chosen;
  try {
    name = localStorage.getItem(KEY) ?? name;
  } catch {
    // As above.
  }
  return THEMES.includes(name) ? name : "auto";
}

function apply(name) {
  document.documentElement.dataset.theme = name;
  button.textContent = `Theme: ${name}`;
  changed();
}

/** The color that a variable of the style sheet stands for, as canvases need it. */
export function color(variable) {
  const probe = document.createElement("span");
  probe.style.color = `var(${variable})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
