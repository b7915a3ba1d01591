/* The page's own script: theme, the choice of sources and period (kept in the URL), and the drawing of faces. */
"use strict";

window.mien = (() => {
  const root = document.documentElement;
  const darkness = matchMedia("(prefers-color-scheme: dark)");
  const query = () => new URLSearchParams(location.search);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  /* Theme: automatic, light or dark; remembered in this browser. */
  const THEMES = { auto: "Automatic", light: "Light", dark: "Dark" };
  let theme = "auto";
  try {
    theme = localStorage.getItem("mien-theme") in THEMES ? localStorage.getItem("mien-theme") : "auto";
  } catch {}

  function paint() {
    root.dataset.theme = theme === "auto" ? (darkness.matches ? "dark" : "light") : theme;
    all("[data-action=theme]").forEach((button) => {
      button.dataset.now = theme;
      button.setAttribute("aria-label", `Theme: ${THEMES[theme]}`);
      button.title = `Theme: ${THEMES[theme]}`;
    });
  }

  function nextTheme() {
    const names = Object.keys(THEMES);
    theme = names[(names.indexOf(theme) + 1) % names.length];
    try {
      localStorage.setItem("mien-theme", theme);
    } catch {}
    paint();
  }

  /* The choice: the URL holds it; buttons, boxes and fields show it; the server hears of each change. */
  let drafting = false; // a custom period is being entered: the URL does not have it yet
  function go(change) {
    drafting = false;
    const next = query();
    change(next);
    const text = next.toString();
    history.pushState(null, "", text ? `?${text}` : location.pathname);
    tell();
  }

  function tell() {
    show();
    emitEvent("choose", location.search);
  }

  function choosePeriod(name) {
    if (name === "custom") {
      drafting = true;
      root.dataset.period = "custom";
      mark("custom");
      fill();
      document.getElementById("from")?.focus();
      return;
    }
    go((next) => {
      next.delete("from");
      next.delete("to");
      next.set("period", name);
    });
  }

  function chooseSources() {
    const boxes = all("#picker input[name=source]");
    const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    go((next) => {
      next.delete("source");
      if (chosen.length < boxes.length) chosen.forEach((name) => next.append("source", name));
    });
  }

  function chooseSpan(form) {
    const [from, to] = [new Date(form.from.value), new Date(form.to.value)];
    const bad = !(from < to);
    form.to.setCustomValidity(bad ? "The end must be after the beginning" : "");
    if (bad) return form.to.reportValidity();
    go((next) => {
      next.set("period", "custom");
      next.set("from", from.toISOString().replace(".000", ""));
      next.set("to", to.toISOString().replace(".000", ""));
    });
  }

  const local = (date) => new Date(date - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);

  function fill() {
    const form = document.getElementById("span");
    if (!form) return;
    const [from, to] = ["from", "to"].map((name) => new Date(query().get(name) ?? NaN));
    form.from.value = local(isNaN(from) ? new Date(Date.now() - 3600000) : from);
    form.to.value = local(isNaN(to) ? new Date() : to);
  }

  function mark(period) {
    all("[data-period-name]").forEach((button) =>
      button.setAttribute("aria-pressed", String(button.dataset.periodName === period)),
    );
  }

  function show() {
    const period = drafting ? "custom" : (query().get("period") ?? "5m");
    const chosen = query().getAll("source");
    root.dataset.period = period;
    mark(period);
    if (period === "custom" && !drafting) fill();
    const boxes = all("#picker input[name=source]");
    boxes.forEach((box) => (box.checked = !chosen.length || chosen.includes(box.value)));
    const label = document.querySelector("#picker summary span");
    if (label) label.textContent = !chosen.length ? "All sources" : chosen.length === 1 ? chosen[0] : `${chosen.length} sources`;
  }

  /* What the server sends. */
  function sources(names) {
    const list = document.querySelector("#picker .options");
    if (!list) return;
    const chosen = query().getAll("source");
    list.replaceChildren(
      ...[...new Set([...names, ...chosen])].sort().map((name) => {
        const label = document.createElement("label");
        const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "source", value: name });
        const only = Object.assign(document.createElement("button"), { type: "button", className: "only", textContent: "only" });
        only.dataset.only = name;
        only.setAttribute("aria-label", `Only ${name}`);
        label.append(box, Object.assign(document.createElement("span"), { textContent: name }), only);
        return label;
      }),
    );
    show();
  }

  function stages(states) {
    for (const [source, state] of Object.entries(states)) {
      const stage = document.querySelector(`[data-stage="${source}"]`);
      if (!stage) continue;
      stage.classList.toggle("dark", !state);
      if (state) stage.style.aspectRatio = state.ratio;
      const kept = new Map([...stage.children].map((child) => [child.dataset.key, child]));
      for (const face of state?.faces ?? []) {
        let mark = kept.get(face.key);
        kept.delete(face.key);
        if (!mark) {
          mark = document.createElement("div");
          mark.className = "face";
          mark.dataset.key = face.key;
          mark.append(document.createElement("span"));
          stage.append(mark);
        }
        const [left, top, width, height] = face.box;
        Object.assign(mark.style, { left: `${left}%`, top: `${top}%`, width: `${width}%`, height: `${height}%` });
        mark.style.setProperty("--emotion", `var(--${face.emotion})`);
        mark.classList.toggle("low", top < 16);
        mark.classList.toggle("left", left + width / 2 < 16);
        mark.classList.toggle("right", left + width / 2 > 84);
        mark.firstChild.textContent = face.label;
      }
      kept.forEach((mark) => mark.remove());
    }
  }

  function copy(button) {
    navigator.clipboard?.writeText(button.dataset.copy).then(() => {
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1600);
    });
  }

  /* Each update of the chart hides its tooltip: show it again where the pointer still is. */
  let pointer = null;
  document.addEventListener("mousemove", (event) => {
    const chart = event.target.closest?.(".plot");
    pointer = chart && { clientX: event.clientX, clientY: event.clientY };
    if (!chart?.on || chart.dataset.hovers) return;
    chart.dataset.hovers = "yes";
    chart.on("plotly_afterplot", () => {
      if (pointer) chart.querySelector(".nsewdrag")?.dispatchEvent(new MouseEvent("mousemove", { ...pointer, bubbles: true }));
    });
  });

  document.addEventListener("click", (event) => {
    const target = event.target.closest("button, summary");
    const picker = document.getElementById("picker");
    if (picker?.open && !picker.contains(event.target)) picker.open = false;
    if (!target) return;
    if (target.dataset.action === "theme") nextTheme();
    else if (target.dataset.periodName) choosePeriod(target.dataset.periodName);
    else if (target.dataset.copy) copy(target);
    else if (target.dataset.only || target.dataset.action === "all") {
      event.preventDefault();
      all("#picker input[name=source]").forEach((box) => {
        box.checked = !target.dataset.only || box.value === target.dataset.only;
      });
      chooseSources();
    }
  });
  document.addEventListener("change", (event) => {
    if (event.target.name === "source") chooseSources();
  });
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "span") return;
    event.preventDefault();
    chooseSpan(event.target);
  });
  document.addEventListener("input", (event) => event.target.form?.to?.setCustomValidity(""));
  document.addEventListener("keydown", (event) => {
    const picker = document.getElementById("picker");
    if (event.key !== "Escape" || !picker?.open) return;
    picker.open = false;
    picker.querySelector("summary").focus();
  });
  addEventListener("popstate", () => {
    drafting = false;
    tell();
  });
  darkness.addEventListener("change", paint);
  paint();

  function greet() {
    paint();
    show();
    return { zone: Intl.DateTimeFormat().resolvedOptions().timeZone, size: parseFloat(getComputedStyle(root).fontSize) };
  }

  return { greet, sources, stages };
})();
