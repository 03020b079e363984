/**
 * The addresses of this machine that mail leaves from.
 *
 * Rules
 * 1. A destination keeps to one of each family: a server that has met us once should know us again (greylisting, reputation).
 */

export class Sources {
  readonly #four: readonly string[];
  readonly #six: readonly string[];

  constructor(addresses: readonly string[]) {
    this.#four = addresses.filter((address) => !address.includes(":"));
    this.#six = addresses.filter((address) => address.includes(":"));
  }

  /** The one to reach `address` from for this destination; `undefined`: the system chooses. */
  sourceFor(destination: string, address: string): string | undefined {
    const own = address.includes(":") ? this.#six : this.#four;
    return own.length < 2 ? own[0] : own[hash(destination) % own.length];
  }
}

/** FNV-1a: the same on every machine and after every start. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return value;
}
