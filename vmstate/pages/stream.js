/* A stream: NODES in wire order, each after the one that it is in. */
const NODES = DATA.nodes.map(([parent, name, path, kind, type, start, size, value, raw, parts, error], number) => ({
  number, parent, name: DATA.texts[name], path: DATA.texts[path], kind: DATA.texts[kind], type: DATA.texts[type],
  start, size, end: start + size, value: DATA.texts[value], raw, parts, error, inside: [], bad: Boolean(error)}));
const TOP = {number: -1, name: "stream", path: "the whole stream", start: 0, size: DATA.size, end: DATA.size, inside: []};
for (const node of NODES) (node.parent < 0 ? TOP : NODES[node.parent]).inside.push(node);
const parentOf = (node) => (node.parent < 0 ? TOP : NODES[node.parent]);
const opened = new Set();   // numbers of nodes that are open in the tree
let root = TOP;             // what the map shows
let selected = null;
let shownRows = [];         // the rows of the tree, in order
const ROW = 28;             // pixels of a row of the map
const LEVELS = 5;

// ---- findings

for (const finding of DATA.findings) {
  if (finding.offset === undefined) continue;
  for (let node = deepest(finding.offset); node && node !== TOP; node = parentOf(node)) node.bad = true;
}

function deepest(offset) {
  let node = TOP;
  for (;;) {
    const inner = node.inside.find((one) => one.start <= offset && offset < one.end);
    if (!inner) return node;
    node = inner;
  }
}

function showFindings() {
  if (!DATA.findings.length) { $("findings").append(el("p", {class: "dim"}, "None.")); return; }
  const list = el("ul", {});
  for (const finding of DATA.findings) {
    const where = finding.offset === undefined ? null : el("button", {type: "button",
      click: () => select(deepest(finding.offset), true)}, `go to ${hex(finding.offset)}`);
    list.append(el("li", {}, `${finding.severity} ${finding.rule}: ${finding.message} `, where));
  }
  $("findings").append(list);
}

// ---- the map

/** The width of a node, in a unit of its own. */
function weight(node) {
  return $("scale").value === "bytes" ? node.size : Math.log2(node.size + 2) + 0.5 * node.inside.length;
}

function showMap() {
  const map = $("map"), had = map.contains(document.activeElement);
  const width = map.clientWidth || 1000;
  const made = [];
  let depth = 1;
  const place = (node, left, right, level) => {
    if (level >= LEVELS || !node.inside.length) return;
    const total = node.inside.reduce((sum, one) => sum + weight(one), 0);
    if (!total) return;
    let at = left, few = null;
    for (const child of node.inside) {
      const end = at + (right - left) * weight(child) / total;
      if (end - at < 5) {  // too narrow: one block for all such neighbours
        if (few) { few.end = end; few.nodes.push(child); }
        else { few = {start: at, end, nodes: [child], level}; made.push(few); }
      } else {
        few = null;
        made.push({start: at, end, node: child, level});
        place(child, at, end, level + 1);
      }
      depth = Math.max(depth, level + 1);
      at = end;
    }
  };
  place(root, 0, width, 0);
  map.style.height = `${ROW * depth + 2}px`;
  map.replaceChildren(...made.map((block) => {
    const node = block.node ?? block.nodes[0];
    const many = block.nodes && block.nodes.length > 1;
    const label = many ? `${counted(block.nodes.length, "small part")} from ${node.path}`
      : `${node.path}, ${counted(node.size, "byte")} at ${hex(node.start)}${node.bad ? ", has a finding" : ""}`;
    const kind = many ? "many" : node.kind === "pages" ? "pages" : node.inside.length ? "inner" : "leaf";
    const button = el("button", {type: "button", class: `${kind}${node.bad ? " bad" : ""}`, title: label,
      "aria-label": label, "data-node": node.number, tabindex: -1}, many ? "…" : node.name);
    button.style.left = `${block.start}px`;
    button.style.width = `${Math.max(3, block.end - block.start - 1)}px`;
    button.style.top = `${ROW * block.level + 1}px`;
    return button;
  }));
  $("where").textContent = root === TOP ? "the whole stream" : `${root.path}, ${counted(root.size, "byte")}`;
  $("out").disabled = root === TOP;
  markMap(had);
}

function markMap(moving) {
  let mark = null;
  for (let node = selected; node && node !== TOP && !mark; node = parentOf(node)) {
    mark = $("map").querySelector(`[data-node="${node.number}"]`);
  }
  for (const button of $("map").children) {
    button.tabIndex = -1;
    button.removeAttribute("aria-current");
  }
  const stop = mark ?? $("map").firstElementChild;
  if (stop) stop.tabIndex = 0;
  mark?.setAttribute("aria-current", "true");
  if (moving) stop?.focus();
}

function zoom(node) {
  root = node.inside?.length ? node : node === TOP ? TOP : parentOf(node);
  showMap();
  say(`zoomed to ${root.path}`);
}

$("map").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) select(NODES[Number(button.dataset.node)], false);
});
$("map").addEventListener("dblclick", (event) => {
  const button = event.target.closest("button");
  if (button) zoom(NODES[Number(button.dataset.node)]);
});
$("map").addEventListener("keydown", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const node = NODES[Number(button.dataset.node)];
  const near = parentOf(node).inside, at = near.indexOf(node);
  const to = {ArrowLeft: near[at - 1], ArrowRight: near[at + 1], ArrowDown: node.inside[0], ArrowUp: parentOf(node)}[event.key];
  if (event.key === "Enter") { event.preventDefault(); select(node, false); zoom(node); markMap(true); }
  else if (event.key === "Escape" && root !== TOP) { event.preventDefault(); zoom(parentOf(root)); markMap(true); }
  else if (to && to !== TOP) { event.preventDefault(); select(to, false); markMap(true); }
});
$("out").addEventListener("click", () => zoom(parentOf(root)));
$("scale").addEventListener("change", showMap);
new ResizeObserver(showMap).observe($("map").parentElement);

// ---- the tree: only its open rows are there

function showTree() {
  const rows = [];
  const add = (node, level) => {
    rows.push([node, level]);
    if (opened.has(node.number)) for (const child of node.inside) add(child, level + 1);
  };
  for (const node of TOP.inside) add(node, 1);
  shownRows = rows.map(([node]) => node);
  $("tree").replaceChildren(...rows.map(([node, level]) => {
    const near = parentOf(node).inside;
    const sign = node.inside.length ? (opened.has(node.number) ? "▾ " : "▸ ") : "  ";
    const row = el("div", {role: "treeitem", "aria-level": level, "aria-setsize": near.length,
      "aria-posinset": near.indexOf(node) + 1, "data-node": node.number,
      "aria-expanded": node.inside.length ? String(opened.has(node.number)) : null,
      "aria-selected": String(node === selected), tabindex: -1},
    sign, node.name, node.bad ? el("strong", {}, " (finding)") : null,
    el("span", {class: "value"}, node.value || (node.inside.length ? counted(node.size, "byte") : "")));
    row.style.paddingLeft = `${0.4 + 1.1 * (level - 1)}rem`;
    return row;
  }));
  const stop = rowOf(selected) ?? $("tree").firstElementChild;
  if (stop) stop.tabIndex = 0;
}

const rowOf = (node) => (node ? $("tree").querySelector(`[data-node="${node.number}"]`) : null);

function toggle(node, open) {
  if (!node.inside.length) return;
  if (open ?? !opened.has(node.number)) opened.add(node.number); else opened.delete(node.number);
  showTree();
}

$("tree").addEventListener("click", (event) => {
  const row = event.target.closest('[role="treeitem"]');
  if (!row) return;
  const node = NODES[Number(row.dataset.node)];
  toggle(node);
  select(node, true);
});
$("tree").addEventListener("keydown", (event) => {
  const row = event.target.closest('[role="treeitem"]');
  if (!row) return;
  const node = NODES[Number(row.dataset.node)];
  const at = shownRows.indexOf(node), isOpen = opened.has(node.number);
  let to = null;
  switch (event.key) {
    case "ArrowDown": to = shownRows[at + 1]; break;
    case "ArrowUp": to = shownRows[at - 1]; break;
    case "Home": to = shownRows[0]; break;
    case "End": to = shownRows[shownRows.length - 1]; break;
    case "ArrowRight": if (isOpen) to = node.inside[0]; else { toggle(node, true); to = node; } break;
    case "ArrowLeft": if (isOpen) { toggle(node, false); to = node; } else if (parentOf(node) !== TOP) to = parentOf(node); break;
    case "Enter": case " ": toggle(node); to = node; break;
    default: return;
  }
  event.preventDefault();
  if (to) select(to, true);
});

// ---- one part

function select(node, moving) {
  selected = node;
  for (let outer = parentOf(node); outer !== TOP; outer = parentOf(outer)) opened.add(outer.number);
  showTree();
  const row = rowOf(node);
  row?.scrollIntoView({block: "nearest"});
  if (moving) row?.focus();
  if (!isIn(node, root)) { root = TOP; showMap(); } else markMap(false);
  showPart(node);
}

function isIn(node, outer) {
  for (; node !== TOP; node = parentOf(node)) if (node === outer) return true;
  return outer === TOP;
}

function showPart(node) {
  const fact = (name, value) => (value ? [el("dt", {}, name), el("dd", {class: "mono"}, value)] : null);
  $("part-title").textContent = `Part: ${node.name}`;
  $("details").replaceChildren(...[
    el("dl", {class: "facts"},
      fact("path", node.path), fact("kind", node.kind), fact("type", node.type),
      fact("offset", `${hex(node.start)} to ${hex(node.end)}`), fact("size", counted(node.size, "byte")),
      fact("share", `${(100 * node.size / DATA.size).toPrecision(3)} % of the stream`),
      fact("value", node.value), fact("error", node.error)),
    node.parts.length ? el("table", {class: "rows"}, el("tbody", {}, node.parts.map((part) => (
      el("tr", {}, part.map((word) => el("td", {}, word))))))) : null,
    bytesOf(node),
  ].filter(Boolean));
  say(`${node.path}: ${node.value || counted(node.size, "byte")}`);
}

function bytesOf(node) {
  if (!node.size) return null;
  if (node.raw === null) {
    return el("p", {class: "dim"}, node.inside.length ? "Its parts have its bytes." : "Its bytes are not on this page.");
  }
  const raw = bytes(node.raw), most = 1024, lines = [];
  for (let at = 0; at < Math.min(raw.length, most); at += 16) {
    const row = [...raw.subarray(at, at + 16)];
    const digits = row.map((one) => one.toString(16).padStart(2, "0")).join(" ");
    const signs = row.map((one) => (one >= 32 && one < 127 ? String.fromCharCode(one) : ".")).join("");
    lines.push(`${(node.start + at).toString(16).padStart(8, "0")}  ${digits.padEnd(47)}  ${signs}`);
  }
  if (raw.length > most) lines.push(`… ${counted(raw.length - most, "byte")} more`);
  return el("pre", {class: "hex"}, lines.join("\n"));
}

// ---- find

let hits = [], hit = -1;
function find() {
  const wanted = $("find").value.trim().toLowerCase();
  hits = wanted ? NODES.filter((node) => node.path.toLowerCase().includes(wanted) ||
    node.value.toLowerCase().includes(wanted)) : [];
  hit = -1;
  $("found").textContent = wanted ? counted(hits.length, "part") : "";
}
$("find").addEventListener("input", find);
$("find").addEventListener("keydown", (event) => { if (event.key === "Enter") $("next").click(); });
$("next").addEventListener("click", () => {
  if (!hits.length) return;
  hit = (hit + 1) % hits.length;
  select(hits[hit], false);
  $("found").textContent = `${hit + 1} of ${counted(hits.length, "part")}`;
});

showFindings();
showTree();
showMap();
document.documentElement.dataset.ready = "true";
