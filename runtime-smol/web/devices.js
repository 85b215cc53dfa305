// Camera, microphone and screen, and plain words for what can go wrong with them.

const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class Devices {
  camera = null;
  microphone = null;
  /** Called with 'camera' or 'microphone' when a device stops by itself (unplugged, taken away). */
  lost = () => {};

  async openCamera(deviceId) {
    this.closeCamera();
    this.camera = await this.#open('camera', { video: withDevice(CAMERA, deviceId) });
    return this.camera;
  }

  async openMicrophone(deviceId) {
    this.closeMicrophone();
    this.microphone = await this.#open('microphone', { audio: withDevice(MICROPHONE, deviceId) });
    return this.microphone;
  }

  closeCamera() {
    this.camera?.stop();
    this.camera = null;
  }

  closeMicrophone() {
    this.microphone?.stop();
    this.microphone = null;
  }

  /** The screen's video track, and its audio track if the user shares sound too. */
  async openScreen() {
    const stream = await mediaDevices().getDisplayMedia({ video: { frameRate: { max: 15 } }, audio: true });
    const [video] = stream.getVideoTracks();
    video.contentHint = 'detail';
    return { video, audio: stream.getAudioTracks()[0] ?? null };
  }

  /** The cameras and microphones that can be chosen, as `{deviceId, label}`. */
  async list(kind) {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return devices.filter((device) => device.kind === kind && device.deviceId);
  }

  async #open(what, constraints) {
    const stream = await mediaDevices().getUserMedia(constraints);
    const [track] = stream.getTracks();
    track.onended = () => {
      if (this[what] !== track) return;
      this[what] = null;
      this.lost(what);
    };
    return track;
  }
}

/** What a failed `getUserMedia` or `getDisplayMedia` means to the person in front of it. */
export function explainDeviceError(error, what) {
  switch (error.name) {
    case 'InsecureContextError':
      return `The browser gives the ${what} only to pages opened by https or on localhost. Open this page by https.`;
    case 'NotAllowedError':
    case 'SecurityError':
      return `Access to the ${what} is blocked. Allow it with the symbol in the address bar, then try again.`;
    case 'NotFoundError':
    case 'OverconstrainedError':
      return `No ${what} was found. Plug one in, or go on without.`;
    case 'NotReadableError':
    case 'AbortError':
      return `The ${what} cannot be opened. Another program may be using it.`;
    default:
      return `The ${what} cannot be used: ${error.message}`;
  }
}

function mediaDevices() {
  if (navigator.mediaDevices) return navigator.mediaDevices;
  throw Object.assign(new Error('not a secure page'), { name: 'InsecureContextError' });
}

function withDevice(constraints, deviceId) {
  return deviceId ? { ...constraints, deviceId: { exact: deviceId } } : constraints;
}
