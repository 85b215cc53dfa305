// The meeting screen: tiles, buttons, notices, and the two sessions behind it (oneself, and one's shared screen).

import { explainDeviceError } from './devices.js';
import { LevelMeter, receivedLevel } from './level.js';
import { drawSwitch } from './lobby.js';
import { SCREEN_FLAG, Session } from './session.js';
import { StatsReader } from './stats.js';
import { Stage, Tile } from './tiles.js';
import { Notices } from './notices.js';

const element = (id) => document.getElementById(id);
const STATS_INTERVAL_MS = 1000;
const LEVEL_INTERVAL_MS = 150;
// A camera that shows nothing new for this many looks at the statistics is off or stuck: show initials.
const STALLED_AFTER = 3;
const SPEAKING_LEVEL = 0.015;
const SPEAKING_HOLD_MS = 700;

export class Meeting {
  session = null;
  #devices;
  #left;
  #stage = new Stage(element('stage'));
  #notices = new Notices(element('troubles'), element('toasts'));
  /** For each peer id: `{peer, tile, reader, frames, stalled, spokeAt}`. */
  #views = new Map();
  #own = null;
  #screen = null;
  #muted = false;
  #speaker = null;
  #meter = new LevelMeter();
  #timers = [];
  #name = '';
  #room = '';
  #peerId = '';

  /** `left(title, text)` is called when the meeting is over for us. */
  constructor(devices, left) {
    this.#devices = devices;
    this.#left = left;
    devices.lost = (what) => this.#deviceLost(what);
    const actions = { mic: 'toggleMicrophone', cam: 'toggleCamera', share: 'toggleScreen', stats: 'toggleStats', leave: 'leave' };
    for (const [id, action] of Object.entries(actions)) element(id).addEventListener('click', () => this[action]());
    for (const id of ['invite', 'copy-link']) element(id).addEventListener('click', () => this.#copyLink());
    document.addEventListener('keydown', (event) => this.#shortcut(event));
    addEventListener('offline', () => this.#notices.trouble('offline', 'Your computer is offline.', { severe: true }));
    addEventListener('online', () => this.#notices.trouble('offline', null));
    addEventListener('pagehide', () => this.#end(true));
  }

  get troubles() {
    return this.#notices.texts;
  }

  get tiles() {
    return this.#stage.tiles;
  }

  /** Joins; rejects with a readable error, and changes nothing then. */
  async start({ room, name, peerId }) {
    const session = new Session(
      {
        room,
        peerId,
        displayName: name,
        device: { flag: 'sansfu', name: 'sansfu page', version: '1' },
        watches: true,
        ignores: (id) => id === screenPeerId(peerId),
      },
      this.#sessionEvents(),
    );
    Object.assign(this, { session });
    this.#name = name;
    this.#room = room;
    this.#peerId = peerId;
    this.#show();
    try {
      await session.join();
    } catch (error) {
      this.#end();
      throw error;
    }
    if (this.#devices.microphone) session.setTrack('audio', this.#devices.microphone);
    if (this.#devices.camera) session.setTrack('video', this.#devices.camera);
  }

  async toggleMicrophone() {
    if (!this.#devices.microphone) return this.#openMicrophone();
    this.#muted = !this.#muted;
    this.#devices.microphone.enabled = !this.#muted;
    this.session.setPaused('audio', this.#muted);
    this.#drawOwn();
  }

  async toggleCamera() {
    if (this.#devices.camera) {
      this.#devices.closeCamera();
      await this.session.setTrack('video', null);
    } else {
      await this.#guardDevice('camera', async () => {
        await this.session.setTrack('video', await this.#devices.openCamera(element('camera-select').value));
      });
    }
    this.#drawOwn();
  }

  async toggleScreen() {
    if (this.#screen) return this.#stopScreen();
    let tracks;
    try {
      tracks = await this.#devices.openScreen();
    } catch (error) {
      // Closing the browser's own dialog is a decision, not a problem.
      if (error.name !== 'NotAllowedError') this.#notices.trouble('screen', explainDeviceError(error, 'screen'));
      return;
    }
    tracks.video.onended = () => this.#stopScreen();
    await this.#startScreen(tracks);
  }

  toggleStats() {
    const open = element('stats').getAttribute('aria-pressed') !== 'true';
    element('stats').setAttribute('aria-pressed', String(open));
    for (const tile of this.#stage.tiles) tile.panelOpen = open;
  }

  leave() {
    this.#end();
    this.#left('You left the room', '');
  }

  // Sessions

  #sessionEvents() {
    return {
      peerAdded: (peer) => this.#addPeer(peer),
      peerChanged: (peer) => this.#drawPeer(this.#views.get(peer.id)),
      peerRemoved: (peer) => this.#removePeer(peer),
      speaker: (peerId) => (this.#speaker = peerId),
      trouble: (topic, text) => this.#notices.trouble(topic, text, { severe: true }),
      ended: (reason) => {
        this.#end();
        this.#left('You were disconnected', reason ? `The server says: ${reason}.` : 'The server ended this session.');
      },
    };
  }

  async #startScreen(tracks) {
    const session = new Session(
      {
        room: this.#room,
        peerId: screenPeerId(this.#peerId),
        displayName: `${this.#name}'s screen`,
        device: { flag: SCREEN_FLAG, name: 'screen', version: this.#peerId },
        watches: false,
      },
      { ...silentEvents, trouble: (_topic, text) => this.#notices.trouble('screen', text), ended: () => this.#stopScreen() },
    );
    const tile = this.#makeTile({ id: screenPeerId(this.#peerId), name: 'Your screen', self: true, screen: true });
    this.#screen = { session, tile, tracks };
    tile.play(new MediaStream([tracks.video]));
    tile.update({ picture: true, sound: true, state: '' });
    this.#drawOwn();
    try {
      await session.join();
      if (tracks.audio) session.setTrack('audio', tracks.audio);
      session.setTrack('video', tracks.video);
    } catch (error) {
      this.#stopScreen();
      this.#notices.trouble('screen', `Your screen could not be shared: ${error.message}.`);
    }
  }

  #stopScreen() {
    if (!this.#screen) return;
    const { session, tile, tracks } = this.#screen;
    this.#screen = null;
    session.leave();
    tracks.video.stop();
    tracks.audio?.stop();
    this.#stage.remove(tile);
    this.#drawOwn();
  }

  #show() {
    element('meeting').hidden = false;
    element('room-title').textContent = this.#room;
    element('invite-link').value = location.href;
    this.#muted = false;
    const tile = this.#makeTile({ id: this.#peerId, name: `${this.#name} (you)`, self: true });
    this.#own = { tile, reader: new StatsReader(), spokeAt: 0 };
    this.#drawOwn();
    this.#timers = [
      setInterval(() => this.#readStats(), STATS_INTERVAL_MS),
      setInterval(() => this.#showSpeakers(), LEVEL_INTERVAL_MS),
    ];
  }

  #end(unloading = false) {
    if (!this.session) return;
    this.#timers.forEach(clearInterval);
    this.#screen?.session.leave(unloading);
    if (!unloading) this.#stopScreen();
    this.session.leave(unloading);
    if (unloading) return;
    this.session = null;
    this.#meter.listen(null);
    this.#views.clear();
    this.#stage.clear();
    this.#notices.clear();
    element('stats').setAttribute('aria-pressed', 'false');
    element('meeting').hidden = true;
  }

  // People

  #addPeer(peer) {
    const tile = this.#makeTile({ id: peer.id, name: peer.displayName, screen: peer.isScreen });
    this.#views.set(peer.id, { peer, tile, reader: new StatsReader(), frames: 0, stalled: 0, spokeAt: 0 });
    this.#drawPeer(this.#views.get(peer.id));
    this.#drawCount();
    this.#notices.toast(peer.isScreen ? peer.displayName : `${peer.displayName} joined`);
  }

  #removePeer(peer) {
    const view = this.#views.get(peer.id);
    if (!view) return;
    this.#views.delete(peer.id);
    this.#stage.remove(view.tile);
    this.#drawCount();
    if (!peer.isScreen) this.#notices.toast(`${peer.displayName} left`);
  }

  #makeTile(options) {
    const tile = new Tile({
      ...options,
      onPin: (pinned) => this.#stage.togglePin(pinned),
      onBlocked: () => this.#soundBlocked(),
    });
    this.#stage.add(tile);
    tile.panelOpen = element('stats').getAttribute('aria-pressed') === 'true';
    return tile;
  }

  #drawPeer(view) {
    if (!view) return;
    const { peer, tile } = view;
    if (tile.name !== peer.displayName) tile.rename(peer.displayName);
    tile.play(peer.stream);
    const state = { connecting: 'Connecting…', interrupted: 'Reconnecting…' }[peer.linkState] ?? '';
    const stalled = !peer.isScreen && view.stalled >= STALLED_AFTER;
    const picture = peer.sends('video') && view.frames > 0 && !stalled;
    tile.update({ picture, sound: peer.isScreen || peer.sends('audio'), state });
  }

  #drawOwn() {
    const { camera, microphone } = this.#devices;
    const { tile } = this.#own;
    if (tile.track !== camera) {
      tile.track = camera;
      tile.play(camera ? new MediaStream([camera]) : null);
    }
    const audible = !!microphone && !this.#muted;
    tile.update({ picture: !!camera, sound: audible, state: '' });
    this.#meter.listen(audible ? microphone : null);
    drawSwitch(element('mic'), audible, 'i-mic');
    drawSwitch(element('cam'), !!camera, 'i-cam');
    element('share').setAttribute('aria-pressed', String(!!this.#screen));
    element('share').disabled = !navigator.mediaDevices?.getDisplayMedia;
    this.#drawCount();
  }

  #drawCount() {
    const people = [...this.#views.values()].filter(({ peer }) => !peer.isScreen).length + 1;
    element('count').textContent = people;
    element('alone').hidden = this.#views.size > 0 || !!this.#screen;
    this.session?.fitTo(people);
    document.title = `${this.#room} (${people}) – sansfu`;
  }

  // Numbers and levels

  async #readStats() {
    const reads = [...this.#views.values()].map((view) => this.#readPeer(view));
    reads.push(this.#own.reader.read(this.session?.publishingConnection, 'outbound').then((stats) => this.#own.tile.showStats(stats)));
    if (this.#screen) {
      const { session, tile } = this.#screen;
      this.#screen.reader ??= new StatsReader();
      reads.push(this.#screen.reader.read(session.publishingConnection, 'outbound').then((stats) => tile.showStats(stats)));
    }
    await Promise.allSettled(reads);
  }

  async #readPeer(view) {
    const stats = await view.reader.read(view.peer.link?.peerConnection, 'inbound');
    view.tile.showStats(stats);
    const frames = stats?.framesDecoded ?? 0;
    view.stalled = frames === view.frames ? view.stalled + 1 : 0;
    view.frames = frames;
    this.#drawPeer(view);
  }

  #showSpeakers() {
    const now = performance.now();
    const show = (view, speaking) => {
      if (speaking) view.spokeAt = now;
      view.tile.speaking = view.spokeAt > 0 && now - view.spokeAt < SPEAKING_HOLD_MS;
    };
    show(this.#own, this.#meter.level > SPEAKING_LEVEL);
    for (const view of this.#views.values()) {
      const level = receivedLevel(view.peer.link?.peerConnection);
      const speaking = level === null ? this.#speaker === view.peer.id : level > SPEAKING_LEVEL;
      show(view, speaking && view.peer.sends('audio'));
    }
  }

  // Devices and the rest of the window

  async #openMicrophone() {
    await this.#guardDevice('microphone', async () => {
      await this.session.setTrack('audio', await this.#devices.openMicrophone(element('microphone-select').value));
      this.#muted = false;
      this.session.setPaused('audio', false);
    });
    this.#drawOwn();
  }

  async #guardDevice(what, open) {
    try {
      await open();
      this.#notices.trouble(what, null);
    } catch (error) {
      this.reportDevice(error, what);
    }
  }

  /** Says above the tiles why a device cannot be used. */
  reportDevice(error, what) {
    this.#notices.trouble(what, explainDeviceError(error, what), { dismissible: true });
  }

  #deviceLost(what) {
    if (!this.session) return;
    this.session.setTrack(what === 'camera' ? 'video' : 'audio', null);
    this.#notices.trouble(what, `The ${what} was disconnected or taken by another program.`, { dismissible: true });
    this.#drawOwn();
  }

  #soundBlocked() {
    const action = () => {
      for (const tile of this.#stage.tiles) tile.resume();
      this.#notices.trouble('sound', null);
    };
    this.#notices.trouble('sound', 'The browser holds back the sound of the others until you click.', { action, label: 'Turn on sound' });
  }

  async #copyLink() {
    try {
      await navigator.clipboard.writeText(location.href);
      this.#notices.toast('Link copied');
    } catch {
      element('alone').hidden = false;
      element('invite-link').select();
    }
  }

  #shortcut(event) {
    const typing = event.target.closest?.('input, select, textarea');
    if (!this.session || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const action = { m: 'toggleMicrophone', v: 'toggleCamera', s: 'toggleScreen', i: 'toggleStats' }[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    this[action]();
  }
}

const ignore = () => {};
const silentEvents = { peerAdded: ignore, peerChanged: ignore, peerRemoved: ignore, speaker: ignore };

function screenPeerId(peerId) {
  return `${peerId}-screen`;
}
