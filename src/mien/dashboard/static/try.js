/* The page Try it: pictures of this browser go to /api/v1/analyze one after the other, and boxes come back. */
"use strict";

(() => {
  const { SHOWN, all, base, byId } = mien;
  const SIDE = 640; // frames are sent at most this large, in pixels: the detector sees no more
  const PHOTO_SIDE = 2560;
  const PAUSE_MS = 40;
  const EVEN_S = 0.25; // time constant of the evening out of what a face shows
  const KEPT_S = 1; // a face that was not found for so long is gone

  const canvas = document.createElement("canvas");
  let run = 0; // each start and each stop ends what ran before
  let tracks = [];
  let number = 0;
  let seconds = []; // of the last minute: [second, frames, sum per emotion]
  let times = [];

  const say = (words) => (byId("try-said").textContent = words);
  const film = () => byId("film");

  function stop(words = "") {
    run += 1;
    const video = film();
    video.srcObject?.getTracks().forEach((track) => track.stop());
    for (const medium of [video, byId("photo")]) {
      if (medium.src.startsWith("blob:")) URL.revokeObjectURL(medium.src);
      medium.removeAttribute("src");
      medium.hidden = true;
    }
    video.srcObject = null;
    video.onended = video.onerror = null;
    tracks = [];
    seconds = [];
    times = [];
    number = 0;
    mien.functions.stage(null, "try");
    byId("drop").classList.remove("busy", "mirror");
    document.querySelector("[data-try=stop]").hidden = true;
    byId("try-faces").replaceChildren();
    document.querySelector(".trial .stream").hidden = true;
    byId("try-facts").textContent = "What the faces show stands here.";
    say(words);
    return run;
  }

  function begin(medium) {
    const mine = stop();
    medium.hidden = false;
    byId("drop").classList.add("busy");
    document.querySelector("[data-try=stop]").hidden = false;
    return mine;
  }

  async function useCamera() {
    if (!navigator.mediaDevices?.getUserMedia) {
      return say("A browser gives its camera only to pages of this machine, or over HTTPS: see --tls-cert.");
    }
    const mine = begin(film());
    byId("drop").classList.add("mirror");
    try {
      const given = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, facingMode: "user" } });
      if (mine !== run) return given.getTracks().forEach((track) => track.stop());
      film().srcObject = given;
      await film().play();
      document.querySelector(".trial .stream").hidden = false;
      follow(mine);
    } catch (error) {
      if (mine === run) stop(`The camera cannot be used: ${error.message}.`);
    }
  }

  function useFile(file) {
    if (!file) return;
    if (file.type.startsWith("image/")) usePhoto(file);
    else if (file.type.startsWith("video/")) useVideo(file);
    else stop(`'${file.name}' is neither a photo nor a video.`);
  }

  async function usePhoto(file) {
    const picture = byId("photo");
    const mine = begin(picture);
    picture.src = URL.createObjectURL(file);
    try {
      await picture.decode();
    } catch {
      if (mine === run) stop(`This browser cannot show '${file.name}'; mien analyze may read it.`);
      return;
    }
    if (mine !== run) return;
    try {
      const seen = await analyse(picture, picture.naturalWidth, picture.naturalHeight, PHOTO_SIDE);
      if (mine === run) draw(seen, false);
    } catch (error) {
      if (mine === run) say(`The photo cannot be analysed: ${error.message}.`);
    }
  }

  async function useVideo(file) {
    const video = film();
    const mine = begin(video);
    const cannot = () => mine === run && stop(`This browser cannot play '${file.name}'; mien analyze reads what FFmpeg reads.`);
    video.src = URL.createObjectURL(file);
    video.loop = true;
    video.onerror = cannot;
    try {
      await video.play();
    } catch {
      return cannot();
    }
    if (mine !== run) return;
    document.querySelector(".trial .stream").hidden = false;
    follow(mine);
  }

  /* One frame at a time: the next is taken when the answer is there, so nothing piles up. */
  async function follow(mine) {
    const video = film();
    let failures = 0;
    while (mine === run) {
      if (document.hidden || video.readyState < 2) {
        await pause(200);
        continue;
      }
      try {
        const seen = await analyse(video, video.videoWidth, video.videoHeight, SIDE);
        if (mine !== run) return;
        failures = 0;
        draw(seen, true);
        await pause(PAUSE_MS);
      } catch (error) {
        if (mine !== run) return;
        failures += 1;
        say(`No answer: ${error.message}; trying again.`);
        await pause(Math.min(500 * failures, 5000));
      }
    }
  }

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  async function analyse(medium, width, height, side) {
    const scale = Math.min(1, side / Math.max(width, height));
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    canvas.getContext("2d").drawImage(medium, 0, 0, canvas.width, canvas.height);
    const picture = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.88));
    const began = performance.now();
    const answer = await fetch(`${base}/api/v1/analyze`, { method: "POST", body: picture, headers: { "content-type": "application/octet-stream" } });
    const seen = await answer.json().catch(() => null);
    if (!answer.ok) throw new Error(seen?.error?.message ?? `the server answered ${answer.status}`);
    return { ...seen, width: canvas.width, height: canvas.height, took: performance.now() - began };
  }

  /* Faces keep their number from frame to frame, and what they show is evened out, as in a watched source. */
  function match(faces, moving) {
    const now = performance.now() / 1000;
    const free = new Set(tracks);
    const found = faces.map((face) => {
      const near = [...free].map((track) => [overlap(track.box, face.box), track]).sort((a, b) => b[0] - a[0])[0];
      const track = moving && near?.[0] > 0.2 ? near[1] : { id: ++number, shares: face.probabilities, at: now };
      free.delete(track);
      const weight = 1 - Math.exp(-(now - track.at) / EVEN_S) || 1;
      const shares = Object.fromEntries(SHOWN.map((name) => [name, track.shares[name] + weight * (face.probabilities[name] - track.shares[name])]));
      Object.assign(track, { box: face.box, shares, at: now, sure: face.emotion !== null });
      return track;
    });
    tracks = [...found, ...[...free].filter((track) => now - track.at < KEPT_S)];
    return found.sort((a, b) => a.id - b.id);
  }

  function overlap([x, y, w, h], [u, v, b, k]) {
    const across = Math.min(x + w, u + b) - Math.max(x, u);
    const down = Math.min(y + h, v + k) - Math.max(y, v);
    const both = Math.max(0, across) * Math.max(0, down);
    return both / (w * h + b * k - both);
  }

  const strongest = (shares) => SHOWN.reduce((top, name) => (shares[name] > shares[top] ? name : top));
  const percent = (share) => `${Math.round(100 * share)}\u202f%`;
  const capital = (word) => word[0].toUpperCase() + word.slice(1);

  function draw(seen, moving) {
    const mirrored = byId("drop").classList.contains("mirror");
    const faces = match(seen.faces, moving);
    mien.functions.stage(
      {
        ratio: (seen.width / seen.height).toFixed(4),
        faces: faces.map(({ id, box: [x, y, w, h], shares, sure }) => {
          const left = (100 * (mirrored ? seen.width - x - w : x)) / seen.width;
          const top = strongest(shares);
          return {
            key: String(id),
            number: String(id),
            box: [left, (100 * y) / seen.height, (100 * w) / seen.width, (100 * h) / seen.height],
            emotion: sure ? top : "unclear",
            label: sure ? `${capital(top)} ${percent(shares[top])}` : "Unclear",
          };
        }),
      },
      "try",
    );
    list(faces);
    facts(seen, faces.length, moving);
    if (moving) count(faces);
  }

  function list(faces) {
    const place = byId("try-faces");
    const rows = faces.slice(0, 8).map(({ id, shares, sure }) => {
      const row = document.createElement("div");
      row.className = "bars";
      row.dataset.face = String(id);
      row.tabIndex = -1;
      const title = document.createElement("h3");
      title.textContent = `Face ${id}: ${sure ? strongest(shares) : "unclear"}`;
      row.append(title);
      for (const name of SHOWN) {
        const bar = document.createElement("p");
        const [word, track, value] = ["span", "span", "span"].map((tag) => document.createElement(tag));
        word.textContent = capital(name);
        track.className = "track";
        track.append(Object.assign(document.createElement("i"), { className: name }));
        track.firstChild.style.setProperty("--share", `${(100 * shares[name]).toFixed(1)}%`);
        value.textContent = percent(shares[name]);
        bar.append(word, track, value);
        row.append(bar);
      }
      return row;
    });
    place.replaceChildren(...rows);
    if (faces.length > rows.length) place.append(`and ${faces.length - rows.length} more`);
  }

  function facts(seen, faces, moving) {
    const now = performance.now();
    times = [...times, now].filter((time) => now - time < 3000);
    const rate = times.length > 1 ? ((times.length - 1) * 1000) / (now - times[0]) : 0;
    const words = [faces === 1 ? "1 face" : `${faces || "No"} face${faces ? "s" : ""}`, `${Math.round(seen.took)} ms a picture`];
    if (moving && rate) words.push(`${rate.toFixed(1)} pictures/s`);
    byId("try-facts").textContent = [...words, seen.model].join(" · ");
    if (byId("try-said").textContent.startsWith("No answer")) say("");
  }

  function count(faces) {
    const second = Math.floor(performance.now() / 1000);
    if (seconds.at(-1)?.[0] !== second) seconds.push([second, 0, SHOWN.map(() => 0)]);
    const last = seconds.at(-1);
    last[1] += 1;
    faces.forEach(({ shares }) => SHOWN.forEach((name, place) => (last[2][place] += shares[name])));
    seconds = seconds.filter(([at]) => second - at < 60);
    const bands = SHOWN.map((_, place) =>
      Array.from({ length: 60 }, (_, back) => {
        const one = seconds.find(([at]) => at === second - 59 + back);
        return one ? Math.round((100 * one[2][place]) / one[1]) : 0;
      }),
    );
    mien.stream(bands, "try");
  }

  document.addEventListener("click", (event) => {
    const action = event.target.closest("[data-try]")?.dataset.try;
    if (action === "camera") useCamera();
    else if (action === "stop") stop();
  });
  document.addEventListener("change", (event) => {
    if (event.target.id !== "file") return;
    useFile(event.target.files[0]);
    event.target.value = "";
  });
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      all("#drop").forEach((place) => place.classList.toggle("over", name === "dragover"));
      if (name === "drop") useFile(event.dataTransfer.files[0]);
    });
  }
  addEventListener("pagehide", () => stop());
})();
