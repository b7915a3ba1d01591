/* The page Try it: pictures of this browser go to /api/v1/analyze one after the other, and boxes come back. */
"use strict";

(() => {
  const { SHOWN, all, base, byId } = mien;
  const SIDE = 640; // frames are sent at most this large, in pixels: the detector sees no more
  const BINS = 240;
  const PICTURES = ["heic", "heif", "tif", "tiff", "avif", "ppm", "pgm"]; // browsers do not know the type of all of them
  const VIDEOS = ["mkv", "mov", "avi", "m4v", "mpg", "mpeg", "ts", "wmv", "mxf", "flv", "3gp"];
  const PAUSE_MS = 40;
  const EVEN_S = 0.25; // time constant of the evening out of what a face shows
  const KEPT_S = 1; // a face that was not found for so long is gone

  const canvas = document.createElement("canvas");
  let run = 0; // each start and each stop ends what ran before
  let tracks = [];
  let number = 0;
  let seconds = []; // of the last minute: [second, frames, sum per emotion]
  let times = [];
  let samples = []; // of a video: what its frames showed, in order
  let frame = null; // what the server said last of it
  let shownSample = null;
  let player = null;
  let kept = ""; // the video that the server has
  let blind = false; // whether this browser cannot show it

  const say = (words) => (byId("try-said").textContent = words);
  const film = () => byId("film");

  function stop(words = "") {
    run += 1;
    mien.stopSending();
    const video = film();
    video.srcObject?.getTracks().forEach((track) => track.stop());
    for (const medium of [video, byId("photo")]) {
      if (medium.src.startsWith("blob:")) URL.revokeObjectURL(medium.src);
      medium.removeAttribute("src");
      medium.hidden = true;
    }
    video.srcObject = null;
    video.onloadeddata = video.onerror = null;
    video.loop = false;
    player?.close();
    if (kept) forget(kept);
    [samples, frame, shownSample, player, kept, blind] = [[], null, null, null, "", false];
    byId("player").hidden = true;
    all("#player :is([data-try=happiest], a)").forEach((part) => (part.hidden = true));
    tracks = [];
    seconds = [];
    times = [];
    number = 0;
    mien.functions.stage(null, "try");
    byId("drop").classList.remove("busy", "mirror", "blind", "drawn");
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
    const ending = file.name.split(".").pop().toLowerCase();
    if (file.type.startsWith("image/") || PICTURES.includes(ending)) usePhoto(file);
    else if (file.type.startsWith("video/") || VIDEOS.includes(ending)) useVideo(file);
    else stop(`'${file.name}' is neither a photo nor a video.`);
  }

  /* The file itself goes to the server, so that the page says what `mien analyze` says of it. */
  async function usePhoto(file) {
    const picture = byId("photo");
    const mine = begin(picture);
    const url = (picture.src = URL.createObjectURL(file));
    const [shown, seen] = await Promise.all([
      picture.decode().then(() => true, () => false),
      ask(file).catch((error) => error),
    ]);
    if (mine !== run) return URL.revokeObjectURL(url);
    if (seen instanceof Error) return stop(`'${file.name}' cannot be analysed: ${seen.message}.`);
    byId("drop").classList.toggle("blind", !shown);
    draw(seen, match(seen.faces, false));
    facts(seen, false);
    if (!shown) say(`This browser cannot show '${file.name}': here is where its faces are.`);
  }

  /* A video is sent whole, read by the server, and shown here meanwhile. Who may not send files has it read picture by
     picture, as a camera is. */
  async function useVideo(file) {
    const video = film();
    const mine = begin(video);
    video.src = URL.createObjectURL(file);
    const shown = new Promise((resolve) => {
      video.onloadeddata = () => resolve(video.videoWidth > 0);
      video.onerror = () => resolve(false);
    });
    if (byId("content").dataset.role === "viewer") {
      if (!(await shown)) return mine === run && stop(`This browser cannot show '${file.name}': mien analyze reads what FFmpeg reads.`);
      video.loop = true;
      await video.play().catch(() => {});
      document.querySelector(".trial .stream").hidden = false;
      return follow(mine);
    }
    read(file, mine).catch((error) => mine === run && stop(`'${file.name}' cannot be analysed: ${error.message}.`));
    const can = await shown;
    if (mine !== run) return;
    if (can) return video.play().catch(() => {});
    blind = true;
    video.hidden = true;
    byId("drop").classList.add("blind");
    say(`This browser cannot show '${file.name}'; the machine that runs Mien reads it all the same.`);
  }

  async function read(file, mine) {
    const sent = await mien.upload(file, (share) => mine === run && (byId("try-facts").textContent = `Sending: ${Math.round(100 * share)}\u202f%`));
    const { id } = await api("POST", "videos", { file: sent.id });
    if (mine !== run) return forget(id);
    kept = id;
    const place = byId("player");
    place.hidden = false;
    const media = (player = mien.player(place, film()));
    media.onmove((at) => mine === run && showAt(at));
    let [told, next] = [null, 0];
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    do {
      told = await api("GET", `videos/${id}?start=${next}`);
      if (mine !== run) return;
      samples.push(...told.samples);
      const more = told.next > next && told.samples.length > 100;
      next = told.next;
      frame = told;
      if (told.seconds) media.draw(mien.bandsOf(samples, lengthOf(told), BINS), lengthOf(told));
      showAt(place.at ?? 0);
      await wait(more ? 20 : 300);
    } while (!told.ended || told.samples.length);
    if (!told.frames) return stop(`'${file.name}' cannot be analysed: ${told.failed}.`);
    ended(told, id, media);
  }

  /* How long the video is: as the browser says, else as far as can be told from what was read. */
  function lengthOf(told) {
    if (!blind && isFinite(film().duration)) return film().duration;
    const left = told.ended || !told.expected ? 1 : Math.max(1, told.expected / Math.max(1, told.frames));
    return (told.seconds || 0.1) * left;
  }

  function ended(told, id, media) {
    const happiest = document.querySelector("[data-try=happiest]");
    happiest.hidden = told.happiest_s === null;
    happiest.textContent = `Happiest at ${mien.clock(told.happiest_s ?? 0)}`;
    happiest.onclick = () => media.seek(told.happiest_s);
    for (const kind of ["csv", "annotated"]) {
      const link = document.querySelector(`[data-try=${kind}]`);
      link.href = `${base}/api/v1/videos/${id}/${kind}`;
      link.hidden = false;
    }
    if (blind) say(`This browser cannot show '${told.name}': what you see is the annotated video.`);
    else if (told.failed) say(told.failed);
    else if (told.notes.length) say(told.notes.join(" "));
    if (!blind) return;
    const video = film(); // what it cannot show, it can as an MP4 with the faces drawn in
    byId("drop").classList.remove("blind");
    byId("drop").classList.add("drawn");
    video.onerror = null;
    video.src = `${base}/api/v1/videos/${id}/annotated`;
    video.hidden = false;
    video.play().catch(() => {});
  }

  /* The faces of the last sample before a time. */
  function showAt(at) {
    byId("player").at = at;
    if (!frame) return;
    let [low, high] = [0, samples.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (samples[middle].at <= at + 0.02) low = middle + 1;
      else high = middle;
    }
    const sample = samples[low - 1];
    const near = sample && at - sample.at < 0.5;
    const faces = near ? sample.faces.map(({ track, box, emotion, probabilities }) => ({ id: track, box, shares: probabilities, emotion })) : [];
    if (shownSample !== (near ? sample : null) || !near) {
      shownSample = near ? sample : null;
      draw(frame, faces);
    }
    const part = frame.ended ? `${frame.frames.toLocaleString("en")} frames` : `Reading: ${frame.frames.toLocaleString("en")} frames${frame.expected ? `, ${Math.min(99, Math.round((100 * frame.frames) / frame.expected))}\u202f%` : ""}`;
    const words = [part, near ? many(faces.length) : frame.ended ? "No frame here" : "not read yet here", frame.model];
    byId("try-facts").textContent = words.filter(Boolean).join(" · ");
  }

  function forget(id) {
    fetch(`${base}/api/v1/videos/${id}`, { method: "DELETE", keepalive: true }).catch(() => {});
  }

  async function useSample(name) {
    const mine = stop(name.endsWith(".mp4") ? "Drawing the clip: the first time this takes a few seconds …" : "");
    try {
      const answer = await fetch(`${base}/samples/${name}`);
      if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.error?.message ?? `the server answered ${answer.status}`);
      const content = await answer.blob();
      if (mine === run) useFile(new File([content], name, { type: content.type }));
    } catch (error) {
      if (mine === run) say(`The sample cannot be had: ${error.message}.`);
    }
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
        const seen = await analyse(video, video.videoWidth, video.videoHeight);
        if (mine !== run) return;
        failures = 0;
        const faces = match(seen.faces, true);
        draw(seen, faces);
        facts(seen, true);
        count(faces);
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

  async function api(method, path, body) {
    const headers = body ? { "content-type": "application/json" } : {};
    const answer = await fetch(`${base}/api/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
    const told = await answer.json().catch(() => null);
    if (!answer.ok) throw new Error(told?.error?.message ?? `the server answered ${answer.status}`);
    return told;
  }

  async function ask(picture) {
    const began = performance.now();
    const answer = await fetch(`${base}/api/v1/analyze`, { method: "POST", body: picture, headers: { "content-type": "application/octet-stream" } });
    const seen = await answer.json().catch(() => null);
    if (!answer.ok) throw new Error(seen?.error?.message ?? `the server answered ${answer.status}`);
    return { ...seen, took: performance.now() - began };
  }

  async function analyse(medium, width, height) {
    const scale = Math.min(1, SIDE / Math.max(width, height));
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    canvas.getContext("2d").drawImage(medium, 0, 0, canvas.width, canvas.height);
    return ask(await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.88)));
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
      Object.assign(track, { box: face.box, shares, at: now, emotion: moving && face.emotion ? strongest(shares) : face.emotion });
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

  function draw(seen, faces) {
    const mirrored = byId("drop").classList.contains("mirror");
    mien.functions.stage(
      {
        ratio: (seen.width / seen.height).toFixed(4),
        faces: byId("drop").classList.contains("drawn") ? [] : faces.map(({ id, box: [x, y, w, h], shares, emotion }) => ({
          key: String(id),
          number: String(id),
          box: [(100 * (mirrored ? seen.width - x - w : x)) / seen.width, (100 * y) / seen.height, (100 * w) / seen.width, (100 * h) / seen.height],
          emotion: emotion ?? "unclear",
          label: emotion ? `${capital(emotion)} ${percent(shares[emotion])}` : "Unclear",
        })),
      },
      "try",
    );
    list(faces);
  }

  function list(faces) {
    const place = byId("try-faces");
    const rows = faces.slice(0, 8).map(({ id, shares, emotion }) => {
      const row = document.createElement("div");
      row.className = "bars";
      row.dataset.face = String(id);
      row.tabIndex = -1;
      const title = document.createElement("h3");
      title.textContent = `Face ${id}: ${emotion ?? "unclear"}`;
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

  const many = (faces) => (faces === 1 ? "1 face" : `${faces || "No"} faces`).replace("No faces", "No face");

  function facts(seen, moving) {
    const now = performance.now();
    times = [...times, now].filter((time) => now - time < 3000);
    const rate = times.length > 1 ? ((times.length - 1) * 1000) / (now - times[0]) : 0;
    const words = [many(seen.faces.length), `${Math.round(seen.took)} ms a picture`];
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
    const sample = event.target.closest("[data-sample]")?.dataset.sample;
    if (sample) useSample(sample);
    else if (action === "camera") useCamera();
    else if (action === "stop") stop();
  });
  const take = (chosen) => {
    useFile(chosen.files[0]);
    chosen.value = "";
  };
  document.addEventListener("change", (event) => event.target.id === "file" && take(event.target));
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      all("#drop").forEach((place) => place.classList.toggle("over", name === "dragover"));
      if (name === "drop") useFile(event.dataTransfer.files[0]);
    });
  }
  addEventListener("pagehide", () => stop());
  take(byId("file")); // what was chosen before anything listened
})();
