"use strict";
// Pointing, filters and the theme. The page is complete without this; nothing here is needed to read it.
(() => {
  const root = document.documentElement;
  const WIDTH = 1000, HEIGHT = 2000; // units of every plot
  const NEAR = 26; // pixels
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  root.classList.add("js");

  // Theme: as the system has it, until the button or `#dark` or `#light` in the address says otherwise.
  const asked = location.hash.slice(1);
  if (asked === "dark" || asked === "light") root.dataset.theme = asked;
  const dark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  for (const button of all(".theme"))
    button.addEventListener("click", () => (root.dataset.theme = dark() ? "light" : "dark"));

  for (const button of all(".copy"))
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });

  // Nodes: pointed at (hot) for a moment, or kept by a click.
  const chips = all("button.chip"), paths = all("path[data-n]"), plots = all(".plot");
  const clear = document.querySelector(".clear");
  const names = {};
  for (const chip of chips) names[chip.dataset.n] ??= chip.childNodes[1]?.textContent ?? "";
  const kept = new Set();
  let hot = null;
  const raise = (path) => path.parentNode.append(path);
  const show = () => {
    for (const path of paths) {
      path.classList.toggle("kept", kept.has(path.dataset.n));
      path.classList.toggle("hot", path.dataset.n === hot);
      if (path.dataset.n === hot) raise(path);
    }
    for (const chip of chips) {
      chip.classList.toggle("hot", chip.dataset.n === hot);
      chip.setAttribute("aria-pressed", kept.has(chip.dataset.n));
    }
    for (const plot of plots) plot.classList.toggle("following", hot !== null || kept.size > 0);
    if (clear) clear.disabled = kept.size === 0;
  };
  const point = (n) => {
    if (n !== hot) {
      hot = n;
      show();
    }
  };
  const keep = (n) => {
    if (!kept.delete(n)) kept.add(n);
    document.getElementById("show-nodes").checked = true;
    show();
  };
  for (const chip of chips) {
    chip.addEventListener("click", () => keep(chip.dataset.n));
    chip.addEventListener("pointerenter", () => point(chip.dataset.n));
    chip.addEventListener("pointerleave", () => point(null));
    chip.addEventListener("focus", () => point(chip.dataset.n));
    chip.addEventListener("blur", () => point(null));
  }
  const forget = () => {
    kept.clear();
    point(null);
    show();
    leave();
  };
  clear?.addEventListener("click", forget);
  addEventListener("keydown", (event) => event.key === "Escape" && forget());

  const find = document.querySelector(".find");
  const found = () => all(".legend .chip").filter((chip) => !chip.hidden && chip.dataset.n);
  find?.addEventListener("input", () => {
    for (const chip of all(".legend.by-node .chip"))
      chip.hidden = !chip.textContent.toLowerCase().includes(find.value.trim().toLowerCase());
  });
  find?.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !find.value.trim()) return;
    for (const chip of found()) kept.add(chip.dataset.n);
    show();
  });

  // Values are read back from the lines as they are drawn, so the page holds them only once.
  const read = (path) => {
    const runs = [];
    let x = 0, y = 0;
    for (const [, letter, numbers] of path.getAttribute("d").matchAll(/([Mlh])([^A-Za-z]*)/g)) {
      const values = (numbers.match(/-?\d+/g) ?? []).map(Number);
      if (letter === "M") runs.push([([x, y] = values)]);
      if (letter !== "l") continue;
      for (let i = 0; i < values.length; i += 2) runs.at(-1).push([(x += values[i]), (y += values[i + 1])]);
    }
    return runs;
  };
  const lines = new Map();
  const height = (path, x) => {
    if (!lines.has(path)) lines.set(path, read(path));
    for (const run of lines.get(path)) {
      if (x < run[0][0] - 3 || x > run.at(-1)[0] + 3) continue;
      let low = 0, high = run.length - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (run[middle][0] < x) low = middle + 1;
        else high = middle;
      }
      const after = run[low], before = run[Math.max(0, low - 1)];
      const share = after[0] > before[0] ? Math.min(1, Math.max(0, (x - before[0]) / (after[0] - before[0]))) : 1;
      return before[1] + share * (after[1] - before[1]);
    }
    return null;
  };

  const moment = (seconds) => {
    const whole = Math.abs(Math.round(seconds)), two = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(whole / 3600), rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
    return (seconds < -0.5 ? "−" : "") + (hours ? `${hours}:${rest}` : rest);
  };
  const written = (value, unit) => {
    if (unit === "bytes") {
      const power = value >= 1 ? Math.min(5, Math.floor(Math.log(value) / Math.log(1024))) : 0;
      return `${+(value / 1024 ** power).toPrecision(3)} ${["B", "KiB", "MiB", "GiB", "TiB", "PiB"][power]}`;
    }
    if (unit === "blocks" || unit === "count") return `${Math.round(value).toLocaleString("en")} ${unit}`;
    const text = Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : +value.toPrecision(3);
    return `${text} ${{ "a second": "/s", seconds: "s" }[unit] ?? unit}`;
  };

  const figure = document.querySelector(".figure"), tip = document.getElementById("tip");
  const cursor = document.createElement("i");
  cursor.id = "cursor";
  const byNode = () => document.getElementById("show-nodes")?.checked;
  const leave = () => {
    cursor.remove();
    tip.textContent = "";
  };
  const tell = (plot, x, page, chosen) => {
    const { low, high, unit } = plot.parentElement.dataset;
    const begin = +figure.dataset.begin, end = +figure.dataset.end;
    const said = chosen.map(([path, y]) => {
      const value = +high - (y / HEIGHT) * (high - low);
      return `${names[path.dataset.n]}  ${written(value, unit)}`;
    });
    tip.textContent = [`at ${moment(begin + (x / WIDTH) * (end - begin))}`, ...said].join("\n");
    const box = plot.getBoundingClientRect(), outer = figure.getBoundingClientRect();
    cursor.style.left = `${box.left - outer.left + (x / WIDTH) * box.width}px`;
    figure.append(cursor);
    const right = page.x + 16 + tip.offsetWidth > root.clientWidth + scrollX;
    tip.style.left = `${Math.max(4, right ? page.x - 14 - tip.offsetWidth : page.x + 16)}px`;
    tip.style.top = `${page.y + 16}px`;
  };
  const readings = (plot, x, wanted) =>
    all("path[data-n]", plot).filter(wanted).map((path) => [path, height(path, x)]).filter(([, y]) => y !== null);
  const isKept = (path) => kept.has(path.dataset.n);
  const nearest = (plot, x, event) => {
    const box = plot.getBoundingClientRect();
    const away = ([, y]) => Math.abs((y / HEIGHT) * box.height - (event.clientY - box.top));
    const ordered = readings(plot, x, () => true).sort((one, other) => away(one) - away(other));
    return ordered.length && away(ordered[0]) < NEAR ? ordered[0] : null;
  };
  const follow = (plot, event) => {
    const box = plot.getBoundingClientRect();
    const x = Math.min(WIDTH, Math.max(0, ((event.clientX - box.left) / box.width) * WIDTH));
    const near = byNode() ? nearest(plot, x, event) : null;
    point(near && near[0].dataset.n);
    const others = byNode() ? readings(plot, x, (path) => isKept(path) && path !== near?.[0]).slice(0, 7) : [];
    tell(plot, x, { x: event.pageX, y: event.pageY }, near ? [near, ...others] : others);
    return near;
  };
  for (const plot of all(".plot[tabindex]")) {
    let at = WIDTH / 2;
    plot.addEventListener("pointermove", (event) => follow(plot, event));
    plot.addEventListener("pointerleave", () => (point(null), leave()));
    plot.addEventListener("click", (event) => {
      const near = follow(plot, event);
      if (near) keep(near[0].dataset.n);
    });
    plot.addEventListener("blur", leave);
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      at = Math.min(WIDTH, Math.max(0, at + step * (event.shiftKey ? 50 : 10)));
      const wanted = kept.size ? isKept : (path) => !path.classList.contains("muted");
      const box = plot.getBoundingClientRect();
      const page = { x: box.left + scrollX + (at / WIDTH) * box.width, y: box.top + scrollY };
      tell(plot, at, page, readings(plot, at, wanted).slice(0, 8));
    });
  }

  const sift = document.querySelector(".sift");
  sift?.addEventListener("input", () => {
    const words = sift.value.trim().toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of all("#journal li")) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    const rest = document.querySelector("#journal details");
    if (rest) rest.open = sift.value.trim() !== "";
    document.querySelector("#journal .none").hidden = shown > 0;
  });

  // What is linked to is opened, and so is evidence for print.
  const reveal = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target?.tagName === "DETAILS") target.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
  addEventListener("beforeprint", () => all("#evidence details, .check details").forEach((part) => (part.open = true)));
  root.dataset.ready = "yes";
})();
