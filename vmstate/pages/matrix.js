/* The matrix.  A grid is R × R numbers: 0 where there is no pair, else 1 + the number of a verdict. */
const R = DATA.programs.length;
const KINDS = DATA.kinds.map(([name, sign, label]) => ({name, sign, label}));
const GRIDS = DATA.grids.map(([type, platform, ic, compat, option, cells], number) => (
  {number, type, platform, ic, compat, option, packed: cells, cells: null, signs: null}));
const KIND_OF = new Uint8Array([255, ...DATA.verdicts.map((verdict) => verdict[0])]);
const shownKinds = new Set(KINDS.map((_, kind) => kind));
let shownVerdicts = null;  // a Uint8Array by cell number: those that a cause or the search has chosen; null: all
let current = null;        // the grid that is shown
let selected = null;       // [source, destination]
let there = [];            // the places of the releases that the current grid has
let focused = [0, 0];      // place in the grid: row and column among `there`

const cellsOf = (grid) => (grid.cells ??= numbers(grid.packed));
const text = (number) => DATA.texts[number];
const isOn = (cell) => cell > 0 && shownKinds.has(KIND_OF[cell]) && (!shownVerdicts || shownVerdicts[cell] === 1);

// ---- words

function modeWords(grid) {
  const words = [DATA.platforms[grid.platform][2]];
  if (DATA.icModes[grid.ic]) words.push(`ic-mode=${DATA.icModes[grid.ic]}`);
  if (DATA.compatModes[grid.compat]) words.push(`max-cpu-compat=${DATA.compatModes[grid.compat]}`);
  if (DATA.options[grid.option]) words.push(DATA.options[grid.option]);
  return words.join(", ");
}

function gridWords(grid) { return `${DATA.types[grid.type]}, ${modeWords(grid)}`; }

/** A release's command line, as vmstate and QEMU take it. */
function commandLine(grid, program) {
  const [host, cpu] = DATA.platforms[grid.platform];
  const [icMode, compat, options] = DATA.has[program];
  const machine = [DATA.types[grid.type]];
  if (host) machine.push("accel=kvm");
  if (DATA.icModes[grid.ic] && icMode) machine.push(`ic-mode=${DATA.icModes[grid.ic]}`);
  if (DATA.compatModes[grid.compat] && compat) machine.push(`max-cpu-compat=${DATA.compatModes[grid.compat]}`);
  if (DATA.options[grid.option] && options[grid.option]) machine.push(DATA.options[grid.option]);
  const words = host ? [`${host}:`] : [];
  words.push(`qemu-${DATA.programs[program]}`, "-machine", machine.join(","));
  if (cpu) words.push("-cpu", cpu);
  return [...words, DATA.rest].join(" ").trim();
}

function simulatedCommand(grid, source, destination) {
  const words = ["vmstate", "migrate"];
  for (const file of DATA.files) words.push("--with", quoted(file));
  if (DATA.guest) words.push("--guest", quoted(DATA.guest));
  words.push(quoted(commandLine(grid, source)), quoted(commandLine(grid, destination)), "--trace", "--explain");
  return words.join(" ");
}

function realCommands(grid, source, destination) {
  const program = (place) => commandLine(grid, place).replace(/^\S+: /, "");
  return `vmstate capture -o guest.mig -- ${program(source)}\nvmstate replay guest.mig -- ${program(destination)}`;
}

function kindBadge(kind) {
  return el("span", {class: "kind"}, el("span", {class: `sign k-${KINDS[kind].name}`, "aria-hidden": "true"},
    KINDS[kind].sign), KINDS[kind].label);
}

// ---- counts and filters

function countsOf(grid, all) {
  const found = new Array(KINDS.length).fill(0);
  for (const cell of cellsOf(grid)) if (cell > 0 && (all || isOn(cell))) found[KIND_OF[cell]]++;
  return found;
}

function countWords(counts) {
  const words = counts.map((count, kind) => count ? `${count} ${KINDS[kind].label}` : "").filter(Boolean);
  return words.join(", ") || "nothing shown";
}

function makeKinds() {
  const totals = new Array(KINDS.length).fill(0);
  for (const grid of GRIDS) countsOf(grid, true).forEach((count, kind) => { totals[kind] += count; });
  KINDS.forEach((kind, number) => {
    if (!totals[number]) return;
    const button = el("button", {type: "button", "aria-pressed": "true", "data-kind": kind.name, click: () => {
      const on = !shownKinds.delete(number) && shownKinds.add(number) !== null;
      button.setAttribute("aria-pressed", String(on));
      repaint();
    }}, kindBadge(number), ` ${totals[number].toLocaleString("en")}`);
    $("kinds").append(button);
  });
}

function makeCauses() {
  $("cause").append(el("option", {value: ""}, "any"));
  const head = ["", "pairs", "check", "lines", ""].map((word) => el("th", {scope: "col"}, word));
  const body = el("tbody");
  DATA.causes.forEach(([kind, decided, lines, pairs, example, , helps], number) => {
    const check = decided < 0 ? KINDS[kind].label : text(decided);
    const short = check.length > 60 ? check.slice(0, 59) + "…" : check;
    $("cause").append(el("option", {value: number}, `${short} (${pairs.toLocaleString("en")})`));
    body.append(el("tr", {},
      el("td", {}, kindBadge(kind)),
      el("td", {class: "num"}, pairs.toLocaleString("en")),
      el("td", {class: "mono"}, decided < 0 ? "" : text(decided)),
      el("td", {class: "mono"}, lines.map((line) => el("div", {}, text(line))),
        helps.length ? el("details", {}, el("summary", {}, counted(helps.length, "change") + " would help"),
          el("ul", {class: "plain"}, helps.map((one) => el("li", {}, text(one))))) : null),
      el("td", {}, el("button", {type: "button", "data-cause": number, click: () => {
        $("cause").value = String(number);
        filter();
        openGrid(GRIDS[example[0]], example[1], example[2], true);
      }}, "Show"))));
  });
  $("causes").append(el("thead", {}, el("tr", {}, head)), body);
}

/** Read the cause and the search, and repaint. */
function filter() {
  const cause = $("cause").value, wanted = $("search").value.trim().toLowerCase();
  shownVerdicts = null;
  if (cause !== "" || wanted) {
    const chosen = cause === "" ? null : new Set(DATA.causes[Number(cause)][5]);
    const matching = DATA.texts.map((line) => !wanted || line.toLowerCase().includes(wanted));
    shownVerdicts = new Uint8Array(DATA.verdicts.length + 1);
    DATA.verdicts.forEach(([, , source, lines, , decided, message], number) => {
      if (chosen && !chosen.has(number)) return;
      const texts = [...source, ...lines, decided, message];
      if (!wanted || texts.some((one) => one >= 0 && matching[one])) shownVerdicts[number + 1] = 1;
    });
  }
  repaint();
}

function repaint() {
  const wanted = $("types").value.trim().toLowerCase();
  let total = 0, grids = 0;
  for (const [row, type] of miniRows) row.hidden = wanted !== "" && !DATA.types[type].toLowerCase().includes(wanted);
  for (const mini of minis) {
    mini.dirty = true;
    if (mini.button.closest("tr").hidden) continue;
    const count = countsOf(mini.grid, false).reduce((sum, one) => sum + one, 0);
    total += count;
    grids += count > 0;
  }
  $("shown").textContent = `${counted(total, "pair")} of ${counted(grids, "machine")} shown`;
  paintVisible();
  if (current) showGrid(current);
}

// ---- small multiples

const minis = [], miniRows = [];
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.target.mini.visible = entry.isIntersecting;
  paintVisible();
}, {rootMargin: "300px"});
let colours = [];

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const rgb = (name) => {
    const value = style.getPropertyValue(name).trim().slice(1);
    return [0, 2, 4].map((at) => parseInt(value.slice(at, at + 2), 16));
  };
  colours = {kinds: KINDS.map((kind) => rgb(`--${kind.name}`)), none: rgb("--panel")};
}

function paintVisible() {
  for (const mini of minis) if (mini.visible && mini.dirty) paint(mini);
}

function paint(mini) {
  mini.dirty = false;
  const cells = cellsOf(mini.grid);
  const image = new ImageData(R, R);
  for (let at = 0; at < cells.length; at++) {
    const cell = cells[at];
    const [red, green, blue] = isOn(cell) ? colours.kinds[KIND_OF[cell]] : colours.none;
    image.data.set([red, green, blue, cell ? (isOn(cell) ? 255 : 40) : 0], 4 * at);
  }
  mini.canvas.getContext("2d").putImageData(image, 0, 0);
  mini.button.setAttribute("aria-label", `${gridWords(mini.grid)}: ${countWords(countsOf(mini.grid, false))}`);
}

function makeMinis() {
  const key = (grid) => [grid.platform, grid.ic, grid.compat, grid.option].join();
  const modes = new Map();
  for (const grid of GRIDS) if (!modes.has(key(grid))) modes.set(key(grid), modeWords(grid));
  const columns = [...modes.keys()];
  const size = Math.max(44, Math.min(116, 2 * R));
  const head = [el("th", {scope: "col"}, "machine type"), ...columns.map((one) => (
    el("th", {scope: "col"}, modes.get(one).split(", ").map((word) => el("div", {}, word)))))];
  const body = el("tbody");
  const byType = new Map();
  for (const grid of GRIDS) {
    if (!byType.has(grid.type)) byType.set(grid.type, new Map());
    byType.get(grid.type).set(key(grid), grid);
  }
  let rowNumber = 0;
  for (const [type, grids] of [...byType].reverse()) {  // the newest first
    const row = el("tr", {}, el("th", {scope: "row"}, DATA.types[type]));
    columns.forEach((column, columnNumber) => {
      const grid = grids.get(column);
      if (!grid) { row.append(el("td")); return; }
      const canvas = el("canvas", {width: R, height: R, "aria-hidden": "true"});
      canvas.style.width = canvas.style.height = `${size}px`;
      const button = el("button", {type: "button", class: "mini", tabindex: minis.length ? -1 : 0,
        "aria-label": gridWords(grid), title: gridWords(grid), click: () => openGrid(grid, null, null, false)}, canvas);
      const mini = {grid, canvas, button, dirty: true, visible: false, at: [rowNumber, columnNumber]};
      button.mini = mini;
      minis.push(mini);
      observer.observe(button);
      row.append(el("td", {}, button));
    });
    miniRows.push([row, type]);
    body.append(row);
    rowNumber++;
  }
  $("minis").append(el("thead", {}, el("tr", {}, head)), body);
  $("minis").addEventListener("keydown", (event) => {
    const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
    const from = event.target.closest(".mini")?.mini;
    if (!step || !from) return;
    event.preventDefault();
    let [row, column] = from.at;
    for (;;) {
      row += step[0]; column += step[1];
      if (row < 0 || row >= rowNumber || column < 0 || column >= columns.length) return;
      const next = minis.find((one) => one.at[0] === row && one.at[1] === column);
      if (next && !next.button.closest("tr").hidden) { rove(next); next.button.focus(); return; }
    }
  });
}

function rove(mini) {
  for (const one of minis) one.button.tabIndex = one === mini ? 0 : -1;
}

// ---- the grid

function openGrid(grid, source, destination, moving) {
  current = grid;
  for (const mini of minis) {
    if (mini.grid === grid) { mini.button.setAttribute("aria-current", "true"); rove(mini); }
    else mini.button.removeAttribute("aria-current");
  }
  selected = source === null ? null : [source, destination];
  const cells = cellsOf(grid);
  there = [];
  for (let place = 0; place < R; place++) if (cells.subarray(place * R, place * R + R).some(Boolean) ||
      DATA.programs.some((_, row) => cells[row * R + place])) there.push(place);
  focused = selected ? [there.indexOf(source), there.indexOf(destination)] : [0, 0];
  showGrid(grid);
  if (selected) explain(); else $("details").replaceChildren(el("p", {class: "dim"}, "Select a cell."));
  if (moving) {
    $("grid-title").scrollIntoView({block: "start"});
    cellAt(...focused)?.focus();
  }
  say(`${gridWords(grid)}: ${countWords(countsOf(grid, false))}`);
}

function cellAt(row, column) { return $("grid").tBodies[0]?.rows[row]?.cells[column + 1]; }

function showGrid(grid) {
  const cells = cellsOf(grid);
  $("grid-title").textContent = `Releases: ${gridWords(grid)}`;
  $("grid-about").textContent = countWords(countsOf(grid, false));
  const head = el("tr", {role: "row"}, el("th", {scope: "col", role: "columnheader", class: "dim"}, "from ↓ to →"), there.map((place) => (
    el("th", {scope: "col", role: "columnheader"}, el("span", {}, DATA.programs[place])))));
  const body = el("tbody", {role: "rowgroup"});
  there.forEach((source, row) => {
    const line = el("tr", {role: "row"}, el("th", {scope: "row", role: "rowheader"}, DATA.programs[source]));
    there.forEach((destination, column) => {
      const cell = cells[source * R + destination];
      const kind = cell ? KINDS[KIND_OF[cell]] : null;
      const way = `${DATA.programs[source]} to ${DATA.programs[destination]}`;
      const off = cell > 0 && !isOn(cell);
      const isSelected = selected !== null && selected[0] === source && selected[1] === destination;
      const classes = `cell ${kind ? "k-" + kind.name : ""} ${off ? "off" : ""} ${source === destination ? "own" : ""}`;
      const made = el("td", {role: "gridcell", class: classes, "aria-selected": String(isSelected),
        tabindex: row === focused[0] && column === focused[1] ? 0 : -1,
        "aria-label": `${way}: ${kind ? kind.label : "no such machine type"}${off ? ", filtered out" : ""}`,
        title: `${way}: ${kind ? kind.label : ""}`}, kind ? kind.sign : "");
      made.place = [row, column];
      line.append(made);
    });
    body.append(line);
  });
  const had = document.activeElement?.closest?.("#grid") !== null && document.activeElement?.closest?.("#grid") !== undefined;
  $("grid").replaceChildren(el("thead", {role: "rowgroup"}, head), body);
  if (had) cellAt(...focused)?.focus();
}

function moveTo(row, column) {
  const old = cellAt(...focused);
  if (old) old.tabIndex = -1;
  focused = [within(row, there.length - 1), within(column, there.length - 1)];
  const next = cellAt(...focused);
  next.tabIndex = 0;
  next.focus();
}

function choose(row, column) {
  const source = there[row], destination = there[column];
  if (!cellsOf(current)[source * R + destination]) return;
  const old = $("grid").querySelector('[aria-selected="true"]');
  old?.setAttribute("aria-selected", "false");
  selected = [source, destination];
  moveTo(row, column);
  cellAt(row, column).setAttribute("aria-selected", "true");
  explain();
}

function listenToGrid() {
  $("grid").addEventListener("click", (event) => {
    const cell = event.target.closest("td.cell");
    if (cell) choose(...cell.place);
  });
  $("grid").addEventListener("keydown", (event) => {
    const [row, column] = focused, last = there.length - 1;
    const to = {ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1], Home: [event.ctrlKey ? 0 : row, 0], End: [event.ctrlKey ? last : row, last],
      PageUp: [0, column], PageDown: [last, column]}[event.key];
    if (to) { event.preventDefault(); moveTo(...to); }
    else if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(row, column); }
  });
}

// ---- one pair

function saidLines(title, lines) {
  return lines.map((line) => {
    const known = DATA.explanations[line];
    return el("div", {class: "said"}, el("div", {class: "mono"}, el("span", {class: "dim"}, `${title}: `), text(line)),
    known ? el("details", {}, el("summary", {class: "dim"}, known[1]), el("p", {}, known[3]),
      el("p", {class: "dim"}, `${known[0]}, ${known[2]}`)) : null);
  });
}

function explain() {
  const [source, destination] = selected;
  const cell = cellsOf(current)[source * R + destination];
  const [kind, outcome, sourceLines, lines, started, decided, message, trace] = DATA.verdicts[cell - 1];
  const way = `${DATA.programs[source]} to ${DATA.programs[destination]}`;
  const simulated = simulatedCommand(current, source, destination);
  const inside = [
    el("h3", {}, way, " ", kindBadge(kind)),
    el("dl", {class: "facts"},
      el("dt", {}, "machine"), el("dd", {}, gridWords(current)),
      el("dt", {}, "outcome"), el("dd", {}, text(outcome)),
      decided >= 0 ? [el("dt", {}, "decided by"), el("dd", {class: "mono"}, text(decided),
        message >= 0 ? el("div", {class: "dim"}, text(message)) : null)] : null),
    el("h3", {}, "What QEMU prints"),
  ];
  // Lines that each start prints are behind a fold, unless the start is what fails.
  const refused = KINDS[kind].name === "refused";
  const own = refused ? [...saidLines("source", sourceLines), ...saidLines("destination", lines)]
    : saidLines("destination", lines.slice(started));
  inside.push(...own);
  if (!refused && sourceLines.length + started > 0) {
    inside.push(el("details", {}, el("summary", {}, counted(sourceLines.length + started, "line") + " when they start"),
      saidLines("source", sourceLines), saidLines("destination", lines.slice(0, started))));
  } else if (!own.length) inside.push(el("p", {class: "dim"}, "Nothing."));
  if (trace && trace.length) {
    const [example, before, checks] = trace;
    inside.push(el("details", {}, el("summary", {}, `Trace: the last ${checks.length} checks`),
      el("p", {class: "dim"}, `of ${text(example)}, which ends with the same verdict; ${counted(before, "check")} before`),
      el("pre", {id: "trace"}, checks.map(text).join("\n"))));
  }
  inside.push(el("h3", {}, "Run it again"), copied(simulated, "the simulated run"));
  if (!DATA.platforms[current.platform][0] && !DATA.guest) {
    inside.push(el("p", {class: "dim"}, "With real QEMUs:"),
      copied(realCommands(current, source, destination), "the run with real QEMUs"));
  }
  $("details").replaceChildren(...inside.flat().filter(Boolean));
  say(`${way}: ${KINDS[kind].label}${decided >= 0 ? ", decided by " + text(decided) : ""}`);
}

// ---- the history of a device

function makeHistory() {
  if (!DATA.devices.length) { $("history").append("There is no device in this matrix."); return; }
  DATA.devices.forEach(([name], number) => $("device").append(el("option", {value: number}, name)));
  const first = DATA.devices.findIndex(([name]) => name === "cpu");
  $("device").value = String(Math.max(0, first));
  $("device").addEventListener("change", showHistory);
  showHistory();
}

function showHistory() {
  const [name, about, others, rows] = DATA.devices[Number($("device").value)];
  $("device-about").textContent = `${about}${about ? "; " : ""}${counted(others, "row")} that all these releases have alike`;
  const left = 330, height = 22, top = 60;
  const step = Math.max(26, within(Math.floor(($("history").clientWidth - left - 20) / R), 44));
  const width = left + step * R + 10;
  const picture = svg("svg", {width, height: top + height * rows.length + 6, role: "img",
    "aria-label": `Which releases have what of ${name}`});
  DATA.programs.forEach((program, place) => {
    const x = left + step * place;
    picture.append(svg("line", {class: "rule", x1: x, x2: x, y1: top - 4, y2: top + height * rows.length}));
    const label = svg("text", {transform: `translate(${x + step / 2 + 4} ${top - 8}) rotate(-55)`});
    label.textContent = program;
    picture.append(label);
  });
  const list = el("ul", {});
  rows.forEach(([path, kind, type, runs], row) => {
    const y = top + height * row;
    const label = svg("text", {x: 4, y: y + 15});
    const shown = kind === "section" || kind === "subsection" ? path : `${path} ${type}`;
    label.textContent = shown.length > 48 ? "…" + shown.slice(-47) : shown;
    picture.append(label);
    const words = [];
    runs.forEach(([first, last, version], run) => {
      const bar = svg("rect", {class: run % 2 ? "bar2" : "bar1", x: left + step * first + 1, y: y + 3,
        width: step * (last - first + 1) - 2, height: height - 6, rx: 3});
      const range = first === last ? DATA.programs[first] : `${DATA.programs[first]} to ${DATA.programs[last]}`;
      const what = `${shown}${version ? `, version ${version}` : ""}: ${range}`;
      const title = svg("title", {});
      title.textContent = what;
      bar.append(title);
      picture.append(bar);
      if (version) {
        const mark = svg("text", {x: left + step * first + 6, y: y + 15});
        mark.textContent = `v${version}`;
        mark.style.fill = "var(--panel)";
        picture.append(mark);
      }
      words.push(`${version ? `version ${version} ` : ""}${range}`);
    });
    list.append(el("li", {}, `${shown}: ${words.join("; ")}`));
  });
  const inWords = el("details", {}, el("summary", {}, "The same in words"), list);
  $("history").replaceChildren(picture, inWords);
}

// ---- begin

readColours();
makeKinds();
makeMinis();
makeCauses();
makeHistory();
listenToGrid();
for (const field of ["types", "search"]) $(field).addEventListener("input", filter);
$("cause").addEventListener("change", filter);
$("all").addEventListener("click", () => {
  KINDS.forEach((_, kind) => shownKinds.add(kind));
  for (const button of $("kinds").children) button.setAttribute("aria-pressed", "true");
  $("types").value = $("search").value = $("cause").value = "";
  filter();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); repaint(); });
const mostRejects = GRIDS.reduce((best, grid) => {
  const counts = countsOf(grid, true), accepted = counts[0] + counts[1];
  const score = accepted ? counts[2] + accepted : 0;
  return score > best[0] ? [score, grid] : best;
}, [-1, GRIDS[0]]);
if (mostRejects[1]) openGrid(mostRejects[1], null, null, false);
repaint();
document.documentElement.dataset.ready = "true";
