// What keeps people from using a page, as a list of sentences: text with too
// little contrast (WCAG 2.2, 1.4.3), controls without a name (4.1.2) or too small
// for a finger (2.5.8), a page that is wider than its window (1.4.10), text that
// is cut off, and elements with an id that is not theirs alone.
(() => {
  const found = [];
  const forReaders = (e) => e && (getComputedStyle(e).clipPath === "inset(50%)" || e.classList.contains("skip") || forReaders(e.parentElement));
  const visible = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && e.getClientRects().length > 0 && !forReaders(e);
  const rgb = (color) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return { r, g, b, a: a / 255 };
  };
  const over = (top, below) => ({ r: top.r * top.a + below.r * (1 - top.a), g: top.g * top.a + below.g * (1 - top.a), b: top.b * top.a + below.b * (1 - top.a), a: 1 });
  const ground = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      layers.push(rgb(style.backgroundColor));
      if (layers.at(-1).a === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), { r: 255, g: 255, b: 255, a: 1 });
  };
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (a, b) => {
    const [bright, dark] = [light(a), light(b)].sort((x, y) => y - x);
    return (bright + 0.05) / (dark + 0.05);
  };
  const opacity = (e) => e ? Number(getComputedStyle(e).opacity) * opacity(e.parentElement) : 1;
  const name = (e) => (e.getAttribute("aria-label") || [...(e.labels || [])].map((l) => l.textContent).join(" ") || e.textContent || e.title || "").trim();
  const say = (e, what) => found.push(`<${e.tagName.toLowerCase()}${e.id ? " id=" + e.id : ""} class="${e.className?.baseVal ?? e.className}"> "${(e.textContent || "").trim().slice(0, 30)}": ${what}`);

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.data.trim() || e.closest("script, style, template, noscript, option") || !visible(e) || e.closest(":disabled")) continue;
    const style = getComputedStyle(e);
    const back = ground(e);
    const front = rgb(style.color);
    front.a *= opacity(e);
    const ratio = contrast(over(front, back), back);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || size >= 18.66 && Number(style.fontWeight) >= 700;
    if (ratio < (large ? 3 : 4.5)) say(e, `contrast ${ratio.toFixed(2)}`);
    if (size < 12) say(e, `text of ${size}px`);
  }
  for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea")) {
    if (!visible(e)) continue;
    if (!name(e)) say(e, "has no name");
    const box = e.getBoundingClientRect();
    const inline = e.tagName === "A" && getComputedStyle(e).display === "inline";
    if (!inline && (box.width < 24 || box.height < 24)) say(e, `is ${box.width} x ${box.height}`);
    if (e.matches("button, input, select, textarea") && box.height < 32) say(e, `is ${box.height} high`);
  }
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    found.push(`the page is ${root.scrollWidth} wide in a window of ${root.clientWidth}`);
    for (const e of document.body.querySelectorAll("*")) if (visible(e) && e.getBoundingClientRect().right > root.clientWidth + 1) say(e, "sticks out");
  }
  for (const e of document.querySelectorAll("button, h1, h2, label")) {
    if (visible(e) && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline") say(e, "is cut off");
  }
  const ids = new Set();
  for (const e of document.querySelectorAll("[id]")) {
    if (ids.has(e.id)) say(e, "has the id of another");
    ids.add(e.id);
  }
  if (!root.lang) found.push("the page does not say its language");
  if (document.querySelectorAll("h1").length !== 1) found.push("the page does not have one h1");
  return found;
})()
