/* The page History: its charts, and what chooses what they show. */
"use strict";

(() => {
  const { all, base, byId, functions, go, listeners, query, root } = mien;
  const pad = (number) => String(number).padStart(2, "0");
  const local = (date) =>
    `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}T${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  const stamp = (date) => date.toISOString().replace(/\.\d+Z$/, "Z");

  /* Charts. Plotly is large: the page fetches it at once, but it runs after the first picture. */
  const shown = new Map(); // by id: what was drawn last
  let plotly = null;
  const load = () =>
    (plotly ??= new Promise((done, failed) => {
      const script = Object.assign(document.createElement("script"), { src: byId("plotly").href });
      script.onload = () => done(window.Plotly);
      script.onerror = () => {
        plotly = null;
        failed(new Error("the chart's library did not come"));
      };
      document.head.append(script);
    }));
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

  const waiting = new Map(); // by id: what is to be drawn; what comes meanwhile takes its place
  functions.plot = (given) => {
    const { common, data } = given.figure;
    given.figure.data = data.map((trace) => (trace.x ? trace : { ...common, ...trace }));
    given.figure.layout.font.size = 0.8 * parseFloat(getComputedStyle(root).fontSize);
    shown.set(given.id, given);
    sketch(byId(given.id), given.figure);
    if (given.id === "plot") exports(given);
    const drawing = waiting.has(given.id);
    waiting.set(given.id, given);
    if (!drawing) draw(given.id);
  };

  /* A small machine needs seconds for Plotly: until then the bands alone stand where it will draw them. */
  function sketch(place, { data, layout }) {
    if (place.classList.contains("js-plotly-plot") || !data[0].x.length) return;
    const [from, to] = layout.xaxis.range.map(parse);
    const lows = data[0].x.map(() => 0);
    const steps = data[0].line.shape === "hv";
    const bands = data.filter((band) => band.stackgroup).map((band) => {
      const under = outline(lows);
      band.y.forEach((value, index) => (lows[index] += value));
      return `<path fill="${band.fillcolor}" d="M${outline(lows).join("L")}L${under.reverse().join("L")}Z"/>`;
    });
    function outline(heights) {
      return heights.flatMap((height, index) => {
        const [x, y] = [(parse(data[0].x[index]) - from) / (to - from), 1 - height / layout.yaxis.range[1]].map((part) => part.toFixed(4));
        return steps && index ? [`${x} ${(1 - heights[index - 1] / layout.yaxis.range[1]).toFixed(4)}`, `${x} ${y}`] : [`${x} ${y}`];
      });
    }
    byId(`${place.id}-sketch`).innerHTML = bands.join("");
  }

  /* Drawing anew would end a zoom that is being drawn: wait until the pointer is let go, and Plotly has seen that. */
  let held = null;
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest?.(".plot")) return;
    const over = new AbortController();
    held = new Promise((done) => {
      const release = () => (over.abort(), setTimeout(done, 50));
      for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, release, { signal: over.signal });
    });
  });

  async function draw(id) {
    if (!plotly) await painted();
    const Plotly = await load();
    await held;
    const given = waiting.get(id);
    const place = byId(id);
    const fresh = !place.classList.contains("js-plotly-plot");
    const began = performance.now();
    place.classList.toggle("lines", query().get("as") === "lines");
    await Plotly.react(place, given.figure.data, given.figure.layout, given.figure.config);
    place.setAttribute("aria-label", given.words);
    thin(place);
    if (fresh) {
      byId(`${id}-sketch`).remove();
      listen(id, place, Plotly);
    }
    // A slow machine gets fewer pictures, so that it has time for its user.
    setTimeout(() => (waiting.get(id) === given ? waiting.delete(id) : draw(id)), 3 * (performance.now() - began));
  }

  function listen(id, place, Plotly) {
    place.on("plotly_relayout", (changed) => {
      const [from, to] = [changed["xaxis.range[0]"], changed["xaxis.range[1]"]];
      if (id === "plot" && from && to) zoom(parse(from), parse(to));
    });
    place.on("plotly_doubleclick", () => move("out"));
    place.on("plotly_afterplot", () => {
      thin(place);
      if (pointer?.chart === place) place.querySelector(".nsewdrag")?.dispatchEvent(new MouseEvent("mousemove", { ...pointer, bubbles: true }));
    });
    new ResizeObserver(() => Plotly.Plots.resize(place)).observe(place);
  }

  /* A marker's label that would lie on the one before it is hidden: on a phone fewer have room. */
  function thin(place) {
    const top = place.querySelector(".nsewdrag").getBoundingClientRect().top;
    const placed = all(".annotation", place).map((label) => [label, label.querySelector("text").getBoundingClientRect()]);
    let end = -Infinity;
    for (const [label, { left, right }] of placed.filter(([, { y }]) => y < top).sort(([, a], [, b]) => a.left - b.left)) {
      label.style.visibility = left < end ? "hidden" : "";
      if (left >= end) end = right;
    }
  }

  functions.compared = (compared) => {
    byId("compared").hidden = !compared;
    byId("against").hidden = !compared || query().get("as") === "lines"; // there both stand in one chart
  };

  /* Each update of the chart hides its tooltip: show it again where the pointer still is. */
  let pointer = null;
  document.addEventListener("mousemove", (event) => {
    const chart = event.target.closest?.(".plot");
    pointer = chart && { chart, clientX: event.clientX, clientY: event.clientY };
  });

  const parse = (text) => new Date(String(text).replace(" ", "T").slice(0, 23));

  /* Time: periods, zoom, earlier and later. */
  const SHORTEST = 10e3;
  const LONGEST = 50 * 365.25 * 864e5;
  function zoom(from, to) {
    const middle = (from.getTime() + to.getTime()) / 2;
    const half = Math.min(Math.max(to - from, SHORTEST), LONGEST) / 2;
    const [first, last] = [new Date(Math.max(middle - half, 31536000e3)), new Date(middle + half)];
    if (isNaN(first) || isNaN(last)) return;
    drafting = false;
    go((next) => {
      next.set("period", "custom");
      next.set("from", stamp(first));
      next.set("to", stamp(last));
    });
  }

  function move(way) {
    const given = shown.get("plot");
    if (!given) return;
    const asked = query(); // what is drawn may lag behind what was chosen
    let [from, to] = [new Date(asked.get("from") ?? NaN), new Date(asked.get("to") ?? NaN)];
    if (asked.get("period") !== "custom" || isNaN(from) || isNaN(to))
      [from, to] = [new Date(given.from), new Date(given.to)];
    const span = to - from;
    const [left, right] = { back: [-0.5, -0.5], forth: [0.5, 0.5], in: [0.25, -0.25], out: [-0.5, 0.5] }[way];
    zoom(new Date(from.getTime() + left * span), new Date(to.getTime() + right * span));
  }

  let drafting = false; // a custom period is being entered: the URL does not have it yet
  function choosePeriod(name) {
    if (name === "custom") {
      drafting = true;
      show();
      fill();
      byId("from").focus();
      return;
    }
    drafting = false;
    go((next) => {
      next.delete("from");
      next.delete("to");
      next.set("period", name);
    });
  }

  function chooseSpan(form) {
    const [from, to] = [new Date(form.from.value), new Date(form.to.value)];
    const bad = !(from < to);
    form.to.setCustomValidity(bad ? "The end must be after the beginning" : "");
    if (bad) return form.to.reportValidity();
    drafting = false;
    go((next) => {
      next.set("period", "custom");
      next.set("from", stamp(from));
      next.set("to", stamp(to));
    });
  }

  function fill() {
    const form = byId("span");
    const given = shown.get("plot");
    const [from, to] = ["from", "to"].map((name) => new Date(query().get(name) ?? NaN));
    form.from.value = local(isNaN(from) ? new Date(given?.from ?? Date.now() - 3600e3) : from);
    form.to.value = local(isNaN(to) ? new Date(given?.to ?? Date.now()) : to);
  }

  /* Emotions, what is stacked, what it is compared with. */
  function chooseEmotion(name) {
    const names = mien.SHOWN;
    const chosen = new Set(query().getAll("emotion").length ? query().getAll("emotion") : names);
    chosen.has(name) ? chosen.delete(name) : chosen.add(name);
    go((next) => {
      next.delete("emotion");
      if (chosen.size && chosen.size < names.length) names.filter((one) => chosen.has(one)).forEach((one) => next.append("emotion", one));
    });
  }

  function chooseVersus(value) {
    const custom = value === "custom";
    byId("other-span").hidden = !custom;
    if (custom) {
      const field = byId("other-from");
      const from = new Date(shown.get("plot")?.from ?? Date.now());
      field.value = local(new Date(from - 864e5));
      field.focus();
      return;
    }
    go((next) => (value ? next.set("vs", value) : next.delete("vs")));
  }

  functions.known = (names) => {
    byId("versus-sources").replaceChildren(...names.map((name) => new Option(name, `@${name}`)));
    const where = byId("mark").source;
    const kept = where.value;
    where.replaceChildren(new Option("All sources", ""), ...names.map((name) => new Option(name, name)));
    if (names.includes(kept)) where.value = kept;
  };

  function show() {
    const period = drafting ? "custom" : (query().get("period") ?? "5m");
    root.dataset.period = period;
    all("[data-period-name]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.periodName === period)));
    if (period === "custom" && !drafting) fill();
    const emotions = query().getAll("emotion");
    all("[data-emotion]").forEach((button) =>
      button.setAttribute("aria-pressed", String(!emotions.length || emotions.includes(button.dataset.emotion))),
    );
    const form = query().get("as") ?? "share";
    all("[data-form]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.form === form)));
    const versus = query().get("vs") ?? "";
    const select = byId("versus");
    if (select) {
      const known = [...select.options].some((option) => option.value === versus);
      select.value = known ? versus : "custom";
      byId("other-span").hidden = known;
      if (!known) byId("other-from").value = local(new Date(versus));
    }
  }
  listeners.push(show);

  /* The address says all that is shown, also what nobody has chosen yet: who opens a link sees the same period. */
  if (!query().has("period")) {
    const whole = query();
    whole.set("period", "5m");
    history.replaceState(null, "", `?${whole}`);
  }

  /* Markers: added and deleted through the API. */
  async function ask(method, path, body) {
    const headers = body ? { "content-type": "application/json" } : {};
    const answer = await fetch(`${base}/api/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
    if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.error?.message ?? `the server answered ${answer.status}`);
  }

  async function mark(form) {
    const said = form.querySelector("[role=status]");
    const body = { label: form.label.value, time: new Date(form.time.value).toISOString() };
    if (form.source.value) body.source = form.source.value;
    try {
      await ask("POST", "markers", body);
      form.label.value = "";
      said.textContent = "Added.";
    } catch (error) {
      said.textContent = `Not added: ${error.message}.`;
    }
  }

  async function drop(button) {
    button.disabled = true;
    try {
      await ask("DELETE", `markers/${button.dataset.drop}`);
    } catch (error) {
      byId("mark").querySelector("[role=status]").textContent = `Not deleted: ${error.message}.`;
      button.disabled = false;
    }
  }

  /* Export: what is seen, as data or as a picture. */
  function exports(given) {
    const parameters = new URLSearchParams(query().getAll("source").map((name) => ["source", name]));
    parameters.set("from", given.from);
    parameters.set("to", given.to);
    all("[data-export]").forEach((link) => {
      const [table, format] = link.dataset.export.split(" ");
      link.href = `${base}/api/v1/export?${new URLSearchParams({ table, format })}&${parameters}`;
    });
  }

  async function copyLink(button) {
    const words = button.querySelector("span");
    try {
      await navigator.clipboard.writeText(location.href);
      words.textContent = "Copied";
    } catch {
      words.textContent = "Copy it from the address bar";
    }
    setTimeout(() => (words.textContent = "Copy link"), 2000);
  }

  async function picture() {
    const given = shown.get("plot");
    if (!given) return;
    const Plotly = await load();
    const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
    const axis = (one) => ({ ...one, color: colour("soft"), gridcolor: colour("line"), linecolor: colour("line") });
    const named = (one, text) => ({ ...axis(one), title: { text, font: { size: 13 } } });
    const { layout, data } = given.figure;
    const { xaxis, yaxis, yaxis2 } = layout;
    const font = { ...layout.font, family: "Roboto, system-ui, sans-serif", size: 14, color: colour("ink") };
    const sources = query().getAll("source");
    const title = { text: `${sources.length ? sources.join(", ") : "All sources"}: ${byId("chart-about").textContent}`, x: 0.02, font: { size: 16 } };
    const look = { paper_bgcolor: colour("surface"), plot_bgcolor: colour("surface"), font, title, showlegend: true, legend: { orientation: "h", y: -0.1 } };
    const drawn = { ...layout, ...look, xaxis: axis(xaxis), yaxis: named(yaxis, query().get("as") === "count" ? "faces named so" : "mean probability, %"), yaxis2: named(yaxis2, "faces a frame"), margin: { l: 80, r: 30, t: 70, b: 70 } };
    const url = await Plotly.toImage({ data, layout: drawn }, { format: "png", width: 1280, height: 720, scale: 2 });
    const link = Object.assign(document.createElement("a"), { href: url, download: `mien-${given.from.slice(0, 19).replace(/[-:]/g, "")}.png` });
    link.click();
  }

  document.addEventListener("click", (event) => {
    const target = event.target.closest("button, summary");
    if (!target) return;
    const { periodName, emotion, form, move: way, drop: marker, action } = target.dataset;
    if (periodName) choosePeriod(periodName);
    else if (emotion) chooseEmotion(emotion);
    else if (form) go((next) => (form === "share" ? next.delete("as") : next.set("as", form)));
    else if (way) move(way);
    else if (marker) drop(target);
    else if (action === "png") picture();
    else if (action === "link") copyLink(target);
    else if (target.parentElement.id === "marking") byId("mark").time.value = local(new Date());
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "versus") chooseVersus(event.target.value);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method === "post") return;
    event.preventDefault();
    if (form.id === "span") chooseSpan(form);
    else if (form.id === "mark") mark(form);
    else if (form.id === "other-span") go((next) => next.set("vs", stamp(new Date(form.from.value))));
  });
  document.addEventListener("input", (event) => event.target.form?.to?.setCustomValidity?.(""));
  addEventListener("popstate", () => (drafting = false));
})();
