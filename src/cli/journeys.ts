/**
 * Follows each message of the try-out from its submission to its arrival, so that both ends can be shown as one.
 *
 * Rules
 * 1. The arrival is matched to the submission by the id that our Received line bears.
 * 2. A message is shown once it has arrived and its outcome is on disk, or a moment after it arrived where the outcome is not heard of.
 * 3. What is remembered is limited.
 */
import type { Arrival } from "../inbox/inbox.ts";
import type { ListenerKind, MailEvent } from "../mail/event.ts";
import { fieldText, HeaderReader, type HeaderSection } from "../message/header-section.ts";
import { type Clock, seconds, systemClock } from "../util/clock.ts";

/** When what happened, in milliseconds since 1970; what is not known is absent. */
export interface Journey {
  readonly arrival: Arrival;
  readonly header: HeaderSection;
  readonly via?: ListenerKind;
  readonly submitted?: number;
  readonly queued?: number;
  readonly settled?: number;
  readonly tls?: string;
}

interface Steps {
  via?: ListenerKind;
  submitted?: number;
  queued?: number;
  settled?: number;
  tls?: string;
  waiting?: { readonly arrival: Arrival; readonly header: HeaderSection; readonly giveUp: () => void };
}

const REMEMBERED = 1000;
const WAIT_FOR_OUTCOME = seconds(2);

export class Journeys {
  readonly #show: (journey: Journey) => void;
  readonly #clock: Clock;
  readonly #steps = new Map<string, Steps>();
  readonly #sessions = new Map<string, ListenerKind>();

  constructor(show: (journey: Journey) => void, clock: Clock = systemClock) {
    this.#show = show;
    this.#clock = clock;
  }

  /** Takes the sending server's events. */
  event(event: MailEvent): void {
    if (event.type === "connected") remember(this.#sessions, event.session, event.listener);
    else if (event.type === "accepted") {
      const via = event.session === undefined ? undefined : this.#sessions.get(event.session);
      Object.assign(this.#of(event.id), { queued: this.#clock.now(), ...(via === undefined ? {} : { via }) });
    } else if (event.type === "attempted" && (event.outcome.action === "relayed" || event.outcome.action === "delivered")) {
      const steps = this.#of(event.id);
      const now = this.#clock.now();
      steps.submitted = now - event.age;
      steps.settled = now;
      if (event.outcome.at.tls !== undefined) steps.tls = event.outcome.at.tls;
      this.#finish(event.id, steps);
    }
  }

  /** Takes what arrived at the recipient's server. */
  arrived(arrival: Arrival): void {
    const header = headerOf(arrival.chunks);
    const id = header
      .all("received")
      .slice(1) // the first is the recipient's server's own
      .map((field) => /\sid\s+([0-9A-HJKMNP-TV-Z]{16})\b/.exec(fieldText(field))?.[1])
      .find((found) => found !== undefined);
    if (id === undefined) return this.#show({ arrival, header });
    const steps = this.#of(id);
    // Another recipient of the same message in a transaction of its own.
    if (steps.waiting !== undefined) this.#finish(id, steps);
    steps.waiting = { arrival, header, giveUp: this.#clock.after(WAIT_FOR_OUTCOME, () => this.#finish(id, steps)) };
    if (steps.settled !== undefined && steps.settled >= arrival.at) this.#finish(id, steps);
  }

  #of(id: string): Steps {
    const known = this.#steps.get(id);
    if (known !== undefined) return known;
    const steps: Steps = {};
    remember(this.#steps, id, steps);
    return steps;
  }

  #finish(_id: string, steps: Steps): void {
    const { waiting, ...times } = steps;
    if (waiting === undefined) return;
    delete steps.waiting;
    waiting.giveUp();
    this.#show({ arrival: waiting.arrival, header: waiting.header, ...times });
  }
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.set(key, value);
  if (map.size > REMEMBERED) map.delete(map.keys().next().value as string);
}

export function headerOf(chunks: readonly Uint8Array[]): HeaderSection {
  const reader = new HeaderReader();
  for (const chunk of chunks) if (reader.push(chunk)) break;
  return reader.finish().section;
}
