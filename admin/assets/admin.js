// Charts that move, and nothing that reading needs.
'use strict';

// On a phone the entry of this page may be out of sight.
(() => {
  const here = document.querySelector('nav [aria-current]');
  if (here) here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.offsetLeft - 40;
})();

(() => {
  const live = document.getElementById('live');
  if (!live || !window.EventSource) return;
  const kept = 120;

  const bytes = (n) => {
    if (n < 1024) return `${Math.round(n)} B`;
    let unit = '';
    for (unit of ['KiB', 'MiB', 'GiB', 'TiB']) {
      n /= 1024;
      if (n < 1023.5) break;
    }
    return `${n.toFixed(n >= 99.5 ? 0 : 1)} ${unit}`;
  };
  const whole = (n) => (n < 10 && n % 1 ? n.toFixed(1) : String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, '\u202f'));
  const units = { count: whole, bytes, percent: (n) => `${n.toFixed(1)} %`, ms: (n) => `${n.toFixed(n < 10 ? 2 : 0)} ms` };

  const charts = Array.from(document.querySelectorAll('[data-chart]'), (el) => ({
    name: el.dataset.chart,
    show: units[el.dataset.unit] || whole,
    percent: el.dataset.unit === 'percent',
    now: el.querySelector('output'),
    line: el.querySelector('.line'),
    area: el.querySelector('.area'),
    low: el.querySelector('.low'),
    high: el.querySelector('.high'),
    points: [],
  }));

  // draw scales from zero, but for what moves little around a large value.
  const draw = (c) => {
    const known = c.points.filter((p) => p !== null);
    if (!known.length) return;
    let low = Math.min(...known);
    let high = Math.max(...known);
    c.low.textContent = known.length > 1 ? `low ${c.show(low)}` : '';
    c.high.textContent = known.length > 1 ? `high ${c.show(high)}` : '';
    const last = c.points[c.points.length - 1];
    if (last !== null) c.now.textContent = c.show(last);
    if (c.name !== 'memory') low = 0;
    if (high === low) high = low + 1;
    if (c.name === 'hits') high = 100;
    const pad = c.name === 'memory' ? (high - low) * 0.3 : 0;
    const y = (v) => 39 - ((v - low + pad) / (high - low + 2 * pad)) * 36;
    let line = '';
    let area = '';
    let from = null;
    c.points.forEach((p, i) => {
      const x = kept - c.points.length + i + 1;
      if (p === null) {
        if (from !== null) area += `L${x - 1} 40Z`;
        from = null;
        return;
      }
      line += `${from === null ? 'M' : 'L'}${x} ${y(p).toFixed(2)}`;
      area += `${from === null ? `M${x} 40L` : 'L'}${x} ${y(p).toFixed(2)}`;
      if (from === null) from = x;
    });
    if (from !== null) area += `L${kept} 40Z`;
    c.line.setAttribute('d', line);
    c.area.setAttribute('d', area);
  };

  const say = (text, kind) => {
    live.textContent = text;
    live.className = `dot ${kind}`;
  };
  const push = (sample) => {
    for (const c of charts) {
      const v = sample[c.name];
      c.points.push(typeof v === 'number' ? v : null);
      if (c.points.length > kept) c.points.shift();
      draw(c);
    }
  };

  let source = null;
  const start = () => {
    source = new EventSource(live.dataset.events);
    source.onmessage = (e) => {
      say('live', 'good live');
      push(JSON.parse(e.data));
    };
    source.addEventListener('down', () => {
      say('does not answer', 'bad');
      push({});
    });
    source.onerror = () => {
      say(source.readyState === EventSource.CLOSED ? 'no live numbers' : 'connecting', 'warn');
    };
  };
  // A page that nobody looks at asks nothing.
  const visible = () => {
    if (document.hidden && source) {
      source.close();
      source = null;
      say('paused', '');
    } else if (!document.hidden && !source) {
      start();
    }
  };
  document.addEventListener('visibilitychange', visible);
  visible();
})();
