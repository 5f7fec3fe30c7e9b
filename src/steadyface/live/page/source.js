// Webcam or video file in the <video> element, and the times of its frames.

const WIDTH = 640;
const HEIGHT = 480;

export class Source extends EventTarget {
  name = null;
  #video;
  #watch = null;
  #first = null;
  #turn = 0; // number of the source chosen last

  constructor(video) {
    super();
    this.#video = video;
    video.addEventListener("ended", () => this.dispatchEvent(new Event("ended")));
  }

  get isFile() {
    return this.name !== null && this.#video.srcObject === null;
  }

  async openCamera() {
    this.close();
    const turn = this.#turn;
    const wanted = { width: { ideal: WIDTH }, height: { ideal: HEIGHT }, frameRate: { ideal: 30 } };
    const stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    if (turn !== this.#turn) {
      for (const track of stream.getTracks()) track.stop();
      throw new DOMException("another source was chosen", "AbortError");
    }
    stream.getVideoTracks()[0].addEventListener("ended", () => this.dispatchEvent(new Event("unplugged")));
    this.#video.srcObject = stream;
    await this.#begin("webcam");
  }

  async openFile(file) {
    this.close();
    this.#video.src = URL.createObjectURL(file);
    await this.#begin(file.name);
  }

  async openSample(address) {
    this.close();
    const turn = this.#turn;
    const answer = await fetch(address).catch(() => null);
    const data = answer?.ok ? await answer.blob() : new Blob();
    if (turn !== this.#turn) throw new DOMException("another source was chosen", "AbortError");
    await this.openFile(new File([data], address, { type: "video/mp4" }));
  }

  close() {
    this.#turn += 1;
    this.#video.cancelVideoFrameCallback(this.#watch ?? 0);
    for (const track of this.#video.srcObject?.getTracks() ?? []) track.stop();
    if (this.#video.src) URL.revokeObjectURL(this.#video.src);
    this.#video.srcObject = null;
    this.#video.removeAttribute("src");
    this.#video.load();
    this.name = null;
  }

  async #begin(name) {
    this.#first = null;
    this.name = name;
    this.#next();
    await this.#video.play();
  }

  #next() {
    this.#watch = this.#video.requestVideoFrameCallback((now, frame) => {
      this.#next();
      const seconds = this.isFile ? frame.mediaTime : (frame.captureTime ?? now) / 1000;
      this.#first ??= this.isFile ? 0 : seconds;
      const detail = { seconds: seconds - this.#first, presented: frame.presentedFrames };
      this.dispatchEvent(new CustomEvent("frame", { detail }));
    });
  }
}
