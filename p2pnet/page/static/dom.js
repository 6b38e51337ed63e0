// Elements, made and changed in place. Text is always set as text: names come from other machines.

const SVG = "http://www.w3.org/2000/svg";

/** An element; `attributes` of which the value is null or false are left out. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function makeSvg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Writes only what differs: most of what is shown does not change from one second to the next. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (value === null || value === false || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : String(value));
}

/**
 * Makes the children of `parent` stand for `items`, in their order. A child stays the same element as long as the key of
 * its item does, so that focus and selection stay. `create(item)` makes one, `update(element, item)` has it show the item.
 */
export function setChildren(parent, items, keyOf, create, update) {
  const known = (parent.keyed ??= new Map());
  const present = new Set();
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    present.add(key);
    let element = known.get(key);
    if (element === undefined) {
      element = create(item);
      known.set(key, element);
    }
    update(element, item);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const [key, element] of known) {
    if (present.has(key)) continue;
    element.remove();
    known.delete(key);
  }
}

/** What a view says while it has nothing to show; `text` null where it has something. */
export function setEmpty(parent, text) {
  let note = parent.querySelector(":scope > .empty");
  if (text === null) {
    note?.remove();
    return;
  }
  if (note === null) {
    note = make("p", { class: "empty" });
    parent.prepend(note);
  }
  setText(note, text);
}

/** A share as a bar; the number stands beside it as text. */
export function bar(kind = "") {
  return make("span", { class: `bar ${kind}`, "aria-hidden": "true" }, make("span"));
}

export function setBar(element, share) {
  element.firstElementChild.style.inlineSize = `${Math.max(0, Math.min(1, share)) * 100}%`;
}
