// How loud a local track is, from 0 to 1, by WebAudio.

export class LevelMeter {
  #context = null;
  #source = null;
  #analyser = null;
  #samples = null;

  /** Measures `track` from now on; null stops measuring. */
  listen(track) {
    this.#source?.disconnect();
    this.#source = null;
    if (!track || !window.AudioContext) return;
    this.#context ??= new AudioContext();
    // Without a click on the page the context stays suspended and the level simply reads 0.
    this.#context.resume().catch(() => {});
    if (!this.#analyser) {
      this.#analyser = this.#context.createAnalyser();
      this.#analyser.fftSize = 512;
      this.#samples = new Float32Array(this.#analyser.fftSize);
    }
    this.#source = this.#context.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(this.#analyser);
  }

  /** The root mean square of the last samples. */
  get level() {
    if (!this.#source) return 0;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((total, sample) => total + sample * sample, 0);
    return Math.sqrt(power / this.#samples.length);
  }
}

/** The level of the audio that a connection receives, as the sender measured it; null if that is not known. */
export function receivedLevel(pc) {
  const receiver = pc?.getReceivers().find(({ track }) => track.kind === 'audio');
  const [source] = receiver?.getSynchronizationSources() ?? [];
  return source?.audioLevel ?? null;
}
