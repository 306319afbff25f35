"use strict";
// Pointing at a trial shows its settings and marks it wherever it is drawn; a picture can be enlarged and zoomed. A
// range dragged on an axis of parallel coordinates leaves the lines through it.
(() => {
  const trials = JSON.parse(document.getElementById("trials").textContent);
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  // A finger is wide and a point is small: search around the pointer, the nearest first.
  const around = [[0, 0]];
  for (const radius of [4, 8, 13]) {
    for (let turn = 0; turn < 8; turn += 1) {
      around.push([radius * Math.cos(turn * Math.PI / 4), radius * Math.sin(turn * Math.PI / 4)]);
    }
  }
  const trialAt = (x, y) => {
    for (const [dx, dy] of around) {
      const here = document.elementsFromPoint(x + dx, y + dy);
      const picture = here[0]?.closest("svg"); // what lies under a dialog is not pointed at
      const found = here.map((each) => each.closest("[data-trial]")).find((each) => each?.closest("svg") === picture);
      if (found && picture) return found.dataset.trial;
    }
    return null;
  };

  let shown = null;
  const mark = (trial) => {
    if (trial === shown) return;
    document.querySelectorAll(".on").forEach((each) => each.classList.remove("on"));
    shown = trial;
    if (trial === null) { tip.hidden = true; return; }
    document.querySelectorAll(`[data-trial="${trial}"]`).forEach((each) => each.classList.add("on"));
    const { name, state, facts } = trials[trial];
    const title = document.createElement("b");
    title.textContent = `${name}, ${state}`;
    const list = document.createElement("dl");
    for (const [key, value] of facts) {
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = key;
      text.textContent = value;
      list.append(term, text);
    }
    tip.replaceChildren(title, list);
    (document.querySelector("dialog[open]") ?? document.body).append(tip);
    tip.hidden = false;
  };
  const place = (x, y) => {
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 4))}px`;
    tip.style.top = `${y + 18 + height > innerHeight ? Math.max(4, y - height - 12) : y + 18}px`;
  };
  const point = (event) => {
    const inside = event.target instanceof Element && event.target.closest("svg");
    const trial = inside ? trialAt(event.clientX, event.clientY) : null;
    mark(trial !== null && trial in trials ? trial : null);
    if (shown !== null) place(event.clientX, event.clientY);
  };
  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);
  document.addEventListener("scroll", () => mark(null), { passive: true });

  // A range on an axis: dragged along it, removed by a press. A line stays where it passes through the range of every axis.
  const toPicture = (svg, clientX, clientY) =>
    new DOMPoint(clientX, clientY).matrixTransform(svg.getScreenCTM().inverse());
  const heightAt = (line, x) => {
    const numbers = line.getAttribute("d").match(/-?[\d.]+(?:e-?\d+)?/g).map(Number);
    for (let i = 0; i + 3 < numbers.length; i += 2) {
      const [x0, y0, x1, y1] = numbers.slice(i, i + 4);
      if (x >= x0 - 0.5 && x <= x1 + 0.5) return y0 + (y1 - y0) * Math.min(1, Math.max(0, (x - x0) / (x1 - x0)));
    }
    return null;
  };
  const choose = (svg) => {
    const ranges = [...svg.querySelectorAll(".range-mark")].map((each) => {
      const box = each.getBBox();
      return { x: box.x + box.width / 2, low: box.y - 1, high: box.y + box.height + 1 };
    });
    svg.querySelectorAll("[data-trial] path").forEach((line) => {
      const passes = ({ x, low, high }) => {
        const y = heightAt(line, x);
        return y !== null && y >= low && y <= high;
      };
      line.parentElement.classList.toggle("off", !ranges.every(passes));
    });
  };
  let drag = null;
  document.addEventListener("pointerdown", (event) => {
    const axis = event.target instanceof Element && event.target.closest("[data-axis]");
    if (!axis) return;
    event.stopPropagation();
    const svg = axis.closest("svg");
    axis.querySelector(".range-mark")?.remove();
    drag = { svg, axis, from: toPicture(svg, event.clientX, event.clientY).y, range: null };
    choose(svg);
  }, { capture: true });
  document.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const { svg, axis, from } = drag;
    const whole = axis.getBBox();
    const to = toPicture(svg, event.clientX, event.clientY).y;
    const [top, bottom] = [Math.min(from, to), Math.max(from, to)]
      .map((y) => Math.min(Math.max(y, whole.y), whole.y + whole.height));
    if (!drag.range && bottom - top < 3) return;
    if (!drag.range) {
      drag.range = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      drag.range.setAttribute("class", "range-mark");
      axis.append(drag.range);
    }
    const sizes = { x: whole.x + whole.width / 4, width: whole.width / 2, y: top, height: bottom - top };
    for (const [key, value] of Object.entries(sizes)) drag.range.setAttribute(key, value);
    choose(svg);
  });
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => { drag = null; });

  // Enlarging: wheel or pinch zooms about the pointer, dragging moves, a double click goes back.
  const dialog = document.createElement("dialog");
  const stage = document.createElement("div");
  stage.className = "stage";
  const bar = document.createElement("div");
  bar.className = "bar";
  const hint = document.createElement("span");
  hint.textContent = "wheel or pinch to zoom, drag to move";
  bar.append(hint);
  dialog.append(bar, stage);
  document.body.append(dialog);
  let svg = null;
  let whole = null;
  const box = () => svg.getAttribute("viewBox").split(" ").map(Number);
  const show = (x, y, width, height) => svg.setAttribute("viewBox", [x, y, width, height].join(" "));
  const zoom = (factor, clientX, clientY) => {
    const at = toPicture(svg, clientX, clientY);
    const [x, y, width, height] = box();
    const by = Math.min(Math.max(factor, whole[2] / 20 / width), whole[2] / width);
    show(at.x - (at.x - x) * by, at.y - (at.y - y) * by, width * by, height * by);
  };
  const button = (text, label, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    bar.append(made);
  };
  const centre = () => {
    const area = stage.getBoundingClientRect();
    return [area.left + area.width / 2, area.top + area.height / 2];
  };
  button("+", "zoom in", () => zoom(0.7, ...centre()));
  button("−", "zoom out", () => zoom(1.4, ...centre()));
  button("whole", "show the whole picture", () => show(...whole));
  button("close", "close", () => dialog.close());
  dialog.addEventListener("close", () => { mark(null); stage.replaceChildren(); });

  const fingers = new Map();
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(event.deltaY / 500), event.clientX, event.clientY);
  }, { passive: false });
  stage.addEventListener("pointerdown", (event) => fingers.set(event.pointerId, event));
  stage.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    if (fingers.size === 1) {
      const from = toPicture(svg, before.clientX, before.clientY);
      const to = toPicture(svg, event.clientX, event.clientY);
      const [x, y, width, height] = box();
      show(x + from.x - to.x, y + from.y - to.y, width, height);
    } else {
      const other = [...fingers.entries()].find(([id]) => id !== event.pointerId)[1];
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      zoom(apart(before) / Math.max(1, apart(event)), other.clientX, other.clientY);
    }
    fingers.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
    stage.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  stage.addEventListener("dblclick", () => show(...whole));

  document.querySelectorAll("figure.plot").forEach((figure) => {
    const open = document.createElement("button");
    open.type = "button";
    open.className = "enlarge";
    open.textContent = "enlarge";
    open.addEventListener("click", () => {
      svg = figure.querySelector("svg").cloneNode(true);
      whole = svg.getAttribute("viewBox").split(" ").map(Number);
      stage.replaceChildren(svg);
      dialog.showModal();
    });
    figure.prepend(open);
  });

  // A table of trials is sorted by the column whose head is pressed.
  document.querySelectorAll("table.trials").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const press = document.createElement("button");
      press.type = "button";
      press.append(...head.childNodes);
      head.append(press);
      press.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = (row) => {
          const text = row.cells[column].textContent;
          const number = Number.parseFloat(text);
          return Number.isNaN(number) ? text : number;
        };
        const rank = (one, other) => {
          const [a, b] = [key(one), key(other)];
          if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
          return (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1);
        };
        table.tBodies[0].append(...[...table.tBodies[0].rows].sort(rank));
      });
    });
  });
})();
