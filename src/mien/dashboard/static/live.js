/* The page Live: what a source sees, behind the boxes of its faces, where it sends pictures, and the asking for some. */
"use strict";

(() => {
  const { base, byId, functions } = mien;
  const OLD_MS = 10_000; // also where the server has gone, nobody is left looking at what was so before
  const PATIENCE_MS = 400; // so long the figures wait for their picture
  const ends = new Map();
  const loaded = new Map(); // by source: the number of a picture and the picture, once it is there

  const load = (source, { number, words }) => {
    const image = Object.assign(new Image(), { alt: `What ${source} sees. ${words}` });
    image.src = `${base}/api/v1/sources/${source}/preview?number=${number}`;
    return image.decode().then(() => loaded.set(source, { number, image }), () => null);
  };

  functions.fetched = (parts) => {
    const pictures = Object.entries(parts).filter(([name, told]) => name.startsWith("call:preview.") && told);
    if (!pictures.length || document.hidden) return null;
    const coming = Promise.all(pictures.map(([name, told]) => load(name.slice("call:preview.".length), told)));
    return Promise.race([coming, new Promise((done) => setTimeout(done, PATIENCE_MS))]);
  };

  function clear(place) {
    clearTimeout(ends.get(place));
    ends.delete(place);
    place.classList.remove("seen");
    place.querySelectorAll(":scope > img").forEach((old) => old.remove());
  }

  functions.preview = (told, source) => {
    const place = document.querySelector(`[data-stage="${source}"]`);
    if (!place) return;
    const ready = loaded.get(source);
    clear(place);
    if (!told || ready?.number !== told.number) return; // one that comes too late would not fit the boxes
    place.classList.add("seen");
    place.prepend(ready.image);
    ends.set(place, setTimeout(() => clear(place), OLD_MS));
  };

  /* One source alone has room for its past. */
  functions.alone = (source) => {
    byId("alone").hidden = !source;
    document.querySelector("[data-history]").search = new URLSearchParams({ ...(source && { source }), period: "1h" });
  };

  async function ask(button) {
    button.disabled = true;
    const place = byId(`sight-${button.dataset.of}`);
    const answer = await fetch(`${base}/api/v1/sources/${button.dataset.of}/preview`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ preview: button.dataset.preview }),
    }).catch(() => null);
    button.disabled = false;
    if (answer?.ok) return;
    const told = await answer?.json().catch(() => null);
    place.querySelector("p").textContent = told?.error?.message ?? "The dashboard does not answer.";
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-preview]");
    if (button) ask(button);
  });
})();
