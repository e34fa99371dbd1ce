/* Two streams compared: rows [rule, path, left, right, left offset, right offset]. */
const RULES = {"diff.missing": "only in A", "diff.extra": "only in B", "diff.value": "value", "diff.type": "type",
  "diff.order": "order", "diff.ram": "guest memory"};
const ROWS = DATA.rows.map(([rule, path, left, right, leftAt, rightAt]) => (
  {rule, path, left, right, leftAt, rightAt, section: sectionOf(path, leftAt, rightAt)}));
const PAGE = 300;
let most = PAGE;

/** The part at the top of either stream that a difference is in. */
function sectionOf(path, leftAt, rightAt) {
  for (const [side, at] of [[0, leftAt], [1, rightAt]]) {
    if (at === null) continue;
    const part = DATA.sides[side].parts.find(([, start, size]) => start <= at && at < start + Math.max(1, size));
    if (part) return part[0];
  }
  return path.split(/[./[]/)[0];
}

function chosen() {
  const wanted = $("find").value.trim().toLowerCase(), rule = $("rule").value, section = $("section").value;
  return ROWS.filter((row) => (!rule || row.rule === rule) && (!section || row.section === section) &&
    (!wanted || [row.path, row.left, row.right].some((text) => text && text.toLowerCase().includes(wanted))));
}

function show() {
  const rows = chosen();
  $("shown").textContent = `${rows.length.toLocaleString("en")} of ${counted(ROWS.length, "difference")} shown`;
  const head = ["Kind", "Path", "A", "B"].map((word) => el("th", {scope: "col"}, word));
  const side = (value, at) => el("td", {class: "mono"}, value === null ? el("span", {class: "dim"}, "nothing") : value,
    at === null ? null : el("div", {class: "dim"}, `at ${hex(at)}`));
  $("rows").replaceChildren(el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows.slice(0, most).map((row) => (
    el("tr", {}, el("td", {}, RULES[row.rule] ?? row.rule), el("th", {scope: "row", class: "mono"}, row.path),
      side(row.left, row.leftAt), side(row.right, row.rightAt))))));
  $("more").hidden = rows.length <= most;
}

function showStrips() {
  const differing = new Map();
  for (const row of ROWS) differing.set(row.section, (differing.get(row.section) ?? 0) + 1);
  for (const [number, side] of DATA.sides.entries()) {
    const strip = el("div", {class: "map", role: "group", "aria-label": `Parts of ${"AB"[number]}, ${side.name}`});
    strip.style.height = "30px";
    const weights = side.parts.map(([, , size]) => Math.log2(size + 2));
    const total = weights.reduce((sum, one) => sum + one, 0) || 1;
    let at = 0;
    side.parts.forEach(([name, start, size], place) => {
      const count = differing.get(name) ?? 0;
      const label = `${name}, ${counted(size, "byte")} at ${hex(start)}: ${count ? counted(count, "difference") : "the same"}`;
      const button = el("button", {type: "button", class: count ? "inner bad" : "leaf", title: label, "aria-label": label,
        click: () => { $("section").value = differing.has(name) ? name : ""; most = PAGE; show(); }},
      count ? `≠ ${name}` : name);
      button.style.left = `${100 * at / total}%`;
      button.style.width = `${100 * weights[place] / total}%`;
      button.style.top = "1px";
      strip.append(button);
      at += weights[place];
    });
    $("strips").append(el("p", {}, el("b", {}, "AB"[number]), `: ${side.name}, ${side.machine}, ${counted(side.size, "byte")}`), strip);
  }
  for (const name of differing.keys()) $("section").append(el("option", {value: name}, name));
  for (const rule of new Set(ROWS.map((row) => row.rule))) $("rule").append(el("option", {value: rule}, RULES[rule] ?? rule));
}

showStrips();
show();
for (const name of ["find", "rule", "section"]) $(name).addEventListener("input", () => { most = PAGE; show(); });
$("more").addEventListener("click", () => { most += 10 * PAGE; show(); });
document.documentElement.dataset.ready = "true";
