/**
 * How a dialogue is replayed: what is played to the session under test is cut whole, byte by byte or at random, and between the
 * pieces the session is asked for none, some or all of its events.
 */
export interface Manner {
  readonly name: string;
  /** The pieces of one segment, in order; none is empty. */
  cut(bytes: Uint8Array): Uint8Array[];
  /** How many events are taken after a piece that is not the last of its segment. */
  events(): number;
}

export const RANDOM_REPLAYS = 12;

export function manners(): Manner[] {
  const all = Number.POSITIVE_INFINITY;
  const whole: Manner = { name: "whole", cut: (bytes) => (bytes.length === 0 ? [] : [bytes]), events: () => all };
  const single: Manner = { name: "byte by byte", cut: (bytes) => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)), events: () => all };
  const random = Array.from({ length: RANDOM_REPLAYS }, (_, seed) => randomManner(seed + 1));
  return [whole, single, ...random];
}

function randomManner(seed: number): Manner {
  const random = mulberry32(seed);
  return {
    name: `random cuts, seed ${seed}`,
    cut(bytes) {
      const pieces: Uint8Array[] = [];
      const longest = 1 + Math.floor(random() ** 3 * (bytes.length + 8));
      for (let at = 0; at < bytes.length; ) {
        const length = 1 + Math.floor(random() * longest);
        pieces.push(bytes.subarray(at, at + length));
        at += length;
      }
      return pieces;
    },
    events: () => (random() < 0.3 ? Number.POSITIVE_INFINITY : Math.floor(random() * 3)),
  };
}

/** Numbers in [0, 1), the same for the same seed. */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What the session under test has said and nobody has checked yet, one character an octet. */
export class Transcript {
  #text = "";

  get rest(): string {
    return this.#text;
  }

  add(text: string): void {
    this.#text += text;
  }

  /** The next line without its CRLF; `undefined` where there is no whole line. */
  line(): string | undefined {
    const end = this.#text.indexOf("\r\n");
    if (end < 0) return undefined;
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 2);
    return line;
  }

  /** Takes exactly this text, or says false. */
  take(text: string): boolean {
    if (!this.#text.startsWith(text)) return false;
    this.#text = this.#text.slice(text.length);
    return true;
  }
}
