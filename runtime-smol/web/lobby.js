// The first screen: name, room, and a look at one's own camera before joining.

import { explainDeviceError } from './devices.js';
import { LevelMeter } from './level.js';

const element = (id) => document.getElementById(id);
const NAME_KEY = 'sansfu.name';

export class Lobby {
  #devices;
  #join;
  #meter = new LevelMeter();
  #meterTimer = 0;
  #wanted = { camera: true, microphone: true };
  #deviceProblems = { camera: null, microphone: null };

  /** `join({room, name})` is called when the form is sent; it may reject with a readable error. */
  constructor(devices, join) {
    this.#devices = devices;
    this.#join = join;
    element('join-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit();
    });
    element('preview-cam').addEventListener('click', () => this.#toggle('camera'));
    element('preview-mic').addEventListener('click', () => this.#toggle('microphone'));
    element('camera-select').addEventListener('change', () => this.#open('camera'));
    element('microphone-select').addEventListener('change', () => this.#open('microphone'));
  }

  /** Shows the lobby and opens camera and microphone for the preview. */
  async show({ room, name }) {
    element('lobby').hidden = false;
    element('room').value = room;
    element('name').value = name || localStorage.getItem(NAME_KEY) || '';
    element(element('name').value ? 'join' : 'name').focus();
    this.#meterTimer = setInterval(() => this.#drawLevel(), 100);
    // Microphone first: if the browser asks, both questions then come in a sensible order.
    await this.#open('microphone');
    await this.#open('camera');
  }

  hide() {
    clearInterval(this.#meterTimer);
    this.#meter.listen(null);
    element('preview-video').srcObject = null;
    element('lobby').hidden = true;
  }

  async submit() {
    const room = element('room').value.trim();
    const name = element('name').value.trim();
    if (!room || !name) return;
    localStorage.setItem(NAME_KEY, name);
    this.problem('join', null);
    element('join').disabled = true;
    try {
      await this.#join({ room, name });
    } catch (error) {
      this.problem('join', `You could not join: ${error.message}.`);
    } finally {
      element('join').disabled = false;
    }
  }

  /** Says what is wrong, or takes it back with null. `topic`: 'join' or 'device'. */
  problem(topic, text) {
    element(`${topic}-problem`).textContent = text ?? '';
    element(`${topic}-problem`).hidden = !text;
  }

  #deviceProblem(what, text) {
    this.#deviceProblems[what] = text;
    const texts = Object.values(this.#deviceProblems).filter(Boolean);
    this.problem('device', texts.join('\n') || null);
  }

  async #toggle(what) {
    const on = !this.#devices[what];
    this.#wanted[what] = on;
    this.#deviceProblem(what, null);
    if (on) await this.#open(what);
    else if (what === 'camera') this.#devices.closeCamera();
    else this.#devices.closeMicrophone();
    this.#draw();
  }

  async #open(what) {
    if (!this.#wanted[what]) return;
    const chosen = element(`${what}-select`).value;
    try {
      if (what === 'camera') await this.#devices.openCamera(chosen);
      else await this.#devices.openMicrophone(chosen);
      this.#deviceProblem(what, null);
    } catch (error) {
      this.#deviceProblem(what, explainDeviceError(error, what));
    }
    await this.#fillSelects();
    this.#draw();
  }

  async #fillSelects() {
    await this.#fillSelect('camera', 'videoinput');
    await this.#fillSelect('microphone', 'audioinput');
  }

  async #fillSelect(what, kind) {
    const select = element(`${what}-select`);
    const chosen = select.value || this.#devices[what]?.getSettings().deviceId;
    const list = await this.#devices.list(kind);
    const options = list.map(({ deviceId, label }) => new Option(label || what, deviceId, false, deviceId === chosen));
    select.replaceChildren(...(options.length ? options : [new Option('–', '')]));
    select.disabled = options.length < 2;
  }

  #draw() {
    const { camera, microphone } = this.#devices;
    const video = element('preview-video');
    video.srcObject = camera ? new MediaStream([camera]) : null;
    element('preview-off').hidden = !!camera;
    element('preview-text').textContent = this.#wanted.camera ? 'No camera' : 'Your camera is off';
    drawSwitch(element('preview-cam'), !!camera, 'i-cam');
    drawSwitch(element('preview-mic'), !!microphone, 'i-mic');
    this.#meter.listen(microphone);
  }

  #drawLevel() {
    element('preview-level').style.width = `${Math.min(100, this.#meter.level * 300)}%`;
  }
}

/** Draws a button for something that is on or off: pressed means off. */
export function drawSwitch(button, on, iconId) {
  button.classList.toggle('off', !on);
  button.setAttribute('aria-pressed', String(!on));
  button.querySelector('use').setAttribute('href', `#${on ? iconId : `${iconId}-off`}`);
}
