"use strict";
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const table = $("#heat"), form = $(".filters"), sheet = $("#sheet"), told = $("#told");
  const pythons = all("thead th[data-python]", table).map((th) => th.dataset.python);
  const targets = all("option", form.elements.target || document.createElement("select"))
    .filter((option) => option.value).map((option) => option.textContent);
  const rows = all("tbody tr[id]", table);
  all(".scripted").forEach((each) => { each.hidden = false; });

  // Everything is made as text: nothing that a release said can become markup.
  const make = (name, words = "", ...inside) => {
    const made = document.createElement(name.split(".")[0]);
    made.className = name.split(".").slice(1).join(" ");
    if (words !== "") made.textContent = words;
    made.append(...inside.filter(Boolean));
    return made;
  };
  const MARKS = { confirmed: "✓", refuted: "✗", unverified: "?", present: "✓", absent: "✗", unknown: "?" };
  const mark = (outcome) => {
    const made = make(`span.mark.${outcome}`, MARKS[outcome]);
    made.setAttribute("aria-hidden", "true");
    return made;
  };

  // Filters.
  const words = new Map(rows.map((row) => [row, $("th", row).textContent.toLowerCase()]));
  const boxes = all("[name=group]", form);
  const apply = () => {
    const value = (name) => form.elements[name] ? form.elements[name].value : "";
    const groups = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const wanted = value("text").toLowerCase().split(/\s+/).filter(Boolean);
    const target = value("target");
    table.dataset.target = target;
    all("td button", table).forEach((each) => { each.hidden = target !== "" && !each.classList.contains(`t${target}`); });
    let shown = 0;
    rows.forEach((row) => {
      const fits = groups.has(row.parentNode.dataset.group)
        && (!value("kind") || row.dataset.kind === value("kind"))
        && (!value("reason") || row.dataset.reason === value("reason"))
        && (value("document") === "" || row.dataset.documents.split(" ").includes(value("document")))
        && wanted.every((word) => words.get(row).includes(word));
      row.hidden = !fits;
      shown += fits;
    });
    all("tbody", table).forEach((body) => { body.hidden = all("tr[id]", body).every((row) => row.hidden); });
    $("#count").textContent = `${shown} of ${rows.length} rows shown`;
    rove();
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  all("[data-only]").forEach((link) => link.addEventListener("click", () => {
    form.reset();
    const only = link.dataset.only.split(" ");
    boxes.forEach((box) => { box.checked = only.includes(box.value); });
    apply();
  }));

  // One stop of the Tab key in the map; the arrows go on from there.
  const grid = () => rows.filter((row) => !row.hidden)
    .map((row) => [...row.cells].map((cell) => all("button", cell).filter((each) => !each.hidden)));
  let here = null;
  const rove = (next) => {
    if (here) here.tabIndex = -1;
    here = next || (here && here.isConnected && !here.hidden && !here.closest("[hidden]") ? here : $("tbody:not([hidden]) tr[id]:not([hidden]) button", table));
    if (here) here.tabIndex = 0;
    if (next) next.focus();
  };
  table.addEventListener("keydown", (event) => {
    const button = event.target.closest("button");
    if (!button || !["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    const lines = grid(), row = button.closest("tr");
    const at = lines.findIndex((line) => line[0][0] === $("button", row));
    const flat = lines[at].flat(), column = button.closest("td, th").cellIndex;
    let next = null;
    if (event.key === "ArrowLeft") next = flat[flat.indexOf(button) - 1];
    else if (event.key === "ArrowRight") next = flat[flat.indexOf(button) + 1];
    else if (event.key === "Home") next = flat[0];
    else if (event.key === "End") next = flat[flat.length - 1];
    else {
      const line = lines[at + (event.key === "ArrowDown" ? 1 : -1)];
      if (line) next = (line[column] || [])[0] || line[0][0];
    }
    if (next) rove(next);
  });

  // The evidence is unpacked when it is first asked for.
  let evidence = null;
  const unpack = () => {
    evidence = evidence || (async () => {
      const bytes = Uint8Array.from(atob($("#evidence").textContent.trim()), (each) => each.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
      const made = [];
      for (const held of JSON.parse(await new Response(stream).text())) {
        if (Array.isArray(held)) made.push(held.map((each) => made[each]));
        else if (held && typeof held === "object") made.push(Object.fromEntries(Object.entries(held).map(([name, each]) => [name, made[each]])));
        else made.push(held);
      }
      return made[made.length - 1];
    })();
    return evidence;
  };

  const figure = (caption, ...lines) => make("figure", "", make("figcaption", caption), make("pre", lines.filter((line) => line !== null).join("\n")));
  const exchange = (each) => {
    const made = make("div", "", make("h4", each.control ? `Control, feature off (setting ${each.setting})` : `Asked (setting ${each.setting})`));
    made.append(figure("Sent", each.sent, ...each.headers, ...(each.body ? ["", each.body] : [])));
    made.append(figure("Came back", each.came, ...each.answer_headers, ...(each.answer ? ["", each.answer] : [])));
    if (each.then) made.append(figure("Then", each.then));
    each.spans.forEach((span) => made.append(figure("Span", `${span.name}  ${span.resource}`,
      `service ${span.service}, type ${span.type || "none"}${span.error ? ", error" : ""}`,
      ...span.tags.map(([name, value]) => `${name}: ${value}`),
      span.more_tags ? `and ${span.more_tags} more tags` : null)));
    if (!each.spans.length) made.append(make("p.small", "No span told of this request."));
    if (each.more_spans) made.append(make("p.small", `and ${each.more_spans} more spans`));
    return made;
  };
  const cell = (data, name, open) => {
    const finding = data.findings.find((each) => each.name === name);
    const summary = make("summary", "", finding ? mark(finding.shows) : mark("unknown"),
      ` ${data.id} `, make("span.small", finding ? finding.shows : data.reason));
    const made = make("details", "", summary);
    made.open = open;
    const fill = () => {
      if (made.childElementCount > 1) return;
      if (finding) made.append(make("p", finding.evidence), make("p.small", [...finding.repeats, ...finding.notes].join("; ")));
      if (data.reason) made.append(make("p", `${data.reason}: ${data.detail}`));
      made.append(figure("Repeat it", data.command));
      if (data.where) made.append(make("p.small", `Ran on ${data.where}. ${data.isolation}`));
      if (data.back_ends.length) made.append(make("p.small", `Talked to ${data.back_ends.join(", ")}`));
      made.append(make("p.small", `${data.started}, ${data.seconds} s${data.reused ? ", by an earlier run" : ""}`));
      if (!data.seen) { made.append(make("p", data.unseen)); return; }
      (data.seen.asked[name] || []).forEach((each) => made.append(exchange(each)));
      data.seen.processes.forEach((each) => {
        const said = [each.failed, each.detail, each.exit_code ? `exit code ${each.exit_code}` : "", ...each.pushes,
          each.heard.length ? `the agent heard ${each.heard.join(", ")}` : ""].filter(Boolean).join("; ");
        made.append(make("p.small", `Process ${each.repeat + 1} of ${each.setting} (${each.purpose}): ${said || "lived until it was stopped"}`));
        if (each.log) made.append(figure("Its log ended", each.log));
      });
      if (data.seen.installed.length) made.append(figure("Installed", data.seen.installed.join(", ")));
    };
    made.addEventListener("toggle", fill);
    if (open) fill();
    return made;
  };
  const part = (data, cells, first) => {
    const made = make("div.part", "", make("h3", "", mark(data.outcome), ` ${data.name}: ${data.word}`),
      make("p.small", `CPython ${data.python} on ${data.target}`), make("p", data.evidence));
    data.remarks.forEach((remark) => made.append(make("p.small", remark)));
    data.cells.forEach((number, at) => made.append(cell(cells[number], data.name, first && at === 0)));
    return made;
  };
  const show = async (row, python, target) => {
    told.replaceChildren(make("h2", "…"));
    if (!sheet.open) sheet.showModal();
    sheet.scrollTop = 0;
    let data;
    try { data = await unpack(); } catch (error) {
      told.replaceChildren(make("p", `This browser cannot unpack the evidence (${error.message}).`));
      return;
    }
    const line = data.lines[Number(row.id.slice(1))];
    const title = make("h2", "", mark(line.outcome), ` ${line.promise}`);
    title.id = "sheet-title";
    const made = [title, make("p", "", make("strong", line.word)), make("p", line.evidence)];
    line.remarks.forEach((remark) => made.push(make("p", remark)));
    if (line.remedy) made.push(make("p.small", line.remedy));
    if (line.back_ends.length) made.push(make("p.small", `Against ${line.back_ends.join(", ")}`));
    made.push(make("ul", "", ...line.stands.map((each) => make("li.small",
      `${each.document}, line ${each.line}, under “${each.heading}”: ${each.written}`))));
    const here = line.parts.filter((each) => (!python || each.python === python) && (!target || each.target === target));
    const order = { refuted: 0, unverified: 1, confirmed: 2 };
    here.sort((one, other) => order[one.outcome] - order[other.outcome]);
    here.forEach((each, at) => made.push(part(each, data.cells, at === 0)));
    if (here.length < line.parts.length) {
      const more = make("button.more", `Show all ${line.parts.length} parts`);
      more.addEventListener("click", () => show(row));
      made.push(make("p", "", more));
    }
    if (line.left_out.length) {
      made.push(make("h3", "Left out"), make("ul", "", ...line.left_out.map(([what, why, detail]) =>
        make("li.small", `${what}: ${why}${detail ? `, ${detail}` : ""}`))));
      if (line.more_left_out) made.push(make("p.small", `and ${line.more_left_out} more`));
    }
    told.replaceChildren(...made);
  };
  table.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    rove(button);
    const row = button.closest("tr"), square = button.closest("td");
    const number = square ? Number(button.className.match(/t(\d+)/)[1]) : 0;
    if (square) show(row, pythons[square.cellIndex - 1], targets[number]);
    else show(row);
  });
  sheet.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });
  // A reader comes back to where the sheet was opened from.
  sheet.addEventListener("close", () => { if (here && !here.closest("[hidden]")) here.focus(); });
  const follow = () => {
    const row = /^#p\d+$/.test(location.hash) && $(location.hash);
    if (!row) return;
    if (row.hidden) form.reset();
    apply();
    rove($("button", row));
    show(row);
    history.replaceState(null, "", "#map");
  };
  addEventListener("hashchange", follow);
  addEventListener("beforeprint", () => all("details.proof").forEach((each) => { each.open = true; }));
  addEventListener("afterprint", () => all("details.proof").forEach((each) => { each.open = false; }));

  // What no experiment was made for stays out of the way until it is asked for.
  const idle = boxes.find((box) => box.value === "not-run");
  if (idle && boxes.length > 1) idle.checked = false;
  apply();
  follow();
})();
