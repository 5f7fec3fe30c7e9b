// Recording: begins, is saved by the browser, and is kept by the server if the connection ends.

const byId = (id) => document.getElementById(id);

export class Recorder extends EventTarget {
  running = false;
  #saving = false;
  #kept = null; // file that it becomes if the connection ends
  #rows = 0;
  #link;

  constructor(link) {
    super();
    this.#link = link;
    link.addEventListener("recording", ({ detail }) => this.#began(detail));
    link.addEventListener("saved", ({ detail }) => this.#saved(detail));
    window.addEventListener("beforeunload", (event) => {
      if (this.running) event.preventDefault();
    });
  }

  start(source) {
    this.#link.ask({ type: "record", source });
  }

  save() {
    if (this.running && !this.#saving) this.#link.ask({ type: "save" });
    this.#saving = this.running;
  }

  count(rows) {
    this.#rows = rows;
    if (this.running) byId("record").textContent = `Stop and save (${rows} rows)`;
  }

  // Ends it with the connection; returns what became of it, for people.
  lost() {
    if (!this.running) return "";
    this.running = this.#saving = false;
    if (!this.#rows) return " The recording was empty.";
    return this.#kept ? ` The recording is kept: ${this.#kept}` : " The recording is lost.";
  }

  #began({ kept }) {
    [this.running, this.#saving, this.#kept] = [true, false, kept];
    this.count(0);
    this.dispatchEvent(new Event("change"));
  }

  #saved({ path, label, rows, problem }) {
    this.running = this.#saving = false;
    this.dispatchEvent(new Event("change"));
    const link = (ending, text) => Object.assign(document.createElement("a"), { href: `${path}${ending}`, download: `${label}${ending}`, textContent: text });
    link(".csv", "").click();
    const report = Object.assign(document.createElement("a"), { href: `${path}.report.html`, target: "_blank", rel: "noopener", textContent: "Open report" });
    const links = [report, link(".json", "Save as JSON"), link(".meta.json", "Save how it was made")];
    this.dispatchEvent(new CustomEvent("saved", { detail: { label, rows, problem, links } }));
  }
}
