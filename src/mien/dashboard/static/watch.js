/* A film beside the curve of its report: the curve comes with the report, the film from this computer or, of an example, with it. */
"use strict";

(() => {
  const { SHOWN, all, base, byId } = mien;
  const capital = (word) => word[0].toUpperCase() + word.slice(1);
  let course = { films: [] };
  let film = null;
  let player = null;

  async function begin() {
    const place = byId("watch");
    const answer = await fetch(`${base}/reports/${place.dataset.report}/course.json`).catch(() => null);
    if (!answer?.ok) return (byId("watch-said").textContent = "The report's curve is not there any more.");
    course = await answer.json();
    const video = byId("film");
    player = mien.player(byId("player"), video);
    byId("films").hidden = course.films.length < 2;
    byId("films").replaceChildren(
      ...course.films.map(({ name }, number) => {
        const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
        button.dataset.film = String(number);
        return button;
      }),
    );
    choose(0);
    player.onmove(bars);
    const chosen = byId("file").files[0]; // before anything listened
    if (chosen) useFile(chosen);
    else if (place.dataset.video) use(`${base}/reports/${place.dataset.report}/${encodeURIComponent(place.dataset.video)}`);
  }

  function choose(number) {
    film = course.films[number];
    if (!film) return;
    all("[data-film]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.film === String(number))));
    byId("film-name").textContent = film.name;
    player.draw(SHOWN.map((name) => film.bands[name]), film.seconds);
    player.seek(0);
    byId("moments").replaceChildren(
      ...film.moments
        .toSorted((a, b) => a.at - b.at)
        .map(({ emotion, at, value }) => {
          const button = Object.assign(document.createElement("button"), { type: "button" });
          button.dataset.at = String(at);
          const dot = Object.assign(document.createElement("i"), { className: `dot ${emotion}` });
          const words = Object.assign(document.createElement("span"), { textContent: `${capital(emotion)} ${Math.round(100 * value)}\u202f%` });
          const time = Object.assign(document.createElement("time"), { textContent: mien.clock(at) });
          button.append(dot, words, time);
          const row = document.createElement("li");
          row.append(button);
          return row;
        }),
    );
  }

  /* What the curve says of the moment that is shown. */
  function bars(at) {
    if (!film) return;
    const count = film.bands.happy.length;
    const bin = Math.min(count - 1, Math.floor((at / film.seconds) * count));
    byId("now-bars").replaceChildren(
      ...SHOWN.map((name) => {
        const row = document.createElement("p");
        const share = film.bands[name][bin];
        const [word, track, value] = ["span", "span", "span"].map((tag) => document.createElement(tag));
        word.textContent = capital(name);
        track.className = "track";
        track.append(Object.assign(document.createElement("i"), { className: name }));
        track.firstChild.style.setProperty("--share", `${100 * (share ?? 0)}%`);
        value.textContent = share === null ? "–" : `${Math.round(100 * share)}\u202f%`;
        row.append(word, track, value);
        return row;
      }),
    );
  }

  function use(url) {
    const video = byId("film");
    if (video.src.startsWith("blob:")) URL.revokeObjectURL(video.src);
    video.onerror = () => {
      byId("drop").classList.remove("busy");
      byId("watch-said").textContent = "This browser cannot show that film; its curve can be read all the same.";
    };
    video.src = url;
    byId("drop").classList.add("busy");
    byId("watch-said").textContent = "";
  }

  const useFile = (file) => file && use(URL.createObjectURL(file));
  document.addEventListener("click", (event) => {
    const { film: number, at } = event.target.closest("button")?.dataset ?? {};
    if (number) choose(Number(number));
    else if (at) player.seek(Number(at));
  });
  document.addEventListener("change", (event) => event.target.id === "file" && useFile(event.target.files[0]));
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      byId("drop").classList.toggle("over", name === "dragover");
      if (name === "drop") useFile(event.dataTransfer.files[0]);
    });
  }
  document.addEventListener("DOMContentLoaded", begin);
})();
