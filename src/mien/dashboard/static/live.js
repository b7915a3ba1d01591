/* The page Live: what a source sees, behind the boxes of its faces, where its preview is switched on. */
"use strict";

(() => {
  const { base } = mien;
  const OLD_MS = 10_000; // also where the server has gone, nobody is left looking at what was so before
  const ends = new Map();

  function clear(place) {
    clearTimeout(ends.get(place));
    ends.delete(place);
    place.querySelectorAll(":scope > :is(img, p)").forEach((old) => old.remove());
  }

  function draw(place, image, words) {
    clear(place);
    place.prepend(image, Object.assign(document.createElement("p"), { textContent: words }));
    ends.set(place, setTimeout(() => clear(place), OLD_MS));
  }

  mien.functions.preview = (told, source) => {
    const place = document.querySelector(`[data-stage="${source}"]`);
    if (!place) return;
    place.dataset.newest = told ? told.number : "";
    if (!told) return clear(place);
    if (document.hidden) return;
    const image = Object.assign(new Image(), { alt: `What ${source} sees. ${told.words}` });
    image.onload = () => place.dataset.newest === String(told.number) && draw(place, image, told.words);
    image.src = `${base}/api/v1/sources/${source}/preview?number=${told.number}`;
  };
})();
