// The page of the chat. What others have written becomes text and nothing else:
// the content security policy forbids innerHTML altogether.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const base = "/rooms/" + document.body.dataset.room;
  const me = { from: document.body.dataset.from, name: document.body.dataset.name };
  const mostShown = 500;
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));

  // ---- messages

  const shown = new Map(); // id to element, in order
  let last = ""; // id of the last message that was seen
  let previous = null; // for runs of one author
  let unread = 0;

  const atEnd = () => $("scroll").scrollHeight - $("scroll").scrollTop - $("scroll").clientHeight < 80;
  const toEnd = () => {
    $("scroll").scrollTop = $("scroll").scrollHeight;
    unread = 0;
    $("jump").hidden = true;
  };

  const dress = (face, from, name) => {
    let sum = 0;
    for (const c of from) sum = (sum * 31 + c.charCodeAt(0)) >>> 0;
    face.className = "face hue-" + (sum % 8);
    face.textContent = ([...name][0] || "?").toUpperCase();
  };

  const append = (element, mine) => {
    const follow = mine || atEnd();
    $("empty").hidden = true;
    $("log").append(element);
    if (follow) return toEnd();
    unread++;
    $("jump").textContent = unread === 1 ? "1 new message" : unread + " new messages";
    $("jump").hidden = false;
  };

  const show = (m) => {
    if (shown.has(m.id)) return;
    last = m.id;
    const at = new Date(Number(m.id.split("-")[0]));
    const item = $("message").content.firstElementChild.cloneNode(true);
    const mine = m.from === me.from;
    const more = previous && previous.from === m.from && previous.name === m.name && at - previous.at < 5 * 60e3;
    item.classList.toggle("mine", mine);
    item.classList.toggle("more", Boolean(more));
    item.classList.toggle("new", $("log").getAttribute("aria-busy") !== "true");
    dress(item.querySelector(".face"), m.from, m.name);
    item.querySelector(".name").textContent = m.name;
    item.querySelector(".text").textContent = m.text;
    const time = item.querySelector("time");
    time.dateTime = at.toISOString();
    const today = at.toDateString() === new Date().toDateString();
    time.textContent = at.toLocaleString([], today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
    previous = { from: m.from, name: m.name, at };
    append(item, mine);
    shown.set(m.id, item);
    for (const [id, old] of shown) {
      if (shown.size <= mostShown) break;
      old.remove();
      shown.delete(id);
    }
  };

  const gap = () => {
    const note = document.createElement("li");
    note.className = "note";
    note.textContent = "Some messages may be missing here";
    previous = null;
    append(note, false);
  };

  // ---- the connection, of either kind

  let link = null;
  let failures = 0;
  let redial = 0;

  const state = (name, text) => {
    $("link").dataset.state = name;
    if ($("link-text").textContent !== text) $("link-text").textContent = text;
  };
  const opened = () => {
    failures = 0;
    state("live", "Live");
    setTimeout(() => $("log").setAttribute("aria-busy", "false"), 500);
  };
  const lost = () => {
    link = null;
    const pause = Math.min(1000 * 2 ** failures++, 15e3) * (0.5 + Math.random());
    state(failures > 3 ? "down" : "wait", "Reconnecting");
    clearTimeout(redial);
    redial = setTimeout(dial, pause);
  };
  const dial = () => {
    clearTimeout(redial);
    if (link) link.close();
    const kind = $("transport").value;
    const resume = last ? "?after=" + encodeURIComponent(last) : "";
    link = kind === "socket" ? overSocket(resume) : overEvents(resume);
  };

  // EventSource comes back by itself with Last-Event-ID, but gives up when it is
  // answered with an error.
  const overEvents = (resume) => {
    const source = new EventSource(base + "/events" + resume);
    source.onopen = opened;
    source.onmessage = (e) => show(JSON.parse(e.data));
    source.addEventListener("gap", gap);
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) lost();
      else state("wait", "Reconnecting");
    };
    return {
      close: () => source.close(),
      say: async (draft) => post(base + "/messages", draft),
    };
  };

  const overSocket = (resume) => {
    const url = new URL(base + "/socket" + resume, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    const waiting = new Map(); // nonce to who waits for its answer
    const unanswered = { status: 0, detail: "The connection was lost." };
    socket.onopen = opened;
    socket.onmessage = (e) => {
      const m = JSON.parse(e.data);
      if (m.type === "message") return show(m);
      if (m.type === "gap") return gap();
      waiting.get(m.nonce)?.(m);
      waiting.delete(m.nonce);
    };
    const end = () => {
      for (const answer of waiting.values()) answer(unanswered);
      waiting.clear();
    };
    socket.onclose = () => { end(); lost(); };
    return {
      close: () => { socket.onclose = null; socket.close(); end(); },
      say: (draft) => new Promise((answer) => {
        if (socket.readyState !== WebSocket.OPEN) return answer(unanswered);
        waiting.set(draft.nonce, answer);
        socket.send(JSON.stringify(draft));
      }),
    };
  };

  const post = async (url, body) => {
    try {
      const answer = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(10e3),
      });
      const data = await answer.json().catch(() => ({}));
      return { ...data, status: answer.status, retry_after: Number(answer.headers.get("Retry-After")) };
    } catch {
      return { status: 0, detail: "The server cannot be reached." };
    }
  };

  // ---- saying something

  const notice = (text) => {
    $("notice").textContent = text;
    $("notice").hidden = !text;
  };

  // The same nonce with each attempt: a message whose answer was lost is said
  // once all the same.
  const say = async (text) => {
    const nonce = [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");
    for (let attempt = 0; ; attempt++) {
      const answer = link ? await link.say({ text, nonce }) : { status: 0, detail: "Not connected." };
      if (answer.status === 200 || answer.status === 201) return notice("");
      if (answer.status === 403) { // the session has ended
        me.name = "";
        dressMe();
      }
      const passing = answer.status === 0 || answer.status === 503;
      if (!passing || attempt === 6) {
        const later = answer.status === 429 ? `Not so fast. Try again in ${answer.retry_after || 1} s.` : "";
        throw new Error(later || answer.detail || "The message was not sent.");
      }
      notice("Not sent yet, trying again");
      await wait(Math.min(500 * 2 ** attempt, 8000));
    }
  };

  $("composer").addEventListener("submit", async (e) => {
    e.preventDefault();
    const text = $("text").value.trim();
    if (!text || $("send").disabled) return;
    $("send").disabled = true;
    $("text").readOnly = true;
    try {
      await say(text);
      $("text").value = "";
      count();
    } catch (err) {
      notice(err.message);
    }
    $("send").disabled = false;
    $("text").readOnly = false;
    $("text").focus();
  });
  $("text").addEventListener("keydown", (e) => {
    if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
    e.preventDefault();
    $("composer").requestSubmit();
  });
  const count = () => {
    const left = Number($("text").dataset.max) - [...$("text").value].length;
    $("left").hidden = left > 100;
    $("left").textContent = left < 0 ? `${-left} too many` : `${left} left`;
  };
  $("text").addEventListener("input", count);

  // ---- who am I

  const dressMe = () => {
    const named = Boolean(me.name);
    $("rename").hidden = $("composer").hidden = !named;
    $("naming").hidden = named;
    $("my-name").textContent = me.name;
    dress($("my-face"), me.from, me.name);
  };
  $("rename").addEventListener("click", () => {
    $("naming").hidden = !$("naming").hidden;
    $("composer").hidden = !$("naming").hidden;
    $("name").value = me.name;
    ($("naming").hidden ? $("text") : $("name")).focus();
  });
  $("naming").addEventListener("submit", async (e) => {
    e.preventDefault();
    let answer = await post("/name", { name: $("name").value });
    for (let attempt = 0; attempt < 4 && (answer.status === 0 || answer.status === 503); attempt++) {
      await wait(500 * 2 ** attempt);
      answer = await post("/name", { name: $("name").value });
    }
    if (answer.status !== 200) return notice(answer.status === 429 ? "Not so fast. Try again in a moment." : answer.detail);
    notice("");
    Object.assign(me, { from: answer.from, name: answer.name });
    dressMe();
    $("text").focus();
    if ($("transport").value === "socket") dial(); // a socket has the name that it was opened with
  });

  // ---- begin

  $("jump").addEventListener("click", () => { toEnd(); $("text").focus(); });
  $("scroll").addEventListener("scroll", () => { if (atEnd()) toEnd(); }, { passive: true });
  new ResizeObserver(() => { if ($("jump").hidden) toEnd(); }).observe($("scroll"));
  $("transport").value = localStorage.getItem("transport") || "events";
  $("transport").addEventListener("change", () => {
    localStorage.setItem("transport", $("transport").value);
    state("wait", "Connecting");
    dial();
  });
  addEventListener("online", dial);
  dressMe();
  dial();
})();
