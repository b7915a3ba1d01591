/* The page System: alert rules, made, tried out and deleted by admins. */
"use strict";

(() => {
  const { all, base, byId } = mien;
  const ON = { share: "Tells you when", offline: "Tells you when a source is offline", drops: "Tells you when a full outbox drops", store: "Tells you when the store cannot be written" };
  const say = (words) => (byId("alert-said").textContent = words);

  async function ask(method, path, body) {
    const headers = body ? { "content-type": "application/json" } : {};
    const answer = await fetch(`${base}/api/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
    const told = answer.status === 204 ? null : await answer.json().catch(() => null);
    if (!answer.ok) throw new Error(told?.error?.message ?? `the server answered ${answer.status}`);
    return told;
  }

  function words(rule) {
    const limit = rule.above ?? rule.below;
    const what = rule.on === "share" ? `${ON.share} ${rule.emotion} is ${rule.above === null ? "below" : "above"} ${Math.round(1000 * limit) / 10}\u202f% of the faces in ${rule.window_s} s` : ON[rule.on];
    const after = ["offline", "store"].includes(rule.on) ? ` for ${rule.after_s} s` : "";
    const where = rule.on === "store" ? "" : `, ${rule.source ?? "each source"}`;
    return `${what}${after}${where}${rule.webhook ? ", to a web address too" : ""}`;
  }

  async function list() {
    const place = byId("alerts");
    try {
      const rules = await ask("GET", "alerts");
      place.replaceChildren(
        ...rules.map((rule) => {
          const row = document.createElement("li");
          const name = Object.assign(document.createElement("b"), { textContent: rule.name });
          const text = Object.assign(document.createElement("span"), { textContent: words(rule) });
          row.append(name, text);
          if (rule.origin === "settings") row.append(Object.assign(document.createElement("small"), { textContent: "from mien.toml" }));
          else {
            const drop = Object.assign(document.createElement("button"), { type: "button", textContent: "✕" });
            drop.dataset.dropAlert = rule.name;
            drop.setAttribute("aria-label", `Delete the alert ${rule.name}`);
            row.append(drop);
          }
          return row;
        }),
      );
      if (!rules.length) place.append(Object.assign(document.createElement("li"), { className: "fine", textContent: "None yet." }));
    } catch (error) {
      place.replaceChildren(Object.assign(document.createElement("li"), { className: "bad", textContent: error.message }));
    }
  }

  function show() {
    const on = byId("alert").elements.on.value;
    all("[data-on]").forEach((field) => {
      field.hidden = !field.dataset.on.split(" ").includes(on);
      for (const input of field.querySelectorAll("input, select")) input.disabled = field.hidden;
    });
  }

  function rule() {
    const fields = byId("alert").elements;
    const made = { name: fields.name.value, on: fields.on.value };
    for (const name of ["window_s", "min_faces", "after_s", "cooldown_s"]) if (!fields[name].disabled) made[name] = Number(fields[name].value);
    for (const name of ["source", "emotion", "webhook"]) if (!fields[name].disabled && fields[name].value) made[name] = fields[name].value;
    if (!fields.percent.disabled) made[fields.side.value] = Number(fields.percent.value) / 100;
    return made;
  }

  async function send(form, trying) {
    byId("alert-readings").replaceChildren();
    try {
      if (trying) {
        say("Trying it out …");
        const { readings, webhook } = await ask("POST", "alert-test", rule());
        const raised = readings.filter((reading) => reading.raised).length;
        say(`It would ${raised ? `be raised now, for ${raised} of ${readings.length}` : "not be raised now"}.${webhook ? ` The web address got a test: ${webhook}.` : ""}`);
        byId("alert-readings").replaceChildren(...readings.map(({ text, raised: is }) => Object.assign(document.createElement("li"), { textContent: `${is ? "●" : "○"} ${text}` })));
      } else {
        const made = await ask("POST", "alerts", rule());
        say(`Made: mien forward follows '${made.name}' within seconds.`);
        await list();
      }
    } catch (error) {
      say(`${error.message}.`);
    }
  }

  document.addEventListener("click", async (event) => {
    const name = event.target.closest("[data-drop-alert]")?.dataset.dropAlert;
    if (!name) return;
    await ask("DELETE", `alerts/${encodeURIComponent(name)}`).catch((error) => say(`${error.message}.`));
    list();
  });
  document.addEventListener("change", (event) => event.target.form?.id === "alert" && show());
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "alert") return;
    event.preventDefault();
    send(event.target, event.submitter?.value === "test");
  });
  document.addEventListener("DOMContentLoaded", () => {
    if (byId("content").dataset.role !== "admin") return;
    show();
    list();
    ask("GET", "sources").then((sources) => byId("alert-sources").replaceChildren(...sources.map(({ source }) => new Option(source, source))), () => {});
  });
})();
