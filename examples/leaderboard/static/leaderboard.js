// Keeps the page of the leaderboard up to date, and submits scores without
// leaving it. The page is whole without it.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const every = 2000;
  const number = new Intl.NumberFormat("en");
  const points = (n) => number.format(n).replace("-", "−");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let me = document.body.dataset.player;
  let turn = -1;
  let own = false; // the page is on its way to what its own score has changed

  const draw = (element, row) => {
    element.dataset.player = row.player;
    element.classList.toggle("mine", row.player === me);
    element.querySelector(".rank").textContent = row.rank;
    element.querySelector(".name bdi").textContent = row.name;
    let sum = 0;
    for (const c of row.player) sum = (sum * 31 + c.charCodeAt(0)) >>> 0;
    const face = element.querySelector(".face");
    face.className = "face hue-" + (sum % 8);
    face.textContent = ([...row.name][0] || "?").toUpperCase();
    const score = element.querySelector(".score");
    const text = points(row.score);
    if (score.dataset.text !== text) {
      const unit = document.createElement("span");
      unit.className = "seen-by-readers";
      unit.textContent = " points";
      score.replaceChildren(text, unit);
      score.dataset.text = text;
    }
  };

  // fill makes a list show these rows: who stays keeps their element, which
  // moves to its new place.
  const fill = (list, rows) => {
    const before = new Map([...list.children].map((e) => [e.dataset.player, e]));
    const places = new Map([...before.values()].map((e) => [e, e.getBoundingClientRect()]));
    list.replaceChildren(...rows.map((row) => {
      const old = before.get(row.player);
      const element = old || $("row").content.firstElementChild.cloneNode(true);
      const changed = old && old.querySelector(".score").firstChild.data !== points(row.score);
      element.classList.toggle("changed", Boolean(changed));
      draw(element, row);
      return element;
    }));
    if (calm.matches) return;
    for (const [element, was] of places) {
      if (!element.isConnected) continue;
      const is = element.getBoundingClientRect();
      const [x, y] = [was.left - is.left, was.top - is.top];
      if (x || y) element.animate([{ translate: `${x}px ${y}px` }, { translate: "0 0" }], { duration: 350, easing: "ease-out" });
    }
  };

  const read = async (path) => {
    const answer = await fetch(path, { signal: AbortSignal.timeout(8000) });
    if (!answer.ok) throw new Error(answer.status);
    return answer.json();
  };

  const state = (name, text) => {
    $("live").dataset.state = name;
    if ($("live-text").textContent !== text) $("live-text").textContent = text;
  };

  const look = async () => {
    try {
      const top = await read("/api/scores");
      if (top.turn !== turn) {
        const near = me ? await read("/api/around") : { rows: [] };
        if (turn >= 0 && !own) $("result").replaceChildren(); // its rank was that of then
        turn = top.turn;
        $("players").textContent = number.format(top.players) + (top.players === 1 ? " player" : " players");
        $("empty").hidden = top.rows.length > 0;
        fill($("podium"), top.rows.slice(0, 3));
        fill($("rest"), top.rows.slice(3));
        fill($("around"), near.rows);
        $("around-card").hidden = near.rows.length === 0;
        const mine = near.rows.find((row) => row.player === me);
        if (mine) $("standing").textContent = `Rank ${number.format(mine.rank)} of ${number.format(near.players)} with ${points(mine.score)} points.`;
      }
      state("live", "Live");
    } catch {
      state("down", "Not up to date");
    }
  };

  let looking = Promise.resolve();
  const refresh = () => (looking = looking.then(look)); // one after the other

  // Not while nobody looks.
  let timer = 0;
  const keep = async () => {
    clearTimeout(timer);
    if (document.visibilityState === "visible") await refresh();
    clearTimeout(timer);
    timer = setTimeout(keep, every);
  };
  addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") keep(); });

  const result = (kind, text) => {
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = text;
    $("result").replaceChildren(span);
  };

  const post = (body) => fetch("/api/scores", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body,
    signal: AbortSignal.timeout(10e3),
  });

  $("form").addEventListener("submit", async (e) => {
    e.preventDefault();
    $("send").disabled = true;
    try {
      const body = JSON.stringify({ name: $("name").value, score: Number($("score").value) });
      let answer = await post(body);
      for (let attempt = 0; attempt < 4 && answer.status === 503; attempt++) { // the same score twice is one
        await new Promise((done) => setTimeout(done, 500 * 2 ** attempt));
        answer = await post(body);
      }
      const data = await answer.json().catch(() => ({}));
      if (answer.ok) {
        me = data.player;
        $("score").value = "";
        const at = `Rank ${number.format(data.rank)} of ${number.format(data.players)}.`;
        if (data.improved) result("success", `A new best! ${at}`);
        else result("info", `Your best of ${points(data.best)} stands. ${at}`);
        own = true;
        await refresh();
        own = false;
      } else if (answer.status === 429) {
        result("error", `Not so fast. Try again in ${answer.headers.get("Retry-After") || 2} s.`);
      } else {
        result("error", data.detail || "That did not work.");
      }
    } catch {
      result("error", "The server cannot be reached. Try again.");
    }
    $("send").disabled = false;
    $("score").focus();
  });
  $("roll").hidden = false;
  $("roll").addEventListener("click", () => { $("score").value = Math.floor(Math.random() ** 2 * 10000); });
  keep();
})();
