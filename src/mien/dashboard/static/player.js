/* A video with its emotion curve: a place on the curve is a place in the video. Used by Try it and beside reports. */
"use strict";

(() => {
  const { SHOWN } = mien;
  const STEP_S = 1;
  const JUMP_S = 10;
  const NEAR_S = 0.5;

  const clock = (seconds) => {
    const whole = Math.max(0, Math.floor(seconds));
    const rest = `${Math.floor((whole % 3600) / 60)}:${String(whole % 60).padStart(2, "0")}`;
    return whole >= 3600 ? `${Math.floor(whole / 3600)}:${rest.padStart(5, "0")}` : rest;
  };

  /* place: what holds [data-curve], [data-play] and [data-clock]; video: may have nothing to show, then it is a ruler. */
  function player(place, video) {
    const curve = place.querySelector("[data-curve]");
    const [drawing, head] = [curve.querySelector("svg"), curve.querySelector("i")];
    const button = place.querySelector("[data-play]");
    const words = place.querySelector("[data-clock]");
    const over = new AbortController();
    const listen = (target, name, act) => target.addEventListener(name, act, { signal: over.signal });
    let seconds = 0;
    let at = 0;
    let moved = () => {};

    const length = () => seconds || (isFinite(video.duration) && video.duration) || 0;

    function show() {
      if (length()) at = video.readyState ? video.currentTime : at;
      const share = length() ? Math.min(1, at / length()) : 0;
      head.style.left = `${100 * share}%`;
      words.textContent = `${clock(at)} / ${clock(length())}`;
      curve.setAttribute("aria-valuemax", Math.round(length()));
      curve.setAttribute("aria-valuenow", Math.round(at));
      curve.setAttribute("aria-valuetext", `${clock(at)} of ${clock(length())}`);
      button.querySelector("span").textContent = video.paused ? "Play" : "Pause";
      button.querySelector("use").setAttribute("href", `${mien.base}/assets/icons.svg#${video.paused ? "play" : "pause"}`);
      moved(at);
    }

    function seek(to) {
      at = Math.min(Math.max(0, to), length());
      if (video.readyState) video.currentTime = at;
      show();
    }

    const toggle = () => (video.paused ? video.play().catch(() => {}) : video.pause());
    const under = (event) => {
      const { left, width } = curve.getBoundingClientRect();
      seek(((event.clientX - left) / width) * length());
    };
    listen(button, "click", toggle);
    listen(curve, "pointerdown", (event) => {
      curve.setPointerCapture(event.pointerId);
      under(event);
    });
    listen(curve, "pointermove", (event) => curve.hasPointerCapture(event.pointerId) && under(event));
    listen(curve, "keydown", (event) => {
      const by = { ArrowLeft: -STEP_S, ArrowDown: -STEP_S, ArrowRight: STEP_S, ArrowUp: STEP_S, PageDown: -JUMP_S, PageUp: JUMP_S, Home: -Infinity, End: Infinity }[event.key];
      if (by !== undefined) seek(at + by);
      else if (event.key === " ") toggle();
      else return;
      event.preventDefault();
    });
    for (const name of ["play", "pause", "seeked", "loadedmetadata", "ended"]) listen(video, name, show);
    (function turn() {
      if (over.signal.aborted) return;
      if (!video.paused) show();
      requestAnimationFrame(turn);
    })();

    return {
      /* bands: for each emotion its share at each of so many equal stretches, 0 to 1; null: nobody in view. */
      draw(bands, whole) {
        seconds = whole;
        const count = bands[0].length;
        const x = (index) => ((index / count) * 600).toFixed(2);
        if (drawing.children.length !== bands.length) {
          drawing.replaceChildren(
            ...SHOWN.map((emotion) => {
              const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
              path.style.fill = `var(--${emotion})`;
              return path;
            }),
          );
        }
        const low = Array(count).fill(100);
        bands.forEach((band, row) => {
          let path = "";
          band.forEach((share, index) => {
            if (share === null) return;
            const high = low[index] - 100 * share;
            path += `M${x(index)} ${low[index].toFixed(2)}H${x(index + 1)}V${high.toFixed(2)}H${x(index)}Z`;
            low[index] = high;
          });
          drawing.children[row].setAttribute("d", path);
        });
        show();
      },
      seek,
      onmove(act) {
        moved = act;
        show();
      },
      close() {
        over.abort();
        drawing.replaceChildren();
      },
    };
  }

  /* From faces at times to bands: the mean over the faces of each stretch. One in which no frame was looked at is as the
     one before it, where that is near. */
  function bandsOf(samples, seconds, count) {
    const sums = Array.from({ length: count }, () => ({ looks: 0, faces: 0, shares: SHOWN.map(() => 0) }));
    for (const { at, faces } of samples) {
      const bin = sums[Math.min(count - 1, Math.max(0, Math.floor((at / seconds) * count)))];
      bin.looks += 1;
      for (const { probabilities } of faces) {
        bin.faces += 1;
        SHOWN.forEach((name, row) => (bin.shares[row] += probabilities[name]));
      }
    }
    const reach = Math.ceil((NEAR_S / seconds) * count);
    const known = sums.map((bin, index) => (bin.looks ? bin : sums.slice(Math.max(0, index - reach), index).findLast((one) => one.looks)));
    const last = sums.findLastIndex((bin) => bin.looks);
    return SHOWN.map((_, row) => known.map((bin, index) => (bin?.faces && index <= last ? bin.shares[row] / bin.faces : null)));
  }

  /* What is shown keeps its shape, and takes as much room as there is. */
  for (const name of ["loadedmetadata", "load"]) {
    document.addEventListener(name, ({ target }) => {
      const place = target.closest?.(".screen");
      const [width, height] = [target.videoWidth || target.naturalWidth, target.videoHeight || target.naturalHeight];
      if (place && width && height) place.style.setProperty("--ratio", (width / height).toFixed(4));
    }, true);
  }

  Object.assign(window.mien, { player, bandsOf, clock });
})();
