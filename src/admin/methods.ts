/**
 * What an operator can ask of a data folder: one table of methods, the same through the control socket and without a server.
 *
 * Rules
 * 1. Parameters and results are JSON. Parameters from the socket are checked by these schemas.
 * 2. `queue.content` gives its octets in parts before its result, so that no line grows with a message.
 */
import { z } from "zod";
import type { DestinationSummary } from "../delivery/delivery.ts";
import type { Counted } from "../queue/control.ts";
import { FILTER_LIMIT } from "../queue/filter.ts";
import type { QueuedSummary, QueueStats, Suspension } from "../queue/store.ts";
import type { Suppression } from "../queue/suppression.ts";

/** Ids in one request. */
export const IDS_LIMIT = 10_000;
/** Messages in one listing. */
export const LIST_LIMIT = 10_000;
const ADDRESSES_LIMIT = 1000;

const id = z.string().max(64);
const ids = z.array(id).max(IDS_LIMIT);
const name = z.string().max(1000);
const password = z.string().max(10_000);

const filter = z.string().max(FILTER_LIMIT);
/** Ids, or a filter; neither: every message. `dryRun` only counts. */
const selection = z.strictObject({ ids: ids.optional(), filter: filter.optional(), dryRun: z.boolean().optional() });
const suspended = z.enum(["domain", "sender", "account"]);

/** Of an account, an address. */
const suppressionKey = z.strictObject({ account: name, mailbox: name });

export const parameters = {
  status: z.strictObject({}),
  "queue.list": z.strictObject({ limit: z.int().min(1).max(LIST_LIMIT), after: id.optional(), filter: filter.optional() }),
  "queue.count": selection,
  "queue.hold": selection.extend({ reason: z.string().max(1000), until: z.number().optional() }),
  "queue.release": selection,
  "queue.suspend": z.strictObject({
    kind: suspended,
    value: z.string().max(1000),
    reason: z.string().max(1000),
    until: z.number().optional(),
  }),
  "queue.resume": z.strictObject({ kind: suspended, value: z.string().max(1000) }),
  "queue.suspensions": z.strictObject({}),
  "queue.destinations": z.strictObject({}),
  "queue.show": z.strictObject({ id }),
  "queue.content": z.strictObject({ id }),
  "queue.retry": selection,
  "queue.remove": selection.extend({ bounce: z.boolean().optional(), reason: z.string().max(1000).optional() }),
  "suppression.list": z.strictObject({ limit: z.int().min(1).max(LIST_LIMIT), account: name.optional(), after: suppressionKey.optional() }),
  "suppression.add": suppressionKey.extend({ reason: z.string().max(1000), until: z.number().optional() }),
  "suppression.remove": suppressionKey,
  "suppression.check": suppressionKey,
  "user.add": z.strictObject({ name, password, addresses: z.array(name).max(ADDRESSES_LIMIT).optional() }),
  "user.list": z.strictObject({}),
  "user.passwd": z.strictObject({ name, password }),
  "user.remove": z.strictObject({ name }),
} as const;

export type Method = keyof typeof parameters;
export type ParametersOf<M extends Method> = z.output<(typeof parameters)[M]>;

export interface AccountSummary {
  readonly name: string;
  readonly addresses: readonly string[];
}

export interface Results {
  readonly status: { readonly pid: number; readonly queue: QueueStats };
  readonly "queue.list": readonly QueuedSummary[];
  /** Absent for an id that is not in the queue. */
  readonly "queue.show": { readonly message?: QueuedSummary };
  readonly "queue.content": { readonly size: number };
  readonly "queue.count": Counted;
  readonly "queue.hold": Counted;
  readonly "queue.release": Counted;
  readonly "queue.retry": Counted;
  readonly "queue.remove": Counted;
  readonly "queue.suspend": { readonly done: true };
  /** How many messages were put off by it and are due now; absent where nothing of the kind was suspended. */
  readonly "queue.resume": { readonly released?: number };
  readonly "queue.suspensions": readonly Suspension[];
  /** Of a running server alone: those with work, open connections or trouble. */
  readonly "queue.destinations": readonly DestinationSummary[];
  readonly "suppression.list": readonly Suppression[];
  readonly "suppression.add": Suppression;
  /** False where there was none. */
  readonly "suppression.remove": { readonly removed: boolean };
  /** Absent where mail may be sent there. */
  readonly "suppression.check": { readonly suppression?: Suppression };
  readonly "user.add": AccountSummary;
  readonly "user.list": readonly AccountSummary[];
  readonly "user.passwd": { readonly done: true };
  readonly "user.remove": { readonly done: true };
}

/** Takes a part of a long answer; a promise asks to wait. */
export type TakePart = (part: Uint8Array) => void | Promise<void>;

/** Whoever answers: a running server, or the store itself. Rejects with an AdminError, an AccountError or a StoreError. */
export interface Administration {
  call<M extends Method>(method: M, params: ParametersOf<M>, takePart?: TakePart): Promise<Results[M]>;
  close(): Promise<void>;
}

export function isMethod(text: string): text is Method {
  return Object.hasOwn(parameters, text);
}
