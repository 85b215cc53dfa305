// The protoo envelope, as a client application would have it.

export class Protoo {
  #socket;
  #nextId = 1;
  #waiting = new Map();
  #onRequest;
  #onNotification;

  constructor({ onRequest, onNotification, onClosed }) {
    this.#onRequest = onRequest;
    this.#onNotification = onNotification;
    this.onClosed = onClosed;
  }

  open(url) {
    this.#socket = new WebSocket(url, 'protoo');
    this.#socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    return new Promise((resolve, reject) => {
      this.#socket.onopen = resolve;
      this.#socket.onclose = ({ code, reason }) => {
        reject(new Error(`WebSocket closed: ${code} ${reason}`));
        for (const waiting of this.#waiting.values()) waiting.reject(new Error('WebSocket closed'));
        this.onClosed?.({ code, reason });
      };
    });
  }

  close() {
    this.#socket.close();
  }

  request(method, data = {}) {
    const id = this.#nextId++;
    this.#send({ request: true, id, method, data });
    return new Promise((resolve, reject) => this.#waiting.set(id, { method, resolve, reject }));
  }

  notify(method, data = {}) {
    this.#send({ notification: true, method, data });
  }

  async #receive(message) {
    if (message.notification) return this.#onNotification(message.method, message.data);
    if (message.request) return this.#answer(message);
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.ok) waiting.resolve(message.data);
    else waiting.reject(new Error(`${waiting.method}: ${message.errorCode} ${message.errorReason}`));
  }

  async #answer({ id, method, data }) {
    try {
      await this.#onRequest(method, data);
      this.#send({ response: true, id, ok: true, data: {} });
    } catch (error) {
      this.#send({ response: true, id, ok: false, errorCode: 500, errorReason: String(error) });
    }
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }
}
