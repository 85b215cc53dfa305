// What is wrong (it stays until it is over) and what just happened (it goes by itself).

import { icon } from './tiles.js';

const TOAST_MS = 3500;

export class Notices {
  #troublesElement;
  #toastsElement;
  #troubles = new Map();

  constructor(troublesElement, toastsElement) {
    this.#troublesElement = troublesElement;
    this.#toastsElement = toastsElement;
  }

  get texts() {
    return [...this.#troubles.values()].map(({ text }) => text);
  }

  /**
   * Shows `text` under this topic, in place of what it said before; null takes it away.
   * `options`: `severe`, `dismissible`, `action` (called by a button with `label`).
   */
  trouble(topic, text, options = {}) {
    const known = this.#troubles.get(topic);
    // An unchanged notice is not drawn again: a screen reader would repeat it at each retry.
    if (known?.text === text || (!known && !text)) return;
    known?.element.remove();
    this.#troubles.delete(topic);
    if (!text) return;
    const element = this.#draw(topic, text, options);
    this.#troubles.set(topic, { text, element });
    this.#troublesElement.append(element);
  }

  toast(text) {
    const element = document.createElement('div');
    element.className = 'toast';
    element.textContent = text;
    this.#toastsElement.append(element);
    setTimeout(() => element.remove(), TOAST_MS);
  }

  clear() {
    for (const topic of [...this.#troubles.keys()]) this.trouble(topic, null);
  }

  #draw(topic, text, { severe = false, dismissible = false, action = null, label = '' }) {
    const element = document.createElement('div');
    element.className = severe ? 'trouble severe' : 'trouble';
    element.dataset.topic = topic;
    const words = document.createElement('span');
    words.textContent = text;
    element.append(icon('i-warn'), words);
    if (action) element.append(button(label, action));
    if (dismissible) element.append(button('Dismiss', () => this.trouble(topic, null)));
    return element;
  }
}

function button(label, onClick) {
  const element = document.createElement('button');
  element.type = 'button';
  element.textContent = label;
  element.addEventListener('click', onClick);
  return element;
}
