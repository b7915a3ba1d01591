/* The page Reports: the form, its files on their way, and what is under way. */
"use strict";

(() => {
  const { all, base, byId, functions } = mien;
  const ASKED = {
    film: "Films, or tables of mien analyze",
    meeting: "The recording, or a table of mien analyze; of several, all of one meeting",
    audience: "Recordings of people watching, or tables of mien analyze",
    album: "Photos",
  };
  const DROPPED = { film: "Drop films here", meeting: "Drop the recording and its transcript here", audience: "Drop recordings and a list of events here", album: "Drop photos here" };
  const PHOTOS = ".jpg,.jpeg,.png,.webp,.tif,.tiff,.bmp,.avif,.heic,.heif,.ppm,.pgm";
  const VIDEOS = ".mp4,.mkv,.mov,.avi,.webm,.m4v,.mpg,.mpeg,.ts,.wmv,.mxf,.flv,.3gp,.parquet,.csv,.jsonl";
  let kind = "film";
  let of = "files";
  let media = {};

  const say = (words, bad = false) => {
    const place = byId("report-said");
    if (!place) return;
    place.textContent = words;
    place.classList.toggle("bad", bad);
  };

  function show() {
    if (!byId("report")) return;
    if (kind === "album") of = "files";
    const press = (name, value) => all(`[data-${name}]`).forEach((one) => one.matches("button") && one.setAttribute("aria-pressed", String(one.dataset[name] === value)));
    press("kind", kind);
    press("of", of);
    all("[data-for]").forEach((one) => (one.hidden = !one.dataset.for.split(" ").includes(kind)));
    all("[data-made]").forEach((one) => (one.hidden = one.dataset.made !== of || !(one.dataset.for ?? kind).split(" ").includes(kind)));
    byId("period").hidden = of === "files" && kind !== "meeting"; // whose pictures may show a clock
    byId("files-are").textContent = ASKED[kind];
    byId("drop-asks").textContent = DROPPED[kind];
    byId("example").dataset.example = kind;
    byId("report-files").accept = kind === "album" ? PHOTOS : VIDEOS;
    const form = byId("report");
    form.elements.like.accept = PHOTOS;
    form.elements.transcript.required = kind === "meeting";
    form.elements.markers.closest("label").hidden = kind !== "audience" || of !== "store";
    offer();
  }

  function fill(select, names) {
    const chosen = new Set([...select.selectedOptions].map((option) => option.value));
    select.replaceChildren(...names.map((name) => new Option(name, name, false, chosen.has(name))));
  }

  function offer() {
    const names = media[kind === "album" ? "photo" : "recording"] ?? [];
    byId("media-field").hidden = !names.length;
    fill(byId("report").elements.media, names);
  }

  functions.media = (offered) => {
    media = offered;
    if (byId("report")) offer();
  };
  functions.storeSources = (names) => byId("report") && fill(byId("report").elements.source, names);
  functions.progress = (working) => {
    for (const [key, [share, words]] of Object.entries(working)) {
      const row = document.querySelector(`[data-report="${key}"]`);
      if (!row) continue;
      row.querySelector(".said").textContent = words;
      const bar = row.querySelector(".track");
      bar.firstChild.style.width = `${share ?? 0}%`;
      if (share === null) bar.removeAttribute("aria-valuenow");
      else bar.setAttribute("aria-valuenow", Math.round(share));
    }
  };

  async function told(answer) {
    const body = answer.status === 204 ? null : await answer.json().catch(() => null);
    if (!answer.ok) throw new Error(body?.error?.message ?? `the server answered ${answer.status}`);
    return body;
  }

  const send = async (file, place) => {
    const { id } = await mien.upload(file, (share) => say(`Sending ${file.name}${place}: ${Math.round(100 * share)}\u202f%`));
    return id;
  };

  async function order(form) {
    const fields = form.elements;
    const shown = (name) => !fields[name].closest("[hidden]") && fields[name].value !== "";
    const body = { kind };
    for (const name of ["moments", "offset", "baseline_s", "window_s", "best", "fps"]) if (shown(name)) body[name] = Number(fields[name].value);
    for (const name of ["consent", "emotion", "null", "calibrate"]) if (shown(name)) body[name] = fields[name].value;
    if (shown("markers") && fields.markers.checked) body.markers = true;
    if (shown("exports")) body.exports = [...fields.exports.selectedOptions].map((option) => option.value);
    if (shown("blur")) body.blur = fields.blur.checked;
    for (const name of ["everyone_smiles", "all_eyes_open", "everyone_looks"]) if (shown(name) && fields[name].checked) body[name] = true;
    if (shown("anonymous") && fields.anonymous.checked) body.anonymous = Number(fields.k.value);
    const extra = ["cast", "transcript", "events", "speakers", "lexicon", "seats", "treatment"].filter(shown);
    const files = of === "files" ? [...fields.files.files] : [];
    if (of === "files") body.media = [...fields.media.selectedOptions].map((option) => option.value);
    else {
      body.source = [...fields.source.selectedOptions].map((option) => option.value);
    }
    for (const name of ["from", "to"]) if (shown(name)) body[name] = fields[name].value;
    if (body.from || body.to) body.zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (of === "files" && !files.length && !body.media.length) throw new Error("Choose at least one file.");
    if (of === "store" && !body.source.length && !body.from && !body.to) throw new Error("Choose a source, or a period.");
    const like = shown("like") ? [...fields.like.files] : [];
    const count = files.length + extra.length + like.length;
    let number = 0;
    const place = () => ((number += 1), count > 1 ? ` (${number} of ${count})` : "");
    for (const name of extra) body[name] = await send(fields[name].files[0], place());
    body.files = [];
    for (const file of files) body.files.push(await send(file, place()));
    if (like.length) body.like = [];
    for (const file of like) body.like.push(await send(file, place()));
    return body;
  }

  async function make(form) {
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    try {
      const body = await order(form);
      const asked = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
      await told(await fetch(`${base}/api/v1/reports`, asked));
      form.reset();
      say("It is under way; you may leave this page.");
    } catch (error) {
      say(error.message, true);
    } finally {
      button.disabled = false;
    }
  }

  /* What is dropped goes where its ending belongs: transcripts and lists to their fields, all else to the files. */
  const TEXTS = { meeting: ["transcript", ".vtt .srt .sbv .ass .ssa .json .txt .docx"], audience: ["events", ".csv .srt .vtt .sbv .ass .ssa .json"] };
  function take(dropped) {
    const form = byId("report");
    const [field, endings] = TEXTS[kind] ?? ["", ""];
    const isText = (file) => endings.split(" ").includes(`.${file.name.split(".").pop().toLowerCase()}`);
    const put = (input, files) => {
      const list = new DataTransfer();
      files.forEach((file) => list.items.add(file));
      input.files = list.files;
    };
    const texts = dropped.filter(isText).slice(0, 1);
    const rest = dropped.filter((file) => !texts.includes(file));
    if (texts.length) put(form.elements[field], texts);
    if (rest.length) put(form.elements.files, [...form.elements.files.files, ...rest]);
    say(`${dropped.length === 1 ? dropped[0].name : `${dropped.length} files`}: taken into the form.`);
  }

  async function example(kind) {
    try {
      const made = await told(await fetch(`${base}/api/v1/examples/${kind}`, { method: "POST" }));
      if (made.state === "done") open(made.files[0], "_blank", "noopener");
      else say("The example is drawn and analysed; it comes under Finished in some seconds.");
    } catch (error) {
      say(error.message, true);
    }
  }

  /* The names that were read off a meeting's picture: a row a tile, each with a field for its name. */
  const seconds = (time) => `${Math.floor(time / 60)}:${String(Math.floor(time % 60)).padStart(2, "0")}`;
  async function openNames(key) {
    const dialog = byId("naming");
    try {
      const { rows, speakers } = await told(await fetch(`${base}/api/v1/reports/${key}/names`));
      dialog.dataset.key = key;
      byId("naming-said").textContent = "";
      byId("speakers").replaceChildren(...speakers.map((name) => new Option(name, name)));
      byId("tiles").replaceChildren(
        ...rows.map((row, number) => {
          const line = document.createElement("tr");
          const place = Object.assign(document.createElement("span"), { className: "place", title: `${Math.round(100 * row.x)}\u202f% across, ${Math.round(100 * row.y)}\u202f% down` });
          const spot = document.createElement("i");
          Object.assign(spot.style, { left: `${100 * row.x}%`, top: `${100 * row.y}%`, width: `${100 * row.width}%`, height: `${100 * row.height}%` });
          place.append(spot);
          const name = Object.assign(document.createElement("input"), { value: row.speaker, maxLength: 200, name: `name-${number}` });
          name.setAttribute("list", "speakers");
          name.setAttribute("aria-label", `Name of tile ${number + 1}`);
          const cells = [place, name, seconds(row.start), row.end === null ? "end" : seconds(row.end), row.found_by, `${Math.round(100 * row.certainty)}\u202f%`];
          cells.forEach((content, index) => {
            const cell = document.createElement("td");
            if ([0, 1, 4].includes(index)) cell.className = "word";
            cell.append(content);
            line.append(cell);
          });
          return line;
        }),
      );
      dialog.showModal();
    } catch (error) {
      say(error.message, true);
    }
  }

  async function correct(form) {
    const dialog = byId("naming");
    const names = all("input", form).map((field) => field.value.trim());
    try {
      const asked = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ names }) };
      await told(await fetch(`${base}/api/v1/reports/${dialog.dataset.key}/names`, asked));
      dialog.close();
      say("The report is made again with these names.");
    } catch (error) {
      byId("naming-said").textContent = `${error.message}.`;
    }
  }

  async function remove(key) {
    try {
      await told(await fetch(`${base}/api/v1/reports/${key}`, { method: "DELETE" }));
    } catch (error) {
      say(error.message, true);
    }
  }

  document.addEventListener("click", (event) => {
    const data = event.target.closest("button")?.dataset ?? {};
    if (data.kind) kind = data.kind;
    if (data.of) of = data.of;
    if (data.kind || data.of) {
      say("");
      show();
    }
    if (data.stop || data.delete) remove(data.stop ?? data.delete);
    if (data.names) openNames(data.names);
    if (data.naming) byId("naming").close();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-example]");
    if (!link) return;
    example(link.dataset.example);
  });
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      if (!byId("report")) return;
      event.preventDefault();
      byId("drop").classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) take([...event.dataTransfer.files]);
    });
  }
  document.addEventListener("submit", (event) => {
    if (!["report", "names"].includes(event.target.id)) return;
    event.preventDefault();
    if (event.target.id === "names") correct(event.target);
    else make(event.target);
  });
  addEventListener("beforeunload", (event) => mien.isSending() && event.preventDefault());
  mien.listeners.push(show);
})();
