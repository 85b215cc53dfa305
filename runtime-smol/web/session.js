// One membership in a room: who is there (protoo), what we publish (WHIP), and whom we watch (WHEP).

import { MediaLink } from './link.js';
import { CLOSE_FOR_GOOD, RequestRefused, Signaling } from './signaling.js';

const REJOIN_PAUSES_MS = [500, 1000, 2000, 4000, 8000];
// A peer's audio and video producers appear one after the other: wait for both, subscribe once.
const SUBSCRIBE_DELAY_MS = 150;
const SCREEN_MAX_BITRATE_BPS = 2_500_000;
// Everybody receives everybody's one picture: the more people, the smaller the tiles, and the less it may cost.
const CAMERA_BUDGETS = [
  { people: 3, scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
  { people: 6, scaleResolutionDownBy: 1.5, maxBitrate: 900_000 },
  { people: 12, scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { people: Infinity, scaleResolutionDownBy: 4, maxBitrate: 200_000 },
];

/** Marks the extra peer by which somebody shares a screen; its `device.version` is the sharer's peer id. */
export const SCREEN_FLAG = 'screen';

/** What the page knows of another peer. `producers` maps producer ids to `{kind, paused}`. */
class RemotePeer {
  producers = new Map();
  link = null;
  linkState = 'idle';
  stream = new MediaStream();
  subscribeTimer = 0;

  constructor({ id, displayName, device }) {
    this.id = id;
    this.displayName = displayName || id;
    this.device = device ?? {};
  }

  get isScreen() {
    return this.device.flag === SCREEN_FLAG;
  }

  /** Whether the peer sends this kind now: it has a producer of it, and not all of them are paused. */
  sends(kind) {
    return [...this.producers.values()].some((producer) => producer.kind === kind && !producer.paused);
  }
}

export class Session {
  peers = new Map();
  #options;
  #events;
  #signaling = null;
  #publication = null;
  #tracks = { audio: null, video: null };
  #pausedByUser = { audio: false, video: false };
  #senders = null;
  #people = 1;
  #ownProducers = { audio: null, video: null };
  #failures = 0;
  #rejoinTimer = 0;
  #left = false;

  /**
   * `options`: `room`, `peerId`, `displayName`, `device`, `watches` (false: publish only), `ignores(peerId)`.
   * `events`: `peerAdded`, `peerChanged`, `peerRemoved` (all with the peer), `speaker(peerId)`,
   * `trouble(topic, text or null)` and `ended(reason)`.
   */
  constructor(options, events) {
    this.#options = options;
    this.#events = events;
  }

  get publishingConnection() {
    return this.#publication?.peerConnection ?? null;
  }

  get ownProducers() {
    return { ...this.#ownProducers };
  }

  /** Joins for the first time; rejects with a readable error if that fails. Later losses are repaired silently. */
  async join() {
    const signaling = new Signaling({
      notified: (method, data) => this.#notified(method, data),
      closed: (code, reason) => this.#lost(code, reason),
    });
    const { room, peerId, displayName, device } = this.#options;
    await signaling.open(room, peerId);
    this.#signaling = signaling;
    let answer;
    try {
      answer = await signaling.request('join', { displayName, device });
    } catch (error) {
      signaling.close();
      throw error;
    }
    if (this.#left) return signaling.close();
    this.#failures = 0;
    this.#reconcile(answer.peers ?? []);
    if (this.#publication) this.#publication.dial();
    else this.#publishIfNeeded();
  }

  /** Leaves for good. `unloading`: the page is going away. */
  leave(unloading = false) {
    this.#left = true;
    clearTimeout(this.#rejoinTimer);
    this.#publication?.close(unloading);
    for (const peer of [...this.peers.values()]) this.#remove(peer, unloading);
    this.#signaling?.close();
  }

  /** Sends this track from now on; null: this kind is muted or off. */
  async setTrack(kind, track) {
    this.#tracks[kind] = track;
    const sender = this.#senders?.[kind];
    if (sender) {
      await sender.replaceTrack(track);
      this.#tellPaused(kind);
    } else {
      this.#publishIfNeeded();
    }
  }

  /** Fits the picture that we send to the number of people in the room. */
  async fitTo(people) {
    this.#people = people;
    const sender = this.#senders?.video;
    if (!sender || this.#isScreen) return;
    const parameters = sender.getParameters();
    if (!parameters.encodings?.length) return;
    Object.assign(parameters.encodings[0], this.#videoEncoding);
    await sender.setParameters(parameters).catch((error) => console.warn(`setParameters: ${error.message}`));
  }

  /** Tells the server, and through it the others, that a kind is paused though its track stays. */
  setPaused(kind, paused) {
    this.#pausedByUser[kind] = paused;
    this.#tellPaused(kind);
  }

  get #isScreen() {
    return this.#options.device.flag === SCREEN_FLAG;
  }

  get #videoEncoding() {
    if (this.#isScreen) return { maxBitrate: SCREEN_MAX_BITRATE_BPS };
    const { people, ...encoding } = CAMERA_BUDGETS.find((budget) => this.#people <= budget.people);
    return encoding;
  }

  #publishIfNeeded() {
    if (this.#publication || !(this.#tracks.audio || this.#tracks.video)) return;
    const { room, peerId } = this.#options;
    this.#publication = new MediaLink(endpoint('whip', room, peerId), {
      overlap: false,
      build: (pc) => this.#addSenders(pc),
      events: {
        up: (senders, _pc, headers) => this.#published(senders, headers),
        state: (state) => {
          if (state === 'up') this.#events.trouble('publish', null);
          if (state === 'interrupted') this.#events.trouble('publish', PUBLISH_INTERRUPTED);
        },
        failed: (error) => this.#events.trouble('publish', explainPublishFailure(error)),
      },
    });
    this.#publication.dial();
  }

  #addSenders(pc) {
    const stream = new MediaStream();
    const add = (kind, extra) =>
      pc.addTransceiver(this.#tracks[kind] ?? kind, { direction: 'sendonly', streams: [stream], ...extra }).sender;
    // Both kinds are always offered: turning on a camera later is a replaceTrack, not a new connection.
    const senders = {};
    if (!this.#isScreen || this.#tracks.audio) senders.audio = add('audio');
    senders.video = add('video', { sendEncodings: [this.#videoEncoding] });
    this.#senders = senders;
    return senders;
  }

  #published(senders, headers) {
    this.#ownProducers = { audio: null, video: null };
    for (const entry of (headers.get('x-sansfu-producers') ?? '').split(',')) {
      const [kind, id] = entry.trim().split('=');
      if (id && kind in this.#ownProducers) this.#ownProducers[kind] = id;
    }
    for (const [kind, sender] of Object.entries(senders)) {
      // The track may have been exchanged while the connection was being made.
      if (sender.track !== this.#tracks[kind]) sender.replaceTrack(this.#tracks[kind]);
      if (this.#isPaused(kind)) this.#tellPaused(kind);
    }
  }

  #isPaused(kind) {
    return !this.#tracks[kind] || this.#pausedByUser[kind];
  }

  #tellPaused(kind) {
    const producerId = this.#ownProducers[kind];
    if (!producerId) return;
    const method = this.#isPaused(kind) ? 'pauseProducer' : 'resumeProducer';
    this.#signaling.request(method, { producerId }).catch((error) => console.warn(`${method}: ${error.message}`));
  }

  #lost(code, reason) {
    if (this.#left) return;
    if (code === CLOSE_FOR_GOOD) {
      this.leave();
      this.#events.ended(reason);
      return;
    }
    this.#events.trouble('server', 'The connection to the server is lost. Trying to connect again…');
    this.#rejoinLater();
  }

  #rejoinLater() {
    const pause = REJOIN_PAUSES_MS[Math.min(this.#failures++, REJOIN_PAUSES_MS.length - 1)];
    this.#rejoinTimer = setTimeout(async () => {
      try {
        await this.join();
        this.#events.trouble('server', null);
      } catch (error) {
        const refused = error instanceof RequestRefused;
        if (refused) this.#events.trouble('server', `The server refuses to let you back in: ${error.message}`);
        if (!this.#left) this.#rejoinLater();
      }
    }, pause);
  }

  /** Takes over the server's list of peers after a join. */
  #reconcile(list) {
    const present = new Set(list.map(({ id }) => id));
    for (const peer of [...this.peers.values()]) if (!present.has(peer.id)) this.#remove(peer);
    for (const info of list) {
      const peer = this.#ensure(info);
      if (!peer) continue;
      const producers = new Map((info.producers ?? []).map(({ id, kind, paused }) => [id, { kind, paused: !!paused }]));
      const same = producers.size === peer.producers.size && [...producers.keys()].every((id) => peer.producers.has(id));
      peer.producers = producers;
      if (!same || peer.linkState !== 'up') this.#subscribeSoon(peer);
      this.#events.peerChanged(peer);
    }
  }

  #notified(method, data) {
    switch (method) {
      case 'newPeer':
        this.#ensure(data);
        break;
      case 'peerClosed':
        this.#remove(this.peers.get(data.peerId));
        break;
      case 'peerDisplayNameChanged':
        this.#change(data.peerId, (peer) => (peer.displayName = data.displayName));
        break;
      case 'producerAdded':
        this.#ensure({ id: data.peerId });
        this.#change(data.peerId, (peer) => {
          peer.producers.set(data.producerId, { kind: data.kind, paused: !!data.paused });
          this.#subscribeSoon(peer);
        });
        break;
      case 'producerRemoved':
        this.#change(data.peerId, (peer) => {
          peer.producers.delete(data.producerId);
          if (peer.producers.size === 0) this.#unsubscribe(peer);
        });
        break;
      case 'producerPaused':
      case 'producerResumed':
        this.#change(data.peerId, (peer) => {
          const producer = peer.producers.get(data.producerId);
          if (producer) producer.paused = method === 'producerPaused';
        });
        break;
      case 'activeSpeaker':
        this.#events.speaker(data.peerId ?? null);
        break;
    }
  }

  /** Finds or creates a peer; null for those that we do not show. */
  #ensure(info) {
    if (info.id === this.#options.peerId || this.#options.ignores?.(info.id)) return null;
    let peer = this.peers.get(info.id);
    if (!peer) {
      peer = new RemotePeer(info);
      this.peers.set(peer.id, peer);
      this.#events.peerAdded(peer);
    } else if (info.displayName) {
      peer.displayName = info.displayName;
      peer.device = info.device ?? peer.device;
      this.#events.peerChanged(peer);
    }
    return peer;
  }

  #change(peerId, update) {
    const peer = this.peers.get(peerId);
    if (!peer) return;
    update(peer);
    this.#events.peerChanged(peer);
  }

  #remove(peer, unloading = false) {
    if (!peer) return;
    this.peers.delete(peer.id);
    this.#unsubscribe(peer, unloading);
    this.#events.peerRemoved(peer);
  }

  #subscribeSoon(peer) {
    if (!this.#options.watches) return;
    clearTimeout(peer.subscribeTimer);
    if (peer.producers.size === 0) return this.#unsubscribe(peer);
    peer.subscribeTimer = setTimeout(() => {
      peer.link ??= this.#watchLink(peer);
      peer.link.dial();
    }, SUBSCRIBE_DELAY_MS);
  }

  #unsubscribe(peer, unloading = false) {
    clearTimeout(peer.subscribeTimer);
    peer.link?.close(unloading);
    peer.link = null;
    peer.linkState = 'idle';
    peer.stream = new MediaStream();
  }

  #watchLink(peer) {
    return new MediaLink(endpoint('whep', this.#options.room, peer.id), {
      overlap: true,
      build: (pc) => {
        pc.addTransceiver('audio', { direction: 'recvonly' });
        pc.addTransceiver('video', { direction: 'recvonly' });
      },
      events: {
        up: (_built, pc) => {
          // A slot that the server did not fill stays muted forever and would only confuse the player.
          const filled = pc.getTransceivers().filter(({ currentDirection }) => currentDirection === 'recvonly');
          peer.stream = new MediaStream(filled.map(({ receiver }) => receiver.track));
          this.#events.peerChanged(peer);
        },
        state: (state) => {
          peer.linkState = state;
          this.#events.peerChanged(peer);
        },
        failed: (error) => {
          peer.linkState = 'interrupted';
          peer.linkError = error.message;
          this.#events.peerChanged(peer);
        },
      },
    });
  }
}

const PUBLISH_INTERRUPTED = 'Your sound and picture do not reach the server at the moment. Connecting again…';

function explainPublishFailure(error) {
  switch (error.kind) {
    case 'blocked':
      return 'Your sound and picture do not reach the server. The network between you seems to block its media port (UDP). Trying again…';
    case 'refused':
      return `The server refuses your sound and picture: ${error.message}. Trying again…`;
    case 'unreachable':
      return PUBLISH_INTERRUPTED;
    default:
      return `Your browser could not publish: ${error.message}`;
  }
}

function endpoint(face, room, peerId) {
  return `/${face}/${encodeURIComponent(room)}/${encodeURIComponent(peerId)}`;
}
