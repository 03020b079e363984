/** How many connections there are, in all and from each peer. */

export interface ConnectionLimits {
  readonly total: number;
  readonly perPeer: number;
}

export class ConnectionCounter {
  readonly #limits: ConnectionLimits;
  readonly #peers = new Map<string, number>();
  #total = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  get total(): number {
    return this.#total;
  }

  /** Counts one in; says which limit it would pass, and then counts nothing. */
  enter(peer: string): "ok" | "total" | "peer" {
    if (this.#total >= this.#limits.total) return "total";
    const count = this.#peers.get(peer) ?? 0;
    if (count >= this.#limits.perPeer) return "peer";
    this.#peers.set(peer, count + 1);
    this.#total++;
    return "ok";
  }

  leave(peer: string): void {
    const count = this.#peers.get(peer) ?? 0;
    if (count > 1) this.#peers.set(peer, count - 1);
    else this.#peers.delete(peer);
    this.#total--;
  }
}
