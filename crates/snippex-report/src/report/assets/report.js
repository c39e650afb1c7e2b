"use strict";
(async () => {
  const element = (id) => document.getElementById(id);
  const unpack = async () => {
    const packed = Uint8Array.from(atob(element("data").textContent.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return JSON.parse(await new Response(stream).text());
  };
  const data = await unpack();
  const findings = data.findings.map((finding) => {
    finding.fields = finding.fields.join(", ");
    finding.text = [finding.id, finding.bug, finding.kind, finding.instruction, finding.encoding, finding.fields,
      ...finding.differences].join("\n").toLowerCase();
    return finding;
  });
  const names = (values) => [...new Set(values)].sort();
  const offer = (id, values) => {
    for (const value of names(values)) element(id).add(new Option(value, value));
  };
  offer("engine", findings.flatMap((finding) => finding.engines));
  offer("bug", findings.map((finding) => finding.bug));
  offer("extension", findings.map((finding) => finding.extension));
  offer("status", findings.flatMap((finding) => [finding.status, finding.certainty]));

  const list = element("list");
  const view = element("window");
  let shown = findings;
  let open = null;
  let extra = 0;
  let rowHeight = 61;
  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const count = (number, thing) => `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;
  const top = (index) => index * rowHeight + (open !== null && index > open ? extra : 0);
  const detail = (finding) => {
    const box = make("div", "detail");
    const first = make("p");
    const link = make("a", "name", finding.bug);
    link.href = `#bug-${finding.bug}`;
    first.append("bug ", link, ` \u00b7 signature ${finding.id} \u00b7 encoding ${finding.encoding}`);
    box.append(first, make("p", "", `differs in ${finding.fields}; on ${finding.engines.join("; ")}`));
    const lines = [...finding.code];
    if (finding.differences.length) lines.push("", ...finding.differences);
    if (lines.length) {
      const code = make("pre", "code", lines.join("\n"));
      code.tabIndex = 0;
      box.append(code);
    }
    return box;
  };
  const draw = () => {
    const from = Math.max(0, Math.floor((view.scrollTop - extra) / rowHeight) - 4);
    const to = Math.min(shown.length, Math.ceil((view.scrollTop + view.clientHeight) / rowHeight) + 4);
    const held = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.index : undefined;
    const rows = [];
    for (let index = from; index < to; index++) {
      const finding = shown[index];
      const row = make("div", "row");
      row.setAttribute("role", "listitem");
      row.setAttribute("aria-setsize", shown.length);
      row.setAttribute("aria-posinset", index + 1);
      row.style.top = `${top(index)}px`;
      const button = make("button");
      button.type = "button";
      button.dataset.index = index;
      button.setAttribute("aria-expanded", index === open);
      button.append(
        make("span", "first", `${finding.instruction}  ${finding.kind}: ${finding.fields}`),
        make("span", "second", `${finding.bug} \u00b7 ${finding.extension} \u00b7 ${count(finding.runs, "run")} in ${count(finding.blocks, "block")} \u00b7 ${finding.status}, ${finding.certainty}`),
      );
      row.append(button);
      if (index === open) row.append(detail(finding));
      rows.push(row);
    }
    list.replaceChildren(...rows);
    list.style.height = `${shown.length * rowHeight + extra}px`;
    if (held !== undefined) {
      const again = list.querySelector(`button[data-index="${held}"]`);
      if (again) again.focus({ preventScroll: true });
    }
  };
  const toggle = (index) => {
    open = open === index ? null : index;
    extra = 0;
    draw();
    const box = list.querySelector(".detail");
    if (box) {
      extra = box.offsetHeight;
      draw();
    }
  };
  const filter = () => {
    const value = (id) => element(id).value;
    const words = value("search").toLowerCase().split(/\s+/).filter(Boolean);
    shown = findings.filter((finding) =>
      (!value("engine") || finding.engines.includes(value("engine"))) &&
      (!value("bug") || finding.bug === value("bug")) &&
      (!value("extension") || finding.extension === value("extension")) &&
      (!value("status") || finding.status === value("status") || finding.certainty === value("status")) &&
      words.every((word) => finding.text.includes(word)));
    open = null;
    extra = 0;
    view.scrollTop = 0;
    element("count").textContent = shown.length === findings.length
      ? count(findings.length, "finding")
      : `${shown.length.toLocaleString("en")} of ${count(findings.length, "finding")}`;
    draw();
  };
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = make("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-index]");
    if (button) toggle(Number(button.dataset.index));
  });
  view.addEventListener("scroll", draw, { passive: true });
  addEventListener("resize", draw, { passive: true });
  element("filters").addEventListener("input", filter);
  element("filters").addEventListener("submit", (event) => event.preventDefault());
  element("filters").addEventListener("reset", () => setTimeout(filter));
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-bug]");
    if (!button) return;
    if (button.classList.contains("copy")) {
      await copy(data.bugs[button.dataset.bug] || "");
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy as Markdown"; }, 1500);
    } else {
      element("bug").value = button.dataset.bug;
      filter();
      element("findings").scrollIntoView();
    }
  });
  for (const tools of document.querySelectorAll(".tools")) tools.hidden = false;
  element("browser").hidden = false;
  filter();
  // The size of letters is the reader's choice.
  const first = list.firstElementChild;
  if (first && first.offsetHeight !== rowHeight) {
    rowHeight = first.offsetHeight;
    draw();
  }
  document.documentElement.dataset.ready = "yes";
})();
