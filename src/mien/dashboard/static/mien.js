/* What all pages share: theme, the choice of sources and period (kept in the URL), what the server sends. */
"use strict";

window.mien = (() => {
  const root = document.documentElement;
  const base = root.dataset.base; // the path under which a proxy shows the dashboard; empty without one
  const darkness = matchMedia("(prefers-color-scheme: dark)");
  const wide = matchMedia("(min-width: 1000px) and (min-aspect-ratio: 4/3)");
  const large = matchMedia("(min-width: 1800px) and (min-height: 900px)");
  const query = () => new URLSearchParams(location.search);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);

  /* Theme: automatic, light or dark; remembered in this browser. */
  const THEMES = { auto: "Automatic", light: "Light", dark: "Dark" };
  let theme = "auto";
  try {
    theme = localStorage.getItem("mien-theme") in THEMES ? localStorage.getItem("mien-theme") : "auto";
  } catch {}

  function paint() {
    root.dataset.theme = theme === "auto" ? (darkness.matches ? "dark" : "light") : theme;
    const wall = query().get("kiosk") === "1";
    root.toggleAttribute("data-kiosk", wall);
    root.toggleAttribute("data-fits", root.dataset.page === "live" && (wall ? wide : large).matches);
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
  const listeners = []; // called after each change of the URL
  function go(change) {
    const next = query();
    change(next);
    const text = next.toString();
    history.pushState(null, "", text ? `?${text}` : location.pathname);
    tell();
  }

  function tell() {
    show();
    listen();
  }

  function chooseSources() {
    const boxes = all("#picker input[name=source]");
    const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    go((next) => {
      next.delete("source");
      if (chosen.length < boxes.length) chosen.forEach((name) => next.append("source", name));
    });
  }

  function show() {
    const chosen = query().getAll("source");
    const boxes = all("#picker input[name=source]");
    boxes.forEach((box) => (box.checked = !chosen.length || chosen.includes(box.value)));
    const label = document.querySelector("#picker summary span");
    if (label) label.textContent = !chosen.length ? "All sources" : chosen.length === 1 ? chosen[0] : `${chosen.length} sources`;
    // What the sources are is the same on the next page; what else was chosen belongs to this one.
    const kept = new URLSearchParams(chosen.map((name) => ["source", name])).toString();
    all("nav a").forEach((link) => {
      if ([`${base}/`, `${base}/history`].includes(link.pathname)) link.search = kept;
    });
    listeners.forEach((listen) => listen());
  }

  /* A page's HTML takes no style: lengths come as data-share, and are set here. */
  function dress(place) {
    for (const part of all("[data-share]", place)) part.style.setProperty("--share", part.dataset.share);
  }

  /* Contents are mended in place, not replaced, so that what has the focus, is selected or pointed at stays.
     Elements with an id are told apart by it, others by their place; what has data-own fills itself. */
  function mend(place, wanted) {
    const next = [...wanted.childNodes];
    const ids = new Set(next.map((one) => one.id));
    const known = new Map();
    for (const child of [...place.children]) {
      if (child.id && !ids.has(child.id)) child.remove();
      else if (child.id) known.set(child.id, child);
    }
    let at = place.firstChild;
    for (const one of next) {
      const kept = one.id ? known.get(one.id) : at && !at.id && at.nodeName === one.nodeName ? at : null;
      if (kept === at && kept) at = at.nextSibling;
      else place.insertBefore(kept ?? one, at);
      if (kept) renew(kept, one);
    }
    while (at) {
      const rest = at.nextSibling;
      at.remove();
      at = rest;
    }
  }

  function renew(kept, wanted) {
    if (kept.isEqualNode(wanted)) return;
    if (kept.nodeType !== Node.ELEMENT_NODE) kept.nodeValue = wanted.nodeValue;
    else if (!("own" in kept.dataset)) {
      for (const { name } of [...kept.attributes]) if (!wanted.hasAttribute(name) && !["open", "style"].includes(name)) kept.removeAttribute(name);
      for (const { name, value } of wanted.attributes) if (kept.getAttribute(name) !== value) kept.setAttribute(name, value);
      mend(kept, wanted);
    }
  }

  function fill(element, html) {
    const wanted = document.createElement("template");
    wanted.innerHTML = html;
    mend(element, wanted.content);
    dress(element);
  }

  function write(element, text) {
    const ends = element.getAttribute("role") === "log" && element.scrollTop + element.clientHeight >= element.scrollHeight - 8;
    if (!text) element.replaceChildren();
    else if (element.firstChild) element.firstChild.nodeValue = text;
    else element.textContent = text;
    if (ends) element.scrollTop = element.scrollHeight; // a log is read from its end
  }

  /* What the server sends: contents of elements, and arguments of functions. */
  const functions = {};
  function take(parts) {
    for (const [name, value] of Object.entries(parts)) {
      const [kind, ...rest] = name.split(":");
      const target = rest.join(":");
      if (kind === "call") {
        const [called, ...argument] = target.split(".");
        functions[called]?.(value, argument.join("."));
      } else {
        const element = byId(target);
        if (element) (kind === "html" ? fill : write)(element, value);
      }
    }
    functions.taken?.();
  }

  /* It comes as a stream of events, which begins anew with each choice. What comes faster than it can be shown is put
     together, and a hidden page has no stream: a browser has few connections to one server. */
  const FRAME = "html:cards"; // holds other parts, all of which come with it
  let events = null;
  let ready = false;
  let come = {}; // what is to be shown
  let due = 0; // the timer that will show it
  let rested = 0; // when the next may be shown
  function listen() {
    events?.close();
    events = null;
    clearTimeout(due);
    [come, due, rested] = [{}, 0, 0];
    const page = root.dataset.page;
    if (document.hidden || page === "missing") return;
    const asked = query();
    asked.set("zone", Intl.DateTimeFormat().resolvedOptions().timeZone);
    const opened = (events = new EventSource(`${base}/events/${page}?${asked}`));
    opened.onmessage = ({ data }) => {
      const parts = JSON.parse(data);
      come = FRAME in parts ? parts : { ...come, ...parts };
      if (ready) plan();
    };
    opened.onerror = () => {
      stillKnown();
      if (opened.readyState === EventSource.CLOSED) setTimeout(() => opened === events && listen(), 2000 + 2000 * Math.random());
    };
  }

  function plan() {
    due ||= setTimeout(() => requestAnimationFrame(give), Math.max(0, rested - performance.now()));
  }

  async function give() {
    const parts = come;
    const opened = events;
    come = {};
    await functions.fetched?.(parts); // a picture is shown with the figures of its moment, not after them
    if (opened !== events) return;
    const began = performance.now();
    window.mien.take(parts);
    // A slow machine gets fewer pictures, so that it has time for its user.
    rested = performance.now() + 2 * (performance.now() - began);
    due = 0;
    if (Object.keys(come).length) plan();
  }

  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => events?.close());
  addEventListener("pageshow", (event) => event.persisted && listen());

  functions.filled = (filled) => (root.dataset.filled = filled ? "yes" : "no");
  functions.looking = (looking) =>
    all("[data-action=check]").forEach((button) => {
      button.disabled = looking;
      button.textContent = looking ? "Looking …" : "Check again";
    });

  /* The demo: a button where nothing has come yet, a word and a way to end it while it plays. */
  const BEGIN = { off: "Play the demo", starting: "Starting …", playing: "It plays", ending: "Ending …" };
  const PLAYS = {
    off: "",
    starting: "The demo is starting: its first face comes in a few seconds.",
    playing: "The demo plays on the machine that runs Mien, as the source demo.",
    ending: "The demo is ending.",
  };
  let played = false; // on this page, so that it can be said that it has stopped
  functions.demo = ({ state, message }) => {
    played ||= state !== "off";
    const words = message ? `The demo ended by itself: ${message}` : state === "off" && played ? "The demo has stopped. What it showed stays." : PLAYS[state];
    for (const place of [byId("demo-said"), byId("demo-plays")]) {
      if (!place) continue;
      place.textContent = words;
      place.classList.toggle("bad", Boolean(message));
    }
    all("[data-demo=start]").forEach((button) => {
      button.disabled = state !== "off";
      if (!("again" in button.dataset)) button.textContent = BEGIN[state];
      else button.hidden = state !== "off" || !played;
    });
    all("[data-demo=stop]").forEach((button) => {
      button.hidden = state === "off";
      button.disabled = state === "ending";
    });
  };

  async function play(button) {
    button.disabled = true;
    const answer = await fetch(`${base}/api/v1/demo`, { method: button.dataset.demo === "start" ? "POST" : "DELETE" }).catch(() => null);
    const told = await answer?.json().catch(() => null);
    if (answer?.ok) return functions.demo(told);
    button.disabled = false;
    const place = byId(button.closest(".welcome") ? "demo-said" : "demo-plays");
    place.textContent = told?.error?.message ?? "The dashboard does not answer.";
    place.classList.add("bad");
  }

  functions.sources = (names) => {
    const list = document.querySelector("#picker .options");
    if (!list) return;
    const known = [...new Set([...names, ...query().getAll("source")])].sort();
    const wanted = document.createDocumentFragment();
    for (const name of known) {
      const label = Object.assign(document.createElement("label"), { id: `pick-${name}` });
      const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "source", value: name });
      const only = Object.assign(document.createElement("button"), { type: "button", className: "only", textContent: "only" });
      only.dataset.only = name;
      only.setAttribute("aria-label", `Only ${name}`);
      label.append(box, Object.assign(document.createElement("span"), { textContent: name }), only);
      wanted.append(label);
    }
    mend(list, wanted);
    functions.known?.(known);
    show();
  };

  /* A minute as a stream: bands around a middle line, as thick as there are faces that show the emotion. */
  const SHOWN = ["happy", "surprise", "neutral", "sad", "fear", "disgust", "angry"];
  function stream(bands, source) {
    const drawing = document.querySelector(`svg[data-stream="${source}"]`);
    if (!drawing) return;
    const count = bands[0].length;
    const totals = bands[0].map((_, second) => bands.reduce((sum, band) => sum + band[second], 0));
    const scale = 92 / Math.max(100, ...totals);
    let low = totals.map((total) => 50 + (total * scale) / 2);
    const x = (second) => ((second / (count - 1)) * 600).toFixed(1);
    if (drawing.children.length !== bands.length) {
      drawing.replaceChildren(
        ...SHOWN.map((emotion) => {
          const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
          path.style.fill = `var(--${emotion})`;
          return path;
        }),
      );
    }
    bands.forEach((band, index) => {
      const high = band.map((value, second) => low[second] - value * scale);
      const over = high.map((y, second) => `${x(second)} ${y.toFixed(1)}`);
      const under = low.map((y, second) => `${x(second)} ${y.toFixed(1)}`).reverse();
      drawing.children[index].setAttribute("d", `M${over.join("L")}L${under.join("L")}Z`);
      low = high;
    });
  }
  functions.stream = stream;

  /* What a figure is, from the documentation, where one looks at it. */
  async function explain(link) {
    const answer = await fetch(link.href).catch(() => null);
    const page = answer?.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
    const heading = page?.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (!heading) return location.assign(link.href);
    const title = Object.assign(document.createElement("h2"), { id: "definition-title", textContent: heading.textContent });
    const parts = [title];
    for (let next = heading.nextElementSibling; next && !/^H[12]$/.test(next.tagName) && next.tagName !== "NAV"; next = next.nextElementSibling) parts.push(document.importNode(next, true));
    // Its links lead from the page that it stands on.
    for (const part of parts) for (const inner of all("a", part)) inner.href = new URL(inner.getAttribute("href"), link.href).href;
    const more = Object.assign(document.createElement("a"), { href: link.href, textContent: "In the documentation" });
    const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
    const place = byId("definition");
    close.addEventListener("click", () => place.hidePopover());
    place.replaceChildren(...parts, more, close);
    place.showPopover();
    close.focus();
  }

  function copy(button) {
    navigator.clipboard?.writeText(button.dataset.copy).then(() => {
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1600);
    });
  }

  /* Sends a file; fetch does not say how much of a body has gone out. */
  let sending = null; // the request that carries a file just now
  function upload(file, onShare) {
    return new Promise((resolve, reject) => {
      const request = (sending = new XMLHttpRequest());
      request.open("POST", `${base}/api/v1/uploads?name=${encodeURIComponent(file.name)}`);
      request.setRequestHeader("content-type", "application/octet-stream");
      request.upload.onprogress = (event) => event.total && onShare(event.loaded / event.total);
      request.onload = () => {
        let body = null;
        try {
          body = JSON.parse(request.responseText);
        } catch {}
        request.status === 201 ? resolve(body) : reject(new Error(body?.error?.message ?? `the server answered ${request.status}`));
      };
      request.onerror = () => reject(new Error("the dashboard does not answer"));
      request.onabort = () => reject(new Error("it was stopped"));
      request.onloadend = () => (sending = null);
      request.send(file);
    });
  }

  /* A wall screen stays on, and leaves the wall by Escape. */
  let lock = null;
  async function stayOn() {
    if (!root.hasAttribute("data-kiosk") || document.hidden) return;
    try {
      lock = await navigator.wakeLock?.request("screen");
    } catch {}
  }
  document.addEventListener("visibilitychange", stayOn);

  document.addEventListener("click", (event) => {
    all("details.menu[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
    const target = event.target.closest("button, summary, a");
    if (!target) return;
    if (target.classList.contains("why") && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      explain(target);
    } else if (target.dataset.action === "theme") nextTheme();
    else if (target.dataset.action === "check") fetch(`${base}/system/check`, { method: "POST" }).catch(() => null);
    else if (target.dataset.copy) copy(target);
    else if (target.dataset.demo) play(target);
    else if (target.dataset.only || target.dataset.action === "all") {
      event.preventDefault();
      all("#picker input[name=source]").forEach((box) => {
        box.checked = !target.dataset.only || box.value === target.dataset.only;
      });
      chooseSources();
    }
  });
  document.addEventListener("change", (event) => {
    if (event.target.name === "source" && event.target.type === "checkbox") chooseSources();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.querySelector("details.menu[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    } else if (root.hasAttribute("data-kiosk")) {
      lock?.release();
      go((next) => next.delete("kiosk"));
      paint();
    }
  });
  addEventListener("popstate", () => {
    paint();
    tell();
  });
  for (const asked of [darkness, wide, large]) asked.addEventListener("change", paint);
  /* Once all scripts are there: a form that none reads yet would put what it holds into the address. */
  document.addEventListener("DOMContentLoaded", () => all("[type=submit][disabled]").forEach((button) => (button.disabled = false)));
  paint();

  /* Who may not look any more is shown the login, not what was so before. */
  async function stillKnown() {
    const answer = await fetch(`${base}/api/v1/me`).catch(() => null);
    if (answer?.status === 401) location.replace(`${base}/login?ended=1&next=${encodeURIComponent(location.pathname.slice(base.length) + location.search)}`);
  }

  document.addEventListener("DOMContentLoaded", () => {
    ready = true;
    paint();
    show();
    stayOn();
    plan();
  });
  listen();

  return { SHOWN, all, base, byId, functions, go, listen, listeners, query, root, stream, take, upload, stopSending: () => sending?.abort(), isSending: () => sending !== null };
})();
