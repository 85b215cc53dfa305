// The page: from the lobby into a meeting and back.
//
// URL parameters: `room` (or `roomId`) names the room, `name` fills in the name, and `autojoin=1` joins at once.

import { Devices } from './devices.js';
import { Lobby } from './lobby.js';
import { Meeting } from './meeting.js';

const element = (id) => document.getElementById(id);
const parameters = new URLSearchParams(location.search);
const peerId = randomId(12);
const devices = new Devices();
const meeting = new Meeting(devices, showEnded);
const lobby = new Lobby(devices, join);
let phase = 'lobby';
let room = parameters.get('room') || parameters.get('roomId') || '';
let name = parameters.get('name') || '';

async function join(chosen) {
  phase = 'joining';
  ({ room, name } = chosen);
  history.replaceState(null, '', `/?${new URLSearchParams({ room })}`);
  try {
    await meeting.start({ room, name, peerId });
  } catch (error) {
    phase = 'lobby';
    throw error;
  }
  lobby.hide();
  phase = 'joined';
}

async function joinAtOnce() {
  phase = 'joining';
  const failures = [];
  await devices.openMicrophone().catch((error) => failures.push([error, 'microphone']));
  await devices.openCamera().catch((error) => failures.push([error, 'camera']));
  element('lobby').hidden = true;
  try {
    await join({ room: room || suggestRoom(), name: name || 'Guest' });
  } catch (error) {
    await lobby.show({ room, name });
    lobby.problem('join', `You could not join: ${error.message}.`);
    return;
  }
  for (const [error, what] of failures) meeting.reportDevice(error, what);
}

function showEnded(title, text) {
  phase = 'left';
  devices.closeCamera();
  devices.closeMicrophone();
  element('ended-title').textContent = title;
  element('ended-text').textContent = text;
  element('ended').hidden = false;
  element('rejoin').focus();
}

function suggestRoom() {
  const adjectives = ['amber', 'bright', 'calm', 'coral', 'early', 'gentle', 'golden', 'lunar', 'quiet', 'silver'];
  const nouns = ['anchor', 'bridge', 'canyon', 'garden', 'harbor', 'island', 'meadow', 'orchard', 'river', 'summit'];
  const pick = (words) => words[Math.floor(Math.random() * words.length)];
  return `${pick(adjectives)}-${pick(nouns)}-${randomId(3)}`;
}

/** Lower-case letters and digits; `crypto.randomUUID` would need a secure page. */
function randomId(length) {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return [...bytes].map((byte) => (byte % 36).toString(36)).join('');
}

element('rejoin').addEventListener('click', () => {
  element('ended').hidden = true;
  phase = 'lobby';
  lobby.show({ room, name });
});

/** A read-only view of what the page knows, for tests and for the curious. */
window.sansfu = Object.freeze({
  get phase() {
    return phase;
  },
  get room() {
    return room;
  },
  get peerId() {
    return peerId;
  },
  get ownProducers() {
    return meeting.session?.ownProducers ?? {};
  },
  get peers() {
    return [...(meeting.session?.peers.values() ?? [])].map((peer) => ({
      id: peer.id,
      displayName: peer.displayName,
      device: { ...peer.device },
      link: peer.linkState,
      producers: [...peer.producers].map(([id, { kind, paused }]) => ({ id, kind, paused })),
    }));
  },
  get tiles() {
    return meeting.tiles.map(({ id, name, self, screen, hasPicture, speaking, stats }) => ({
      id,
      name,
      self: !!self,
      screen: !!screen,
      hasPicture,
      speaking,
      stats,
    }));
  },
  get troubles() {
    return meeting.troubles;
  },
});

if (parameters.get('autojoin') === '1') joinAtOnce();
else lobby.show({ room: room || suggestRoom(), name });
