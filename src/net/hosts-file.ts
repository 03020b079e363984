/**
 * The system's own names for addresses (/etc/hosts).
 *
 * Rules
 * 1. Read again when it changed, looked at no more than every few seconds.
 * 2. A file that cannot be read has no names in it: DNS is asked.
 */
import { readFile, stat } from "node:fs/promises";
import { type Clock, seconds } from "../util/clock.ts";
import { canonicalAddress } from "./address.ts";

const LOOK_AGAIN = seconds(10);
/** A file larger than this is not read. */
const FILE_LIMIT = 4 * 1024 * 1024;

/** Names in lower case -> addresses in the order of the file. */
export type Hosts = ReadonlyMap<string, readonly string[]>;

/** `address name name... # comment`; lines that do not begin with an address are passed over. */
export function parseHosts(text: string): Hosts {
  const hosts = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [first, ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    const address = canonicalAddress(first ?? "");
    if (address === undefined) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      const known = hosts.get(key);
      if (known === undefined) hosts.set(key, [address]);
      else if (!known.includes(address)) known.push(address);
    }
  }
  return hosts;
}

export class HostsFile {
  readonly #path: string;
  readonly #clock: Clock;
  #hosts: Hosts = new Map();
  #version = "";
  #lookAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, path = "/etc/hosts") {
    this.#clock = clock;
    this.#path = path;
  }

  /** The addresses of a name in lower case; none where the file does not name it. */
  async addresses(name: string): Promise<readonly string[]> {
    const now = this.#clock.now();
    if (now >= this.#lookAt) {
      this.#lookAt = now + LOOK_AGAIN;
      await this.#load();
    }
    return this.#hosts.get(name) ?? [];
  }

  async #load(): Promise<void> {
    try {
      const { mtimeMs, size } = await stat(this.#path);
      const version = `${mtimeMs} ${size}`;
      if (version === this.#version || size > FILE_LIMIT) return;
      this.#hosts = parseHosts(await readFile(this.#path, "utf8"));
      this.#version = version;
    } catch {
      this.#hosts = new Map();
      this.#version = "";
    }
  }
}
