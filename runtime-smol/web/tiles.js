// The tiles of the people in the room, and the layout that makes them fill the window.

import { describe } from './stats.js';

const WIDEST = 16 / 9;
// Cameras are wide: in a wide window tiles stay wide, on a telephone held upright they may cut more off the sides.
const TALLEST_IN_WIDE = 4 / 3;
const TALLEST_IN_TALL = 4 / 5;
// Below this width the strip of small tiles goes under the large one instead of beside it.
const NARROW_PX = 720;

/** One person (or shared screen): picture or initials, name, state, and the panel with numbers. */
export class Tile {
  stats = null;
  #parts = {};
  #panelOpen = false;

  /** `options`: `id`, `name`, `self`, `screen`, `onPin(tile)`, `onBlocked()` when sound may not start. */
  constructor(options) {
    Object.assign(this, { pinned: false, ...options });
    this.element = this.#create();
    this.rename(options.name);
  }

  rename(name) {
    this.name = name;
    this.#parts.name.textContent = name;
    this.#parts.initials.textContent = initials(name);
    this.#parts.initials.style.setProperty('--hue', hue(this.id));
    this.element.setAttribute('aria-label', name);
  }

  /** Plays `stream`, unless it already does. */
  async play(stream) {
    const { video } = this.#parts;
    if (video.srcObject === stream) return;
    video.srcObject = stream;
    if (stream) await this.resume();
  }

  /** Starts playing; needed again after the browser had blocked sound. */
  async resume() {
    try {
      await this.#parts.video.play();
    } catch (error) {
      if (error.name === 'NotAllowedError') this.onBlocked?.();
    }
  }

  /** Shows what the peer sends: `picture`, `sound`, and a short `state` text or an empty string. */
  update({ picture, sound, state }) {
    this.element.classList.toggle('no-picture', !picture);
    this.element.classList.toggle('silent', !sound);
    this.#parts.state.textContent = state;
    this.#parts.state.hidden = !state;
    this.#parts.mute.setAttribute('aria-hidden', String(sound));
  }

  set speaking(speaking) {
    this.element.classList.toggle('speaking', speaking);
  }

  get speaking() {
    return this.element.classList.contains('speaking');
  }

  get hasPicture() {
    return !this.element.classList.contains('no-picture');
  }

  get video() {
    return this.#parts.video;
  }

  get panelOpen() {
    return this.#panelOpen;
  }

  set panelOpen(open) {
    this.#panelOpen = open;
    this.#parts.statsButton.setAttribute('aria-pressed', String(open));
    this.#drawPanel();
  }

  showStats(stats) {
    this.stats = stats;
    if (this.#panelOpen) this.#drawPanel();
  }

  markPinned(pinned) {
    this.pinned = pinned;
    this.#parts.pinButton.setAttribute('aria-pressed', String(pinned));
  }

  place({ left, top, width, height }) {
    Object.assign(this.element.style, { left: px(left), top: px(top), width: px(width), height: px(height) });
  }

  remove() {
    this.#parts.video.srcObject = null;
    this.element.remove();
  }

  #create() {
    const parts = this.#parts;
    parts.video = create('video', '', { autoplay: true, playsInline: true, muted: !!this.self });
    parts.initials = create('span');
    parts.mute = icon('i-mic-off', 'Muted');
    parts.name = create('span', 'name');
    parts.state = create('div', 'state', { hidden: true });
    parts.panel = create('dl', 'panel', { hidden: true });
    parts.statsButton = tool('i-stats', 'Connection details', () => (this.panelOpen = !this.panelOpen));
    parts.pinButton = tool('i-pin', 'Show large', () => this.onPin(this));
    const avatar = create('div', 'avatar');
    avatar.append(parts.initials);
    const caption = create('figcaption');
    caption.append(parts.mute, parts.name);
    const tools = create('div', 'tools');
    tools.append(parts.statsButton, parts.pinButton);
    const kind = `${this.self ? 'self' : ''} ${this.screen ? 'screen' : ''}`;
    const element = create('figure', `tile no-picture entering ${kind}`);
    element.dataset.peer = this.id;
    element.append(parts.video, avatar, parts.state, parts.panel, caption, tools);
    element.addEventListener('dblclick', () => this.onPin(this));
    requestAnimationFrame(() => element.classList.remove('entering'));
    return element;
  }

  #drawPanel() {
    const { panel, state } = this.#parts;
    panel.hidden = !this.#panelOpen;
    if (!this.#panelOpen) return;
    state.hidden = true;
    const cells = describe(this.stats).flatMap(([label, text]) => [
      create('dt', '', { textContent: label }),
      create('dd', '', { textContent: text }),
    ]);
    panel.replaceChildren(...cells);
  }
}

/** Places tiles: an even grid, or one large tile with a strip when something is pinned or a screen is shared. */
export class Stage {
  #element;
  #tiles = [];

  constructor(element) {
    this.#element = element;
    new ResizeObserver(() => this.layout()).observe(element);
  }

  get tiles() {
    return this.#tiles;
  }

  add(tile) {
    this.#tiles.push(tile);
    this.#element.append(tile.element);
    this.layout();
  }

  remove(tile) {
    this.#tiles = this.#tiles.filter((other) => other !== tile);
    tile.remove();
    this.layout();
  }

  clear() {
    for (const tile of this.#tiles) tile.remove();
    this.#tiles = [];
  }

  togglePin(tile) {
    const pin = !tile.pinned;
    for (const other of this.#tiles) other.markPinned(pin && other === tile);
    this.layout();
  }

  layout() {
    const { clientWidth: width, clientHeight: height } = this.#element;
    if (!width || !height || this.#tiles.length === 0) return;
    const gap = parseFloat(getComputedStyle(this.#element).getPropertyValue('--gap')) || 10;
    const large = this.#tiles.find((tile) => tile.pinned) ?? this.#tiles.find((tile) => tile.screen && !tile.self);
    const area = { left: 0, top: 0, width, height };
    if (large && this.#tiles.length > 1) this.#layoutAround(large, area, gap);
    else placeGrid(this.#tiles, area, gap);
  }

  #layoutAround(large, { width, height }, gap) {
    const others = this.#tiles.filter((tile) => tile !== large);
    const beside = width > NARROW_PX;
    const strip = beside ? Math.min(260, width * 0.24) : Math.min(150, height * 0.28);
    const main = beside ? { width: width - strip - gap, height } : { width, height: height - strip - gap };
    large.place({ left: 0, top: 0, ...main });
    const rest = beside
      ? { left: main.width + gap, top: 0, width: strip, height }
      : { left: 0, top: main.height + gap, width, height: strip };
    placeGrid(others, rest, gap);
  }
}

/** Chooses the number of columns that gives the largest tiles, and centres an incomplete last row. */
function placeGrid(tiles, area, gap) {
  const best = bestGrid(tiles.length, area, gap);
  const { columns, rows, width, height } = best;
  const top = area.top + (area.height - rows * height - (rows - 1) * gap) / 2;
  tiles.forEach((tile, index) => {
    const row = Math.floor(index / columns);
    const inRow = Math.min(columns, tiles.length - row * columns);
    const rowWidth = inRow * width + (inRow - 1) * gap;
    const left = area.left + (area.width - rowWidth) / 2 + (index % columns) * (width + gap);
    tile.place({ left, top: top + row * (height + gap), width, height });
  });
}

function bestGrid(count, area, gap) {
  const tallest = area.width > area.height ? TALLEST_IN_WIDE : TALLEST_IN_TALL;
  let best = null;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    let width = (area.width - (columns - 1) * gap) / columns;
    let height = (area.height - (rows - 1) * gap) / rows;
    if (width <= 0 || height <= 0) continue;
    width = Math.min(width, height * WIDEST);
    height = Math.min(height, width / tallest);
    if (!best || width * height > best.width * best.height) best = { columns, rows, width, height };
  }
  return best ?? { columns: count, rows: 1, width: 1, height: 1 };
}

function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => [...word][0].toUpperCase()).join('') || '?';
}

/** A colour that stays the same for a peer. */
function hue(id) {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + character.codePointAt(0)) % 360;
  return sum;
}

function create(name, className = '', properties = {}) {
  const element = document.createElement(name);
  if (className) element.className = className.trim();
  return Object.assign(element, properties);
}

export function icon(id, label) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('role', 'img');
  if (label) svg.setAttribute('aria-label', label);
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#${id}`);
  svg.append(use);
  return svg;
}

function tool(iconId, label, onClick) {
  const button = create('button', 'tool', { type: 'button', title: label });
  button.setAttribute('aria-label', label);
  button.setAttribute('aria-pressed', 'false');
  button.append(icon(iconId));
  button.addEventListener('click', onClick);
  return button;
}

function px(value) {
  return `${Math.round(value)}px`;
}
