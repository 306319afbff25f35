// Labels to tick: which are shown, how many are ticked, and the file of corrected labels.
"use strict";
(() => {
  const cards = [...document.querySelectorAll(".suspects article")];
  const [pair, which, said] = ["pair", "which", "said"].map((id) => document.getElementById(id));
  const names = new Set([...document.querySelectorAll("#class-names option")].map((option) => option.value));
  const given = JSON.parse(document.getElementById("given-labels").textContent);
  const file = document.querySelector(".suspects").dataset.file;
  const box = (card) => card.querySelector("input[type=checkbox]");
  const field = (card) => card.querySelector("input[list]");
  const ticked = () => cards.filter((card) => box(card).checked);
  let unsaved = false;

  const say = (text, wrong = false) => {
    said.textContent = text;
    said.classList.toggle("no", wrong);
  };
  const count = () => say(`${ticked().length} ticked`);
  const show = () => {
    for (const card of cards) {
      const fits = { all: true, proposed: card.classList.contains("proposed"), ticked: box(card).checked }[which.value];
      card.hidden = !fits || (pair.value !== "" && card.dataset.pair !== pair.value);
    }
  };
  const tick = (on) => {
    for (const card of cards) if (!card.hidden) box(card).checked = on;
    unsaved = true;
    count();
  };
  // Every cell that may need it is quoted: names hold commas, semicolons, tabs or quotes.
  const cell = (text) => (/[",;\t\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  const save = () => {
    const wrong = ticked().filter((card) => !names.has(field(card).value));
    for (const card of cards) field(card).classList.toggle("unknown", wrong.includes(card));
    if (wrong.length) {
      wrong[0].hidden = false;
      wrong[0].scrollIntoView({ block: "center" });
      say(`${wrong.length} ticked without a class of the data set; write one of ${[...names].slice(0, 5).join(", ")} …`, true);
      return;
    }
    const rows = new Map(given);
    for (const card of ticked()) rows.set(card.dataset.name, field(card).value);
    const head = file === "given.csv" ? "image" : "index";
    const lines = [[head, "class"], ...rows].map((cells) => `${cells.map(cell).join(",")}\n`);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(lines, { type: "text/csv" }));
    link.download = file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    unsaved = false;
    const kept = rows.size - ticked().length;
    say(`${file}: ${ticked().length} corrected${kept ? `, and ${kept} as they were` : ""}`);
  };

  document.querySelector(".toolbar").hidden = false;
  document.querySelector(".toolbar").addEventListener("submit", (event) => event.preventDefault());
  pair.addEventListener("change", show);
  which.addEventListener("change", show);
  document.getElementById("tick").addEventListener("click", () => tick(true));
  document.getElementById("untick").addEventListener("click", () => tick(false));
  document.getElementById("save").addEventListener("click", save);
  document.querySelector(".suspects").addEventListener("change", (event) => {
    if (event.target.matches("input[list]")) box(event.target.closest("article")).checked = true;
    unsaved = true;
    count();
  });
  window.addEventListener("beforeunload", (event) => { if (unsaved && ticked().length) event.preventDefault(); });
  show();
  count();
})();
