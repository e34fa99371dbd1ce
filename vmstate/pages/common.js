"use strict";
/* Shared by all pages.  Text from a stream reaches the page only through textContent and setAttribute. */
const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

/** Make an element: el("td", {class: "cell"}, "text", child, …). */
function el(name, attributes, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "click") made.addEventListener("click", value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  for (const one of inside.flat()) if (one !== null && one !== undefined) made.append(one);
  return made;
}

function svg(name, attributes, ...inside) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, String(value));
  for (const one of inside) made.append(one);
  return made;
}

/** Tell a screen reader. */
function say(text) { $("said").textContent = text; }

function numbers(text) {
  const raw = atob(text);
  const found = new Uint16Array(raw.length / 2);
  for (let at = 0; at < found.length; at++) found[at] = raw.charCodeAt(2 * at) | (raw.charCodeAt(2 * at + 1) << 8);
  return found;
}

function bytes(text) {
  const raw = atob(text);
  return Uint8Array.from(raw, (sign) => sign.charCodeAt(0));
}

const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
const hex = (number) => "0x" + number.toString(16);

/** A text for a shell: quoted if need be. */
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : "'" + text.replaceAll("'", `'"'"'`) + "'");

/** A block of text that can be copied. */
function copied(text, label) {
  const button = el("button", {type: "button", click: () => {
    navigator.clipboard?.writeText(text).then(() => say("copied"), () => say("could not copy"));
  }}, "Copy");
  button.setAttribute("aria-label", `Copy ${label}`);
  return el("div", {}, el("pre", {}, text), button);
}

/** Move a roving focus in a list or table by keys; `to` takes [row, column] and returns the element. */
function within(value, most) { return Math.max(0, Math.min(most, value)); }
