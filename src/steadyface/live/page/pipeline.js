// Queue of frames to the server: one in flight, the newest waiting, all others dropped.

const LONGER_SIDE = 640;
const QUALITY = 0.92;
const PATIENCE = 3000; // ms to wait for an answer
const MOST_ENCODING = 2;

export class Pipeline {
  dropped = 0;
  size = ""; // of the frames, for people
  #link;
  #sequence = 0;
  #inFlight = null;
  #waiting = null;
  #spare = [];
  #encoding = 0;
  #outdated = 0; // frames up to this number are discarded

  constructor(link) {
    this.#link = link;
  }

  // Encodes the current picture of the video and queues it.
  async offer(video, seconds) {
    if (this.#encoding >= MOST_ENCODING) {
      this.dropped += 1;
      return;
    }
    const shot = { ...this.#draw(video), seconds, taken: performance.now(), sequence: ++this.#sequence };
    this.#encoding += 1;
    const blob = await shot.canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
    shot.jpeg = await blob.arrayBuffer();
    this.#encoding -= 1;
    if (shot.sequence <= this.#outdated) {
      this.#spare.push(shot.canvas);
      return;
    }
    this.#outdated = shot.sequence;
    if (this.#waiting) {
      this.dropped += 1;
      this.#spare.push(this.#waiting.canvas);
    }
    this.#waiting = shot;
    this.#send();
  }

  // Returns the frame of an answer, valid until the next call; null if it is no longer in flight.
  answered(sequence) {
    const shot = this.#inFlight;
    if (shot?.sequence !== sequence) return null;
    this.release();
    return shot;
  }

  // Gives up the frame in flight.
  release() {
    if (this.#inFlight) this.#spare.push(this.#inFlight.canvas);
    this.#inFlight = null;
    queueMicrotask(() => this.#send());
  }

  // Discards all frames under way, before another source or a new connection.
  forget() {
    this.#outdated = this.#sequence;
    for (const shot of [this.#inFlight, this.#waiting]) if (shot) this.#spare.push(shot.canvas);
    this.#inFlight = this.#waiting = null;
  }

  #send() {
    if (this.#inFlight && performance.now() - this.#inFlight.sent > PATIENCE) this.release();
    if (this.#inFlight || !this.#waiting || !this.#link.open) return;
    this.#inFlight = this.#waiting;
    this.#waiting = null;
    this.#inFlight.sent = performance.now();
    this.#link.sendFrame(this.#inFlight);
  }

  #draw(video) {
    const scale = Math.min(1, LONGER_SIDE / Math.max(video.videoWidth, video.videoHeight));
    const width = Math.max(1, Math.round(video.videoWidth * scale));
    const height = Math.max(1, Math.round(video.videoHeight * scale));
    this.size = `${width} × ${height}`;
    const canvas = this.#spare.pop() ?? new OffscreenCanvas(width, height);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.getContext("2d", { alpha: false }).drawImage(video, 0, 0, width, height);
    return { canvas, width, height };
  }
}
