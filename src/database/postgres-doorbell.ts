/**
 * The doorbell: nodes on one database tell one another that there is something to look at.
 *
 * Rules
 * 1. A ring says nothing but "look", and may be lost or come twice: whoever listens also looks by himself from time to time.
 * 2. It is sent by itself, after the commit it tells of, at most once in RING_MS: NOTIFY takes a lock of the whole database when its
 *    transaction commits, and must never be in the way of a message.
 * 3. A connection of its own listens; it is made again when it is lost, and what was missed meanwhile counts as a ring.
 */
import pg from "pg";
import type { Postgres } from "./postgres.ts";
import { prepareSession } from "./postgres.ts";

const RING_MS = 100;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;
const STATEMENT_TIMEOUT = 10_000;

export class Doorbell {
  readonly #postgres: Postgres;
  readonly #channel: string;
  /** Tells our rings from those of others. */
  readonly #name = Math.random().toString(36).slice(2);
  readonly #heard: () => void;
  #client: pg.Client | undefined;
  #listening: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pause = FIRST_PAUSE;
  #ringing: NodeJS.Timeout | undefined;
  #again = false;
  #closed = false;

  /** `heard` is called for a ring of another node, and whenever it begins to listen. */
  constructor(postgres: Postgres, name: string, heard: () => void) {
    this.#postgres = postgres;
    this.#channel = `${postgres.schema}_${name}`;
    this.#heard = heard;
    this.#listening = this.#listen();
  }

  /** Resolves after the first attempt to listen, whatever came of it. */
  get ready(): Promise<void> {
    return this.#listening ?? Promise.resolve();
  }

  /** Rings for all others, soon; failing is no error. */
  ring(): void {
    if (this.#closed) return;
    if (this.#ringing !== undefined) {
      this.#again = true;
      return;
    }
    this.#postgres.run("SELECT pg_notify($1, $2)", [this.#channel, this.#name]).catch(() => {});
    this.#ringing = setTimeout(() => {
      this.#ringing = undefined;
      if (!this.#again) return;
      this.#again = false;
      this.ring();
    }, RING_MS);
    this.#ringing.unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#ringing);
    await this.#listening;
    await this.#client?.end().catch(() => {});
  }

  async #listen(): Promise<void> {
    const client = new pg.Client({ ...this.#postgres.settings, connectionTimeoutMillis: 5_000 });
    let over = false;
    const lost = () => {
      if (over) return;
      over = true;
      this.#client = undefined;
      client.end().catch(() => {});
      this.#later();
    };
    client.on("error", lost);
    client.on("end", lost);
    client.on("notification", ({ payload }) => {
      if (payload !== this.#name) this.#heard();
    });
    try {
      await client.connect();
      await prepareSession(client, STATEMENT_TIMEOUT);
      await client.query(`LISTEN ${pg.escapeIdentifier(this.#channel)}`);
    } catch {
      lost(); // a server without LISTEN is asked again each half minute; polling serves meanwhile
      return;
    }
    if (over || this.#closed) {
      over = true;
      await client.end().catch(() => {});
      return;
    }
    this.#client = client;
    this.#pause = FIRST_PAUSE;
    this.#heard();
  }

  #later(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#listening = this.#listen();
    }, this.#pause);
    this.#timer.unref();
    this.#pause = Math.min(LONGEST_PAUSE, this.#pause * 2);
  }
}
