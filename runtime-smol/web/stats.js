// Turns two reports of getStats into the few numbers that a person wants to see.

/** Remembers the last report of one connection and says what happened since. */
export class StatsReader {
  #connection = null;
  #last = null;

  /** `direction`: 'inbound' for a watched peer, 'outbound' for what we publish. Null without a connection. */
  async read(pc, direction) {
    if (!pc) return null;
    if (pc !== this.#connection) this.#last = null;
    this.#connection = pc;
    const report = [...(await pc.getStats()).values()];
    const now = summarize(report, direction);
    const summary = { ...now.shown, ...rates(now, this.#last) };
    this.#last = now;
    return summary;
  }
}

function summarize(report, direction) {
  const byId = new Map(report.map((entry) => [entry.id, entry]));
  const stream = (kind) => report.find((entry) => entry.type === `${direction}-rtp` && entry.kind === kind);
  const codecOf = (entry) => byId.get(entry?.codecId)?.mimeType?.split('/')[1] ?? null;
  const audio = stream('audio');
  const video = stream('video');
  const remote = report.filter((entry) => entry.type === 'remote-inbound-rtp');
  const pair = selectedPair(report, byId);
  const roundTrip = pair?.currentRoundTripTime ?? remote.find((entry) => entry.roundTripTime)?.roundTripTime;
  return {
    timestamp: (video ?? audio)?.timestamp ?? 0,
    bytes: sum([audio, video], direction === 'inbound' ? 'bytesReceived' : 'bytesSent'),
    packets: sum([audio, video], direction === 'inbound' ? 'packetsReceived' : 'packetsSent'),
    lost: sum(direction === 'inbound' ? [audio, video] : remote, 'packetsLost'),
    frames: (direction === 'inbound' ? video?.framesDecoded : video?.framesSent) ?? 0,
    shown: {
      audioCodec: codecOf(audio),
      videoCodec: codecOf(video),
      width: video?.frameWidth ?? 0,
      height: video?.frameHeight ?? 0,
      framesDecoded: video?.framesDecoded ?? 0,
      audioLevel: audio?.audioLevel ?? 0,
      totalAudioEnergy: audio?.totalAudioEnergy ?? 0,
      roundTripMs: roundTrip === undefined ? null : roundTrip * 1000,
    },
  };
}

/** Bitrate, frame rate and loss since the previous report. */
function rates(now, last) {
  const seconds = last ? (now.timestamp - last.timestamp) / 1000 : 0;
  if (seconds <= 0) return { bitrateKbps: 0, framesPerSecond: 0, lossPercent: 0 };
  const packets = Math.max(now.packets - last.packets, 0);
  const lost = Math.max(now.lost - last.lost, 0);
  return {
    bitrateKbps: (Math.max(now.bytes - last.bytes, 0) * 8) / 1000 / seconds,
    framesPerSecond: Math.max(now.frames - last.frames, 0) / seconds,
    lossPercent: packets + lost === 0 ? 0 : (100 * lost) / (packets + lost),
  };
}

function selectedPair(report, byId) {
  const transport = report.find((entry) => entry.type === 'transport' && entry.selectedCandidatePairId);
  const nominated = report.find((entry) => entry.type === 'candidate-pair' && entry.nominated);
  return byId.get(transport?.selectedCandidatePairId) ?? nominated;
}

function sum(entries, field) {
  return entries.reduce((total, entry) => total + (entry?.[field] ?? 0), 0);
}

/** The lines of a tile's panel, as pairs of label and text. */
export function describe(stats) {
  if (!stats) return [['Media', 'not connected']];
  const codecs = [stats.videoCodec, stats.audioCodec].filter(Boolean).join(' · ');
  const size = stats.width ? `${stats.width}×${stats.height} · ${Math.round(stats.framesPerSecond)} fps` : '–';
  return [
    ['Codec', codecs || '–'],
    ['Picture', size],
    ['Bitrate', formatBitrate(stats.bitrateKbps)],
    ['Loss', `${stats.lossPercent.toFixed(1)} %`],
    ['Round trip', stats.roundTripMs === null ? '–' : `${stats.roundTripMs.toFixed(stats.roundTripMs < 10 ? 1 : 0)} ms`],
  ];
}

function formatBitrate(kbps) {
  return kbps >= 1000 ? `${(kbps / 1000).toFixed(2)} Mbit/s` : `${Math.round(kbps)} kbit/s`;
}
