// The protoo envelope over one WebSocket: requests with answers, and notifications.

const REQUEST_TIMEOUT_MS = 15_000;

/** The close code by which a protoo server says "do not come back". */
export const CLOSE_FOR_GOOD = 4000;

/** A request that the server answered with an error. */
export class RequestRefused extends Error {
  constructor(method, code, reason) {
    super(reason || `${method} was refused (${code})`);
    this.name = 'RequestRefused';
    this.code = code;
  }
}

export class Signaling {
  #socket = null;
  #nextId = 1;
  #waiting = new Map();
  #handlers;

  /** `handlers`: `notified(method, data)` and `closed(code, reason)`; the latter only after a successful `open`. */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  /** Resolves once the socket is open; rejects if it never opens. */
  open(room, peerId) {
    const url = new URL('/', location.href);
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    url.search = new URLSearchParams({ roomId: room, peerId });
    const socket = new WebSocket(url, 'protoo');
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      let opened = false;
      socket.onopen = () => {
        opened = true;
        resolve();
      };
      socket.onmessage = ({ data }) => this.#receive(data);
      socket.onclose = ({ code, reason }) => {
        this.#rejectWaiting();
        if (opened) this.#handlers.closed(code, reason);
        else explainRefusal().then(reject);
      };
    });
  }

  close() {
    if (!this.#socket) return;
    this.#socket.onclose = null;
    this.#socket.close();
    this.#rejectWaiting();
  }

  /** Sends a request; resolves with the answer's data or rejects with `RequestRefused`. */
  request(method, data = {}) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      return Promise.reject(new Error('not connected to the server'));
    }
    const id = this.#nextId++;
    this.#send({ request: true, id, method, data });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`the server did not answer "${method}"`));
      }, REQUEST_TIMEOUT_MS);
      this.#waiting.set(id, { method, resolve, reject, timer });
    });
  }

  #receive(text) {
    const message = JSON.parse(text);
    if (message.notification) {
      this.#handlers.notified(message.method, message.data ?? {});
    } else if (message.response) {
      this.#settle(message);
    } else if (message.request) {
      // Media comes by WHEP: nothing that the server could ask of a protoo client applies here.
      const refusal = { errorCode: 403, errorReason: 'this peer consumes by WHEP' };
      this.#send({ response: true, id: message.id, ok: false, ...refusal });
    }
  }

  #settle({ id, ok, data, errorCode, errorReason }) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (ok) waiting.resolve(data ?? {});
    else waiting.reject(new RequestRefused(waiting.method, errorCode, errorReason));
  }

  #rejectWaiting() {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new Error('the connection to the server was lost'));
    }
    this.#waiting.clear();
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }
}

/** A WebSocket does not say why it was refused: ask whether the server is there at all. */
async function explainRefusal() {
  const there = await fetch('/health').then(({ ok }) => ok, () => false);
  return new Error(there ? 'the server refuses this room' : 'the server cannot be reached');
}
