// The viewer's links work by themselves. With this they change the page without loading it anew, and keys follow them.
"use strict";

(() => {
  const ZOOMS = [50, 100, 150, 200, 300, 400];
  const SHARP_FROM = 150;
  const sheet = document.getElementById("sheet");
  const scroller = sheet?.parentElement;
  const image = document.getElementById("page-image");
  const heat = document.getElementById("heat");
  const words = [...document.querySelectorAll(".words a")];
  const link = (id) => document.getElementById(id);

  function remember(name, value) {
    const address = new URL(location.href);
    if (value) address.searchParams.set(name, value);
    else address.searchParams.delete(name);
    history.replaceState(history.state, "", address);
    // Links to other pages keep what is chosen here.
    for (const id of ["previous", "next"]) {
      if (!link(id)) continue;
      const other = new URL(link(id).href);
      other.search = address.search;
      link(id).href = other;
    }
    let field = document.querySelector(`.jump input[name="${name}"]`);
    if (!field) {
      field = Object.assign(document.createElement("input"), { type: "hidden", name });
      document.querySelector(".jump").append(field);
    }
    field.value = value;
  }

  function zoomNow() {
    return ZOOMS.find((each) => sheet.classList.contains(`zoom-${each}`)) ?? 100;
  }

  // The place under the middle of what is in sight stays there.
  function zoom(percent) {
    if (!sheet || !ZOOMS.includes(percent)) return;
    const before = zoomNow();
    const x = (scroller.scrollLeft + scroller.clientWidth / 2) / sheet.offsetWidth;
    const y = (scroller.scrollTop + scroller.clientHeight / 2) / sheet.offsetHeight;
    sheet.classList.replace(`zoom-${before}`, `zoom-${percent}`);
    scroller.scrollLeft = x * sheet.offsetWidth - scroller.clientWidth / 2;
    scroller.scrollTop = y * sheet.offsetHeight - scroller.clientHeight / 2;
    if (percent >= SHARP_FROM && image.getAttribute("src") !== image.dataset.large) image.src = image.dataset.large;
    link("fit").textContent = `${percent} %`;
    for (const [id, step] of [["smaller", -1], ["larger", 1]]) {
      const next = ZOOMS[ZOOMS.indexOf(percent) + step];
      link(id)?.classList.toggle("disabled", next === undefined);
    }
    remember("zoom", percent === 100 ? "" : String(percent));
  }

  const step = (by) => zoom(ZOOMS[ZOOMS.indexOf(zoomNow()) + by]);

  function choose(word) {
    for (const each of words) each.toggleAttribute("aria-current", false);
    word.setAttribute("aria-current", "true");
    if (word.dataset.heat) heat.src = word.dataset.heat;
    heat.hidden = !word.dataset.heat;
    remember("heat", new URL(word.href).searchParams.get("heat") ?? "");
  }

  for (const word of words) {
    word.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      choose(word);
    });
  }
  const onClick = (id, action) =>
    link(id)?.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      action();
    });
  onClick("smaller", () => step(-1));
  onClick("larger", () => step(1));
  onClick("fit", () => zoom(100));

  function nextWord(by) {
    if (words.length === 0) return;
    const now = words.findIndex((each) => each.hasAttribute("aria-current"));
    choose(words[(now + by + words.length) % words.length]);
  }

  const KEYS = {
    ArrowLeft: () => !isScrolledSideways() && link("previous")?.click(),
    ArrowRight: () => !isScrolledSideways() && link("next")?.click(),
    "+": () => step(1),
    "=": () => step(1),
    "-": () => step(-1),
    0: () => zoom(100),
    w: () => nextWord(1),
    W: () => nextWord(-1),
    "/": () => location.assign(document.querySelector(".back").href),
  };

  // Arrows move a page that is wider than its frame, while the frame has the focus.
  function isScrolledSideways() {
    return scroller && document.activeElement === scroller && scroller.scrollWidth > scroller.clientWidth;
  }

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    if (!Object.hasOwn(KEYS, event.key) || (event.key.startsWith("Arrow") && isScrolledSideways())) return;
    event.preventDefault();
    KEYS[event.key]();
  });

  scroller?.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      step(event.deltaY < 0 ? 1 : -1);
    },
    { passive: false },
  );

  // Dragging moves the page.
  scroller?.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch") return;
    const from = { x: event.clientX + scroller.scrollLeft, y: event.clientY + scroller.scrollTop };
    scroller.setPointerCapture(event.pointerId);
    scroller.classList.add("dragging");
    const move = (moved) => scroller.scrollTo(from.x - moved.clientX, from.y - moved.clientY);
    scroller.addEventListener("pointermove", move);
    scroller.addEventListener(
      "lostpointercapture",
      () => {
        scroller.classList.remove("dragging");
        scroller.removeEventListener("pointermove", move);
      },
      { once: true },
    );
  });
  image?.addEventListener("dragstart", (event) => event.preventDefault());
})();
