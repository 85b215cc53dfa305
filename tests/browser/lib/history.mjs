// What a decoder went through, read from the samples that `watch` of the page takes of its statistics.

/** Longest freeze, as the browser itself reckons it, keyframes, and how often the decoder could not go on by itself. */
export function summary(samples) {
  const last = samples.at(-1);
  // A freeze is added to the total when it ends; two that end within one sample count as one.
  const freezes = samples.slice(1).map((sample, n) => sample.totalFreezesDuration - samples[n].totalFreezesDuration);
  return {
    longestFreezeSeconds: Number(Math.max(0, ...freezes, unfinished(samples)).toFixed(3)),
    freezes: last.freezeCount,
    keyFrames: last.keyFramesDecoded,
    keyFrameRequests: last.pliCount,
    nacks: last.nackCount,
  };
}

/** A freeze that has not ended: the time since the last sample in which a picture was decoded. */
function unfinished(samples) {
  const last = samples.at(-1);
  const since = samples.find(({ framesDecoded }) => framesDecoded === last.framesDecoded);
  return (last.at - since.at) / 1000;
}
