"use strict";
// Everything a model wrote is shown through textContent; nothing here builds markup from text.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  function el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "onclick") node.addEventListener("click", value);
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  let data = null;
  let issueById = null;
  let shownGrid = 0;
  const panel = $("#panel");
  let opener = null; // what gets the focus back when the panel closes

  const rankClass = (rank) => (rank === undefined ? "kx" : `k${rank < 10 ? rank : "x"}`);
  const issueOf = (state) => issueById.get(state.split(".")[0]);

  // ---- addresses: #f=L1 shows an error, #g=column&t=task&s=sample shows a completion ----

  const address = (values) => "#" + new URLSearchParams(values).toString();
  const place = () => new URLSearchParams(location.hash.slice(1));

  function go(values) {
    opener = panel.hidden ? document.activeElement : opener;
    location.hash = address(values);
  }

  function follow() {
    const at = place();
    $$("#issues tr.current").forEach((row) => row.classList.remove("current"));
    if (at.has("f")) return showIssue(at.get("f"));
    if (at.has("r")) return showRecord(Number(at.get("r")), []);
    if (at.has("t")) return showSample(Number(at.get("g") ?? 0), at.get("t"), Number(at.get("s") ?? 0));
    close(false);
  }

  // ---- panel ----

  function open(title, content, buttons = []) {
    panel.replaceChildren(
      el("div", { class: "bar" }, ...buttons, el("span", { class: "space" }),
        el("button", { type: "button", id: "close", "aria-label": "Close", onclick: () => close() }, "Close")),
      el("h2", {}, title), ...content);
    panel.hidden = false;
    panel.scrollTop = 0;
    panel.focus({ preventScroll: true });
  }

  function close(clear = true) {
    if (panel.hidden) return;
    panel.hidden = true;
    if (clear) history.pushState(null, "", location.pathname + location.search);
    opener?.focus({ preventScroll: true });
    opener = null;
  }

  function notFound(what) {
    open("Not in this report", [el("p", {}, what)]);
  }

  // ---- one error ----

  function showIssue(id) {
    const issue = issueById.get(id);
    if (!issue) return notFound(`No listed error has the fingerprint ${id}.`);
    $(`#issue-${CSS.escape(id)}`)?.classList.add("current");
    const content = [
      el("p", { class: "fine" }, `${issue.l0}, fingerprint ${issue.id}: ${issue.count} times on ${issue.tasks} tasks`),
    ];
    if (issue.source) content.push(el("pre", {}, issue.source));
    const near = data.issues.filter((other) => other.cluster === issue.cluster && other.id !== issue.id);
    if (near.length) {
      content.push(el("p", {}, "Nearly the same: ", ...near.slice(0, 8).flatMap((other) =>
        [el("a", { href: address({ f: other.id }) }, `${other.title} (${other.count})`), " "])));
    }
    if (issue.label === "logic") {
      for (const grid of data.grids) {
        const kinds = Object.entries(grid.logic).map(([kind, tasks]) => `${kind} ${tasks}`).join(", ");
        if (kinds) content.push(el("p", { class: "fine" }, `${grid.column}: the most repeated wrong answer of a task ` +
          `against its most alike passing program, in tasks: ${kinds}.`));
      }
    }
    if (issue.variants.length) {
      const head = el("tr", {}, el("th", {}, "Task"), ...data.columns.map((c) => el("th", { class: "n" }, c.label)));
      const rows = issue.variants.map((variant) => {
        const sample = findSample(variant.task, variant.l2);
        const name = sample ? el("a", { href: address(sample) }, variant.task) : variant.task;
        return el("tr", {}, el("td", {}, name), ...variant.columns.map((n) => el("td", { class: "n" }, String(n))));
      });
      content.push(el("h3", {}, "Most repeated with the same outputs (L2)"),
        el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
    }
    if (issue.examples.length) {
      content.push(el("h3", {}, "First and latest examples"));
      content.push(el("ul", { class: "plain" }, ...issue.examples.map((index) => {
        const record = data.records[index];
        return el("li", {}, el("a", { href: address({ r: index }) }, describe(record)));
      })), ...recordContent(data.records[issue.examples[0]], false));
    }
    open(issue.title, content, [
      el("button", { type: "button", onclick: () => step(-1) }, "Previous"),
      el("button", { type: "button", onclick: () => step(1) }, "Next"),
    ]);
  }

  function findSample(task, l2) {
    for (let g = data.grids.length - 1; g >= 0; g--) {
      const cell = data.grids[g].tasks.find((row) => row.task === task)?.cells.find((c) => c[1] === l2);
      if (cell) return { g, t: task, s: cell[0] };
    }
    return null;
  }

  // ---- one completion ----

  const describe = (record) => `${record.task}, sample ${record.sample}, ${record.source} step ${record.step}`;

  function showSample(g, task, sample) {
    const row = data.grids[g]?.tasks.find((one) => one.task === task);
    const index = row?.cells.findIndex((cell) => cell[0] === sample) ?? -1;
    if (index < 0) return notFound(`No sample ${sample} of task ${task}.`);
    const jump = (by) => {
      const cell = row.cells[(index + by + row.cells.length) % row.cells.length];
      go({ g, t: task, s: cell[0] });
    };
    const buttons = [
      el("button", { type: "button", onclick: () => jump(-1) }, "Previous sample"),
      el("button", { type: "button", onclick: () => jump(1) }, "Next sample"),
    ];
    const [, state, recordIndex] = row.cells[index];
    if (recordIndex === null) {
      const text = state === "pass" ? "This sample passes." : state === "infra" ? "Not graded: a fault of the sandbox." :
        `This sample fails: ${issueOf(state)?.title ?? state}.`;
      return open(`${task}, sample ${sample}`, [el("p", {}, text), el("p", { class: "fine" },
        "Its program was left out to bound the size of this page.")], buttons);
    }
    showRecord(recordIndex, buttons, sample);
  }

  function showRecord(index, buttons, sample) {
    const record = data.records[index];
    if (!record) return notFound("No such completion.");
    open(`${record.task}, sample ${sample ?? record.sample}`, recordContent(record), buttons);
  }

  function recordContent(record, linkIssue = true) {
    const issue = linkIssue ? issueOf(record.state) : null;
    const passes = record.state === "pass";
    const verdict = passes ? "passes" : record.state === "infra" ? "not graded (infra)" : record.phase;
    const content = [el("p", {},
      el("span", { class: `badge ${passes ? "good" : "bad"}` }, verdict), ` ${record.source}, step ${record.step}`,
      record.tests_total ? `, ${record.tests_passed} of ${record.tests_total} tests pass` : "",
      record.truncated ? ", cut off by the token limit" : "",
      issue ? el("span", {}, " · ", el("a", { href: address({ f: issue.id }) }, "this error elsewhere")) : "")];
    if (record.error) {
      content.push(el("pre", { class: "bad" }, `${record.error.type}: ${record.error.message}` +
        (record.error.line ? `\n(line ${record.error.line})` : "")));
    }
    if (record.timeline) content.push(...timelineContent(record.timeline));
    else if (record.program.some(([, text]) => text)) content.push(el("h3", {}, "Program"), codeList(record.program, record.lines, record.error?.line));
    else if (record.completion) content.push(el("h3", {}, "Completion without code"), el("pre", {}, record.completion));
    if (record.tests.length) content.push(el("h3", {}, "Tests"), testTable(record));
    const prompt = data.prompts[record.task];
    if (prompt) content.push(el("details", {}, el("summary", {}, "Prompt"), el("pre", {}, prompt)));
    return content;
  }

  // `pieces` are [number of the first line, text]; what lies between them was left out.
  function codeList(pieces, total, hit) {
    const rows = [];
    let next = 1;
    const gap = (to) => to > next && rows.push(el("li", { class: "gap" }, `${(to - next).toLocaleString("en")} lines left out`));
    for (const [first, text] of pieces) {
      gap(first);
      const lines = (pieces.length === 1 ? text.trimEnd() : text).split("\n");
      lines.forEach((line, index) => {
        const fails = first + index === hit;
        rows.push(el("li", { "data-line": first + index, class: fails ? "hit" : null,
          "aria-label": fails ? `failing line: ${line}` : null }, line));
      });
      next = first + lines.length;
    }
    if (total) gap(total + 1);
    return el("ol", { class: "code" }, ...rows);
  }

  function diffList(lines) {
    const kind = { "+": "add", "-": "del", " ": null, "…": "gap" };
    return el("ol", { class: "code diff" }, ...lines.map(([sign, line]) =>
      el("li", { class: kind[sign], "data-sign": sign }, line)));
  }

  function timelineContent(parts) {
    let attempts = 0;
    const total = parts.filter((part) => "code" in part).length;
    const nodes = parts.map((part) => {
      if ("remark" in part) return el("blockquote", {}, part.remark);
      attempts += 1;
      const verdict = part.passed === null ? "not graded" : part.passed ? "passes" : "fails";
      const name = `Attempt ${attempts}${attempts === total ? ", the answer" : ""} `;
      const box = el("div", {}, el("h3", {}, name,
        el("span", { class: `badge ${part.passed ? "good" : "bad"}` }, verdict)),
        part.diff ? diffList(part.diff) : codeList(part.code),
        part.diff?.every(([sign]) => sign === " ") ? el("p", { class: "fine" }, "Unchanged.") : null);
      if (part.diff) box.append(el("details", {}, el("summary", {}, "Whole program"), codeList(part.code)));
      return box;
    });
    return [el("h3", {}, "Self-correction, attempt by attempt"), el("div", { class: "timeline" }, ...nodes)];
  }

  function testTable(record) {
    const rows = record.tests.map(([number, passed, status, actual]) => {
      const [name, expected] = data.tests[record.task][number];
      const verdict = passed ? "passes" : status === "ok" ? "fails" : status || "fails";
      return el("tr", {}, el("td", { class: passed ? "good" : "bad" }, verdict),
        ...[name, expected, actual].map((text) => el("td", {}, el("code", {}, text))));
    });
    const head = el("tr", {}, ...["", "Test", "Expected", "Actual"].map((name) => el("th", {}, name)));
    const more = record.tests_total - record.tests.length;
    return el("div", {}, el("table", { class: "tests" }, el("thead", {}, head), el("tbody", {}, ...rows)),
      more > 0 ? el("p", { class: "fine" }, `${more} more tests are not shown.`) : null);
  }

  // ---- grid ----

  const passes = (row) => row.cells.filter((cell) => cell[1] === "pass").length;

  function mostRepeated(row) {
    return Math.max(0, ...failureCounts(row).values());
  }

  function failureCounts(row) {
    const counts = new Map();
    for (const [, state] of row.cells) {
      if (state !== "pass" && state !== "infra") counts.set(state, (counts.get(state) ?? 0) + 1);
    }
    return counts;
  }

  const orders = {
    name: () => 0, // as written: by name
    hard: (a, b) => passes(a) / a.cells.length - passes(b) / b.cells.length,
    repeat: (a, b) => mostRepeated(b) - mostRepeated(a),
  };

  function drawGrid() {
    const box = $("#cells");
    if (!box) return;
    $$(".tab").forEach((tab) => tab.setAttribute("aria-pressed", String(Number(tab.dataset.grid) === shownGrid)));
    const rows = [...data.grids[shownGrid].tasks].sort(orders[$("#order").value]);
    box.replaceChildren(...rows.map(gridRow));
    box.querySelector(".cell")?.setAttribute("tabindex", "0");
    filter();
  }

  function gridRow(row) {
    const ranked = [...failureCounts(row)].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map((pair) => pair[0]);
    const cells = row.cells.map(([sample, state]) => {
      const special = state === "pass" || state === "infra";
      const shade = special ? state : `${rankClass(issueOf(state)?.rank)} v${Math.min(ranked.indexOf(state), 3)}`;
      return el("span", { class: `cell ${shade}`, role: "gridcell", tabindex: "-1", "data-s": sample });
    });
    return el("div", { class: "row", role: "row", "data-t": row.task },
      el("span", { class: "name", role: "rowheader", title: row.task }, row.task),
      el("span", { class: "rate" }, `${passes(row)} of ${row.cells.length}`),
      el("span", { class: "samples" }, ...cells));
  }

  // Names of cells are written when needed: 20,000 of them at once would be slow.
  function nameCell(cell) {
    if (cell.hasAttribute("aria-label")) return;
    const task = cell.closest(".row").dataset.t;
    const row = data.grids[shownGrid].tasks.find((one) => one.task === task);
    const state = row.cells.find((one) => one[0] === Number(cell.dataset.s))[1];
    const text = state === "pass" ? "passes" : state === "infra" ? "not graded" : issueOf(state)?.title ?? "fails";
    cell.setAttribute("aria-label", `${task}, sample ${cell.dataset.s}: ${text}`);
    cell.title = cell.getAttribute("aria-label");
  }

  function openCell(cell) {
    go({ g: shownGrid, t: cell.closest(".row").dataset.t, s: cell.dataset.s });
  }

  function moveInGrid(cell, key) {
    const row = cell.closest(".row");
    const at = [...cell.parentNode.children].indexOf(cell);
    const rows = $$("#cells .row:not([hidden])");
    const up = rows[rows.indexOf(row) - 1];
    const down = rows[rows.indexOf(row) + 1];
    const inRow = (other) => other && $(".samples", other).children[Math.min(at, $(".samples", other).children.length - 1)];
    const target = { ArrowLeft: cell.previousElementSibling, ArrowRight: cell.nextElementSibling,
      ArrowUp: inRow(up), ArrowDown: inRow(down) }[key];
    if (!target) return;
    cell.tabIndex = -1;
    target.tabIndex = 0;
    target.focus();
  }

  // ---- filter ----

  function filter() {
    const words = $("#filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (text) => words.every((word) => text.includes(word));
    let shown = 0;
    for (const row of $$("#issues tbody tr")) {
      const issue = issueById.get(row.dataset.id);
      const text = (row.cells[0].textContent + " " + issue.variants.map((v) => v.task).join(" ")).toLowerCase();
      row.hidden = !matches(text);
      shown += !row.hidden;
    }
    // A word that names no task filters errors only, and leaves the grid whole.
    const rows = $$("#cells .row");
    const some = rows.some((row) => matches(row.dataset.t.toLowerCase()));
    for (const row of rows) row.hidden = some && !matches(row.dataset.t.toLowerCase());
    const counter = $("#issue-count");
    counter.dataset.all ??= counter.textContent;
    counter.textContent = words.length ? `${shown} of ${data.issues.length} kinds match` : counter.dataset.all;
  }

  // ---- keyboard ----

  function step(by) {
    const rows = $$("#issues tbody tr:not([hidden])");
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.classList.contains("current"));
    const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : (at + by + rows.length) % rows.length];
    next.scrollIntoView({ block: "nearest" });
    go({ f: next.dataset.id });
  }

  function onKey(event) {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "Escape") {
      if (!panel.hidden) close();
      else if (typing) { event.target.value = ""; filter(); event.target.blur(); }
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const cell = event.target.closest?.(".cell[data-s]");
    if (event.key === "/") { $("#filter").focus(); event.preventDefault(); }
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (cell && event.key.startsWith("Arrow")) { moveInGrid(cell, event.key); event.preventDefault(); }
    else if (cell && (event.key === "Enter" || event.key === " ")) { openCell(cell); event.preventDefault(); }
  }

  function start() {
    data = JSON.parse($("#data").textContent);
    issueById = new Map(data.issues.map((issue, rank) => [issue.id, Object.assign(issue, { rank })]));
    $("#filter").addEventListener("input", filter);
    document.addEventListener("keydown", onKey);
    window.addEventListener("hashchange", follow);
    window.addEventListener("popstate", follow);
    $("#cells")?.addEventListener("click", (event) => event.target.matches(".cell") && openCell(event.target));
    for (const kind of ["focusin", "mouseover"]) {
      $("#cells")?.addEventListener(kind, (event) => event.target.matches(".cell") && nameCell(event.target));
    }
    $$(".tab").forEach((tab) => tab.addEventListener("click", () => { shownGrid = Number(tab.dataset.grid); drawGrid(); }));
    $("#order")?.addEventListener("change", drawGrid);
    shownGrid = Math.min(1, data.grids.length - 1);
    $("#legend")?.append(...data.issues.slice(0, 10).map((issue, rank) =>
      el("span", {}, el("span", { class: `cell ${rankClass(rank)}` }), ` ${issue.title.length > 48 ? `${issue.title.slice(0, 47)}…` : issue.title} `)));
    drawGrid();
    follow();
    document.documentElement.dataset.ready = "true";
  }

  $("#theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  requestAnimationFrame(() => setTimeout(start)); // after the first paint
})();
