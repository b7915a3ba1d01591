/* The stage: faces as boxes where the picture would be, with labels that stay inside and lie on nothing, and the face
   that is pointed at, or has the focus, marked in the stage and in the list alike. */
"use strict";

(() => {
  const { all, functions } = mien;
  const FEW = 8; // of more faces the boxes bear colours alone
  const NARROW = 30; // and so do boxes of fewer pixels
  const GAP = 4;
  const MOVES = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

  function made(place, face) {
    const box = document.createElement("div");
    box.className = "face";
    box.dataset.face = face.key;
    box.setAttribute("role", "img");
    const label = document.createElement("div");
    label.className = "label";
    label.setAttribute("aria-hidden", "true"); // the box bears the same words
    label.append(document.createElement("b"), document.createElement("span"));
    box.label = label;
    place.append(box, label);
    return box;
  }

  functions.stage = (state, source) => {
    const place = document.querySelector(`[data-stage="${source}"]`);
    if (!place) return;
    if (!place.watched) {
      place.watched = new ResizeObserver(() => arrange(place, false));
      place.watched.observe(place);
    }
    place.classList.toggle("dark", !state);
    if (state?.ratio) for (const part of [place, place.closest("article")]) part?.style.setProperty("--ratio", state.ratio);
    const faces = state?.faces ?? [];
    const kept = new Map(all(":scope > .face", place).map((box) => [box.dataset.face, box]));
    for (const face of faces) {
      const box = kept.get(face.key) ?? made(place, face);
      kept.delete(face.key);
      const [left, top, width, height] = face.box;
      Object.assign(box.style, { left: `${left}%`, top: `${top}%`, width: `${width}%`, height: `${height}%` });
      box.at = face.box;
      for (const part of [box, box.label]) part.style.setProperty("--emotion", `var(--${face.emotion})`);
      box.classList.toggle("vague", face.emotion === "unclear");
      box.setAttribute("aria-label", `Face ${face.number}: ${face.label}`);
      box.label.firstChild.textContent = face.number;
      box.label.lastChild.textContent = face.label;
    }
    kept.forEach((box) => {
      box.label.remove();
      box.remove();
    });
    roving(place);
    mark();
    arrange(place, true);
  };

  /* Labels, the largest faces' first: above the box, under it, or in it, where they lie on nothing; else the number
     alone. They glide with their boxes as long as they keep their size, so that they never leave the stage. */
  function arrange(place, glides) {
    const [width, height] = [place.clientWidth, place.clientHeight];
    if (!width || !height) return;
    const marked = all(":scope > .face", place);
    const boxes = marked.map((box) => {
      const [left, top, wide, high] = box.at;
      const [x, y, w, h] = [(left * width) / 100, (top * height) / 100, (wide * width) / 100, (high * height) / 100];
      const named = box.classList.contains("marked");
      box.label.hidden = !named && (marked.length > FEW || w < NARROW);
      box.label.classList.remove("short");
      return { box, label: box.label, x, y, w, h, named };
    });
    const shown = boxes.filter(({ label }) => !label.hidden);
    for (const one of shown) one.size = sizeOf(one.label);
    const taken = [];
    for (const one of shown.sort((a, b) => b.named - a.named || b.w * b.h - a.w * a.h)) {
      let spot = spotFor(one, boxes, taken, width, height);
      if (!spot && !one.named) {
        one.label.classList.add("short");
        one.size = sizeOf(one.label);
        spot = spotFor(one, boxes, taken, width, height) ?? spotFor(one, [], taken, width, height);
      }
      one.label.hidden = !spot; // where there is no room the colour alone says it, and the list the rest
      if (!spot) continue;
      taken.push({ ...spot, w: one.size[0], h: one.size[1] });
      const size = one.size.join();
      const still = !glides || one.label.dataset.size !== size;
      one.label.dataset.size = size;
      one.label.classList.toggle("still", still);
      Object.assign(one.label.style, { left: `${spot.x}px`, top: `${spot.y}px` });
    }
  }

  function spotFor({ box, x, y, w, h, size: [wide, high], named }, boxes, taken, width, height) {
    const across = Math.min(Math.max(x + (w - wide) / 2, GAP), width - wide - GAP);
    const inner = named || wide <= w + 2 * GAP ? [y + GAP, y + h - high - GAP] : []; // else it would cover its box
    const places = [y - high - GAP, y + h + GAP, ...inner, ...(named ? [GAP] : [])].map((top) => ({ x: across, y: top, w: wide, h: high }));
    const inside = places.filter((spot) => spot.y >= GAP && spot.y + high <= height - GAP && spot.x >= 0);
    const free = inside.filter((spot) => !taken.some((other) => meet(spot, other)));
    const clear = free.find((spot) => !boxes.some((other) => other.box !== box && meet(spot, other)));
    if (named) return clear ?? free[0] ?? inside[0]; // what is pointed at has its label, whatever lies there
    return clear;
  }

  const sizeOf = (label) => {
    const { width, height } = label.getBoundingClientRect(); // its offsetWidth may be half a pixel less
    return [Math.ceil(width), Math.ceil(height)];
  };

  const meet = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

  /* What is pointed at and what has the focus: one face each, in one card. */
  const GROUP = "article, .trial";
  const marks = { pointer: null, focus: null };

  function mark() {
    const wanted = new Set();
    for (const one of Object.values(marks)) {
      if (one?.group.isConnected) all(`[data-face="${one.key}"]`, one.group).forEach((part) => wanted.add(part));
    }
    const before = all(".marked");
    before.forEach((part) => wanted.has(part) || part.classList.remove("marked"));
    wanted.forEach((part) => part.classList.add("marked"));
    return new Set([...before, ...wanted].map((part) => part.closest(".stage")).filter(Boolean));
  }

  function note(kind, target) {
    const part = target?.closest?.("[data-face]");
    const group = part?.closest(GROUP);
    const next = group ? { group, key: part.dataset.face } : null;
    if (marks[kind]?.group === next?.group && marks[kind]?.key === next?.key) return;
    marks[kind] = next;
    mark().forEach((place) => arrange(place, false));
  }

  functions.taken = mark;
  document.fonts.addEventListener("loadingdone", () => all(".stage").forEach((place) => place.watched && arrange(place, false)));
  document.addEventListener("pointerover", (event) => note("pointer", event.target));
  document.documentElement.addEventListener("pointerleave", () => note("pointer", null));
  document.addEventListener("focusin", (event) => note("focus", event.target));
  document.addEventListener("focusout", () => note("focus", null));

  /* Of the faces of a stage, or of a list, the first can be reached by Tab, the others by the arrows. */
  function roving(place) {
    const boxes = all(":scope > .face", place);
    const current = boxes.find((box) => box === document.activeElement) ?? boxes[0];
    boxes.forEach((box) => (box.tabIndex = box === current ? 0 : -1));
  }

  document.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (!move || !event.target.matches?.("[data-face]")) return;
    const every = all(":scope > [data-face]", event.target.parentElement);
    const next = every[every.indexOf(event.target) + move];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
})();
