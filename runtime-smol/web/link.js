// One media connection by WHIP (publish) or WHEP (watch): an RTCPeerConnection whose offer is answered over
// HTTP, kept alive by dialing again, with growing pauses, whenever it fails.

const RETRY_PAUSES_MS = [500, 1000, 2000, 4000, 8000];
const CONNECT_TIMEOUT_MS = 12_000;
// Chromium reports `disconnected` on short gaps too; only a lasting one is worth a new connection.
const DISCONNECTED_PATIENCE_MS = 5_000;

/** Why a dial failed: `refused` (an HTTP error), `unreachable` (no HTTP answer) or `blocked` (media does not pass). */
export class DialError extends Error {
  constructor(kind, message, status = 0) {
    super(message);
    this.name = 'DialError';
    this.kind = kind;
    this.status = status;
  }
}

export class MediaLink {
  #endpoint;
  #build;
  #overlap;
  #events;
  #current = null;
  #dialing = null;
  #failures = 0;
  #retryTimer = 0;
  #patienceTimer = 0;
  #closed = false;

  /**
   * `build(pc)` adds the transceivers and may return a value that is handed to `up`.
   * `overlap`: keep the old connection until its successor is up (right for watching, wrong for publishing).
   * `events`: `up(built, pc, headers)`, `state('connecting' | 'up' | 'interrupted')`, `failed(DialError)`.
   */
  constructor(endpoint, { build, overlap, events }) {
    this.#endpoint = endpoint;
    this.#build = build;
    this.#overlap = overlap;
    this.#events = events;
  }

  get peerConnection() {
    return this.#current?.pc ?? null;
  }

  /** Dials, or dials anew if there is a connection already. */
  async dial() {
    if (this.#closed) return;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#patienceTimer);
    const stale = this.#dialing;
    const dialing = new Connection(this.#endpoint);
    this.#dialing = dialing;
    await Promise.all([stale?.end(), this.#overlap ? null : this.#dropCurrent()]);
    // Somebody dialed or closed while the old connection was being ended.
    if (this.#dialing !== dialing || this.#closed) return;
    if (!this.#current) this.#events.state('connecting');
    try {
      const built = await dialing.open(this.#build);
      if (this.#dialing === dialing) this.#becomeCurrent(dialing, built);
    } catch (error) {
      dialing.end();
      if (this.#dialing === dialing && !this.#closed) this.#fail(error);
    }
  }

  /** Ends the connection at both sides. `leaving` keeps the request alive while the page unloads. */
  close(leaving = false) {
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#patienceTimer);
    return Promise.all([this.#dialing?.end(leaving), this.#dropCurrent(leaving)]);
  }

  #becomeCurrent(connection, built) {
    this.#dialing = null;
    this.#failures = 0;
    const previous = this.#current;
    this.#current = connection;
    connection.pc.onconnectionstatechange = () => this.#watch(connection);
    this.#events.up(built, connection.pc, connection.headers);
    this.#events.state('up');
    previous?.end();
  }

  async #dropCurrent(leaving) {
    const current = this.#current;
    this.#current = null;
    await current?.end(leaving);
  }

  #fail(error) {
    this.#dialing = null;
    this.#events.failed(error);
    const pause = RETRY_PAUSES_MS[Math.min(this.#failures++, RETRY_PAUSES_MS.length - 1)];
    this.#retryTimer = setTimeout(() => this.dial(), pause);
  }

  #watch(connection) {
    if (connection !== this.#current) return;
    clearTimeout(this.#patienceTimer);
    switch (connection.pc.connectionState) {
      case 'connected':
        this.#events.state('up');
        break;
      case 'disconnected':
        this.#events.state('interrupted');
        this.#patienceTimer = setTimeout(() => this.dial(), DISCONNECTED_PATIENCE_MS);
        break;
      case 'failed':
      case 'closed':
        this.#events.state('interrupted');
        this.dial();
        break;
    }
  }
}

class Connection {
  pc = new RTCPeerConnection();
  headers = new Headers();
  #endpoint;
  #resource = null;
  #ended = false;

  constructor(endpoint) {
    this.#endpoint = endpoint;
  }

  async open(build) {
    const built = build(this.pc);
    // The server is ICE-Lite and learns our address from our checks: no candidate needs to be sent to it.
    await this.pc.setLocalDescription(await this.pc.createOffer());
    const answer = await this.#post(this.pc.localDescription.sdp);
    if (this.#ended) throw new DialError('refused', 'ended meanwhile');
    await this.pc.setRemoteDescription({ type: 'answer', sdp: answer });
    await this.#connected();
    return built;
  }

  async end(leaving = false) {
    this.#ended = true;
    this.pc.onconnectionstatechange = null;
    this.pc.close();
    await this.#delete(leaving);
  }

  async #post(sdp) {
    let response;
    try {
      response = await fetch(this.#endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/sdp' },
        body: sdp,
      });
    } catch {
      throw new DialError('unreachable', 'the server cannot be reached');
    }
    const text = await response.text();
    if (response.status !== 201) {
      throw new DialError('refused', text.trim() || `the server said ${response.status}`, response.status);
    }
    this.headers = response.headers;
    const resource = response.headers.get('location');
    this.#resource = resource && new URL(resource, response.url);
    // Ended while the offer was on its way: the server has a session now that nobody else would end.
    if (this.#ended) await this.#delete();
    return text;
  }

  async #delete(leaving = false) {
    const resource = this.#resource;
    if (!resource) return;
    this.#resource = null;
    // A server that is gone, or forgot the session, needs no goodbye.
    await fetch(resource, { method: 'DELETE', keepalive: leaving }).catch(() => {});
  }

  #connected() {
    const blocked = () => new DialError('blocked', 'no media connection to the server');
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(blocked()), CONNECT_TIMEOUT_MS);
      const check = () => {
        const state = this.pc.connectionState;
        if (state !== 'connected' && state !== 'failed' && state !== 'closed') return;
        clearTimeout(timer);
        if (state === 'connected') resolve();
        else reject(blocked());
      };
      this.pc.onconnectionstatechange = check;
      check();
    });
  }
}
